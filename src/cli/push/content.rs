//! What is sent of a file: itself where a receiver takes it, else a pprof made of it.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::profile_file::{FileError, Format, bytes_of, folded_type, format_of};
use super::shown;
use crate::kernel::ProfileType;
use crate::profile::{
    JfrContext, PprofHeader, Profile, ReadError, ReadLimits, SampleType, read_cpuprofile, read_flamebearer,
    read_folded, read_jfr, read_pprof, read_speedscope, read_tree, read_trie, read_weighted_folded, without_time,
    write_folded, write_pprof,
};

/// How long ago a profile must have begun to be in a window whose end is not given: such an end is now, rounded down to 15 s.
pub(super) const SETTLED: TimeDelta = TimeDelta::seconds(15);
/// How long profiles are kept by default. The time of an older file is not sent.
const KEPT: TimeDelta = TimeDelta::days(7);
/// A recording that is longer would begin before the last hour if it ended now. Of such a one the length is not sent.
const LONGEST: TimeDelta = TimeDelta::minutes(50);

/// Which times of files count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) now: DateTime<Utc>,
    /// Whether the user gives the time, so that none of a file counts.
    pub(super) given: bool,
}

impl Times {
    /// The time of a file, if it counts.
    fn own(self, time: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        time.filter(|time| !self.given && (self.now - KEPT..=self.now - SETTLED).contains(time))
    }
}

/// What is sent of a file.
pub(super) struct Content {
    pub(super) body: Vec<u8>,
    /// The format, as the receiver names it.
    pub(super) format: &'static str,
    /// What follows the app's name and says what is counted, in formats that do not say it.
    pub(super) suffix: Option<&'static str>,
    /// When it was taken, if the receiver is to read that from the body.
    pub(super) time: Option<DateTime<Utc>>,
    /// How long it was taken for, if the receiver does not read that from the body; 0 if unknown.
    pub(super) lasted: TimeDelta,
}

impl Content {
    /// Reads a file, so that what cannot be read is said here and not by the server.
    pub(super) fn of(path: &Path, kind: Option<ProfileType>, times: Times) -> Result<Self, FileError> {
        let bytes = bytes_of(path).map_err(|said| FileError::Io { path: shown(path), said })?;
        let format = format_of(path, &bytes);
        // The reader's error needs the bytes too.
        match Self::made(format, &bytes, kind, times) {
            Ok(Some(content)) => Ok(content),
            Ok(None) => Err(FileError::empty(shown(path))),
            Err(why) => Err(FileError::unreadable(shown(path), format, &bytes, why)),
        }
    }

    /// `None`: it holds no profile.
    fn made(format: Format, bytes: &[u8], kind: Option<ProfileType>, times: Times) -> Result<Option<Self>, ReadError> {
        let limits = &ReadLimits::default();
        let pprof = |body| Self { body, format: "pprof", suffix: None, time: None, lasted: TimeDelta::zero() };
        let text = |body, format, unit| Self { format, suffix: Some(suffix(kind, unit)), ..pprof(body) };
        Ok(Some(match format {
            Format::Pprof => {
                let file = read_pprof(bytes, limits)?;
                if file.profile.sample_types().is_empty() {
                    return Ok(None);
                }
                match (file.time, times.own(file.time)) {
                    // The receiver reads the time in the profile before the one that comes with it.
                    (Some(_), None) => pprof(without_time(bytes, limits)?),
                    (_, time) => Self { time, ..pprof(bytes.to_vec()) },
                }
            }
            Format::Jfr => {
                let recording = read_jfr(bytes, &JfrContext::default(), limits)?;
                let time = times.own(recording.time);
                let lasted = recording.duration.filter(|lasted| time.is_none() && *lasted <= LONGEST);
                Self { format: "jfr", time, lasted: lasted.unwrap_or_default(), ..pprof(bytes.to_vec()) }
            }
            Format::Folded => {
                let profile = read_weighted_folded(bytes, folded_type(kind), limits)?;
                // The receiver takes whole numbers only.
                let is_whole = read_folded(bytes, folded_type(kind), limits).is_ok();
                text(if is_whole { bytes.to_vec() } else { write_folded(&profile, 0) }, "folded", "")
            }
            Format::Trie => {
                read_trie(bytes, folded_type(kind), limits)?;
                text(bytes.to_vec(), "trie", "")
            }
            Format::Tree => {
                read_tree(bytes, folded_type(kind), limits)?;
                text(bytes.to_vec(), "tree", "")
            }
            Format::Speedscope => {
                let profile = read_speedscope(bytes, limits)?;
                let unit = profile.sample_types().first().map_or("", |t| t.unit.as_str());
                text(bytes.to_vec(), "speedscope", unit)
            }
            Format::Flamebearer => pprof(pprof_of(&read_flamebearer(bytes, limits)?.profile, kind)),
            Format::CpuProfile => pprof(pprof_of(&read_cpuprofile(bytes, limits)?, kind)),
        }))
    }
}

/// The suffix of the app's name for values of this kind in this unit.
fn suffix(kind: Option<ProfileType>, unit: &str) -> &'static str {
    use ProfileType::{Alloc, Cpu, Exception, Goroutine, Inuse, Lock, Samples, Wall};
    match (kind, unit) {
        (None | Some(Samples), "bytes") => "bytes",
        (None | Some(Samples | Cpu), _) => "cpu",
        (Some(Wall), _) => "wall",
        (Some(Alloc), _) => "alloc_space",
        (Some(Inuse), _) => "inuse_space",
        (Some(Lock), "nanoseconds") => "mutex_duration",
        (Some(Lock), _) => "mutex_count",
        (Some(Goroutine), _) => "goroutines",
        (Some(Exception), _) => "exceptions",
    }
}

/// A pprof whose sample type is that of the kind, or else the profile's own.
fn pprof_of(profile: &Profile, kind: Option<ProfileType>) -> Vec<u8> {
    let own = profile.sample_types().first();
    let unit = own.map_or("count", |own| own.unit.as_str());
    let name = match kind {
        Some(kind) => folded_type(Some(kind)).name,
        None => own.map(|own| own.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(|| "samples".to_owned()),
    };
    let name = if name == "contentions" && unit == "nanoseconds" { "delay".to_owned() } else { name };
    let named = profile.under([SampleType::new(name, unit)], |values| [values.first().copied().unwrap_or(0)]);
    write_pprof(&named, &PprofHeader::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::jfr::writer::{Chunk, RUNNABLE};
    use rstest::rstest;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    /// A pprof that was taken so many seconds ago.
    fn pprof(ago: i64) -> Vec<u8> {
        let profile = read_folded(b"main;a 7", SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap();
        let time = Some(now() - TimeDelta::seconds(ago));
        write_pprof(&profile, &PprofHeader { time, ..PprofHeader::default() })
    }

    #[rstest]
    #[case::recent(60, false, true)]
    #[case::a_day_ago(86_400, false, true)]
    #[case::too_young_for_a_window(14, false, false)]
    #[case::of_the_future(-5, false, false)]
    #[case::too_old(8 * 86_400, false, false)]
    #[case::given(60, true, false)]
    fn the_time_of_a_pprof_counts_if_it_is_recent(#[case] ago: i64, #[case] given: bool, #[case] counts: bool) {
        let content = Content::made(Format::Pprof, &pprof(ago), None, Times { now: now(), given }).unwrap().unwrap();
        let sent = read_pprof(&content.body, &ReadLimits::default()).unwrap();
        let expected = counts.then(|| now() - TimeDelta::seconds(ago));
        assert_eq!((content.time, sent.time, sent.profile.total(0)), (expected, expected, 7));
    }

    #[rstest]
    #[case::recent(60, 30, true, 0)]
    #[case::too_old(8 * 86_400, 30, false, 30)]
    #[case::too_old_and_longer_than_a_window(8 * 86_400, 3_600, false, 0)]
    fn a_recording_without_its_time_keeps_its_length(
        #[case] ago: i64,
        #[case] seconds: u64,
        #[case] counts: bool,
        #[case] lasted: i64,
    ) {
        let start = now() - TimeDelta::seconds(ago);
        let mut chunk = Chunk {
            start_nanos: u64::try_from(start.timestamp_nanos_opt().unwrap()).unwrap(),
            duration_nanos: seconds * 1_000_000_000,
            ..Chunk::default()
        };
        let stack = chunk.stack(&["shop/Main.run:3"]);
        chunk.event("jdk.ExecutionSample", stack, &[RUNNABLE, 0]);
        let bytes = chunk.bytes();
        let content = Content::made(Format::Jfr, &bytes, None, Times { now: now(), given: false }).unwrap().unwrap();
        assert_eq!((content.time, content.lasted), (counts.then_some(start), TimeDelta::seconds(lasted)));
        assert_eq!(content.body, bytes);
    }

    #[test]
    fn decimals_are_sent_as_whole_numbers() {
        let times = Times { now: now(), given: false };
        let content = Content::made(Format::Folded, b"main;a 1.5\nmain 2\n", None, times).unwrap().unwrap();
        assert_eq!(String::from_utf8(content.body).unwrap(), "main;a 1500\nmain 2000\n");
    }
}

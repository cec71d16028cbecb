//! How a merged profile, or a pair of them, is sent from one Flamewarden to another: as one gzip pprof, with everything
//! beyond the stacks in comments.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::domain::{MergedProfile, ProfileMeta, halved};
use super::timeline::Timeline;
use crate::kernel::TimeWindow;
use crate::profile::{
    PprofFile, PprofHeader, Profile, ProfileBuilder, ReadError, ReadLimits, SampleType, read_pprof,
    read_pprof_by_labels, write_pprof, write_pprof_by_label,
};

/// The comment that carries [`ProfileMeta`] as JSON begins with this.
pub(super) const META_COMMENT: &str = "flamewarden:";
/// The comment with the meta of a pair's baseline begins with this.
const BASELINE_COMMENT: &str = "flamewarden-baseline:";
/// The comment with the starts of steps, in seconds since 1970, begins with this.
const STEPS_COMMENT: &str = "flamewarden-steps:";
/// The label of a sample that says when its step began, RFC 3339.
const STEP_LABEL: &str = "step";
/// The prefix of the baseline's sample types in a pair, so that other tools show which they are.
const BASELINE_TYPE: &str = "baseline_";

/// Why bytes are not a profile from another Flamewarden.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidExport {
    /// No pprof.
    #[error(transparent)]
    Pprof(#[from] ReadError),
    /// A pprof without our comment, or whose comment is not such JSON.
    #[error("the pprof lacks the comment {0:?} with its JSON")]
    Comment(&'static str),
    /// A pair with another number of sample types.
    #[error("the pprof has {0} sample types")]
    Width(usize),
}

/// Writes one window of an app.
pub(super) fn write_one(merged: &MergedProfile, window: TimeWindow) -> Result<Vec<u8>, serde_json::Error> {
    let header = PprofHeader {
        time: Some(window.from()),
        duration: Some(window.duration()),
        default_sample_type: merged.meta.sample_type.as_ref().map(|t| t.name.clone()),
        comments: vec![comment(META_COMMENT, &merged.meta)?],
        ..PprofHeader::default()
    };
    Ok(write_pprof(&merged.profile, &header))
}

/// Writes two windows of one app as one pprof: the baseline's sample type, then that of its first half if known, then
/// the current one.
pub(super) fn write_pair(
    baseline: &MergedProfile,
    current: &MergedProfile,
    window: TimeWindow,
) -> Result<Vec<u8>, serde_json::Error> {
    let named =
        |merged: &MergedProfile| merged.meta.sample_type.clone().unwrap_or_else(|| SampleType::new("samples", "count"));
    let (before, now) = (named(baseline), named(current));
    let known = if baseline.first_half().is_some() { 2 } else { 1 };
    let before = halved(before).map(|t| SampleType::new(format!("{BASELINE_TYPE}{}", t.name), t.unit));
    let mut types: Vec<_> = before.into_iter().take(known).collect();
    let last = types.len();
    types.push(now.clone());
    let mut builder = ProfileBuilder::new(types);
    copy(&baseline.profile, &mut builder, 0);
    copy(&current.profile, &mut builder, last);
    let header = PprofHeader {
        time: Some(window.from()),
        duration: Some(window.duration()),
        default_sample_type: Some(now.name),
        comments: vec![comment(BASELINE_COMMENT, &baseline.meta)?, comment(META_COMMENT, &current.meta)?],
        ..PprofHeader::default()
    };
    Ok(write_pprof(&builder.build(), &header))
}

/// Writes a window step by step: samples say in the label [`STEP_LABEL`] when their step began.
pub(super) fn write_steps(timeline: Timeline<Profile>, window: TimeWindow) -> Result<Vec<u8>, serde_json::Error> {
    let Timeline { meta, steps } = timeline;
    let starts: Vec<_> = steps.iter().map(|(at, _)| at.timestamp()).collect();
    let header = PprofHeader {
        time: Some(window.from()),
        duration: Some(window.duration()),
        default_sample_type: meta.sample_type.as_ref().map(|t| t.name.clone()),
        comments: vec![comment(META_COMMENT, &meta)?, comment(STEPS_COMMENT, &starts)?],
        ..PprofHeader::default()
    };
    let named: Vec<_> = steps.into_iter().map(|(at, profile)| (label(at), profile)).collect();
    Ok(write_pprof_by_label(STEP_LABEL, &named, &header))
}

/// Reads a window step by step.
pub(super) fn read_steps(bytes: &[u8], limits: &ReadLimits) -> Result<Timeline<Profile>, InvalidExport> {
    let parts = read_pprof_by_labels(bytes, limits, &[STEP_LABEL])?;
    let Some((_, first)) = parts.first() else { return Err(InvalidExport::Comment(META_COMMENT)) };
    let meta = meta(first, META_COMMENT)?;
    let starts: Vec<i64> = said(first, STEPS_COMMENT)?;
    let types = first.profile.sample_types().to_vec();
    let mut profiles: BTreeMap<String, Profile> =
        parts.into_iter().filter_map(|(mut labels, file)| Some((labels.remove(STEP_LABEL)?, file.profile))).collect();
    let step = |start| {
        let at = DateTime::from_timestamp(start, 0)?;
        // A step whose profiles are empty has no samples.
        let empty = || ProfileBuilder::new(types.clone()).build();
        Some((at, profiles.remove(&label(at)).unwrap_or_else(empty)))
    };
    Ok(Timeline { steps: starts.into_iter().filter_map(step).collect(), meta })
}

/// The text of the label of a step.
fn label(start: DateTime<Utc>) -> String {
    start.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads one window.
pub(super) fn read_one(bytes: &[u8], limits: &ReadLimits) -> Result<MergedProfile, InvalidExport> {
    let file = read_pprof(bytes, limits)?;
    let meta = meta(&file, META_COMMENT)?;
    Ok(MergedProfile { profile: file.profile.into(), meta })
}

/// Reads a pair: baseline, then current.
pub(super) fn read_pair(bytes: &[u8], limits: &ReadLimits) -> Result<(MergedProfile, MergedProfile), InvalidExport> {
    let file = read_pprof(bytes, limits)?;
    let last = match file.profile.sample_types().len() {
        width @ 2..=3 => width - 1,
        width => return Err(InvalidExport::Width(width)),
    };
    let side = |comment, read: &dyn Fn(&SampleType) -> Profile| -> Result<MergedProfile, InvalidExport> {
        let meta = meta(&file, comment)?;
        let profile = meta.sample_type.as_ref().map(read).unwrap_or_default();
        Ok(MergedProfile { profile: profile.into(), meta })
    };
    let one = |place, sample_type: &SampleType| under(file.profile.only(place), sample_type);
    let baseline = side(BASELINE_COMMENT, &|sample_type| match last {
        1 => one(0, sample_type),
        _ => file
            .profile
            .under(halved(sample_type.clone()), |values| [0, 1].map(|at| values.get(at).copied().unwrap_or(0))),
    });
    Ok((baseline?, side(META_COMMENT, &|sample_type| one(last, sample_type))?))
}

fn meta(file: &PprofFile, begin: &'static str) -> Result<ProfileMeta, InvalidExport> {
    said(file, begin)
}

/// What the comment that begins so says.
fn said<T: DeserializeOwned>(file: &PprofFile, begin: &'static str) -> Result<T, InvalidExport> {
    let json = file.comments.iter().find_map(|comment| comment.strip_prefix(begin));
    json.and_then(|json| serde_json::from_str(json).ok()).ok_or(InvalidExport::Comment(begin))
}

/// What another Flamewarden knew beyond the stacks of a pprof, if it wrote that.
pub(super) fn meta_of(file: &PprofFile) -> Option<ProfileMeta> {
    meta(file, META_COMMENT).ok()
}

fn comment(begin: &str, said: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(format!("{begin}{}", serde_json::to_string(said)?))
}

/// The profile with this sample type in place of the one it has.
pub(super) fn under(profile: Profile, sample_type: &SampleType) -> Profile {
    if profile.sample_types() == std::slice::from_ref(sample_type) {
        return profile;
    }
    profile.under([sample_type.clone()], |values| [values.first().copied().unwrap_or(0)])
}

/// Adds the stacks of a profile. Its values begin at this index.
fn copy(profile: &Profile, builder: &mut ProfileBuilder, place: usize) {
    let functions: Vec<_> = profile
        .function_ids()
        .map(|id| {
            let (name, file) = profile.function(id);
            builder.function(name, file)
        })
        .collect();
    let mut values = vec![0; place];
    for stack in profile.stacks() {
        values.truncate(place);
        values.extend_from_slice(stack.values);
        builder.add(stack.frames.iter().filter_map(|id| functions.get(id.index()).copied()), &values);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::profile::{FunctionTable, read_folded};

    fn cpu(folded: &str) -> MergedProfile {
        let sample_type = SampleType::new("cpu", "nanoseconds");
        let profile = read_folded(folded.as_bytes(), sample_type.clone(), &ReadLimits::default()).unwrap().into();
        let meta = ProfileMeta { sample_type: Some(sample_type), truncated_ticks: 3, ..ProfileMeta::default() };
        MergedProfile { profile, meta }
    }

    fn window() -> TimeWindow {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        TimeWindow::new(at(60), at(120)).unwrap()
    }

    fn rows(merged: &MergedProfile) -> Vec<(String, i64, i64)> {
        let table = FunctionTable::of(&merged.profile, 0);
        table.rows().iter().map(|row| (row.name.to_owned(), row.self_ticks, row.total_ticks)).collect()
    }

    #[test]
    fn a_pair_comes_back_as_it_was() {
        let (before, now) = (cpu("main;a 5\nmain;b 2\n"), cpu("main;b 7\nmain;c 1\n"));
        let bytes = write_pair(&before, &now, window()).unwrap();
        let (read_before, read_now) = read_pair(&bytes, &ReadLimits::default()).unwrap();
        assert_eq!((rows(&read_before), rows(&read_now)), (rows(&before), rows(&now)));
        assert_eq!((&read_before.meta, &read_now.meta), (&before.meta, &now.meta));
        assert_eq!(read_before.profile.sample_types(), before.profile.sample_types());
    }

    #[test]
    fn a_pair_keeps_the_first_half_of_its_baseline_and_its_current_window_last() {
        let types = halved(SampleType::new("cpu", "nanoseconds"));
        let halves = cpu("main;a 5\nmain;b 2\n");
        let profile = halves.profile.under(types, |values| [values[0], values[0] - 2]);
        let (before, now) = (MergedProfile { profile: profile.into(), ..halves }, cpu("main;b 7\n"));
        let bytes = write_pair(&before, &now, window()).unwrap();
        let (read_before, read_now) = read_pair(&bytes, &ReadLimits::default()).unwrap();
        assert_eq!((rows(&read_before), rows(&read_now)), (rows(&before), rows(&now)));
        assert_eq!(read_before.profile.sample_types(), before.profile.sample_types());
        assert_eq!((read_before.first_half(), read_before.profile.total(1)), (Some(1), 3));
        assert_eq!(read_now.first_half(), None);
        let file = read_pprof(&bytes, &ReadLimits::default()).unwrap();
        let names: Vec<_> = file.profile.sample_types().iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["baseline_cpu", "baseline_first_half_cpu", "cpu"]);
    }

    #[test]
    fn a_pair_with_a_silent_side_comes_back_as_it_was() {
        let (before, now) = (MergedProfile::default(), cpu("main;b 7\n"));
        let bytes = write_pair(&before, &now, window()).unwrap();
        let (read_before, read_now) = read_pair(&bytes, &ReadLimits::default()).unwrap();
        assert_eq!((read_before.profile.stack_count(), &read_before.meta), (0, &before.meta));
        assert_eq!(rows(&read_now), rows(&now));
    }

    #[test]
    fn a_pprof_of_someone_else_is_refused() {
        let bytes = write_pprof(&cpu("main;b 7\n").profile, &PprofHeader::default());
        assert!(matches!(read_one(&bytes, &ReadLimits::default()), Err(InvalidExport::Comment(_))));
        assert!(matches!(read_pair(&bytes, &ReadLimits::default()), Err(InvalidExport::Width(1))));
        assert!(matches!(read_one(b"<html>", &ReadLimits::default()), Err(InvalidExport::Pprof(_))));
    }
}

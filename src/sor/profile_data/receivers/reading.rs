//! How all receivers read a profile in memory.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::store::{PushId, Pushed, SAMPLE_LABELS};
use super::name::pprof_name;
use super::refused::Refused;
use crate::kernel::{AppName, Tenant};
use crate::profile::{PprofFile, ReadError, ReadLimits, SampleType, read_pprof_by_labels};

/// How far a profile's time may be ahead of this machine's clock.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// The times that are accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptedTimes {
    pub(super) now: DateTime<Utc>,
    pub(super) retention: TimeDelta,
}

impl AcceptedTimes {
    /// Refuses a profile whose start is not accepted.
    pub(super) fn check(self, time: DateTime<Utc>) -> Result<(), Refused> {
        let at = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        if time < self.now - self.retention {
            let days = self.retention.num_days();
            return Err(Refused::Time(format!(
                "the profile began at {at}: profiles are kept {days} days, older ones are not taken"
            )));
        }
        if time > self.now + AHEAD {
            return Err(Refused::Time(format!(
                "the profile began at {at}: at most 10 minutes in the future are taken"
            )));
        }
        Ok(())
    }
}

/// The label by which a sender says that its samples of CPU count elapsed time: `profile_type=wall`. Python's SDK samples
/// all threads with `oncpu=False`, and nothing else in what it sends says so.
const KIND_LABEL: &str = "profile_type";

/// What the sender says about a profile: its app, name, labels and time.
#[derive(Debug, Clone)]
pub(super) struct PushMetadata {
    pub(super) tenant: Tenant,
    pub(super) app: AppName,
    /// The profile's name. If the sender gives none, it follows from the sample types.
    pub(super) name: Option<String>,
    /// The sender's names of sample types, by the names in the profile.
    pub(super) shown: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    /// When it began and how long it took, if the profile does not say so itself.
    pub(super) time: DateTime<Utc>,
    pub(super) duration: TimeDelta,
    pub(super) id: PushId,
}

/// A pprof, in one part for each set of the labels that are kept.
pub(super) type Parts = Vec<(BTreeMap<String, String>, PprofFile)>;

/// Reads a pprof. To be called on the threads for heavy work.
pub(super) fn read_parts(bytes: &[u8], limits: &ReadLimits) -> Result<Parts, ReadError> {
    read_pprof_by_labels(bytes, limits, SAMPLE_LABELS)
}

/// A text that may be part of a type ID, whose parts are joined by colons. Pyroscope does not take hyphens in them.
pub(super) fn part_of_id(text: &str) -> String {
    text.replace([':', '-'], "_")
}

/// The profiles of a pprof, ready to be stored.
pub(super) fn pushed(parts: Parts, about: &PushMetadata, times: AcceptedTimes) -> Result<Vec<Pushed>, Refused> {
    let mut ready = Vec::with_capacity(parts.len());
    for (labels, file) in parts {
        let types = file.profile.sample_types();
        if types.is_empty() {
            return Err(Refused::Unreadable("the profile has no sample types".to_owned()));
        }
        let name = match &about.name {
            Some(name) => name.clone(),
            None => pprof_name(types.iter().map(|t| t.name.as_str()), &about.shown),
        };
        let name = part_of_id(name.strip_prefix("godeltaprof_").unwrap_or(&name));
        if name.is_empty() {
            return Err(Refused::Unreadable("the profile has no name: send the label __name__".to_owned()));
        }
        let mut all = about.labels.clone();
        all.extend(labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        let is_elapsed = name == "process_cpu" && all.get(KIND_LABEL).is_some_and(|kind| kind == "wall");
        let name = if is_elapsed { "wall".to_owned() } else { name };
        let fit = |t: &SampleType| SampleType::new(part_of_id(&t.name), part_of_id(&t.unit));
        let counted = |t: &SampleType| {
            let t = fit(t);
            if is_elapsed && t.name.eq_ignore_ascii_case("cpu") { SampleType::new("wall", t.unit) } else { t }
        };
        let time = file.time.filter(|time| time.timestamp_nanos_opt() != Some(0)).unwrap_or(about.time);
        times.check(time)?;
        // Each part has a push ID of its own: the same profile has the same parts.
        let part: Vec<_> = labels.iter().flat_map(|(k, v)| [k.as_bytes(), v.as_bytes()]).collect();
        let id = if part.is_empty() { about.id } else { about.id.part(part) };
        ready.push(Pushed {
            tenant: about.tenant.clone(),
            app: about.app.clone(),
            name,
            labels: all,
            sample_types: types.iter().map(counted).collect(),
            period_type: file.period_type.as_ref().filter(|p| !p.name.is_empty() || !p.unit.is_empty()).map(fit),
            period: file.period,
            time,
            duration: file.duration.unwrap_or(about.duration).max(TimeDelta::zero()),
            id,
            profile: file.profile,
        });
    }
    Ok(ready)
}

//! Profiles from files.

use super::domain::{MergedProfile, ProfileMeta};
use super::exchange::{meta_of, under};
use super::resolve::{resolve, resolve_unnamed};
use super::type_id::TypeId;
use crate::kernel::ProfileType;
use crate::profile::{PprofFile, Profile, Recording, SampleType, merge};

/// A profile from a file. A file that a Flamewarden exported also carries what was known beyond the stacks, so its
/// verdict is the same as the server's. Of any other file, only the sample types say what it is.
#[derive(Debug, Clone)]
pub struct FileProfile {
    profile: Profile,
    period_type: Option<String>,
    truncated_ticks: i64,
    exported: Option<ProfileMeta>,
    /// Of a recording, each of its types; and its sample types are those of all.
    recorded: Vec<RecordedType>,
    types: Vec<SampleType>,
}

/// One type of a recording, with its stacks.
#[derive(Debug, Clone)]
struct RecordedType {
    id: TypeId,
    profile: Profile,
    /// How many samples were taken, if they were taken at intervals of time.
    samples: Option<u64>,
}

impl FileProfile {
    /// A profile of which only the number of truncated ticks is known beyond its stacks.
    pub fn plain(profile: Profile, truncated_ticks: i64) -> Self {
        let types = profile.sample_types().to_vec();
        Self { profile, period_type: None, truncated_ticks, exported: None, recorded: Vec::new(), types }
    }

    /// A pprof of any origin.
    pub fn of_pprof(file: PprofFile) -> Self {
        let exported = meta_of(&file);
        let period_type = file.period_type.map(|period| period.name);
        Self { period_type, exported, ..Self::plain(file.profile, 0) }
    }

    /// A recording, whose profiles have names: they are judged as if they had been pushed.
    pub fn of_recording(recording: Recording) -> Self {
        let mut recorded = Vec::new();
        for of in recording.profiles {
            let (period_type, period_unit) = of.period_type.map_or_else(Default::default, |p| (p.name, p.unit));
            for (at, sample_type) in of.profile.sample_types().iter().enumerate() {
                let id = TypeId {
                    name: of.name.to_owned(),
                    sample_type: sample_type.name.clone(),
                    sample_unit: sample_type.unit.clone(),
                    period_type: period_type.clone(),
                    period_unit: period_unit.clone(),
                };
                let samples = of.profile.total(at).checked_div(of.period).and_then(|count| u64::try_from(count).ok());
                recorded.push(RecordedType { id, profile: of.profile.only(at), samples });
            }
        }
        let types = recorded.iter().map(|of| of.id.values()).collect();
        Self { recorded, types, ..Self::plain(Profile::default(), 0) }
    }

    /// What its values count.
    pub fn sample_types(&self) -> &[SampleType] {
        &self.types
    }

    /// The profile as a source would give it for this kind: the same sample types, summed where a source sums them.
    /// `None`: it has no such kind.
    pub fn merged(&self, kind: ProfileType) -> Option<MergedProfile> {
        if let Some(meta) = &self.exported {
            return self.exported_as(kind, meta);
        }
        if !self.recorded.is_empty() {
            return self.recorded_as(kind);
        }
        let places = resolve_unnamed(kind, self.sample_types(), self.period_type.as_deref())?;
        let sample_type = self.sample_types().get(*places.first()?)?.clone();
        let sum = |values: &[i64]| {
            [places.iter().filter_map(|place| values.get(*place)).copied().fold(0, i64::saturating_add)]
        };
        let profile = self.profile.under([sample_type.clone()], sum);
        let meta = ProfileMeta {
            sample_type: Some(sample_type),
            truncated_ticks: self.truncated_ticks,
            ..ProfileMeta::default()
        };
        Some(MergedProfile { profile: profile.into(), meta })
    }

    /// The types of a recording that a source would read, summed.
    fn recorded_as(&self, kind: ProfileType) -> Option<MergedProfile> {
        let ids: Vec<_> = self.recorded.iter().map(|of| of.id.clone()).collect();
        let found = resolve(kind, &ids)?;
        let sample_type = found.first()?.values();
        let read: Vec<_> = self.recorded.iter().filter(|of| found.contains(&of.id)).collect();
        let values = |values: &[i64]| [values.first().copied().unwrap_or(0)];
        let profiles: Vec<_> = read.iter().map(|of| of.profile.under([sample_type.clone()], values)).collect();
        let meta = ProfileMeta {
            sample_type: Some(sample_type),
            profile_types: found.iter().map(ToString::to_string).collect(),
            sample_count: read.iter().map(|of| of.samples).sum(),
            ..ProfileMeta::default()
        };
        // The sums fit: each of them is of another event of one recording.
        Some(MergedProfile { profile: merge(&profiles).ok()?.into(), meta })
    }

    /// The window that was exported. Of a pair: the current one, which is the last.
    fn exported_as(&self, kind: ProfileType, meta: &ProfileMeta) -> Option<MergedProfile> {
        let sample_type = meta.sample_type.as_ref()?;
        let ids: Vec<TypeId> = meta.profile_types.iter().filter_map(|id| id.parse().ok()).collect();
        if resolve(kind, &ids)? != ids {
            return None;
        }
        let last = self.types.len().checked_sub(1)?;
        Some(MergedProfile { profile: under(self.profile.only(last), sample_type).into(), meta: meta.clone() })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::kernel::TimeWindow;
    use crate::profile::{ProfileBuilder, ReadLimits, read_folded, read_pprof};
    use crate::sor::profile_data::exchange::{write_one, write_pair};

    #[test]
    fn sums_what_a_source_sums() {
        let types = ["alloc_in_new_tlab_bytes", "alloc_outside_tlab_bytes"];
        let mut builder = ProfileBuilder::new(types.map(|name| SampleType::new(name, "bytes")).to_vec());
        let (small, large) = (builder.function("small", ""), builder.function("large", ""));
        builder.add([small], &[70, 0]);
        builder.add([large], &[10, 20]);
        let merged = FileProfile::plain(builder.build(), 3).merged(ProfileType::Alloc).unwrap();
        assert_eq!((merged.profile.total(0), merged.profile.stack_count()), (100, 2));
        assert_eq!(merged.meta.sample_type, Some(SampleType::new("alloc_in_new_tlab_bytes", "bytes")));
        assert_eq!(merged.meta.truncated_ticks, 3);
    }

    fn exported(folded: &str) -> MergedProfile {
        let sample_type = SampleType::new("samples", "count");
        let profile = read_folded(folded.as_bytes(), sample_type.clone(), &ReadLimits::default()).unwrap().into();
        let meta = ProfileMeta {
            sample_type: Some(sample_type),
            // Its sample type alone does not tell its kind.
            profile_types: vec!["exceptions:samples:count::".to_owned()],
            sample_count: Some(40),
            ..ProfileMeta::default()
        };
        MergedProfile { profile, meta }
    }

    #[test]
    fn an_export_comes_back_with_what_was_known_of_it() {
        let at = |s| DateTime::from_timestamp(s, 0).unwrap();
        let window = TimeWindow::new(at(60), at(120)).unwrap();
        let (before, now) = (exported("main;a 5"), exported("main;b 7"));
        for bytes in [write_one(&now, window).unwrap(), write_pair(&before, &now, window).unwrap()] {
            let file = FileProfile::of_pprof(read_pprof(&bytes, &ReadLimits::default()).unwrap());
            let merged = file.merged(ProfileType::Exception).unwrap();
            assert_eq!((merged.profile.total(0), &merged.meta), (7, &now.meta));
            assert!(file.merged(ProfileType::Cpu).is_none());
        }
    }
}

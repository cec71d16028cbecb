//! The profiles of a request, under our names.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};

use super::super::super::proto::otlp::v1::{
    ExportProfilesServiceRequest, KeyValue, Profile as Sent, ProfilesDictionary, Sample, ValueType,
};
use super::super::super::store::{PushId, Pushed, SAMPLE_LABELS};
use super::super::reading::{AcceptedTimes, part_of_id};
use super::super::refused::Refused;
use super::dictionary::Dictionary;
use super::kind::{Kind, kind_of};
use super::{REVISION, bad};
use crate::kernel::{AppName, Tenant};
use crate::profile::{FunctionId, MAX_LABEL_SETS, Profile, ProfileBuilder, ReadError, ReadLimits, SampleType, Tally};

/// The attribute that names the service.
const SERVICE: &str = "service.name";

/// The attribute that names the program, where no service is named.
const EXECUTABLE: &str = "process.executable.name";

/// Attributes of a resource that name one process of many, and would make a series of each.
const OF_ONE_PROCESS: [&str; 5] =
    ["container.id", "process.creation.time", "process.parent_pid", "process.pid", "service.instance.id"];

/// Attributes of a resource that begin so are left out: values of the environment may be secrets.
const ENVIRONMENT: &str = "process.environment_variable.";

/// Samples of a profile that are of one service and have the same labels.
pub(in super::super) struct OtlpProfile {
    service: String,
    labels: BTreeMap<String, String>,
    kind: Kind,
    profile: Profile,
    /// When it began, in nanoseconds since the epoch; 0 where it is not said.
    time: u64,
    /// How long it took, in nanoseconds.
    duration: u64,
}

/// The profiles of a request. A profile without samples is none.
pub(super) fn read(request: &ExportProfilesServiceRequest, limits: &ReadLimits) -> Result<Vec<OtlpProfile>, ReadError> {
    let nothing = ProfilesDictionary::default();
    let dictionary = Dictionary::new(request.dictionary.as_ref().unwrap_or(&nothing), limits)?;
    let mut tally = Tally::new("values", limits);
    let mut read = Vec::new();
    for resource in &request.resource_profiles {
        let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        for scope in &resource.scope_profiles {
            let of_scope = scope.scope.as_ref().map_or(&[][..], |scope| &scope.attributes);
            let about = About::of(&dictionary, attributes, of_scope)?;
            for profile in scope.profiles.iter().filter(|profile| !profile.samples.is_empty()) {
                if request.dictionary.is_none() {
                    return Err(bad(format!("a request without a dictionary: send {REVISION}")));
                }
                read.extend(Split::new(&dictionary, &about, profile)?.read(profile, &mut tally)?);
            }
        }
    }
    Ok(read)
}

/// What a resource and a scope say of their profiles.
struct About {
    service: String,
    labels: BTreeMap<String, String>,
}

impl About {
    fn of<'r>(dictionary: &Dictionary<'r>, resource: &'r [KeyValue], scope: &'r [KeyValue]) -> Result<Self, ReadError> {
        let mut labels = BTreeMap::new();
        for attribute in resource.iter().chain(scope) {
            if let Some((key, value)) = dictionary.key_value(attribute)? {
                labels.entry(key.to_owned()).or_insert_with(|| value.into_owned());
            }
        }
        let program = labels.get(EXECUTABLE).map(|program| format!("unknown_service:{program}"));
        let service = labels.remove(SERVICE).or(program).unwrap_or_else(|| "unknown_service".to_owned());
        labels.retain(|key, _| !OF_ONE_PROCESS.contains(&key.as_str()) && !key.starts_with(ENVIRONMENT));
        Ok(Self { service, labels })
    }
}

/// Service and labels of a sample, as far as it says them itself.
type Own = (Option<String>, BTreeMap<String, String>);

/// The samples of a profile, by service and labels.
struct Split<'r> {
    dictionary: &'r Dictionary<'r>,
    about: &'r About,
    kind: Kind,
    builder: ProfileBuilder,
    /// The frames of all locations that were met, and which of them are a location's.
    frames: Vec<FunctionId>,
    locations: HashMap<i32, Range<usize>>,
    /// Services and sets of labels, and the place of each.
    parts: Vec<Own>,
    places: HashMap<Own, usize>,
    /// The same by the attributes of a sample, of which few lists are repeated often.
    by_attributes: HashMap<&'r [i32], usize>,
}

impl<'r> Split<'r> {
    fn new(dictionary: &'r Dictionary<'r>, about: &'r About, profile: &Sent) -> Result<Self, ReadError> {
        let texts = |of: &ValueType| Ok((dictionary.text(of.type_strindex)?, dictionary.text(of.unit_strindex)?));
        let sample_type = profile.sample_type.as_ref().map(texts).transpose()?.filter(|(name, _)| !name.is_empty());
        let sample_type =
            sample_type.ok_or_else(|| bad(format!("a profile that does not say what it counts: send {REVISION}")))?;
        let period_type = profile.period_type.as_ref().map(texts).transpose()?;
        let kind = kind_of(sample_type, period_type, profile.period);
        Ok(Self {
            builder: ProfileBuilder::new(vec![kind.sample_type.clone()]),
            dictionary,
            about,
            kind,
            frames: Vec::new(),
            locations: HashMap::new(),
            parts: Vec::new(),
            places: HashMap::new(),
            by_attributes: HashMap::new(),
        })
    }

    fn read(mut self, profile: &'r Sent, tally: &mut Tally<'_>) -> Result<Vec<OtlpProfile>, ReadError> {
        let (mut stack, mut part_of) = (Vec::new(), Vec::new());
        for sample in &profile.samples {
            let value = self.value(sample)?;
            let part = self.part(&sample.attribute_indices)?;
            stack.clear();
            for index in self.dictionary.stack(sample.stack_index)? {
                let frames = self.location(*index)?;
                stack.extend_from_slice(self.frames.get(frames).unwrap_or(&[]));
                tally.depth(stack.len())?;
            }
            if value != 0 {
                tally.stack(stack.len(), value)?;
                self.builder.add(stack.iter().copied(), &[value]);
                part_of.push(part);
            }
        }
        let Self { about, kind, builder, parts, .. } = self;
        let split = builder.build().split(parts.len(), &part_of);
        let part = |((service, own), stacks): (Own, Profile)| {
            let mut labels = about.labels.clone();
            labels.extend(own);
            OtlpProfile {
                service: service.unwrap_or_else(|| about.service.clone()),
                labels,
                kind: kind.clone(),
                profile: stacks,
                time: profile.time_unix_nano,
                duration: profile.duration_nano,
            }
        };
        Ok(parts.into_iter().zip(split).map(part).collect())
    }

    /// Which of the frames are those of a location.
    fn location(&mut self, index: i32) -> Result<Range<usize>, ReadError> {
        if let Some(known) = self.locations.get(&index) {
            return Ok(known.clone());
        }
        let start = self.frames.len();
        self.dictionary.frames(index, &mut self.builder, &mut self.frames)?;
        let frames = start..self.frames.len();
        self.locations.insert(index, frames.clone());
        Ok(frames)
    }

    /// The value of a sample: the sum of its values; without any, how often it was seen.
    fn value(&self, sample: &Sample) -> Result<i64, ReadError> {
        let sum = match (sample.values.as_slice(), sample.timestamps_unix_nano.len()) {
            ([], 0) => return Err(bad(format!("a sample without values and times: send {REVISION}"))),
            ([], seen) => i64::try_from(seen).ok(),
            (values, _) => values.iter().try_fold(0_i64, |sum, value| sum.checked_add(*value)),
        };
        let worth = sum.and_then(|sum| sum.checked_mul(self.kind.scale));
        worth.ok_or_else(|| ReadError::Overflow(self.kind.sample_type.name.clone()))
    }

    /// The part for samples with these attributes. Past [`MAX_LABEL_SETS`], samples are without labels of their own.
    fn part(&mut self, attributes: &'r [i32]) -> Result<usize, ReadError> {
        if let Some(part) = self.by_attributes.get(attributes) {
            return Ok(*part);
        }
        let (mut service, mut labels) = (None, BTreeMap::new());
        for index in attributes {
            match self.dictionary.attribute(*index)? {
                Some((SERVICE, value)) => service = Some(value.into_owned()),
                Some((key, value)) if SAMPLE_LABELS.contains(&key) => {
                    labels.insert(key.to_owned(), value.into_owned());
                }
                _ => {}
            }
        }
        let mut own = (service, labels);
        if self.parts.len() >= MAX_LABEL_SETS && !self.places.contains_key(&own) {
            own.1.clear();
            if own.0.is_some() && !self.places.contains_key(&own) {
                return Err(bad(format!("samples of more than {MAX_LABEL_SETS} services in one profile")));
            }
        }
        let Self { places, parts, .. } = self;
        let part = *places.entry(own.clone()).or_insert_with(|| {
            parts.push(own);
            parts.len() - 1
        });
        self.by_attributes.insert(attributes, part);
        Ok(part)
    }
}

/// The profiles, ready to be stored. A repeated request is recognised by its body.
pub(in super::super) fn pushed(
    tenant: &Tenant,
    profiles: Vec<OtlpProfile>,
    body: &[u8],
    times: AcceptedTimes,
) -> Result<Vec<Pushed>, Refused> {
    let id = PushId::of([body]);
    let mut ready = Vec::with_capacity(profiles.len());
    for (profile, place) in profiles.into_iter().zip(0_u64..) {
        let OtlpProfile { service, labels, kind, profile, time, duration } = profile;
        let app: AppName = service.parse().map_err(|e| Refused::Unreadable(format!("{SERVICE} {service:?} {e}")))?;
        let time = match i64::try_from(time) {
            Ok(0) => times.now,
            Ok(time) => DateTime::<Utc>::from_timestamp_nanos(time),
            Err(_) => return Err(Refused::Time(format!("the profile began at {time} ns: that is no time"))),
        };
        times.check(time)?;
        let fit = |t: &SampleType| SampleType::new(part_of_id(&t.name), part_of_id(&t.unit));
        // A unit that is not said is a count, since a type ID has no empty part.
        let sample_type = match fit(&kind.sample_type) {
            SampleType { name, unit } if unit.is_empty() => SampleType::new(name, "count"),
            fit => fit,
        };
        ready.push(Pushed {
            tenant: tenant.clone(),
            app,
            name: part_of_id(&kind.name),
            labels,
            sample_types: vec![sample_type],
            period_type: kind.period_type.as_ref().map(fit),
            period: kind.period,
            time,
            duration: TimeDelta::nanoseconds(i64::try_from(duration).unwrap_or(0)).min(TimeDelta::days(1)),
            id: id.part([place.to_le_bytes().as_slice()]),
            profile,
        });
    }
    Ok(ready)
}

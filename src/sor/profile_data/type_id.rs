use std::fmt;
use std::str::FromStr;

use crate::profile::SampleType;

/// A full profile type ID, as Pyroscope builds it: `process_cpu:cpu:nanoseconds:cpu:nanoseconds`.
///
/// Its parts keep the spelling of the source, which is needed when the ID is sent back: Pyroscope answers "no data" to
/// the right ID in the wrong case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TypeId {
    /// The profile's name, such as `process_cpu`.
    pub name: String,
    /// What is counted, such as `cpu`.
    pub sample_type: String,
    /// In which unit, such as `nanoseconds`.
    pub sample_unit: String,
    /// What the profiler counts between two samples. May be empty.
    pub period_type: String,
    /// In which unit. May be empty.
    pub period_unit: String,
}

/// The text is not a profile type ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no profile type ID: five parts joined by colons, the first three not empty")]
pub(crate) struct InvalidTypeId(String);

impl TypeId {
    /// What the values of such a profile count.
    pub(crate) fn values(&self) -> SampleType {
        SampleType::new(self.sample_type.as_str(), self.sample_unit.as_str())
    }

    /// Whether these are its name and sample type, in any case.
    pub(crate) fn is(&self, name: &str, sample_type: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) && self.sample_type.eq_ignore_ascii_case(sample_type)
    }
}

impl FromStr for TypeId {
    type Err = InvalidTypeId;

    /// Reads five parts, or six where the last is `delta`, which servers no longer store.
    fn from_str(text: &str) -> Result<Self, InvalidTypeId> {
        let parts: Vec<_> = text.split(':').collect();
        match parts.as_slice() {
            [name, sample_type, unit, period_type, period_unit]
            | [name, sample_type, unit, period_type, period_unit, "delta"]
                if !name.is_empty() && !sample_type.is_empty() && !unit.is_empty() =>
            {
                Ok(Self {
                    name: (*name).to_owned(),
                    sample_type: (*sample_type).to_owned(),
                    sample_unit: (*unit).to_owned(),
                    period_type: (*period_type).to_owned(),
                    period_unit: (*period_unit).to_owned(),
                })
            }
            _ => Err(InvalidTypeId(text.to_owned())),
        }
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, sample_type, sample_unit, period_type, period_unit } = self;
        write!(f, "{name}:{sample_type}:{sample_unit}:{period_type}:{period_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("process_cpu:cpu:nanoseconds:cpu:nanoseconds")]
    #[case("process_cpu:CPU:nanoseconds:CPU:nanoseconds")]
    #[case("memory:alloc_in_new_tlab_bytes:bytes::")]
    #[case("process_cpu:samples:count::milliseconds")]
    fn writes_what_it_reads(#[case] text: &str) {
        assert_eq!(text.parse::<TypeId>().unwrap().to_string(), text);
    }

    #[test]
    fn drops_the_delta_mark() {
        let id: TypeId = "memory:alloc_space:bytes:space:bytes:delta".parse().unwrap();
        assert_eq!(id.to_string(), "memory:alloc_space:bytes:space:bytes");
    }

    #[rstest]
    #[case("cpu")]
    #[case("")]
    #[case("a:b:c:d")]
    #[case("a:b:c:d:e:f")]
    #[case(":cpu:nanoseconds:cpu:nanoseconds")]
    fn refuses_what_is_no_id(#[case] text: &str) {
        assert_eq!(text.parse::<TypeId>(), Err(InvalidTypeId(text.to_owned())));
    }
}

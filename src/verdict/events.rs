//! Profiles that count events: neither time nor bytes.

use super::category::Category;
use crate::kernel::ProfileType;
use crate::profile::SampleType;

/// What a profile of events counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verdict) enum Event {
    /// Exceptions thrown.
    Exception,
    /// Pages of memory mapped when they were first touched.
    PageFault,
}

impl Event {
    /// The event that a profile of that kind counts, by the names of its sample types. `None`: it counts time, bytes, or
    /// something that is not known.
    pub(in crate::verdict) fn of(kind: ProfileType, sample_types: &[SampleType]) -> Option<Self> {
        match kind {
            ProfileType::Exception => Some(Self::Exception),
            ProfileType::Samples => sample_types.iter().any(|t| is_page_fault(&t.name)).then_some(Self::PageFault),
            _ => None,
        }
    }

    /// The category that every sample of such a profile is, so that it tells nothing apart.
    pub(in crate::verdict) fn category(self) -> Category {
        match self {
            Self::Exception => Category::Exception,
            Self::PageFault => Category::PageFaults,
        }
    }

    /// Several of them, in a sentence.
    pub(in crate::verdict) fn plural(self) -> &'static str {
        match self {
            Self::Exception => "exceptions",
            Self::PageFault => "page faults",
        }
    }
}

/// `page-faults`, `minor-faults:u`, `page-faults_event`, `exceptions:page_fault_user`: what `perf` calls the event.
fn is_page_fault(sample_type: &str) -> bool {
    let name = sample_type.to_ascii_lowercase().replace('-', "_");
    ["page_fault", "minor_fault", "major_fault"].iter().any(|event| name.contains(event)) || name == "faults"
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::software_event(ProfileType::Samples, "page-faults", Some(Event::PageFault))]
    #[case::in_user_mode(ProfileType::Samples, "minor-faults:u", Some(Event::PageFault))]
    #[case::converted(ProfileType::Samples, "page-faults_event", Some(Event::PageFault))]
    #[case::tracepoint(ProfileType::Samples, "exceptions:page_fault_user", Some(Event::PageFault))]
    #[case::short(ProfileType::Samples, "faults", Some(Event::PageFault))]
    #[case::of_no_known_event(ProfileType::Samples, "default", None)]
    #[case::exceptions(ProfileType::Exception, "samples", Some(Event::Exception))]
    #[case::time(ProfileType::Cpu, "page-faults", None)]
    fn knows_an_event_by_its_names(
        #[case] kind: ProfileType,
        #[case] sample_type: &str,
        #[case] expected: Option<Event>,
    ) {
        assert_eq!(Event::of(kind, &[SampleType::new(sample_type, "count")]), expected);
    }
}

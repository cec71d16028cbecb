//! Why a window has no profile of a query. Pure.

use std::collections::BTreeMap;

use super::super::resolve::{kinds, resolve};
use super::series::{Conditions, Series};
use crate::kernel::{NoDataReason, ProfileType};

/// Why no profile of a kind came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) reason: NoDataReason,
    /// All kinds that the app ever sent.
    pub(super) kinds: Vec<ProfileType>,
    /// The series from which such profiles could have come. If there are none, all of the app.
    pub(super) series: Vec<i32>,
}

/// Why no profile of the kind came from a selected series, given all series that the app ever had.
pub(super) fn silence(known: &BTreeMap<i32, Series>, kind: ProfileType, selected: &Conditions<'_>) -> Silence {
    let types: Vec<_> = known.values().flat_map(|series| series.shape.type_ids()).collect();
    let has_kind = |series: &Series| resolve(kind, &series.shape.type_ids().collect::<Vec<_>>()).is_some();
    let of_kind: Vec<_> = known.iter().filter(|(_, series)| has_kind(series)).collect();
    let is_selected = |(id, series): &(&i32, &Series)| selected.hold(&series.labels).then_some(**id);
    let series: Vec<_> = of_kind.iter().filter_map(is_selected).collect();
    let (reason, series) = match (of_kind.is_empty(), series.is_empty()) {
        (true, _) => (NoDataReason::KindNeverSent, known.keys().copied().collect()),
        (false, true) => (NoDataReason::NoSeriesMatches, known.keys().copied().collect()),
        (false, false) => (NoDataReason::NoneInWindow, series),
    };
    Silence { reason, kinds: kinds(&types), series }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::series::{Labels, Shape};
    use super::*;
    use crate::profile::SampleType;

    fn series(name: &str, sample_type: &str, region: &str) -> Series {
        let shape = Shape {
            name: name.to_owned(),
            sample_types: vec![SampleType::new(sample_type, "nanoseconds")],
            period_type: None,
            cumulative: false,
            collapsed: false,
        };
        Series { shape, labels: Labels::of(&[("region".to_owned(), region.to_owned())].into()) }
    }

    #[rstest]
    #[case(ProfileType::Lock, "", NoDataReason::KindNeverSent, &[1, 2, 3])]
    #[case(ProfileType::Lock, "region=\"mars\"", NoDataReason::KindNeverSent, &[1, 2, 3])]
    #[case(ProfileType::Wall, "region=\"mars\"", NoDataReason::NoSeriesMatches, &[1, 2, 3])]
    #[case::of_another_kind(ProfileType::Wall, "region=\"us\"", NoDataReason::NoSeriesMatches, &[1, 2, 3])]
    #[case(ProfileType::Cpu, "region=\"us\"", NoDataReason::NoneInWindow, &[2])]
    #[case(ProfileType::Cpu, "", NoDataReason::NoneInWindow, &[1, 2])]
    fn tells_why_nothing_came(
        #[case] kind: ProfileType,
        #[case] selector: &str,
        #[case] reason: NoDataReason,
        #[case] of: &[i32],
    ) {
        let of_cpu = |region| series("process_cpu", "cpu", region);
        let known = [(1, of_cpu("eu")), (2, of_cpu("us")), (3, series("wall", "wall", "eu"))].into();
        let selector = selector.parse().unwrap();
        let told = silence(&known, kind, &Conditions::of(&selector).unwrap());
        assert_eq!(told, Silence { reason, kinds: vec![ProfileType::Cpu, ProfileType::Wall], series: of.to_vec() });
    }
}

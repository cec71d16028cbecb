//! What a measurement says of a threshold.

use serde::{Deserialize, Serialize};

use super::measure::Measurement;
use crate::kernel::Percent;

/// With fewer samples, nothing is concluded.
const FEWEST_SAMPLES: u64 = 100;
/// A share is clear if it is at most this part of the threshold. The gap keeps a share that drifts around the threshold
/// from firing again and again.
const CLEAR_UP_TO: f64 = 0.8;

/// What one evaluation of a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RuleVerdict)]
pub enum Verdict {
    /// The window has no ticks.
    NoData,
    /// No profile of the app was ever seen.
    UnknownApp,
    /// The profile could not be read.
    Error,
    /// Fewer than 100 samples.
    Insufficient,
    /// The share is over the threshold even at its low end.
    Over,
    /// The share is at most four fifths of the threshold, and under it even at its high end.
    Clear,
    /// Neither over nor clear.
    Unclear,
}

impl Verdict {
    /// Holds a measurement against the threshold.
    pub fn of(measured: &Measurement, threshold: Percent) -> Self {
        let (share, threshold) = (&measured.share, threshold.get());
        if measured.ticks == 0 {
            return Self::NoData;
        }
        if measured.samples.is_some_and(|samples| samples < FEWEST_SAMPLES) {
            return Self::Insufficient;
        }
        if share.surely_above(threshold) {
            return Self::Over;
        }
        let is_low = share.percent <= CLEAR_UP_TO * threshold;
        let is_sure = share.percent == 0.0 || share.interval.is_none_or(|(_, high)| high < threshold);
        if is_low && is_sure { Self::Clear } else { Self::Unclear }
    }

    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::UnknownApp => "unknown_app",
            Self::Error => "error",
            Self::Insufficient => "insufficient",
            Self::Over => "over",
            Self::Clear => "clear",
            Self::Unclear => "unclear",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Share;
    use rstest::rstest;

    fn verdict(threshold: f64, part: i64, whole: i64, samples: Option<u64>) -> Verdict {
        let share = Share::of(part, whole, samples);
        let measured = Measurement { ticks: whole, samples, share, ..Measurement::default() };
        Verdict::of(&measured, Percent::new(threshold).unwrap())
    }

    #[rstest]
    #[case(9_180, 30_000, Verdict::Unclear)]
    #[case(9_210, 30_000, Verdict::Over)]
    #[case(7_190, 30_000, Verdict::Clear)]
    #[case(7_210, 30_000, Verdict::Unclear)]
    #[case(330, 1_000, Verdict::Unclear)]
    #[case(340, 1_000, Verdict::Over)]
    #[case(240, 1_000, Verdict::Clear)]
    #[case(41, 100, Verdict::Unclear)]
    #[case(42, 100, Verdict::Over)]
    #[case(19, 100, Verdict::Unclear)]
    #[case(18, 100, Verdict::Clear)]
    #[case(90, 99, Verdict::Insufficient)]
    fn threshold_30(#[case] part: i64, #[case] samples: i64, #[case] expected: Verdict) {
        assert_eq!(verdict(30.0, part, samples, samples.try_into().ok()), expected);
    }

    #[rstest]
    #[case(0.0, 0, Verdict::Clear)]
    #[case(0.0, 1, Verdict::Over)]
    #[case(100.0, 3_000, Verdict::Unclear)]
    fn threshold_0_and_threshold_100(#[case] threshold: f64, #[case] part: i64, #[case] expected: Verdict) {
        assert_eq!(verdict(threshold, part, 3_000, Some(3_000)), expected);
    }

    #[rstest]
    #[case(31, Verdict::Over)]
    #[case(30, Verdict::Unclear)]
    #[case(25, Verdict::Unclear)]
    #[case(24, Verdict::Clear)]
    #[case(0, Verdict::Clear)]
    fn where_samples_are_not_known_the_share_itself_decides(#[case] part: i64, #[case] expected: Verdict) {
        assert_eq!(verdict(30.0, part, 100, None), expected);
    }

    #[test]
    fn no_ticks_are_no_data_and_not_too_few_samples() {
        assert_eq!(verdict(30.0, 0, 0, Some(0)), Verdict::NoData);
        assert_eq!(verdict(30.0, 0, 0, None), Verdict::NoData);
    }
}

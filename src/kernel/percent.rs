/// A share of 0 to 100, finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, serde::Serialize)]
#[serde(transparent)]
pub struct Percent(f64);

/// The number is not a share of 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("must be a number from 0 to 100")]
pub struct InvalidPercent;

impl Percent {
    /// Takes a number from outside.
    pub fn new(value: f64) -> Result<Self, InvalidPercent> {
        if value.is_finite() && (0.0..=100.0).contains(&value) { Ok(Self(value)) } else { Err(InvalidPercent) }
    }

    /// The number, unrounded.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = InvalidPercent;

    fn try_from(value: f64) -> Result<Self, InvalidPercent> {
        Self::new(value)
    }
}

impl<'de> serde::Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The share of `part` ticks in `whole` ticks, 0 to 100, unrounded; 0 where the whole is empty. All shares of a profile are
/// computed here; the caller says which whole is meant: all ticks of the profile, or the active ones.
pub fn percent_of(part: i64, whole: i64) -> f64 {
    if whole > 0 { (part as f64 / whole as f64 * 100.0).clamp(0.0, 100.0) } else { 0.0 }
}

/// Rounds to two decimals. Only what leaves the process is rounded: answers and entries of the history.
pub fn round2(value: f64) -> f64 {
    round_to(value, 100.0)
}

/// Rounds to four decimals, as answers do with cores and loads: an idle server uses thousandths of a core.
pub fn round4(value: f64) -> f64 {
    round_to(value, 10_000.0)
}

fn round_to(value: f64, parts: f64) -> f64 {
    let rounded = (value * parts).round() / parts;
    // JSON would show the sign of -0.
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_0_and_100_whatever_the_ticks() {
        assert_eq!([percent_of(1, 4), percent_of(4, 4), percent_of(0, 4)], [25.0, 100.0, 0.0]);
        assert_eq!([percent_of(3, 0), percent_of(-1, 4), percent_of(5, 4)], [0.0, 0.0, 100.0]);
    }

    #[test]
    fn rounds_to_decimals_without_a_negative_zero() {
        assert_eq!([round2(12.345_6), round2(99.996), round2(-1.234)], [12.35, 100.0, -1.23]);
        assert_eq!([round4(0.001_26), round4(1.000_04), round4(-1.000_06)], [0.001_3, 1.0, -1.000_1]);
        assert!(round2(-0.001).is_sign_positive() && round4(-0.000_01).is_sign_positive());
    }
}

use std::str::FromStr;

/// Hours of a month: a twelfth of 8,760.
const HOURS_PER_MONTH: f64 = 730.0;

/// What a processor core costs in an hour, in whatever money the reader counts in: 0 or more, finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostPerCoreHour(f64);

/// The text is no cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number, 0 or more")]
pub struct InvalidCost;

impl FromStr for CostPerCoreHour {
    type Err = InvalidCost;

    fn from_str(text: &str) -> Result<Self, InvalidCost> {
        let cost: f64 = text.parse().map_err(|_| InvalidCost)?;
        if cost.is_finite() && cost >= 0.0 { Ok(Self(cost)) } else { Err(InvalidCost) }
    }
}

impl CostPerCoreHour {
    /// What so many cores cost in a month of 730 hours.
    pub fn per_month(self, cores: f64) -> f64 {
        self.0 * cores * HOURS_PER_MONTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", 2.0, 0.0)]
    #[case("0.04", 1.5, 43.8)]
    #[case("1e1", 1.0, 7_300.0)]
    fn a_month_has_730_hours(#[case] cost: CostPerCoreHour, #[case] cores: f64, #[case] month: f64) {
        assert!((cost.per_month(cores) - month).abs() < 1e-9);
    }

    #[rstest]
    fn refuses_what_is_no_cost(#[values("", "-0.01", "nan", "inf", "4 cents", "0,04")] text: &str) {
        assert_eq!(text.parse::<CostPerCoreHour>(), Err(InvalidCost));
    }
}

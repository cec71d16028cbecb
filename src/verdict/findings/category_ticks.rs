//! How much of a profile is one category.

use super::tally::Tally;
use crate::kernel::{ProfileType, percent_of};
use crate::profile::Profile;
use crate::verdict::catalogue::Rules;
use crate::verdict::category::Category;
use crate::verdict::claims::Claims;

/// How much of a profile is a category, as in its finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CategoryTicks {
    /// Ticks claimed as the category.
    pub claimed: i64,
    /// Ticks of stacks that hold the category anywhere.
    pub inclusive: i64,
    /// What shares are of: the active ticks, or all ticks for categories that are not active.
    pub of: i64,
}

impl CategoryTicks {
    /// Judges a profile's first sample type.
    pub fn of(rules: &Rules, kind: ProfileType, profile: &Profile, category: Category) -> Self {
        let tally = Tally::of(profile, 0, kind, rules, &Claims::of(rules, profile, kind));
        Self {
            claimed: tally.claimed(category),
            inclusive: tally.inclusive(category),
            of: if category.is_active() { tally.active } else { tally.total },
        }
    }

    /// The claimed share, percent.
    pub fn percent(&self) -> f64 {
        percent_of(self.claimed, self.of)
    }

    /// The inclusive share, percent.
    pub fn inclusive_percent(&self) -> f64 {
        percent_of(self.inclusive, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ReadLimits, SampleType, read_folded};

    #[test]
    fn shares_are_of_the_active_ticks_and_idle_is_of_all() {
        let folded = "java.lang.Thread.run;java.util.concurrent.ThreadPoolExecutor.getTask;jdk.internal.misc.Unsafe.park 60\n\
                      com.acme.Cart.serve;com.fasterxml.jackson.core.JsonParser.read 10\ncom.acme.Cart.serve 30\n";
        let profile = read_folded(folded.as_bytes(), SampleType::new("wall", "nanoseconds"), &ReadLimits::default());
        let (rules, profile) = (Rules::builtin(), profile.unwrap());
        let of = |category| CategoryTicks::of(&rules, ProfileType::Wall, &profile, category);
        let (read, idle) = (of(Category::Serialization), of(Category::Idle));
        assert_eq!((read.claimed, read.inclusive, read.of), (10, 10, 40));
        assert_eq!((read.percent(), read.inclusive_percent()), (25.0, 25.0));
        assert_eq!((idle.claimed, idle.of, idle.percent()), (60, 100, 60.0));
    }
}

//! What a rule measures in a profile.

use std::borrow::Cow;
use std::cell::OnceCell;

use rustc_hash::FxHashMap;

use crate::bor::facts::source_facts;
use crate::kernel::{Percent, ProfileType};
use crate::profile::Profile;
use crate::sor::alert_rule::{FunctionPattern, What};
use crate::sor::profile_data::MergedProfile;
use crate::verdict::{Category, CategoryTicks, Claims, Rules, Share, estimated_samples, key};

/// The most functions named.
pub(super) const MOST_FUNCTIONS: usize = 20;
/// The most further functions counted.
const MOST_FURTHER: usize = 1_000;

/// A function and its share.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionShare {
    /// The function, as the profile spells it; of several spellings the heaviest.
    pub name: String,
    /// Its share.
    pub share: Share,
}

/// What was measured in a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// All ticks that the share is of.
    pub ticks: i64,
    /// The samples behind them, where their number is known.
    pub samples: Option<u64>,
    /// The share, with its interval.
    pub share: Share,
    /// The functions that it is made of, heaviest first, at most 20. Of the largest share of a function these are all the
    /// candidates; of a category there are none.
    pub functions: Vec<FunctionShare>,
    /// The ticks of further functions, heaviest first, at most 1,000.
    pub(super) further: Vec<i64>,
}

impl Measurement {
    /// The functions over the threshold, at most 20, and how many there are in all; if none is by itself, those that the
    /// share is made of.
    pub fn functions_over(&self, threshold: Percent) -> (&[FunctionShare], usize) {
        let is_over = |share: &Share| share.surely_above(threshold.get());
        let over = self.functions.partition_point(|function| is_over(&function.share));
        if over == 0 {
            return (&self.functions, self.functions.len() + self.further.len());
        }
        let further = self.further.partition_point(|ticks| is_over(&Share::of(*ticks, self.ticks, self.samples)));
        (self.functions.get(..over).unwrap_or_default(), over + further)
    }
}

impl Default for Measurement {
    fn default() -> Self {
        Self { ticks: 0, samples: None, share: Share::of(0, 0, None), functions: Vec::new(), further: Vec::new() }
    }
}

/// A profile of a window, to be measured by one rule or many.
pub struct Sampled<'p> {
    rules: &'p Rules,
    kind: ProfileType,
    profile: &'p Profile,
    total: i64,
    samples: Option<u64>,
    functions: OnceCell<Vec<Function<'p>>>,
}

/// The functions of one name.
struct Function<'p> {
    name: &'p str,
    key: Cow<'p, str>,
    own: i64,
    /// Of these, claimed idle or the profiler's own.
    hidden: i64,
}

impl<'p> Sampled<'p> {
    /// A profile of a kind, and what its source says of it.
    pub fn new(rules: &'p Rules, kind: ProfileType, merged: &'p MergedProfile) -> Self {
        let (profile, facts) = (&*merged.profile, source_facts(&merged.meta));
        let counted = facts.sample_count.or(facts.contentions);
        let samples = counted.or_else(|| estimated_samples(kind, profile, 0));
        // Values that count since the process began say nothing about the window.
        let total = if facts.cumulative { 0 } else { profile.total(0).max(0) };
        Self { rules, kind, profile, total, samples, functions: OnceCell::new() }
    }

    /// Measures what a rule is about.
    pub fn measure(&self, what: What<'_>) -> Measurement {
        if self.total == 0 {
            return Measurement::default();
        }
        match what {
            What::Largest(None) => self.largest(|function| function.hidden.saturating_mul(2) <= function.own),
            What::Largest(Some(pattern)) => {
                let matches = pattern.matcher();
                self.largest(|function| function.is_matched(&matches))
            }
            What::Sum(pattern) => {
                let functions = self.matching(pattern);
                let ticks = functions.iter().fold(0_i64, |sum, (_, ticks)| sum.saturating_add(*ticks));
                self.measured(ticks, functions)
            }
            What::Total(pattern) => self.measured(self.stacks_with(pattern), self.matching(pattern)),
            What::Category(category) => self.category(category),
        }
    }

    /// Measures each of these functions by itself, all its spellings together. The samples are those of all ticks.
    pub(super) fn each<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<Measurement> {
        let own = self.joined(|_| true);
        let by_key: FxHashMap<_, _> = own.into_iter().map(|function| (key(function.0), function)).collect();
        let measured = |name| {
            let function = by_key.get(&key(name)).copied();
            match self.total {
                0 => Measurement::default(),
                _ => self.measured(function.map_or(0, |(_, ticks)| ticks), function.into_iter().collect()),
            }
        };
        names.into_iter().map(measured).collect()
    }

    /// The functions, all spellings of one together, heaviest first.
    fn joined(&self, is_meant: impl Fn(&Function<'p>) -> bool) -> Vec<(&'p str, i64)> {
        // Of each key its ticks, the heaviest spelling and that one's ticks.
        let mut by_key: FxHashMap<&str, (i64, &'p str, i64)> = FxHashMap::default();
        for function in self.functions().iter().filter(|function| function.own > 0 && is_meant(function)) {
            let all = by_key.entry(function.key.as_ref()).or_insert((0, function.name, 0));
            all.0 = all.0.saturating_add(function.own);
            if function.own > all.2 || function.own == all.2 && function.name < all.1 {
                (all.1, all.2) = (function.name, function.own);
            }
        }
        let mut joined: Vec<_> = by_key.into_values().map(|(ticks, name, _)| (name, ticks)).collect();
        joined.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        joined
    }

    fn matching(&self, pattern: &FunctionPattern) -> Vec<(&'p str, i64)> {
        let matches = pattern.matcher();
        self.joined(|function| function.is_matched(&matches))
    }

    fn largest(&self, is_meant: impl Fn(&Function<'p>) -> bool) -> Measurement {
        let functions = self.joined(is_meant);
        self.measured(functions.first().map_or(0, |(_, ticks)| *ticks), functions)
    }

    fn measured(&self, ticks: i64, functions: Vec<(&'p str, i64)>) -> Measurement {
        let share = |ticks| Share::of(ticks, self.total, self.samples);
        let named = |(name, ticks): (&str, i64)| FunctionShare { name: name.to_owned(), share: share(ticks) };
        let mut functions = functions.into_iter();
        let heaviest = functions.by_ref().take(MOST_FUNCTIONS).map(named).collect();
        let further = functions.take(MOST_FURTHER).map(|(_, ticks)| ticks).collect();
        Measurement { ticks: self.total, samples: self.samples, share: share(ticks), functions: heaviest, further }
    }

    /// The ticks of stacks that hold any matching function, each stack once.
    fn stacks_with(&self, pattern: &FunctionPattern) -> i64 {
        let matches = pattern.matcher();
        let is_matched = |name: &str| matches(name) || matches(&key(name));
        let matched: Vec<_> = self.profile.function_ids().map(|id| is_matched(self.profile.name(id))).collect();
        let holds = |frame: &crate::profile::FunctionId| matched.get(frame.index()).copied().unwrap_or(false);
        let with = self.profile.stacks().filter(|stack| stack.frames.iter().any(holds));
        with.fold(0, |sum, stack| sum.saturating_add(stack.values.first().copied().unwrap_or(0)))
    }

    /// A category's share of the active ticks, as in its finding.
    fn category(&self, category: Category) -> Measurement {
        let CategoryTicks { claimed, of, .. } = CategoryTicks::of(self.rules, self.kind, self.profile, category);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count, rounded")]
        let samples = self.samples.map(|n| (n as f64 * of as f64 / self.total as f64).round() as u64);
        Measurement { ticks: of, samples, share: Share::of(claimed, of, samples), ..Measurement::default() }
    }

    /// The functions that stacks end in, in order of first appearance.
    fn functions(&self) -> &[Function<'p>] {
        self.functions.get_or_init(|| {
            let claims = Claims::of(self.rules, self.profile, self.kind);
            let mut own = vec![(0_i64, 0_i64); self.profile.function_count()];
            for (stack, claim) in self.profile.stacks().zip(claims.claims()) {
                let place = stack.frames.first().and_then(|leaf| own.get_mut(leaf.index()));
                if let (Some((own, hidden)), Some(ticks)) = (place, stack.values.first()) {
                    *own = own.saturating_add(*ticks);
                    if claim.is_some_and(|claim| !claim.category.is_active()) {
                        *hidden = hidden.saturating_add(*ticks);
                    }
                }
            }
            let function = |(id, (own, hidden))| {
                let name = self.profile.name(id);
                Function { name, key: key(name), own, hidden }
            };
            self.profile.function_ids().zip(own).filter(|(_, (own, _))| *own > 0).map(function).collect()
        })
    }
}

impl Function<'_> {
    /// Whether its name matches, as it is spelled or without what changes from run to run.
    fn is_matched(&self, matches: &impl Fn(&str) -> bool) -> bool {
        matches(self.name) || matches(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::profile::{ReadLimits, SampleType, read_folded};
    use crate::sor::profile_data::ProfileMeta;
    use rstest::rstest;

    const PARKED: &str =
        "java.lang.Thread.run;java.util.concurrent.ThreadPoolExecutor.getTask;jdk.internal.misc.Unsafe.park 500\n";
    const SHOP: &str = "com.acme.Shop.main;com.acme.Cart.lambda$total$1 90\n\
                        com.acme.Shop.main;com.acme.Cart.lambda$total$2 60\n\
                        com.acme.Shop.main;com.acme.Cart.total;com.acme.Cart.total 100\n\
                        com.acme.Shop.main;com.acme.Tax.of 250\n";

    fn merged(folded: &str) -> MergedProfile {
        let sample_type = SampleType::new("samples", "count");
        let profile = read_folded(folded.as_bytes(), sample_type, &ReadLimits::default()).unwrap();
        MergedProfile { profile: Arc::new(profile), ..MergedProfile::default() }
    }

    fn pattern(text: &str) -> FunctionPattern {
        text.to_owned().try_into().unwrap()
    }

    fn measure(what: What<'_>) -> Measurement {
        Sampled::new(&Rules::builtin(), ProfileType::Wall, &merged(&format!("{PARKED}{SHOP}"))).measure(what)
    }

    #[test]
    fn without_a_pattern_it_is_the_largest_function_that_neither_waits_nor_profiles() {
        let measured = measure(What::Largest(None));
        assert_eq!((measured.ticks, measured.samples, measured.share.percent), (1_000, Some(1_000), 25.0));
        let names: Vec<_> = measured.functions.iter().map(|function| function.name.as_str()).collect();
        // Lambdas differ in a number that changes from run to run.
        assert_eq!(names, ["com.acme.Tax.of", "com.acme.Cart.lambda$total$1", "com.acme.Cart.total"]);
        assert_eq!(measured.functions[1].share.percent, 15.0);
    }

    #[rstest]
    #[case::largest(What::Largest(Some(&pattern("Cart"))), 15.0)]
    #[case::waiting_is_meant_where_it_is_named(What::Largest(Some(&pattern("Unsafe.park$"))), 50.0)]
    #[case::one_spelling(What::Largest(Some(&pattern(r"lambda\$total\$2$"))), 6.0)]
    #[case::none(What::Largest(Some(&pattern("^Cart"))), 0.0)]
    #[case::sum(What::Sum(&pattern("Cart")), 25.0)]
    #[case::total_counts_a_stack_once(What::Total(&pattern(r"Cart\.total|Shop\.main")), 50.0)]
    fn measures_what_the_pattern_names(#[case] what: What<'_>, #[case] percent: f64) {
        assert_eq!(measure(what).share.percent, percent);
    }

    #[test]
    fn a_pattern_is_tried_on_the_key_too() {
        let (rules, rust) = (Rules::builtin(), merged("shop::main;shop::price::h0123456789abcdef 10\n"));
        let sampled = Sampled::new(&rules, ProfileType::Cpu, &rust);
        assert_eq!(key("shop::price::h0123456789abcdef"), "shop::price");
        assert_eq!(sampled.measure(What::Largest(Some(&pattern("::price$")))).share.percent, 100.0);
        assert_eq!(sampled.measure(What::Total(&pattern("::price$"))).share.percent, 100.0);
    }

    #[test]
    fn a_category_is_a_share_of_the_active_ticks_and_of_their_samples() {
        let folded = "com.acme.Cart.serve;com.fasterxml.jackson.core.JsonParser.read 100\ncom.acme.Cart.serve 300\n";
        let (rules, wall) = (Rules::builtin(), merged(&format!("{PARKED}{folded}")));
        let measured = Sampled::new(&rules, ProfileType::Wall, &wall).measure(What::Category(Category::Serialization));
        assert_eq!((measured.ticks, measured.samples, measured.share.percent), (400, Some(400), 25.0));
        assert_eq!(measured.share, Share::of(100, 400, Some(400)));
    }

    #[test]
    fn counts_of_the_source_win_and_values_since_the_start_are_no_data() {
        let rules = Rules::builtin();
        let told = |meta| MergedProfile { meta, ..merged(SHOP) };
        let counted = told(ProfileMeta { sample_count: Some(7), ..ProfileMeta::default() });
        assert_eq!(Sampled::new(&rules, ProfileType::Cpu, &counted).measure(What::Largest(None)).samples, Some(7));
        let cumulative = told(ProfileMeta { cumulative: true, ..ProfileMeta::default() });
        let measured = Sampled::new(&rules, ProfileType::Cpu, &cumulative).measure(What::Largest(None));
        assert_eq!(measured, Measurement::default());
    }
}

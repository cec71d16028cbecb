//! Approved limits: what they say of a profile, and how their incidents move.

use std::sync::Arc;

use rstest::rstest;

use super::moving::{Store, at, minute};
use super::*;
use crate::bor::SorAnswer;
use crate::kernel::{LimitSeverity, Percent, ProfileType, RowId};
use crate::profile::{ReadLimits, SampleType, read_folded};
use crate::sor::baseline::Baseline;
use crate::sor::incident::{IncidentSource, ResolveReason};
use crate::sor::profile_data::MergedProfile;
use crate::verdict::Rules;

fn limit((function, percent, severity): (&str, f64, LimitSeverity)) -> Baseline {
    Baseline {
        id: RowId::new(1).unwrap(),
        app_name: "shop".parse().unwrap(),
        profile_type: ProfileType::Cpu,
        function_name: function.parse().unwrap(),
        max_self_percent: Percent::new(percent).unwrap(),
        severity,
        created_by: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn held(folded: &str, limits: &[Baseline]) -> HeldLimits {
    let profile = read_folded(folded.as_bytes(), SampleType::new("samples", "count"), &ReadLimits::default()).unwrap();
    let merged = MergedProfile { profile: Arc::new(profile), ..MergedProfile::default() };
    HeldLimits::of(&Sampled::new(&Rules::builtin(), ProfileType::Cpu, &merged), limits)
}

const SHOP: &str = "main;Cart.lambda$total$1 150\nmain;Cart.lambda$total$2 150\nmain;Tax.of 100\nmain;Log.write 600\n";

use LimitSeverity::{Critical, Info, Warning};

#[rstest]
#[case::surely_over(&[("Tax.of", 7.0, Warning)], Verdict::Over, &["Tax.of 10"])]
#[case::over_but_not_surely(&[("Tax.of", 9.5, Warning)], Verdict::Unclear, &[])]
#[case::clear(&[("Tax.of", 20.0, Warning)], Verdict::Clear, &[])]
#[case::not_in_the_profile(&[("Tax.off", 1.0, Warning)], Verdict::Clear, &[])]
#[case::one_is_unclear(&[("Tax.of", 20.0, Warning), ("Log.write", 61.0, Warning)], Verdict::Unclear, &[])]
#[case::all_spellings_together(&[("Cart.lambda$total$9", 25.0, Warning)], Verdict::Over, &["Cart.lambda$total$1 30"])]
#[case::the_most_severe_first(
    &[("Log.write", 1.0, Info), ("Tax.of", 5.0, Critical), ("Cart.lambda$total$1", 5.0, Critical)],
    Verdict::Over,
    &["Cart.lambda$total$1 30", "Tax.of 10", "Log.write 60"]
)]
fn limits_say_of_1000_samples(
    #[case] limits: &[(&str, f64, LimitSeverity)],
    #[case] verdict: Verdict,
    #[case] over: &[&str],
) {
    let limits: Vec<_> = limits.iter().copied().map(limit).collect();
    let held = held(SHOP, &limits);
    let found: Vec<_> = held.over.iter().map(|over| format!("{} {}", over.name, over.share.percent)).collect();
    assert_eq!(
        (held.verdict, found, held.samples),
        (verdict, over.iter().map(ToString::to_string).collect(), Some(1_000))
    );
}

#[test]
fn of_too_few_samples_and_of_no_ticks_they_say_nothing() {
    let limits = [limit(("Tax.of", 1.0, Warning))];
    assert_eq!(held("main;Tax.of 99\n", &limits).verdict, Verdict::Insufficient);
    assert_eq!(held("main;Tax.of 0\n", &limits).verdict, Verdict::NoData);
}

/// The limits of an app, of which one function may take 5 %.
fn known() -> SorAnswer<Limits> {
    SorAnswer::Known(by_app(vec![limit(("Tax.of", 5.0, Critical))]))
}

/// Rounds of so many minutes, in which the function takes 10 % until that minute and then nothing.
fn rounds(store: &mut Store, minutes: std::ops::RangeInclusive<i64>, over_until: i64) {
    for now in minutes {
        store.round(now, &[], |read| {
            assert!(read.holds_limits && read.query.window.seconds() == 3_600.0);
            let folded = if now < over_until { SHOP } else { "main;Log.write 1000\n" };
            let limits = Some(held(folded, &[limit(("Tax.of", 5.0, Critical))]));
            Outcome::Measured { evaluations: Vec::new(), limits, diagnosed: None }
        });
    }
}

#[test]
fn an_app_over_a_limit_for_an_hour_fires_and_is_resolved_when_it_was_clear_for_five_minutes() {
    let mut store = Store::with_limits(known());
    rounds(&mut store, 1..=200, 100);
    // They are evaluated in the first round, and then at each multiple of twelve minutes.
    assert_eq!(store.states_seen(), [(1, "pending"), (72, "firing"), (120, "resolved")]);
    let found = &store.incidents[0].found;
    assert_eq!((found.fingerprint.as_str(), found.source), ("baseline/shop/cpu", IncidentSource::Baseline));
    assert_eq!((found.severity, found.value, found.threshold), (Critical, Some(10.0), Some(5.0)));
    assert_eq!((minute(found.last_seen_at), found.resolve_reason), (96, Some(ResolveReason::Clear)));
}

#[rstest]
#[case::away(Some(SorAnswer::Unavailable), None)]
#[case::off(None, Some(ResolveReason::RuleDisabled))]
#[case::removed(Some(SorAnswer::Known(Limits::new())), Some(ResolveReason::RuleRemoved))]
fn while_limits_are_away_their_incidents_stay_and_without_limits_they_end(
    #[case] then: Option<SorAnswer<Limits>>,
    #[case] reason: Option<ResolveReason>,
) {
    let mut store = Store::with_limits(known());
    rounds(&mut store, 1..=80, 100);
    store.limits = then;
    rounds(&mut store, 81..=81, 100);
    assert_eq!(store.incidents[0].found.resolve_reason, reason);
}

#[test]
fn an_app_that_cannot_be_read_is_neither_over_nor_clear() {
    let mut store = Store::with_limits(known());
    rounds(&mut store, 1..=80, 100);
    let before = store.incidents.clone();
    for now in 81..=200 {
        store.round(now, &[], |_| Outcome::Failed("away"));
    }
    assert_eq!(store.incidents, before);
}

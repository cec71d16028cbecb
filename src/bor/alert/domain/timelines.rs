//! Timelines: a share for each minute, evaluated each minute over windows of five minutes.

use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;

use super::{Evaluation, Measurement, Patience, Trial, Verdict};
use crate::kernel::Percent;
use crate::sor::alert_rule::Timing;
use crate::verdict::Share;

/// Samples a minute.
const SAMPLES: i64 = 6_000;
const END: usize = 60;

fn at(minute: usize) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000 + 60 * i64::try_from(minute).unwrap(), 0).unwrap()
}

/// The minute of a time.
fn minute(time: DateTime<Utc>) -> i64 {
    (time - at(0)).num_minutes()
}

/// 60 minutes, the first of which is minute 1: 5 %, and otherwise in these minutes.
fn minutes(otherwise: &[(std::ops::Range<usize>, i64)]) -> Vec<i64> {
    let of = |minute| otherwise.iter().find(|(range, _)| range.contains(&minute)).map_or(5, |(_, percent)| *percent);
    (1..=END).map(of).collect()
}

/// What a rule with the threshold 30 does about these minutes, while the source is away at some of them.
fn trial(minutes: &[i64], away: std::ops::Range<usize>) -> Trial {
    let threshold = Percent::new(30.0).unwrap();
    let evaluate = |now: usize| {
        if away.contains(&now) {
            return Evaluation::without(at(now), Verdict::Error);
        }
        let window = &minutes[now.saturating_sub(5)..now];
        let part: i64 = window.iter().map(|percent| percent * SAMPLES / 100).sum();
        let ticks = SAMPLES * i64::try_from(window.len()).unwrap();
        let samples = ticks.try_into().ok();
        let share = Share::of(part, ticks, samples);
        Evaluation::of(at(now), Measurement { ticks, samples, share, ..Measurement::default() }, threshold)
    };
    let evaluations = (1..=END).map(evaluate).collect();
    Trial::of(evaluations, TimeDelta::minutes(1), threshold, Patience::from(Timing::default()))
}

/// When it was pending, fired and was resolved.
fn firings(trial: &Trial) -> Vec<[Option<i64>; 3]> {
    let times = |one: &super::Firing| [Some(one.pending_at), Some(one.fired_at), one.resolved_at];
    trial.firings.iter().map(|one| times(one).map(|time| time.map(minute))).collect()
}

#[rstest]
#[case::from_10_on_60_percent_from_40_on_5(&[(10..40, 60)], 0..0, &[[Some(12), Some(17), Some(43 + 5)]])]
#[case::one_minute_of_100_percent(&[(10..11, 100)], 0..0, &[])]
#[case::five_minutes_of_60_percent(&[(10..15, 60)], 0..0, &[])]
#[case::six_minutes_of_60_percent(&[(10..16, 60)], 0..0, &[[Some(12), Some(17), Some(24)]])]
#[case::source_away_in_minutes_13_to_20(&[(10..40, 60)], 13..21, &[[Some(12), Some(21), Some(48)]])]
#[case::until_the_end(&[(10..61, 60)], 0..0, &[[Some(12), Some(17), None]])]
fn threshold_30_with_6000_samples_a_minute(
    #[case] otherwise: &[(std::ops::Range<usize>, i64)],
    #[case] away: std::ops::Range<usize>,
    #[case] expected: &[[Option<i64>; 3]],
) {
    assert_eq!(firings(&trial(&minutes(otherwise), away)), expected);
}

/// Each standing that was reached, with the minute in which it began.
fn standings(trial: &Trial) -> Vec<(i64, &'static str)> {
    let patience = Patience::from(Timing::default());
    let (mut standing, mut seen) = (super::Standing::Quiet, vec![(0, "quiet")]);
    for evaluation in &trial.evaluations {
        standing = standing.step(evaluation.verdict, evaluation.at, patience).0;
        let name = match standing {
            super::Standing::Quiet => "quiet",
            super::Standing::Pending { .. } => "pending",
            super::Standing::Firing { clear_since: None, .. } => "firing",
            super::Standing::Firing { clear_since: Some(_), .. } => "clear",
        };
        if seen.last().is_some_and(|(_, last)| *last != name) {
            seen.push((minute(evaluation.at), name));
        }
    }
    seen
}

#[test]
fn pending_12_firing_17_clear_43_resolved_48() {
    let gone_through = standings(&trial(&minutes(&[(10..40, 60)]), 0..0));
    assert_eq!(gone_through, [(0, "quiet"), (12, "pending"), (17, "firing"), (43, "clear"), (48, "quiet")]);
}

#[test]
fn five_minutes_of_60_percent_are_pending_12_and_end_17() {
    let gone_through = standings(&trial(&minutes(&[(10..15, 60)]), 0..0));
    assert_eq!(gone_through, [(0, "quiet"), (12, "pending"), (17, "quiet")]);
    assert_eq!(standings(&trial(&minutes(&[(10..11, 100)]), 0..0)), [(0, "quiet")]);
}

#[test]
fn a_trial_is_told_in_a_sentence() {
    let percent = Percent::new(30.0).unwrap();
    let told = |otherwise: &[(std::ops::Range<usize>, i64)]| trial(&minutes(otherwise), 0..0).headline("cpu", percent);
    assert_eq!(
        told(&[(10..40, 60)]),
        "Would have fired once, for 31 min in all: 60.0 % of cpu at most, and the limit is 30 %."
    );
    assert_eq!(told(&[]), "Would not have fired: 5.0 % of cpu at most, and the limit is 30 %.");
    assert_eq!(
        told(&[(10..15, 60)]),
        "Would not have fired: over the limit, but not for long enough: 60.0 % of cpu at most, and the limit is 30 %."
    );
    let evaluations = |verdict| vec![Evaluation::without(at(1), verdict)];
    let of = |verdict| {
        let width = TimeDelta::minutes(1);
        Trial::of(evaluations(verdict), width, percent, Patience::from(Timing::default())).headline("cpu", percent)
    };
    assert_eq!(of(Verdict::NoData), "There was no profile in this time: nothing can be said.");
    let few = "Every window had fewer than 100 samples: nothing can be said; try a longer window.";
    assert_eq!(of(Verdict::Insufficient), few);
}

//! What a round reads, and what an incident says of it.

use std::collections::HashMap;

use chrono::TimeDelta;
use rstest::rstest;

use super::detail::{AlertDetail, Diagnosed, Seen, Source};
use super::moving::{at, rule};
use super::plan::{is_due, next_at};
use super::*;
use crate::bor::{LinkSettings, SorAnswer};
use crate::kernel::{AppName, Percent, ProfileType, Text255};
use crate::sor::alert_rule::{AlertRule, Measured, RuleWindow, Timing};
use crate::verdict::Share;

#[rstest]
#[case(300, None, 7, true)]
#[case(300, Some(6), 7, true)]
#[case(300, Some(7), 7, false)]
#[case::first_multiple_of_three(900, Some(6), 8, false)]
#[case::multiple_of_three(900, Some(6), 9, true)]
#[case::missed_ones_are_made_up(900, Some(6), 10, true)]
#[case::by_one(900, Some(10), 11, false)]
#[case::and_the_next_is_in_time(900, Some(10), 12, true)]
#[case(3_600, Some(0), 11, false)]
#[case(3_600, Some(0), 12, true)]
fn a_rule_is_due_when_a_multiple_of_its_interval_has_come(
    #[case] window: i64,
    #[case] last: Option<i64>,
    #[case] now: i64,
    #[case] expected: bool,
) {
    assert_eq!(is_due(RuleWindow::try_from(window).unwrap(), last.map(at), at(now)), expected);
}

#[test]
fn a_round_evaluates_at_the_minute_that_ended_half_a_minute_ago() {
    assert_eq!(round_at(at(7) + TimeDelta::seconds(30)), at(7));
    assert_eq!(round_at(at(7) + TimeDelta::seconds(29)), at(6));
    assert_eq!(next_at(RuleWindow::try_from(900).unwrap(), at(7)), at(9));
}

#[test]
fn one_window_is_read_once_for_all_rules_and_the_newest_rules_are_left_out() {
    let apps: Vec<AppName> = ["a", "b", "c"].map(|app| app.parse().unwrap()).into();
    let long = Timing { window: Some(RuleWindow::try_from(900).unwrap()), ..Timing::default() };
    let rules = [rule(1, "*"), rule(2, "a"), AlertRule { timing: long, ..rule(3, "a") }, rule(4, "*")];
    let planned = |most_pairs, limits: &SorAnswer<Limits>| {
        let evaluated = HashMap::new();
        let known = Known {
            at: at(9),
            rules: &rules,
            services: None,
            incidents: &[],
            evaluated: &evaluated,
            discovered: Some(&apps),
            most_pairs,
            limits: &KnownLimits { limits: limits.clone(), evaluated_at: None },
        };
        Plan::of(&known)
    };
    let off = SorAnswer::Off;
    let reads = planned(8, &off).reads;
    let reads: Vec<_> = reads.iter().map(|read| (read.query.app.to_string(), read.rules.clone())).collect();
    let expected = [("a", vec![0, 1, 3]), ("a", vec![2]), ("b", vec![0, 3]), ("c", vec![0, 3])];
    assert_eq!(reads, expected.map(|(app, rules)| (app.to_owned(), rules)));
    let left_out = |most| planned(most, &off).left_out;
    assert_eq!((left_out(8), left_out(7), left_out(4)), (vec![], vec![3], vec![2, 3]));
    // Limits are one window of an hour for each app and kind. They come before the rules.
    let limits = ["a", "d"].map(|app| ((app.parse().unwrap(), ProfileType::Cpu), vec![]));
    let limits = SorAnswer::Known(Limits::from(limits));
    let planned = |most| planned(most, &limits);
    let held: Vec<_> = planned(10).reads.into_iter().filter(|read| read.holds_limits).collect();
    let windows: Vec<_> = held.iter().map(|read| (read.query.app.as_str(), read.query.window.seconds())).collect();
    assert_eq!(windows, [("a", 3_600.0), ("d", 3_600.0)]);
    assert_eq!((planned(10).left_out, planned(9).left_out, planned(9).limits_left_out), (vec![], vec![3], 0));
    assert_eq!((planned(1).left_out, planned(1).limits_left_out), (vec![0, 1, 2, 3], 1));
}

#[test]
fn a_detail_stays_under_64_kib_and_is_read_back() {
    let long = |c: &str, n: usize| c.repeat(n);
    let app = long("\u{7f}", 512);
    let share = Share::of(600, 1_000, Some(1_000));
    let function = FunctionShare { name: long("\"", 5_000), share };
    let measured = Measurement {
        ticks: 1_000,
        samples: Some(1_000),
        share,
        functions: vec![function; 20],
        ..Measurement::default()
    };
    let diagnosed =
        Diagnosed { headline: long("\u{1}", 90_000), diagnosis: "cpu_bound".to_owned(), profile_types: vec![] };
    let channel: Text255 = long("\u{1}", 255).parse().unwrap();
    let query = crate::sor::profile_data::ProfileQuery {
        app: app.parse().unwrap(),
        kind: ProfileType::Cpu,
        window: crate::kernel::TimeWindow::new(at(4), at(9)).unwrap(),
        selector: (0..10)
            .map(|n| format!("l{n}=\"{}\"", long("x", 2_048)))
            .collect::<Vec<_>>()
            .join(",")
            .parse()
            .unwrap(),
        tenant: None,
    };
    let source = Source {
        query: &query,
        measured: &Measured::default(),
        seen: Seen::of(&measured, Percent::new(5.0).unwrap()),
        diagnosed: Some(&diagnosed),
        rule_updated_at: Some(at(1)),
        rule_channel: Some(channel.as_str()),
        runbook_url: Some("https://runbooks.example/1"),
        service: None,
        settings: &LinkSettings::default(),
    };
    let detail = AlertDetail::of(source, at(2));
    let object = detail.to_object();
    assert_eq!(AlertDetail::read(&object), Some(detail.clone()));
    assert_eq!((detail.functions.len(), detail.functions_total, detail.functions[0].name.len()), (20, 20, 400));
    let baseline = format!("&baselineFrom={}&baselineTo={}", at(-63).timestamp(), at(-3).timestamp());
    assert!(detail.links.diff.unwrap().ends_with(&baseline), "the hour before the window in which it began");
    assert_eq!(detail.links.flame_graph, None, "a link that no browser opens is left out");
}

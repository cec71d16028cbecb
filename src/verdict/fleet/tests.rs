//! Rankings as tables.

use rstest::rstest;

use super::*;
use crate::kernel::ProfileType;
use crate::profile::{Profile, ReadLimits, SampleType, read_folded};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::{Category, Origin};
use crate::verdict::reliability::SourceFacts;

/// Folded stacks, root first, in samples of 10 ms of CPU.
fn cpu(folded: &str) -> Profile {
    let lines = folded.split(", ").filter_map(|line| line.trim().rsplit_once(' '));
    let text: String =
        lines.map(|(stack, n)| format!("{stack} {}\n", n.parse::<i64>().unwrap() * 10_000_000)).collect();
    read_folded(text.as_bytes(), SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap()
}

fn app(profile: &Profile) -> FleetApp<'_> {
    FleetApp { kind: ProfileType::Cpu, profile, facts: SourceFacts::default() }
}

fn functions(folded: &str, exclude: &[Category]) -> AppFunctions {
    AppFunctions::of(&Rules::builtin(), &app(&cpu(folded)), exclude)
}

fn hotspots(apps: &[&str]) -> Hotspots {
    let mut hotspots = Hotspots::default();
    // As they come in: the last is the first to be read.
    for (place, folded) in apps.iter().enumerate().rev() {
        hotspots.add(place, functions(folded, &[]));
    }
    hotspots
}

/// `function impact: app share, app share…`
fn shown(hotspots: &[Hotspot]) -> Vec<String> {
    let service =
        |s: &HotspotService| format!("{}{} {:.0}", s.app, if s.low_samples { "?" } else { "" }, s.self_percent);
    let of = |h: &Hotspot| {
        let services: Vec<_> = h.services.iter().map(service).collect();
        format!("{} {:.0}: {}", h.function, h.impact, services.join(", "))
    };
    hotspots.iter().map(of).collect()
}

#[rstest]
#[case::one_app(&["main;a 300, main;b 700"], &["b 70: 0 70", "a 30: 0 30"])]
#[case::shared_by_two(&["main;a 300, main;b 700", "main;a 500, main;c 500"], &["a 100: 1 50, 0 30", "b 70: 0 70", "c 50: 1 50"])]
#[case::of_equal_impact_by_name(&["main;b 500, main;a 500"], &["a 50: 0 50", "b 50: 0 50"])]
#[case::of_equal_share_by_app(&["main;a 100", "main;a 200"], &["a 200: 0 100, 1 100"])]
#[case::few_samples_count_and_say_nothing(&["main;a 100, main;b 100", "main;a 50"], &["a 100: 1? 100, 0 50", "b 50: 0 50"])]
#[case::few_samples_alone(&["main;a 50", "main;b 200"], &["b 100: 1 100", "a 0: 0? 100"])]
#[case::spellings_are_one_function(&["java/util/HashMap.resize 100, java.util.HashMap.resize 300, main 600"],
    &["main 60: 0 60", "java.util.HashMap.resize 40: 0 40"])]
#[case::callers_cost_nothing_themselves(&["main;work 100"], &["work 100: 0 100"])]
#[case::no_apps(&[], &[])]
#[case::no_data(&[""], &[])]
fn ranks_by_services_times_share(#[case] apps: &[&str], #[case] expected: &[&str]) {
    assert_eq!(shown(&hotspots(apps).ranked(Ranking::Impact, 10, None)), expected);
}

#[test]
fn shows_as_many_as_are_asked_for() {
    let all = hotspots(&["a 1, b 2, c 3, d 94"]);
    let names = |limit| -> Vec<_> {
        all.ranked(Ranking::Impact, limit, None).into_iter().map(|hotspot| hotspot.function).collect()
    };
    assert_eq!(
        (names(2), names(4).len(), names(9).len(), all.function_count()),
        (vec!["d".into(), "c".into()], 4, 4, 4)
    );
}

#[test]
fn cores_add_up_over_services() {
    // 40 s of CPU in `a` of one app and 20 s of another, in a window of ten seconds.
    let all = hotspots(&["main;a 4000, main;b 1000", "main;a 2000, main;b 6000"]);
    let ranked = all.ranked(Ranking::Cores, 10, Some(10.0));
    let cores: Vec<_> =
        ranked.iter().map(|h| (h.function.as_str(), h.cores.unwrap(), h.services[0].cores.unwrap())).collect();
    assert_eq!(cores, [("b", 7.0, 6.0), ("a", 6.0, 4.0)]);
    assert_eq!(all.ranked(Ranking::Impact, 1, Some(10.0))[0].function, "a");
    assert_eq!(all.ranked(Ranking::Cores, 1, None)[0].cores, None);
}

#[rstest]
#[case::nothing(&[], &["runtime.scanobject", "runtime.futex", "shop.Price"])]
#[case::collectors(&[Category::GcPressure], &["runtime.futex", "shop.Price"])]
#[case::more(&[Category::GcPressure, Category::Scheduling, Category::Idle, Category::LockContention, Category::ThreadWaiting], &["shop.Price"])]
fn leaves_out_what_most_ticks_are_claimed_as(#[case] exclude: &[Category], #[case] left: &[&str]) {
    let folded = "runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject 300, \
                  runtime.mcall;runtime.park_m;runtime.schedule;runtime.findRunnable;runtime.futex 200, \
                  main.main;shop.Price 100";
    let mut hotspots = Hotspots::default();
    hotspots.add(0, functions(folded, exclude));
    let names: Vec<_> = hotspots.ranked(Ranking::Impact, 10, None).into_iter().map(|h| h.function).collect();
    assert_eq!(names, left);
}

#[test]
fn says_what_a_function_does_and_whose_it_is() {
    let folded = "runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject 300, main.main;main.price 100";
    let ranked = hotspots(&[folded]).ranked(Ranking::Impact, 10, None);
    let told: Vec<_> = ranked.iter().map(|h| (h.function.as_str(), h.category, h.origin)).collect();
    assert_eq!(
        told,
        [("runtime.scanobject", Some(Category::GcPressure), Origin::Runtime), ("main.price", None, Origin::App)]
    );
}

#[test]
fn does_not_depend_on_the_order_in_which_apps_came() {
    let apps = ["x 60, java/a.b 40", "java.a.b 40, y 60", "java/a.b 41, z 59"].map(|folded| functions(folded, &[]));
    let ranked = |order: [usize; 3]| {
        let mut hotspots = Hotspots::default();
        order.into_iter().for_each(|place| hotspots.add(place, apps[place].clone()));
        hotspots.ranked(Ranking::Impact, 10, Some(1.0))
    };
    let first = ranked([0, 1, 2]);
    for order in [[2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        assert_eq!(ranked(order), first);
    }
}

/// `app function self total app`
fn found(text: &str, apps: &[&str], limit: usize) -> (usize, Vec<String>) {
    let mut matches = Matches::up_to(limit);
    for (place, folded) in apps.iter().enumerate().rev() {
        matches.add(place, AppMatches::of(&app(&cpu(folded)), &Needle::of(text)));
    }
    let (count, rows) = matches.ranked();
    let row = |m: &Match| {
        format!("{} {} {:.0} {:.0} {:.0}", m.app, m.function, m.self_percent, m.total_percent, m.app_percent)
    };
    (count, rows.iter().map(row).collect())
}

#[rstest]
#[case::part_of_a_name("esiz", &["main;HashMap.resize 30, main;other 70"], &["0 HashMap.resize 30 30 30"])]
#[case::whatever_its_case("HASHmap", &["main;HashMap.resize 30, main;other 70"], &["0 HashMap.resize 30 30 30"])]
#[case::beyond_ascii("GRÖSSE", &["größe 1, GRÖSSE 3"], &["0 GRÖSSE 75 75 75"])]
#[case::dots_for_slashes("java.util.HashMap", &["main;java/util/HashMap.resize 50, main 50"], &["0 java/util/HashMap.resize 50 50 50"])]
#[case::slashes_for_dots("java/util/HashMap.resize", &["main;java.util.HashMap.resize 50, main 50"], &["0 java.util.HashMap.resize 50 50 50"])]
#[case::callers_too("outer", &["outer;inner 40, inner 60"], &["0 outer 0 40 40"])]
#[case::a_recursive_one_once("walk", &["walk;walk;walk 40, main 60"], &["0 walk 40 40 40"])]
#[case::stacks_once_each("s", &["serve;send 40, serve 10, main 50"], &["0 send 40 40 50", "0 serve 10 50 50"])]
#[case::by_share_then_app("hot", &["hot 50, x 50", "hot 80, x 20", "hot 50, x 50"], &["1 hot 80 80 80", "0 hot 50 50 50", "2 hot 50 50 50"])]
#[case::all_spellings_of_a_match("util/Map", &["java/util/Map.get 30, java.util.Map.get 20, x 50"], &["0 java/util/Map.get 50 50 50"])]
#[case::nowhere("nothing", &["main;work 100"], &[])]
#[case::no_data("work", &["", "work 1"], &["1 work 100 100 100"])]
fn finds_functions_wherever_they_stand(#[case] text: &str, #[case] apps: &[&str], #[case] expected: &[&str]) {
    let (count, rows) = found(text, apps, 10);
    assert_eq!((count, rows), (expected.len(), expected.iter().map(|&row| row.to_owned()).collect()));
}

#[test]
fn counts_all_matches_and_shows_the_first() {
    let apps: Vec<String> = (1..=30).map(|n| format!("hot{n} {n}, hotter{n} 7, rest {}", 93 - n)).collect();
    let apps: Vec<&str> = apps.iter().map(String::as_str).collect();
    let (count, rows) = found("hot", &apps, 3);
    assert_eq!(
        (count, rows),
        (60, ["29 hot30 30 30 37", "28 hot29 29 29 36", "27 hot28 28 28 35"].map(Into::into).into())
    );
}

#[test]
fn an_app_with_few_samples_is_marked() {
    let mut matches = Matches::up_to(10);
    for (place, folded) in ["work 99", "work 100"].into_iter().enumerate() {
        matches.add(place, AppMatches::of(&app(&cpu(folded)), &Needle::of("work")));
    }
    let marked: Vec<_> = matches.ranked().1.iter().map(|m| m.low_samples).collect();
    assert_eq!(marked, [true, false]);
}

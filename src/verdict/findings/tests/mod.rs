//! Findings, diagnosis and summary on small profiles under a catalogue of their own.

#![expect(clippy::float_cmp, reason = "shares of round ticks are exact")]

mod callers;
mod deciding;
mod locks;
mod saying;
mod usual;

use std::sync::{Arc, LazyLock};

use super::*;
use crate::kernel::{FindingSeverity, ProfileType};
use crate::profile::{Profile, ProfileBuilder, SampleType};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::{Category, Runtime};
use crate::verdict::reliability::{Confidence, QualityCode, SourceFacts};
use rstest::rstest;

const GO: &str = r#"
runtime = "go"
[[rule]]
id = "t.gc"
category = "gc_pressure"
reach = "root"
names = ["runtime.collector"]
[[rule]]
id = "t.gc.spare"
category = "gc_pressure"
reach = "subtree"
counted = false
names = ["runtime.spare"]
[[rule]]
id = "t.gc.assist"
category = "gc_pressure"
reach = "subtree"
alone = 5.0
names = ["runtime.assist"]
[[rule]]
id = "t.alloc"
category = "allocation"
reach = "subtree"
names = ["runtime.alloc"]
[[rule]]
id = "t.strings"
category = "string_allocation"
reach = "subtree"
names = ["runtime.concat"]
[[rule]]
id = "t.json"
category = "serialization"
reach = "subtree"
names = ["encoding/json.Encode"]
[[rule]]
id = "t.sql"
category = "database"
reach = "wrapper"
names = ["database/sql.Query"]
[[rule]]
id = "t.lock"
category = "lock_contention"
reach = "subtree"
names = ["sync.Lock"]
[[rule]]
id = "t.log"
category = "logging"
reach = "wrapper"
names = ["log.Print"]
[[rule]]
id = "t.scheduling"
category = "scheduling"
reach = "subtree"
names = ["runtime.findRunnable"]
[[rule]]
id = "t.net"
category = "network_io"
reach = "subtree"
names = ["net.Read"]
[[rule]]
id = "t.load"
category = "class_loading"
reach = "subtree"
names = ["plugin.Open"]
[[rule]]
id = "t.idle"
category = "idle"
reach = "subtree"
never_runs = true
names = ["runtime.halt"]
[[rule]]
id = "t.profiler"
category = "profiler_overhead"
reach = "subtree"
names = ["runtime/pprof.sample"]
[[origin]]
space = "go"
runtime = ["runtime.**", "sync.**", "net.**", "encoding/json.**", "database/sql.**", "log.**"]
library = ["lib.**"]
[[blind]]
runtimes = ["go"]
kinds = ["wall"]
categories = ["jit_overhead"]
"#;

static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("go.toml"), GO).unwrap();
    Arc::new(Rules::load(dir.path()).unwrap())
});

/// A profile of stacks written root first, `main.main;main.work 10`; ticks are samples of 10 ms.
fn profile(unit: &str, stacks: &[(&str, i64)]) -> Profile {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("value", unit)]);
    for (stack, ticks) in stacks {
        let frames: Vec<_> = stack.split(';').rev().map(|name| builder.function(name, "x.go")).collect();
        builder.add(frames, &[ticks * if unit == "nanoseconds" { 10_000_000 } else { 1 }]);
    }
    builder.build()
}

fn assess_with(kind: ProfileType, unit: &str, stacks: &[(&str, i64)], facts: SourceFacts<'_>) -> ProfileAssessment {
    let profile = profile(unit, stacks);
    ProfileAssessment::of(
        &RULES,
        &Subject {
            kind,
            profile: &profile,
            sample_type: 0,
            time: Some(ObservedTime { seconds: 100.0, over: RateOver::Window }),
            facts,
            top: 10,
        },
    )
}

fn cpu(stacks: &[(&str, i64)]) -> ProfileAssessment {
    assess_with(ProfileType::Cpu, "nanoseconds", stacks, SourceFacts::default())
}

fn summary_of(assessment: &ProfileAssessment) -> Summary {
    summarise("checkout", &[KindOutcome::Assessed(assessment)], false)
}

#[test]
fn diagnoses_the_largest_category_with_all_that_is_known_of_it() {
    let a = cpu(&[
        ("runtime.collector", 4_000),
        ("main.main;main.serve;main.cart;runtime.alloc", 1_000),
        ("main.main;main.serve;main.a", 3_000),
        ("main.main;main.serve;main.b", 2_000),
    ]);
    assert_eq!(
        (a.diagnosis.name, a.diagnosis.severity, a.diagnosis.confirmed),
        ("gc_pressure", FindingSeverity::High, true)
    );
    assert_eq!((a.sample_count, a.confidence), (Some(10_000), Some(Confidence::High)));
    assert_eq!(a.rate, Some(Rate::Cores(1.0)));
    let shares: Vec<_> = a.findings.iter().map(|f| (f.category.as_str(), f.share.percent, f.cores)).collect();
    assert_eq!(shares, [("gc_pressure", 40.0, Some(0.4)), ("allocation", 10.0, Some(0.1))]);
    assert_eq!(a.findings[1].responsible[0].function, "main.cart");
    assert_eq!(a.findings[1].responsible[0].path, ["main.cart", "runtime.alloc"]);
    assert_eq!(a.findings[0].responsible, []);
    assert_eq!(a.findings[0].runtime, Some(Runtime::Go));
    assert_eq!(
        summary_of(&a).headline,
        "checkout uses 1.0 cores. GC is 40 % of it (39–41); 10,000 samples, confidence high."
    );
}

#[test]
fn takes_shares_of_active_ticks_and_leaves_idle_functions_out_of_the_top() {
    let a = cpu(&[
        ("runtime.halt", 500),
        ("main.main;runtime/pprof.sample", 100),
        ("main.main;main.serve;sync.Lock", 100),
        ("main.main;main.serve;main.a", 150),
        ("main.main;main.serve;main.b", 150),
    ]);
    assert_eq!(a.finding(Category::LockContention).unwrap().share.percent, 25.0);
    assert_eq!((a.active_percent(), a.idle_percent()), (Some(40.0), Some(50.0)));
    let top: Vec<_> = a.top_functions.iter().map(|t| (t.name.as_str(), t.self_percent)).collect();
    assert_eq!(top, [("main.a", 15.0), ("main.b", 15.0), ("sync.Lock", 10.0)]);
}

#[test]
fn falls_back_where_no_category_reaches_its_threshold() {
    let a = cpu(&[("runtime.collector", 190), ("main.main;main.a", 189), ("main.main;main.b", 621)]);
    assert_eq!(a.diagnosis.name, "cpu_bound");
    assert_eq!(a.findings[0].category, Category::GcPressure);
    assert!(!a.findings[0].confirmed);
}

#[test]
fn diagnoses_the_purpose_that_a_mechanism_serves() {
    let a = cpu(&[
        ("main.main;main.cart;encoding/json.Encode;runtime.concat", 4_000),
        ("main.main;main.cart;encoding/json.Encode", 1_000),
        ("main.main;main.other;runtime.concat", 1_000),
        ("main.main;main.a", 2_000),
        ("main.main;main.b", 2_000),
    ]);
    assert_eq!(a.diagnosis.name, "serialization");
    assert_eq!(a.diagnosis.share.percent, 50.0);
    assert_eq!(a.diagnosis.mechanism, Some((Category::StringAllocation, 40.0)));
    assert_eq!(a.diagnosis.severity, FindingSeverity::High);
    let json = a.finding(Category::Serialization).unwrap();
    assert_eq!((json.share.percent, json.inclusive_percent), (10.0, 50.0));
    assert_eq!(json.mechanisms, [(Category::StringAllocation, 40.0)]);
    assert_eq!(
        summary_of(&a).headline,
        "checkout uses 1.0 cores. Serialization is 50 % of it (49–51), chiefly building strings, most of it under \
         main.cart; 10,000 samples, confidence high."
    );
}

#[test]
fn keeps_a_mechanism_that_serves_several_purposes() {
    let a = cpu(&[
        ("main.main;main.cart;encoding/json.Encode;runtime.concat", 2_000),
        ("main.main;main.other;runtime.concat", 2_000),
        ("main.main;main.a", 3_000),
        ("main.main;main.b", 3_000),
    ]);
    assert_eq!(a.diagnosis.name, "string_allocation");
}

#[test]
fn does_not_count_what_runs_beneath_a_callback_as_the_wrapper_s() {
    let a = cpu(&[
        ("main.main;database/sql.Query;main.callback;runtime.concat", 3_000),
        ("main.main;database/sql.Query;runtime.concat", 1_000),
        ("main.main;main.a", 3_000),
        ("main.main;main.b", 3_000),
    ]);
    assert_eq!(a.diagnosis.name, "string_allocation");
    assert_eq!(a.finding(Category::StringAllocation).unwrap().share.percent, 40.0);
}

#[test]
fn takes_collector_assists_alone_for_a_diagnosis() {
    let a = cpu(&[("main.main;main.serve;runtime.assist", 700), ("main.main;main.serve;runtime.alloc", 300)]
        .into_iter()
        .chain((0..18).map(|i| (["main.main;main.a", "main.main;main.b"][i % 2], 0)))
        .chain([
            ("main.main;main.c", 400),
            ("main.main;main.d", 600),
            ("main.main;main.e", 650),
            ("main.main;main.f", 650),
        ])
        .collect::<Vec<_>>());
    assert_eq!(a.diagnosis.name, "gc_pressure");
    assert!(a.diagnosis.confirmed);
}

#[test]
fn reports_spare_work_of_the_collector_without_counting_it() {
    let a = cpu(&[("main.main;runtime.spare", 4_000), ("main.main;main.a", 3_000), ("main.main;main.b", 3_000)]);
    assert_eq!(a.diagnosis.name, "cpu_bound");
    let gc = a.finding(Category::GcPressure).unwrap();
    assert_eq!((gc.share.percent, gc.uncounted_percent), (0.0, 40.0));
}

#[rstest]
#[case::too_few(19, "cpu_bound", FindingSeverity::Low, Verdict::Insufficient)]
#[case::few(90, "gc_pressure", FindingSeverity::Low, Verdict::Problem)]
#[case::enough(2_000, "gc_pressure", FindingSeverity::High, Verdict::Problem)]
fn lets_samples_bound_severity(
    #[case] samples: i64,
    #[case] diagnosis: &str,
    #[case] severity: FindingSeverity,
    #[case] verdict: Verdict,
) {
    let a = cpu(&[("runtime.collector", samples * 9 / 10), ("main.main;main.a", samples - samples * 9 / 10)]);
    assert_eq!((a.diagnosis.name, a.diagnosis.severity), (diagnosis, severity));
    assert_eq!(summary_of(&a).verdict, verdict);
}

#[test]
fn says_plainly_that_samples_are_too_few() {
    let a = cpu(&[("runtime.collector", 7)]);
    assert_eq!(a.confidence, Some(Confidence::Insufficient));
    assert_eq!(summary_of(&a).headline, "Only 7 samples of checkout were seen in this window, too few for a verdict.");
    assert_eq!(a.quality[0].code, QualityCode::FewSamples);
}

#[test]
fn keeps_severities_low_where_hardly_anything_ran() {
    let a = cpu(&[("runtime.halt", 99_000), ("runtime.collector", 1_000)]);
    assert_eq!(a.finding(Category::GcPressure).unwrap().severity, FindingSeverity::Low);
    assert_eq!(a.quality[0].code, QualityCode::MostlyIdle);
}

#[rstest]
#[case::hardly_any_wait(5, FindingSeverity::Low)]
#[case::some_wait(500, FindingSeverity::Medium)]
#[case::much_wait(50_000, FindingSeverity::High)]
fn bounds_lock_severity_by_the_time_waited(#[case] ticks: i64, #[case] severity: FindingSeverity) {
    let stacks = [("main.main;main.serve;main.cache;sync.Lock", ticks)];
    let facts = SourceFacts { contentions: Some(5_000), ..SourceFacts::default() };
    let a = assess_with(ProfileType::Lock, "nanoseconds", &stacks, facts);
    assert_eq!((a.diagnosis.name, a.diagnosis.severity), ("lock_contention", severity));
    assert_eq!(a.diagnosis.responsible[0].function, "main.cache");
    assert!(a.diagnosis.recommendation.contains("who unlocked"));
}

#[test]
fn calls_a_wall_profile_idle_only_where_nothing_else_stands_out() {
    let wall = |stacks: &[(&str, i64)]| assess_with(ProfileType::Wall, "nanoseconds", stacks, SourceFacts::default());
    let idle = wall(&[("runtime.halt", 8_000), ("main.main;main.a", 1_000), ("main.main;main.b", 1_000)]);
    assert_eq!((idle.diagnosis.name, idle.diagnosis.severity), ("idle_time", FindingSeverity::Low));
    assert_eq!(idle.diagnosis.share.percent, 80.0);
    let busy = wall(&[("runtime.halt", 8_000), ("main.main;net.Read", 1_500), ("main.main;main.b", 500)]);
    assert_eq!(busy.diagnosis.name, "network_io");
    let mixed = wall(&[("runtime.halt", 4_000), ("main.main;main.a", 3_000), ("main.main;main.b", 3_000)]);
    assert_eq!(mixed.diagnosis.name, "mixed_workload");
}

#[test]
fn lists_what_the_profile_cannot_show() {
    let a = assess_with(ProfileType::Wall, "nanoseconds", &[("main.main;main.a", 1_000)], SourceFacts::default());
    let jit = a.finding(Category::JitOverhead).unwrap();
    assert!(!jit.observable);
    assert_eq!(
        jit.recommendation,
        "A wall profile of go cannot show jit overhead: that none is seen here says nothing about it."
    );
}

#[test]
fn gives_no_verdict_on_values_that_never_fall() {
    let facts = SourceFacts { cumulative: true, ..SourceFacts::default() };
    let a = assess_with(ProfileType::Alloc, "bytes", &[("main.main;runtime.concat", 1_000_000_000)], facts);
    assert_eq!((a.diagnosis.name, a.diagnosis.ground), ("allocation_pressure", Ground::Insufficient));
    assert_eq!(summary_of(&a).verdict, Verdict::Insufficient);
    assert!(summary_of(&a).headline.contains("count since its start"));
}

#[test]
fn weighs_allocations_by_what_they_cost_the_processor() {
    let mut alloc = assess_with(
        ProfileType::Alloc,
        "bytes",
        &[("main.main;main.cart;runtime.concat", 8_000_000_001), ("main.main;main.a", 1_999_999_999)],
        SourceFacts::default(),
    );
    assert_eq!((alloc.diagnosis.name, alloc.diagnosis.severity), ("string_allocation", FindingSeverity::High));
    assert_eq!(alloc.rate, Some(Rate::BytesPerSecond(100_000_000.0)));
    let cost = cost_of_allocation(&cpu(&[("runtime.collector", 2_500), ("main.main;main.a", 7_500)]));
    weigh_allocations(&mut alloc, cost.unwrap());
    assert_eq!(alloc.diagnosis.severity, FindingSeverity::Medium);
    assert_eq!(alloc.findings[0].impact_percent.map(f64::round), Some(20.0));
}

#[test]
fn prefers_the_confirmed_then_the_severe_then_the_first_asked() {
    let (gc, bound) =
        (cpu(&[("runtime.collector", 9_000), ("main.main;main.a", 1_000)]), cpu(&[("main.main;main.a", 9_000)]));
    let unsure = cpu(&[("runtime.collector", 51), ("main.main;main.a", 50), ("main.main;main.b", 100)]);
    assert!(!unsure.diagnosis.confirmed || unsure.diagnosis.severity < FindingSeverity::High);
    let first = |outcomes: &[&ProfileAssessment]| {
        let outcomes: Vec<_> = outcomes.iter().map(|a| KindOutcome::Assessed(a)).collect();
        summarise("checkout", &outcomes, false).primary_issue
    };
    assert_eq!(first(&[&bound, &gc]), "gc_pressure");
    assert_eq!(first(&[&unsure, &gc]), "gc_pressure");
    assert_eq!(first(&[&bound, &bound]), "cpu_bound");
    let summary =
        summarise("checkout", &[KindOutcome::Unavailable(ProfileType::Alloc), KindOutcome::Assessed(&bound)], false);
    assert_eq!(summary.verdict, Verdict::OwnCode);
    assert!(summary.headline.ends_with("The alloc profile could not be read."));
}

#[test]
fn judges_a_profile_without_ticks_as_no_data() {
    let a = cpu(&[]);
    assert_eq!((a.diagnosis.name, a.has_data()), ("no_data", false));
    assert_eq!(cpu(&[("main.main", 0)]).diagnosis.name, "no_data");
}

//! What the diagnosis is, and how the summary says it.

use super::*;

/// A profile that covers these seconds.
fn cpu_over(seconds: f64, over: RateOver, stacks: &[(&str, i64)]) -> ProfileAssessment {
    let profile = profile("nanoseconds", stacks);
    let (kind, time) = (ProfileType::Cpu, Some(ObservedTime { seconds, over }));
    let facts = SourceFacts::default();
    ProfileAssessment::of(&RULES, &Subject { kind, profile: &profile, sample_type: 0, time, facts, top: 10 })
}

const GC: (&str, i64) = ("runtime.collector", 4_000);
const WORK: (&str, i64) = ("main.main;main.serve;main.a", 3_000);
const MORE_WORK: (&str, i64) = ("main.main;main.pay;main.b", 3_000);

#[test]
fn a_confirmed_finding_beats_the_fallback_however_heavy_an_unclaimed_function_is() {
    let a = cpu(&[("runtime.collector", 3_000), ("main.main;main.crunch", 7_000)]);
    assert_eq!((a.diagnosis.name, a.diagnosis.severity), ("gc_pressure", FindingSeverity::Medium));
    assert_eq!(summary_of(&a).verdict, Verdict::Problem);
    assert!(a.diagnosis.recommendation.contains("The heaviest function, main.crunch (70 %)"));
}

#[test]
fn a_small_mechanism_gives_way_to_a_function_of_five_times_its_share() {
    let a = cpu(&[("main.main;main.serve;sync.Lock", 800), ("main.main;main.crunch", 9_200)]);
    assert_eq!((a.diagnosis.ground, a.diagnosis.function.as_deref()), (Ground::OwnCode, Some("main.crunch")));
    let b = cpu(&[("main.main;main.serve;sync.Lock", 800), WORK, MORE_WORK, ("main.main;main.c", 3_200)]);
    assert_eq!(b.diagnosis.name, "lock_contention");
}

#[test]
fn what_the_start_costs_gives_way_to_a_function_of_three_times_its_share() {
    let load = ("main.main;plugin.Open", 1_500);
    let a = cpu(&[load, ("main.main;main.crunch", 8_500)]);
    assert_eq!((a.diagnosis.ground, a.diagnosis.function.as_deref()), (Ground::OwnCode, Some("main.crunch")));
    let b = cpu(&[load, WORK, MORE_WORK, ("main.main;main.c", 2_500)]);
    assert_eq!(b.diagnosis.name, "class_loading");
}

#[test]
fn code_without_a_name_beneath_a_function_of_the_application_is_what_it_calls() {
    let stacks = [("main.main;main.sum;[libfoo.so]", 6_000), ("main.main;main.sum;main.add", 2_500), WORK];
    let a = cpu(&stacks);
    assert_eq!(a.diagnosis.ground, Ground::Fallback);
    let a = cpu(stacks.get(..2).unwrap());
    assert_eq!((a.diagnosis.ground, a.diagnosis.function.as_deref()), (Ground::OwnCode, Some("main.sum")));
    let said = &a.diagnosis.recommendation;
    assert!(said.ends_with("It calls libfoo.so (71 %), whose functions have no names here."), "{said}");
}

#[test]
fn buffers_for_sending_give_way_to_a_function_that_allocates_more() {
    let name = |own| {
        let stacks = [("net.Read", 4_000_000_001), ("main.main;main.dump", own), ("main.main;main.a", 3_000_000_001)];
        assess_with(ProfileType::Alloc, "bytes", &stacks, SourceFacts::default()).diagnosis.name
    };
    assert_eq!((name(4_500_000_001), name(3_500_000_001)), ("allocation_pressure", "network_io"));
}

#[rstest]
#[case::most_of_it_is_beneath("main.main;main.serve;encoding/json.Encode;runtime.alloc", "serialization")]
#[case::it_is_beneath_nothing("main.main;main.serve;runtime.alloc", "allocation")]
fn a_purpose_replaces_a_mechanism_that_serves_it(#[case] stack: &str, #[case] name: &str) {
    let a = cpu(&[(stack, 4_000), WORK, MORE_WORK]);
    assert_eq!((a.diagnosis.name, a.diagnosis.share.percent), (name, 40.0));
    assert!(a.diagnosis.recommendation.contains("main.serve (100 % of it)"), "{}", a.diagnosis.recommendation);
}

#[test]
fn transport_beneath_a_database_client_is_the_database() {
    let a = cpu(&[("main.main;main.serve;database/sql.Query;lib.Conn.Read;net.Read", 4_000), WORK, MORE_WORK]);
    assert_eq!(a.diagnosis.name, "database");
    assert_eq!(a.diagnosis.mechanism, Some((Category::NetworkIo, 40.0)));
    assert_eq!(a.finding(Category::NetworkIo).unwrap().share.percent, 40.0);
}

#[test]
fn what_a_codec_writes_to_is_no_part_of_it() {
    let a = cpu(&[("main.main;main.serve;encoding/json.Encode;net.Read", 4_000), WORK, MORE_WORK]);
    assert_eq!((a.diagnosis.name, a.finding(Category::Serialization)), ("network_io", None));
}

#[test]
fn of_nested_purposes_the_inner_one_wins_if_it_holds_most_of_the_outer() {
    let inner = |ticks| ("main.main;log.Print;encoding/json.Encode;runtime.alloc", ticks);
    let outer = |ticks| ("main.main;log.Print;runtime.alloc", ticks);
    let a = cpu(&[inner(3_000), outer(1_000), WORK, MORE_WORK]);
    assert_eq!((a.diagnosis.name, a.diagnosis.share.percent), ("serialization", 30.0));
    let b = cpu(&[inner(2_000), outer(3_000), WORK, MORE_WORK]);
    assert_eq!(b.diagnosis.name, "logging");
}

#[rstest]
#[case::the_larger_one_calls_it(ProfileType::Cpu, 1_000, 1_500, 4_500, "database")]
#[case::most_of_the_larger_one_is_the_leader(ProfileType::Cpu, 0, 3_500, 2_000, "serialization")]
#[case::hardly_larger(ProfileType::Cpu, 2_200, 0, 3_000, "serialization")]
#[case::of_memory_it_is_asked_who_allocates(ProfileType::Alloc, 1_000, 1_500, 4_500, "deserialization_overhead")]
fn a_purpose_that_leads_gives_way_to_a_far_larger_one(
    #[case] kind: ProfileType,
    #[case] apart: i64,
    #[case] called: i64,
    #[case] mechanism: i64,
    #[case] name: &str,
) {
    let beneath = |leaf: &str| format!("main.main;main.serve;database/sql.Query;{leaf}");
    let (called_by_it, mechanisms) = (beneath("encoding/json.Encode"), beneath("lib.Conn.Read;net.Read"));
    let split = beneath("lib.Conn.Read;runtime.alloc");
    let unit = if kind == ProfileType::Cpu { "nanoseconds" } else { "bytes" };
    let stacks = [
        ("main.main;main.print;encoding/json.Encode", apart),
        (&called_by_it, called),
        (&mechanisms, mechanism / 2),
        (&split, mechanism / 2),
        WORK,
        ("main.main;main.b", 7_000 - apart - called - mechanism),
    ];
    // Bytes that have no common divisor are many samples.
    let value = |samples| if kind == ProfileType::Cpu { samples } else { samples * 1_000_000 + 1 };
    let scaled = stacks.map(|(stack, samples)| (stack, value(samples)));
    let a = assess_with(kind, unit, &scaled, SourceFacts::default());
    assert_eq!(a.diagnosis.name, name, "{}", a.diagnosis.recommendation);
}

#[test]
fn scheduling_is_a_diagnosis_from_30_percent_and_half_a_core() {
    let stacks = [("runtime.findRunnable", 4_000), WORK, MORE_WORK];
    let name = |seconds| cpu_over(seconds, RateOver::Profiles, &stacks).diagnosis.name;
    assert_eq!((name(10.0), name(1_000.0)), ("scheduling", "cpu_bound"));
    let few = [("runtime.findRunnable", 2_000), WORK, MORE_WORK];
    assert_eq!(cpu_over(10.0, RateOver::Profiles, &few).diagnosis.name, "cpu_bound");
}

#[test]
fn an_app_that_hardly_uses_the_processor_is_quiet() {
    let stacks = [GC, WORK, MORE_WORK];
    let quiet = cpu_over(2_000.0, RateOver::Profiles, &stacks);
    let summary = summary_of(&quiet);
    assert_eq!((summary.verdict, summary.severity), (Verdict::Quiet, FindingSeverity::Low));
    assert_eq!(summary.primary_issue, "gc_pressure");
    assert_eq!(
        summary.headline,
        "checkout is nearly idle: 0.05 cores. GC is 40 % of that; 10,000 samples, confidence high. The processor is not \
         what makes it slow."
    );
    let busy = cpu_over(900.0, RateOver::Profiles, &stacks);
    assert_eq!(summary_of(&busy).verdict, Verdict::Problem);
    // How long it ran in the window is not known.
    let unknown = cpu_over(2_000.0, RateOver::Window, &stacks);
    assert_eq!(summary_of(&unknown).verdict, Verdict::Problem);
}

#[test]
fn from_how_many_cores_on_an_app_is_judged_can_be_set() {
    let profile = profile("nanoseconds", &[GC, WORK, MORE_WORK]);
    // 0.05 cores.
    let time = Some(ObservedTime { seconds: 2_000.0, over: RateOver::Profiles });
    let (kind, facts) = (ProfileType::Cpu, SourceFacts::default());
    let subject = Subject { kind, profile: &profile, sample_type: 0, time, facts, top: 10 };
    let is_quiet = |quiet_cores| {
        let rules = Rules::of_settings(None, quiet_cores).unwrap();
        ProfileAssessment::of(&rules, &subject).is_quiet
    };
    assert_eq!([0.0, 0.05, 0.051, 8.0].map(is_quiet), [false, false, true, true]);
}

#[test]
fn quiet_beats_allocations_but_neither_locks_nor_broken_limits() {
    let quiet = cpu_over(2_000.0, RateOver::Profiles, &[WORK, MORE_WORK]);
    let of = |kind, unit, facts| assess_with(kind, unit, &[("main.main;main.a;sync.Lock", 900_000)], facts);
    let strings = [("main.main;main.a;runtime.concat", (1 << 30) + 1), ("main.main;main.b", 1 << 28)];
    let alloc = assess_with(ProfileType::Alloc, "bytes", &strings, SourceFacts::default());
    let lock = of(ProfileType::Lock, "nanoseconds", SourceFacts { contentions: Some(5_000), ..SourceFacts::default() });
    let with = |other: &ProfileAssessment, is_limit_broken| {
        let outcomes = [KindOutcome::Assessed(&quiet), KindOutcome::Assessed(other)];
        summarise("checkout", &outcomes, is_limit_broken).verdict
    };
    assert_eq!((with(&alloc, false), with(&lock, false)), (Verdict::Quiet, Verdict::Problem));
    assert_eq!(with(&alloc, true), Verdict::Problem);
}

#[test]
fn without_cores_an_app_whose_samples_are_idle_is_quiet() {
    let stacks = [("runtime.halt", 9_700), ("main.main;main.a", 150), ("main.main;main.b", 150)];
    let profile = profile("count", &stacks);
    let (kind, facts) = (ProfileType::Cpu, SourceFacts::default());
    let a =
        ProfileAssessment::of(&RULES, &Subject { kind, profile: &profile, sample_type: 0, time: None, facts, top: 1 });
    assert_eq!(summary_of(&a).verdict, Verdict::Quiet);
    assert!(summary_of(&a).headline.starts_with("checkout is nearly idle: 3.0 % of its samples are active"));
}

#[test]
fn one_function_of_the_application_can_be_the_program() {
    let a = cpu(&[("main.main;main.serve;main.crunch", 8_100), WORK, ("main.main;runtime.alloc", 600)]);
    let summary = summary_of(&a);
    assert_eq!(summary.verdict, Verdict::OwnCode);
    assert_eq!(
        summary.headline,
        "checkout uses 1.2 cores. One function is the program: main.crunch holds 69 % of it (68–70), and no other more \
         than 26 %; 11,700 samples, confidence high."
    );
}

#[rstest]
#[case::node(
    "/srv/src/cart.js:total",
    " What it calls of V8 itself, such as JSON.parse or sort, counts as its own here."
)]
#[case::python(
    "shop/cart.py:total",
    " What it calls that is written in C, such as a module or sort, counts as its own here."
)]
#[case::go("main.total", "and with how much.")]
fn native_code_that_has_no_frames_counts_as_the_functions_own(#[case] function: &str, #[case] end: &str) {
    let a = cpu(&[(function, 9_000), (&format!("{function};{function}2"), 1_000)]);
    assert_eq!(a.diagnosis.ground, Ground::OwnCode);
    assert!(a.diagnosis.recommendation.ends_with(end), "{}", a.diagnosis.recommendation);
}

#[test]
fn what_most_runs_beneath_can_be_the_program() {
    let a = cpu(&[
        ("main.main;main.search;main.a", 3_000),
        ("main.main;main.search;lib.b", 2_900),
        ("main.main;main.search;runtime.c", 2_600),
        ("main.main;main.other", 1_500),
    ]);
    let summary = summary_of(&a);
    assert_eq!((summary.verdict, a.diagnosis.function.as_deref()), (Verdict::OwnCode, Some("main.search")));
    assert!(summary.headline.contains("85 % of it (84–86) runs beneath main.search, most of all in main.a with 30 %"));
}

#[test]
fn a_library_is_not_the_applications_own_code() {
    let a = cpu(&[("main.main;lib.crunch", 9_000), WORK]);
    assert_eq!((a.diagnosis.ground, a.diagnosis.function.as_deref()), (Ground::Fallback, Some("lib.crunch")));
}

#[test]
fn where_nothing_stands_out_the_three_largest_categories_are_named() {
    let a = cpu(&[
        ("runtime.collector", 1_500),
        ("main.main;main.a;encoding/json.Encode", 1_400),
        ("main.main;main.a;net.Read", 1_300),
        ("main.main;main.a;runtime.alloc", 300),
        ("main.main;main.c", 2_700),
        ("main.main;main.d", 2_800),
    ]);
    assert_eq!(
        summary_of(&a).headline,
        "checkout uses 1.0 cores. No category surely passes its threshold. Largest: GC 15 % (20), serialization 14 % (20), \
         network I/O 13 % (25); the heaviest function is main.d with 28 % of it (27–29); 10,000 samples, confidence high."
    );
}

#[test]
fn an_inclusive_share_has_no_idle_ticks() {
    let a = cpu(&[("main.main;encoding/json.Encode;runtime.halt", 9_000), ("main.main;encoding/json.Encode", 1_000)]);
    assert_eq!(a.finding(Category::Serialization).unwrap().inclusive_percent, 100.0);
}

/// A cpu profile of an app that sends these kinds.
fn cpu_of(kinds: &[ProfileType], stacks: &[(&str, i64)]) -> ProfileAssessment {
    assess_with(ProfileType::Cpu, "nanoseconds", stacks, SourceFacts { kinds, ..SourceFacts::default() })
}

const LOCK: (&str, i64) = ("main.main;main.serve;sync.Lock", 5_000);

#[rstest]
#[case::not_known(&[], ".")]
#[case::neither(&[ProfileType::Cpu], ".")]
#[case::wall(&[ProfileType::Cpu, ProfileType::Wall], ": ask for types=wall to see that.")]
#[case::both(&[ProfileType::Lock, ProfileType::Wall], ": ask for types=wall or types=lock to see that.")]
fn advice_on_locks_asks_only_for_kinds_that_the_app_sends(#[case] kinds: &[ProfileType], #[case] end: &str) {
    let a = cpu_of(kinds, &[LOCK, WORK]);
    assert_eq!(a.diagnosis.name, "lock_contention");
    let said = format!("spinning and waking, not the wait itself{end}");
    assert!(a.diagnosis.recommendation.ends_with(&said), "{}", a.diagnosis.recommendation);
}

#[rstest]
#[case(&[ProfileType::Cpu], false)]
#[case(&[ProfileType::Cpu, ProfileType::Alloc], true)]
fn advice_on_the_collector_asks_for_alloc_only_if_the_app_sends_it(#[case] kinds: &[ProfileType], #[case] asks: bool) {
    let mut judged = Arc::new(cpu_of(kinds, &[GC, WORK, MORE_WORK]));
    name_allocators(&mut judged, None);
    let finding = &judged.findings[0];
    assert_eq!(finding.recommendation.contains("types=cpu,alloc"), asks, "{}", finding.recommendation);
    assert_eq!(finding.steps.iter().any(|step| step.contains("alloc")), asks, "{:?}", finding.steps);
}

#[rstest]
#[case(&[ProfileType::Cpu], "it waits for something else than the processor.")]
#[case(&[ProfileType::Cpu, ProfileType::Wall], "than the processor. Ask for types=wall to see for what.")]
fn a_quiet_app_is_asked_for_wall_profiles_only_if_it_sends_them(#[case] kinds: &[ProfileType], #[case] end: &str) {
    let profile = profile("nanoseconds", &[GC, WORK, MORE_WORK]);
    let time = Some(ObservedTime { seconds: 2_000.0, over: RateOver::Profiles });
    let facts = SourceFacts { kinds, ..SourceFacts::default() };
    let kind = ProfileType::Cpu;
    let quiet =
        ProfileAssessment::of(&RULES, &Subject { kind, profile: &profile, sample_type: 0, time, facts, top: 10 });
    let recommendation = summary_of(&quiet).recommendation;
    assert!(recommendation.ends_with(end), "{recommendation}");
    // Where it was read, there is no need to ask.
    let wall = assess_with(ProfileType::Wall, "nanoseconds", &[("runtime.halt", 0)], SourceFacts::default());
    let outcomes = [KindOutcome::Assessed(&quiet), KindOutcome::Assessed(&wall)];
    assert!(!summarise("checkout", &outcomes, false).recommendation.contains("types="));
}

#[test]
fn advice_on_the_collector_names_who_allocates() {
    let stacks = [
        ("main.main;main.serve;main.cart;lib.copy", 600 << 20),
        ("main.main;main.serve;main.pay;runtime.concat", 300 << 20),
        ("main.main;main.serve;main.log", (100 << 20) + 1),
    ];
    let alloc = assess_with(ProfileType::Alloc, "bytes", &stacks, SourceFacts::default());
    let named = |alloc: Option<&ProfileAssessment>| {
        let mut judged = Arc::new(cpu_of(&[ProfileType::Cpu, ProfileType::Alloc], &[GC, WORK, MORE_WORK]));
        name_allocators(&mut judged, alloc);
        assert_eq!(judged.diagnosis.recommendation, judged.findings[0].recommendation);
        judged.diagnosis.recommendation.clone()
    };
    assert!(named(Some(&alloc)).ends_with(" 60 % is allocated in main.cart and 30 % in main.pay."));
    assert!(named(None).ends_with(" Ask for types=cpu,alloc to see which code allocates."));
    let mut without = Arc::new(cpu(&[WORK, MORE_WORK]));
    name_allocators(&mut without, None);
    assert!(!without.diagnosis.recommendation.contains("types="));
}

#[test]
fn where_no_function_is_heavy_the_one_that_most_comes_from_is_named() {
    let leaves: Vec<_> = (0..100)
        .map(|i| format!("main.main;main.{};lib.f{i}", if i < 45 { "load".to_owned() } else { format!("g{i}") }))
        .collect();
    let stacks: Vec<_> = leaves.iter().map(|stack| (stack.as_str(), 100)).collect();
    let a = cpu(&stacks);
    assert_eq!(a.diagnosis.ground, Ground::Fallback);
    let headline = summary_of(&a).headline;
    assert!(headline.contains("Nothing stands out; 45 % of it comes from main.load;"), "{headline}");
    assert!(a.diagnosis.recommendation.contains("45 % of it comes from main.load. Look at what that does."));
}

#[test]
fn cores_are_over_the_time_that_profiles_cover() {
    let of = |seconds, over| cpu_over(seconds, over, &[GC, WORK, MORE_WORK]);
    let one_minute = of(100.0, RateOver::Profiles);
    assert_eq!((one_minute.rate, one_minute.is_quiet), (Some(Rate::Cores(1.0)), false));
    // The same ticks in a window of an hour: nothing says that the app was idle for the rest of it.
    let one_hour = of(3_600.0, RateOver::Window);
    assert_eq!((one_hour.rate_over, one_hour.is_quiet), (Some(RateOver::Window), false));
    assert!(of(3_600.0, RateOver::Profiles).is_quiet);
}

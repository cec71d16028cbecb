use rstest::rstest;

use super::*;
use crate::verdict::reliability::LabelValue;

#[test]
fn one_function_that_grew_blames_no_other() {
    let (before, now) = (cpu(&busy("main;Cart.toJson 1000")), cpu(&busy("main;Cart.toJson 3500")));
    let comparison = compare(&before, &now);
    assert_eq!(significant(&comparison), [("Cart.toJson", ChangeVerdict::Regressed)]);
    assert_eq!(comparison.verdict, DiffVerdict::Regressions);
    let row = &comparison.rows[0];
    assert_eq!((row.percent.map(f64::round), row.adjusted_delta.round()), ([9.0, 26.0], 23.0));
    assert_eq!(row.samples, Some([1_000, 3_500]));
    assert_eq!(row.cores.map(|cores| cores.map(|c| (c * 1e4).round())), Some([28.0, 97.0]));
    assert!(row.min_detectable.is_some_and(|points| (3.6..3.7).contains(&points)), "{row:?}");
    assert_eq!(
        comparison.headline,
        "Load ×1.0; beyond that, one function grew: Cart.toJson from 9.1 to 25.9 % (+22.7 points)."
    );
    // By share, every steady function shrank by about a point.
    assert_eq!(comparison.rows.len(), 21);
}

#[test]
fn more_load_is_no_change() {
    let before = cpu(&busy("main;Cart.toJson 1000"));
    let text: String = (0..20).map(|i| format!("main;steady{i} 800\n")).collect();
    let now = cpu(&format!("{text}main;Cart.toJson 3000"));
    let comparison = compare(&before, &now);
    let load = comparison.load.unwrap();
    assert_eq!((load.factor, load.normalised, load.composition_changed), (1.6, true, false));
    assert_eq!(significant(&comparison), [("Cart.toJson", ChangeVerdict::Regressed)]);
    assert!(comparison.headline.starts_with("Load ×1.6; beyond that, one function grew: Cart.toJson"));
}

#[test]
fn the_load_is_told_per_second_where_windows_differ_in_length() {
    let profile = cpu(&busy(""));
    let short = Side { seconds: Some(1_800.0), ..side(&profile) };
    let compared =
        Compared { kind: ProfileType::Cpu, baseline: side(&profile), current: short, limits: &[], first_half: None };
    let comparison = Comparison::of(&compared);
    assert_eq!((comparison.load.unwrap().factor, comparison.load_per_second), (1.0, Some(2.0)));
    assert_eq!(comparison.headline, "Load ×2.0; beyond that, nothing changed.");
}

#[test]
fn few_functions_are_compared_by_the_ratio_of_totals() {
    let comparison = compare(&cpu("a 6000\nb 4000"), &cpu("a 6000\nb 14000"));
    let load = comparison.load.unwrap();
    assert_eq!((load.factor, load.normalised), (2.0, false));
    assert_eq!(significant(&comparison), [("a", ChangeVerdict::Improved), ("b", ChangeVerdict::Regressed)]);
}

#[test]
fn another_mixture_of_work_is_said() {
    let mixed =
        |scale: [i64; 3]| -> String { (0..21).map(|i| format!("main;f{i} {}\n", 500 * scale[i % 3])).collect() };
    let comparison = compare(&cpu(&mixed([1, 1, 1])), &cpu(&mixed([1, 2, 4])));
    assert!(comparison.load.unwrap().composition_changed);
    assert!(comparison.quality.iter().any(|note| note.code == QualityCode::CompositionChanged));
}

#[test]
fn few_samples_are_never_a_change() {
    let comparison = compare(&cpu("a 10\nb 9"), &cpu("a 1000\nb 9000"));
    assert_eq!(comparison.verdict, DiffVerdict::Inconclusive);
    assert!(comparison.rows.iter().all(|row| row.verdict == ChangeVerdict::Insufficient));
    assert_eq!(comparison.headline, "Only 19 samples were seen in the baseline window, too few to say what changed.");
    assert!(comparison.quality.iter().any(|note| note.code == QualityCode::FewSamples));
}

#[test]
fn ticks_that_cannot_be_counted_are_never_a_change() {
    let profile = |folded: &str| {
        read_folded(folded.as_bytes(), SampleType::new("delay", "nanoseconds"), &ReadLimits::default()).unwrap()
    };
    let (before, now) = (profile("a 100000\nb 900000"), profile("a 500000\nb 500000"));
    let kind = ProfileType::Lock;
    let compared = Compared { kind, baseline: side(&before), current: side(&now), limits: &[], first_half: None };
    let comparison = Comparison::of(&compared);
    assert_eq!(comparison.verdict, DiffVerdict::Inconclusive);
    assert_eq!(comparison.rows[0].min_detectable, None);
    // The source's own count makes them comparable.
    let counted =
        |profile| Side { facts: SourceFacts { contentions: Some(10_000), ..SourceFacts::default() }, ..side(profile) };
    let (baseline, current) = (counted(&before), counted(&now));
    let comparison = Comparison::of(&Compared { baseline, current, ..compared });
    assert_eq!(comparison.verdict, DiffVerdict::Regressions);
}

#[rstest]
#[case("", "a 100", [true, false], "No profile arrived in the baseline window: nothing can be compared.")]
#[case("a 100", "", [false, true], "No profile arrived in the current window: nothing can be compared.")]
#[case("", "", [true, true], "No profile arrived in either window: nothing can be compared.")]
fn an_empty_window_is_no_improvement(
    #[case] before: &str,
    #[case] now: &str,
    #[case] missing: [bool; 2],
    #[case] headline: &str,
) {
    let (before, now) = (cpu(before), cpu(now));
    let comparison = compare_with(&before, &now, &[limit("a", 1.0)]);
    assert_eq!((comparison.verdict, comparison.missing), (DiffVerdict::NoData, missing));
    assert_eq!((comparison.rows.len(), comparison.headline.as_str()), (0, headline));
    assert_eq!((comparison.breaches.len(), comparison.limits_not_seen), (0, vec!["a".to_owned()]));
}

#[test]
fn different_sample_types_are_not_compared() {
    let bytes = read_folded(b"a 100", SampleType::new("alloc_space", "bytes"), &ReadLimits::default()).unwrap();
    let comparison = compare(&cpu("a 100"), &bytes);
    assert_eq!((comparison.verdict, comparison.missing), (DiffVerdict::NoData, [false, false]));
    assert_eq!(comparison.headline, "The windows have no sample type in common: nothing can be compared.");
}

#[test]
fn spellings_and_counters_of_one_function_are_joined() {
    let before = cpu(&busy("main;com/example/Cart$$Lambda$14/0x00007f.run 600\nmain;java/util/HashMap.resize 400"));
    let now = cpu(&busy(
        "main;com/example/Cart$$Lambda$15/0x00008f.run 350\nmain;com/example/Cart$$Lambda$16/0x0a.run 250\n\
         main;java.util.HashMap.resize 400",
    ));
    let comparison = compare(&before, &now);
    assert_eq!((verdicts(&comparison), comparison.functions), (vec![], 23));
}

#[test]
fn a_limit_speaks_of_every_function_whatever_its_change() {
    let before = cpu(&busy("main;java/util/HashMap.resize 1000\nmain;parse 1000"));
    let now = cpu(&busy("main;java/util/HashMap.resize 3000\nmain;parse 1000"));
    let limits =
        [limit("java.util.HashMap.resize", 5.0), limit("parse", 5.0), limit("gone", 1.0), limit("steady1", 50.0)];
    let comparison = compare_with(&before, &now, &limits);
    let breaches: Vec<_> = comparison.breaches.iter().map(|b| b.function.as_str()).collect();
    assert_eq!(breaches, ["java/util/HashMap.resize", "parse"]);
    assert_eq!(comparison.limits_not_seen, ["gone"]);
    assert_eq!((comparison.rows[0].limit, comparison.rows[0].percent[1].round()), (Some(5.0), 21.0));
}

#[test]
fn a_change_of_exactly_a_tenth_of_a_point_does_not_count() {
    let row = |before: i64, now: i64| {
        let text = |n: i64| format!("{}rest {}", (0..9).map(|i| format!("f{i} 1000\n")).collect::<String>(), n);
        let (before, now) =
            (format!("{}\na {}", text(991_000 - before), before), format!("{}\na {}", text(991_000 - now), now));
        compare(&cpu(&before), &cpu(&now)).rows.iter().any(|row| row.function == "a")
    };
    assert!(!row(1_000, 2_000));
    assert!(row(1_000, 2_001));
}

#[test]
fn the_apps_own_noise_is_measured_and_keeps_small_changes_out_of_the_headline() {
    let half =
        |n: i64| (0..20).map(|i| format!("main;steady{i} {}\n", if i == 0 { n } else { 250 })).collect::<String>();
    let (whole, now) = (of_halves(&half(150), &half(350)), cpu(&busy("main;new 500")));
    let against = |now| {
        let (baseline, current) = (side(&whole), side(now));
        Comparison::of(&Compared { kind: ProfileType::Cpu, baseline, current, limits: &[], first_half: Some(1) })
    };
    let comparison = against(&now);
    let noise = comparison.own_noise.unwrap();
    assert_eq!((noise.rows, (noise.largest_points * 100.0).round()), (1, 408.0));
    assert_eq!(significant(&comparison), [("new", ChangeVerdict::Regressed)]);
    assert!(comparison.headline.starts_with("Load ×1.0; beyond that, one function grew: new"));
    let small = cpu(&busy("main;new 350"));
    let comparison = against(&small);
    assert_eq!(significant(&comparison), [("new", ChangeVerdict::Regressed)]);
    assert_eq!(comparison.headline, "Load ×1.0; beyond that, nothing changed by more than this app's own noise.");
}

#[rstest]
#[case((60, 60), (60, 60), 0)]
#[case((60, 60), (49, 60), 0)]
#[case((60, 60), (47, 60), 2)]
#[case((50, 60), (47, 60), 1)]
fn windows_of_unlike_coverage_are_said(#[case] before: (u32, u32), #[case] now: (u32, u32), #[case] notes: usize) {
    let profile = cpu(&busy(""));
    let covered =
        |coverage| Side { facts: SourceFacts { coverage: Some(coverage), ..SourceFacts::default() }, ..side(&profile) };
    let (baseline, current) = (covered(before), covered(now));
    let comparison =
        Comparison::of(&Compared { kind: ProfileType::Cpu, baseline, current, limits: &[], first_half: None });
    let partial = comparison.quality.iter().filter(|note| note.code == QualityCode::PartialCoverage);
    assert_eq!(partial.count(), notes, "{:?}", comparison.quality);
}

#[test]
fn weaknesses_name_their_window() {
    let profile = cpu(&busy(""));
    let mixed = Side {
        facts: SourceFacts {
            populations: vec![LabelValue { label: "env", value: "prod", ticks: None }],
            ..SourceFacts::default()
        },
        ..side(&profile)
    };
    let compared =
        Compared { kind: ProfileType::Cpu, baseline: side(&profile), current: mixed, limits: &[], first_half: None };
    let quality = Comparison::of(&compared).quality;
    assert_eq!(quality.len(), 1);
    assert!(quality[0].detail.starts_with("current window: the window mixes env=\"prod\""), "{quality:?}");
}

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
        "0.03 → 0.04 cores, load ×1.0; beyond that, one function grew: Cart.toJson from 9.1 to 31.8 % at the \
         baseline's load (+22.7 points)."
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
    let opening = "0.03 → 0.05 cores, load ×1.6; beyond that, one function grew: Cart.toJson";
    assert!(comparison.headline.starts_with(opening), "{}", comparison.headline);
}

#[test]
fn the_load_is_told_per_second_where_windows_differ_in_length() {
    let profile = cpu(&busy(""));
    let short = Side { seconds: Some(1_800.0), ..side(&profile) };
    let comparison = Comparison::of(&of_sides(side(&profile), short));
    assert_eq!((comparison.load.unwrap().factor, comparison.load_per_second), (1.0, Some(2.0)));
    assert_eq!(comparison.headline, "0.03 → 0.06 cores, load ×2.0; beyond that, nothing changed.");
}

#[test]
fn few_functions_change_only_where_both_share_and_rate_do() {
    let comparison = compare(&cpu("a 6000\nb 4000"), &cpu("a 6000\nb 14000"));
    let load = comparison.load.unwrap();
    assert_eq!((load.factor, load.normalised), (2.0, false));
    // By share, a shrank by 30 points; it takes as much per second as before.
    assert_eq!(significant(&comparison), [("b", ChangeVerdict::Regressed)]);
    assert!(comparison.headline.contains("in all ×2.0; beyond that, one function grew: b"), "{}", comparison.headline);
    // Three times the load is more of everything.
    let comparison = compare(&cpu("a 6000\nb 4000"), &cpu("a 18000\nb 12000"));
    assert_eq!((significant(&comparison), comparison.verdict), (vec![], DiffVerdict::NoRegressions));
}

#[rstest]
#[case::of_equal_length(Some(3_600.0), ChangeVerdict::Improved)]
#[case::of_unknown_length(None, ChangeVerdict::Improved)]
#[case::half_as_long(Some(1_800.0), ChangeVerdict::Noise)]
fn the_rate_of_few_functions_is_per_second_of_window(#[case] seconds: Option<f64>, #[case] expected: ChangeVerdict) {
    // By share, a shrank by 17 points; over half the time, half the ticks are the same rate.
    let (before, now) = (cpu("a 6000\nb 4000"), cpu("a 3000\nb 4000"));
    let comparison = Comparison::of(&of_sides(side(&before), Side { seconds, ..side(&now) }));
    let of = |name: &str| comparison.rows.iter().find(|row| row.function == name).map(|row| row.verdict);
    assert_eq!(of("a"), Some(expected), "{comparison:?}");
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
    assert_eq!(comparison.verdict, DiffVerdict::Insufficient);
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
    let compared = Compared { kind, ..of_sides(side(&before), side(&now)) };
    let comparison = Comparison::of(&compared);
    assert_eq!(comparison.verdict, DiffVerdict::Insufficient);
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
    let against = |now| Comparison::of(&Compared { first_half: Some(1), ..of_sides(side(&whole), side(now)) });
    let comparison = against(&now);
    let noise = comparison.own_noise.unwrap();
    assert_eq!((noise.rows, (noise.largest_points * 100.0).round()), (1, 408.0));
    assert_eq!(significant(&comparison), [("new", ChangeVerdict::Regressed)]);
    assert!(comparison.headline.contains("load ×1.0; beyond that, one function grew: new"), "{}", comparison.headline);
    let small = cpu(&busy("main;new 350"));
    let comparison = against(&small);
    assert_eq!(significant(&comparison), [("new", ChangeVerdict::Regressed)]);
    let ending = "load ×1.0; beyond that, nothing changed by more than this app's own noise.";
    assert!(comparison.headline.ends_with(ending), "{}", comparison.headline);
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
    let comparison = Comparison::of(&of_sides(baseline, current));
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
    let quality = Comparison::of(&of_sides(side(&profile), mixed)).quality;
    assert_eq!(quality.len(), 1);
    assert!(quality[0].detail.starts_with("current window: the window mixes env=\"prod\""), "{quality:?}");
}

#[rstest]
#[case::two_hundred_samples(10, 10, 20)]
#[case::one_side_of_two_hundred(10, 100, 20)]
#[case::four_hundred_of_many_light_functions(20, 20, 20)]
fn what_could_not_be_seen_is_not_nothing_changed(#[case] before: i64, #[case] now: i64, #[case] functions: i64) {
    let window = |n: i64| cpu(&(0..functions).map(|i| format!("main;f{i} {n}\n")).collect::<String>());
    let comparison = compare(&window(before), &window(now));
    assert_eq!((significant(&comparison), comparison.verdict), (vec![], DiffVerdict::Insufficient));
    let points = comparison.smallest_visible.unwrap();
    let told = format!("No change is more than chance, but one under {points:.0} points would not have shown");
    assert!(comparison.headline.contains(&told), "{}", comparison.headline);
}

#[test]
fn many_samples_without_a_change_say_that_nothing_changed() {
    let comparison = compare(&cpu(&busy("")), &cpu(&busy("")));
    assert_eq!(comparison.verdict, DiffVerdict::NoRegressions);
    // 3.3·√(1.5·p(1−p)(2/n)) for p = 1/20, n = 10,000.
    assert_eq!(comparison.smallest_visible.map(|points| (points * 100.0).round()), Some(125.0));
}

#[test]
fn rows_of_a_runtime_or_a_library_are_one_group_and_never_first_in_the_headline() {
    let before = cpu(&busy(
        "main;shop.(*Cart).Sum 1000\nmain;runtime.mallocgc 1000\nmain;runtime.scanobject 3000\n\
         main;github.com/klauspost/compress/zstd.(*Decoder).Reset 400",
    ));
    let now = cpu(&busy(
        "main;shop.(*Cart).Sum 1600\nmain;runtime.mallocgc 3000\nmain;runtime.scanobject 4200\n\
         main;github.com/klauspost/compress/zstd.(*Decoder).Reset 900",
    ));
    let comparison = compare(&before, &now);
    let groups: Vec<_> = comparison.groups.iter().map(|group| (group.of.name.as_str(), group.functions)).collect();
    assert_eq!(groups, [("Go runtime", 2), ("github.com/klauspost/compress", 1)]);
    let [runtime, _] = comparison.groups.as_slice() else { panic!("{:?}", comparison.groups) };
    let of_runtime = comparison.rows.iter().filter(|row| row.group.as_ref() == Some(&runtime.of));
    let sum: f64 = of_runtime.map(|row| row.adjusted_delta).sum();
    assert!((runtime.adjusted_delta - sum).abs() < 1e-9);
    assert!(
        comparison.headline.ends_with(
            "one function grew: shop.(*Cart).Sum from 6.5 to 10.4 % at the baseline's load (+3.9 points); Go runtime: 2 \
             functions, +20.8 points, and github.com/klauspost/compress: 1 function, +3.2 points."
        ),
        "{}",
        comparison.headline
    );
}

#[test]
fn a_runtime_alone_is_no_change_of_the_application() {
    let comparison = compare(&cpu(&busy("main;runtime.mallocgc 500")), &cpu(&busy("main;runtime.mallocgc 2500")));
    assert!(
        comparison.headline.contains("no function of the application changed; Go runtime: 1 function, +19.0 points."),
        "{}",
        comparison.headline
    );
}

#[test]
fn the_versions_of_a_library_are_those_of_its_files() {
    let profile = |version: &str, samples: i64| {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        let steady: Vec<_> = (0..20).map(|i| builder.function(&format!("main.steady{i}"), "main.go")).collect();
        for function in steady {
            builder.add([function], &[5_000_000_000]);
        }
        let file = format!("/go/pkg/mod/github.com/lib/pq@{version}/conn.go");
        let query = builder.function("github.com/lib/pq.(*conn).query", &file);
        builder.add([query], &[samples * 10_000_000]);
        builder.build()
    };
    let comparison = compare(&profile("v1.10.2", 500), &profile("v1.10.9", 2_500));
    let [group] = comparison.groups.as_slice() else { panic!("{:?}", comparison.groups) };
    assert_eq!(group.of.versions.clone().map(Option::unwrap), ["v1.10.2", "v1.10.9"]);
}

#[test]
fn a_significant_row_names_its_two_largest_callers() {
    let before = cpu(&busy("main;a;hot 100\nmain;b;hot 100\nmain;c;hot 100"));
    let now = cpu(&busy("main;a;hot 2000\nmain;b;hot 700\nmain;c;hot 300"));
    let comparison = compare(&before, &now);
    let callers: Vec<_> =
        comparison.rows[0].callers.iter().map(|(name, share)| (name.as_str(), share.round())).collect();
    assert_eq!((comparison.rows[0].function.as_str(), callers), ("hot", vec![("a", 67.0), ("b", 23.0)]));
    assert!(comparison.rows.iter().filter(|row| !row.is_significant()).all(|row| row.callers.is_empty()));
}

#[test]
fn the_headline_begins_with_what_both_windows_used() {
    let bytes = |n: i64| {
        let text: String = (0..20).map(|i| format!("main;f{i} {}\n", n * 524_288)).collect();
        read_folded(text.as_bytes(), SampleType::new("alloc_space", "bytes"), &ReadLimits::default()).unwrap()
    };
    let (before, now) = (bytes(500), bytes(1_000));
    let counted =
        |profile| Side { facts: SourceFacts { sample_count: Some(20_000), ..SourceFacts::default() }, ..side(profile) };
    let compared = Compared { kind: ProfileType::Alloc, ..of_sides(counted(&before), counted(&now)) };
    assert_eq!(Comparison::of(&compared).headline, "1.5 → 2.9 MB/s, load ×2.0; beyond that, nothing changed.");
}

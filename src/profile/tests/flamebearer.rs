#![expect(clippy::needless_pass_by_value, reason = "`json!` values read better as they are")]

use rstest::rstest;
use serde_json::json;

use super::folded;
use crate::profile::{
    FlamebearerFile, LimitName, ProfileBuilder, ReadError, ReadLimits, SampleType, read_flamebearer, write_flamebearer,
};

fn document(format: &str, names: serde_json::Value, levels: serde_json::Value) -> Vec<u8> {
    let metadata =
        json!({"format": format, "spyName": "", "sampleRate": 1_000_000_000, "units": "samples", "name": "cpu"});
    let flamebearer = json!({"names": names, "levels": levels, "numTicks": 0, "maxSelf": 0});
    serde_json::to_vec(&json!({"version": 1, "flamebearer": flamebearer, "metadata": metadata, "timeline": null}))
        .unwrap()
}

fn read(format: &str, names: serde_json::Value, levels: serde_json::Value) -> Result<FlamebearerFile, ReadError> {
    read_flamebearer(&document(format, names, levels), &ReadLimits::default())
}

#[test]
fn reads_delta_encoded_levels() {
    let levels = json!([[0, 4, 0, 0], [0, 4, 0, 1], [0, 1, 0, 4, 0, 3, 2, 2], [0, 1, 1, 5, 2, 1, 1, 3]]);
    let file = read("single", json!(["total", "a", "c", "d", "b", "e"]), levels).unwrap();
    assert_eq!(folded(&file.profile), ["a;c [2]", "a;b;e [1]", "a;c;d [1]"]);
    assert_eq!(file.profile.sample_types(), [SampleType::new("cpu", "nanoseconds")]);
    assert_eq!((file.truncated_ticks, file.baseline.is_none(), file.sample_rate), (0, true, 1_000_000_000));
}

#[test]
fn reads_both_sides_of_a_double_one() {
    let levels = json!([[0, 3, 0, 0, 12, 0, 0], [0, 3, 0, 0, 12, 0, 1], [0, 1, 1, 0, 4, 4, 3, 0, 2, 2, 0, 8, 8, 2]]);
    let file = read("double", json!(["total", "a", "c", "b"]), levels).unwrap();
    assert_eq!(folded(&file.profile), ["a;b [4]", "a;c [8]"]);
    assert_eq!(folded(&file.baseline.unwrap().profile), ["a;b [1]", "a;c [2]"]);
}

#[test]
fn finds_parents_of_frames_that_only_one_side_has() {
    let levels = json!([
        [0, 5, 0, 0, 5, 0, 0],
        [0, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 5, 0, 2],
        [0, 5, 5, 0, 0, 0, 3, 0, 0, 0, 0, 5, 5, 4]
    ]);
    let file = read("double", json!(["total", "old", "new", "x", "y"]), levels).unwrap();
    assert_eq!(folded(&file.profile), ["new;y [5]"]);
    assert_eq!(folded(&file.baseline.unwrap().profile), ["old;x [5]"]);
}

#[test]
fn counts_what_was_cut_off() {
    let levels = json!([[0, 10, 0, 0], [0, 4, 4, 1, 0, 6, 1, 2], [5, 5, 5, 1]]);
    let file = read("single", json!(["total", "other", "a"]), levels).unwrap();
    assert_eq!(folded(&file.profile), ["other [4]", "a [1]", "a;other [5]"]);
    assert_eq!(file.truncated_ticks, 9);
}

#[rstest]
#[case::v2("single", json!(["total"]), json!([[0, 0, 0, 0]]))]
#[case::nil("single", json!(null), json!([]))]
#[case::null_levels("single", json!([]), json!(null))]
#[case::double("double", json!(["total"]), json!([[0, 0, 0, 0, 0, 0, 0]]))]
fn no_data_is_an_empty_profile(
    #[case] format: &str,
    #[case] names: serde_json::Value,
    #[case] levels: serde_json::Value,
) {
    let file = read(format, names, levels).unwrap();
    assert_eq!((file.profile.stack_count(), file.baseline.is_some()), (0, format == "double"));
}

#[test]
fn a_null_or_empty_name_is_unknown_and_nodes_without_ticks_are_nothing() {
    let levels = json!([[0, 3, 0, 0], [0, 3, 1, 1, 0, 0, 0, 2], [1, 2, 2, 2, 0, 0, 0, 1]]);
    let file = read("single", json!(["total", null, ""]), levels).unwrap();
    assert_eq!(folded(&file.profile), ["[unknown] [1]", "[unknown];[unknown] [2]"]);
}

#[test]
fn ticks_of_the_root_itself_are_a_stack_without_frames() {
    let file = read("single", json!(["total", "a"]), json!([[0, 5, 2, 0], [2, 3, 3, 1]])).unwrap();
    assert_eq!(folded(&file.profile), [" [2]", "a [3]"]);
}

#[rstest]
#[case("allocs", "objects", 100, "count")]
#[case("alloc_space", "bytes", 100, "bytes")]
#[case("cpu", "samples", 100, "count")]
fn units_are_those_of_the_values(#[case] name: &str, #[case] units: &str, #[case] rate: i64, #[case] unit: &str) {
    let metadata = json!({"format": "single", "sampleRate": rate, "units": units, "name": name});
    let document = json!({"flamebearer": {"names": ["total"], "levels": []}, "metadata": metadata});
    let file = read_flamebearer(&serde_json::to_vec(&document).unwrap(), &ReadLimits::default()).unwrap();
    assert_eq!(file.profile.sample_types(), [SampleType::new(name, unit)]);
}

#[rstest]
#[case::no_whole_node(json!([[0, 3, 0]]), "a level that is no whole number of nodes")]
#[case::outside(json!([[0, 3, 0, 0], [2, 3, 0, 1]]), "a node outside its parent")]
#[case::no_parent(json!([[], [0, 3, 3, 1]]), "a node outside its parent")]
#[case::negative(json!([[0, 3, 0, 0], [-1, 3, 0, 1]]), "a node with numbers that make no span")]
#[case::self_over_total(json!([[0, 3, 4, 0]]), "a node with numbers that make no span")]
#[case::overflow(json!([[i64::MAX, 3, 0, 0]]), "a node with numbers that make no span")]
#[case::name(json!([[0, 3, 0, 0], [0, 3, 3, 7]]), "no name 7")]
#[case::negative_name(json!([[0, 3, 0, 0], [0, 3, 3, -1]]), "no name -1")]
#[case::kind(json!({"a": 1}), "no flame graph JSON")]
fn says_what_cannot_be_read(#[case] levels: serde_json::Value, #[case] expected: &str) {
    let error = read("single", json!(["total", "a"]), levels).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn an_unknown_format_and_other_json_are_refused() {
    let error = read("triple", json!([]), json!([])).unwrap_err().to_string();
    assert!(error.contains("no flame graph has the format \"triple\""), "{error}");
    assert!(read_flamebearer(b"{\"a\":1}", &ReadLimits::default()).is_err());
}

#[test]
fn names_the_limit_that_was_passed() {
    let limits = ReadLimits { stack: 2, samples: 2, frames: 3, name: 4, ..ReadLimits::default() };
    let passed = |names: serde_json::Value, levels| match read_flamebearer(&document("single", names, levels), &limits)
    {
        Err(ReadError::Limit { limit, .. }) => limit,
        other => panic!("{other:?}"),
    };
    let names = || json!(["total", "a", "longer"]);
    let deep = json!([[0, 1, 0, 0], [0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1]]);
    assert_eq!(passed(names(), deep), LimitName::Stack);
    assert_eq!(passed(names(), json!([[0, 3, 0, 0], [0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1]])), LimitName::Samples);
    let wide = json!([[0, 2, 0, 0], [0, 1, 0, 1, 0, 1, 0, 1], [0, 1, 1, 1, 0, 1, 1, 1]]);
    assert_eq!(passed(names(), wide), LimitName::Frames);
    assert_eq!(passed(names(), json!([[0, 1, 0, 0], [0, 1, 1, 2]])), LimitName::Name);
}

#[test]
fn writes_what_pyroscope_writes() {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(|name| builder.function(name, ""));
    builder.add([e, b, a], &[1]);
    builder.add([c, a], &[2]);
    builder.add([d, c, a], &[1]);
    let written = write_flamebearer(&builder.build(), 0).unwrap();
    let expected = json!({
        "version": 1,
        "flamebearer": {
            "names": ["total", "a", "b", "c", "e", "d"],
            "levels": [[0, 4, 0, 0], [0, 4, 0, 1], [0, 1, 0, 2, 0, 3, 2, 3], [0, 1, 1, 4, 2, 1, 1, 5]],
            "numTicks": 4, "maxSelf": 2,
        },
        "metadata": {"format": "single", "spyName": "", "sampleRate": 1_000_000_000, "units": "samples", "name": "cpu"},
        "timeline": null, "groups": null, "heatmap": null,
    });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), expected);
}

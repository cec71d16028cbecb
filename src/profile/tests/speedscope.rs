use rstest::rstest;
use serde_json::{Value, json};

use super::folded;
use crate::profile::{LimitName, Profile, ReadError, ReadLimits, SampleType, read_speedscope};

fn file(profiles: &Value) -> Vec<u8> {
    let frames = json!([{"name": "main", "file": "app.py", "line": 3}, {"name": "work"}, {"name": "", "file": null}]);
    let whole = json!({
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "profiles": profiles, "shared": {"frames": frames}, "activeProfileIndex": null,
    });
    whole.to_string().into_bytes()
}

fn read(profiles: &Value) -> Result<Profile, ReadError> {
    read_speedscope(&file(profiles), &ReadLimits::default())
}

fn sampled(unit: &str, samples: &Value, weights: &Value) -> Value {
    json!({"type": "sampled", "name": "thread", "unit": unit, "startValue": 0, "endValue": 9, "samples": samples, "weights": weights})
}

fn evented(unit: &str, events: &[(&str, f64, u32)]) -> Value {
    let events: Vec<_> = events.iter().map(|(t, at, frame)| json!({"type": t, "at": at, "frame": frame})).collect();
    json!({"type": "evented", "name": "thread", "unit": unit, "startValue": 10, "endValue": 20, "events": events})
}

#[rstest]
#[case("none", "samples:", 3)]
#[case("nanoseconds", "duration:nanoseconds", 3)]
#[case("microseconds", "duration:nanoseconds", 3_000)]
#[case("milliseconds", "duration:nanoseconds", 3_000_000)]
#[case("seconds", "duration:nanoseconds", 3_000_000_000)]
#[case("bytes", "bytes:bytes", 3)]
fn reads_each_unit(#[case] unit: &str, #[case] expected: &str, #[case] value: i64) {
    let profile = read(&json!([sampled(unit, &json!([[0, 1], [0]]), &json!([3, 0]))])).unwrap();
    let [SampleType { name, unit }] = profile.sample_types() else { panic!("one sample type") };
    assert_eq!((format!("{name}:{unit}").as_str(), folded(&profile)), (expected, vec![format!("main;work [{value}]")]));
    let main = profile.function_ids().next().unwrap();
    assert_eq!((profile.function(main), profile.line(main)), (("main", "app.py"), Some(3)));
}

#[test]
fn profiles_of_one_file_are_added_up_by_what_they_count() {
    let profiles = json!([
        sampled("seconds", &json!([[0]]), &json!([0.5])),
        sampled("bytes", &json!([[0, 1]]), &json!([100])),
        evented("milliseconds", &[("O", 10.0, 0), ("O", 12.0, 2), ("C", 15.0, 2)]),
    ]);
    let profile = read(&profiles).unwrap();
    let types: Vec<_> = profile.sample_types().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(types, ["duration", "bytes"]);
    let expected = [
        "main [500000000, 0]",
        "main;work [0, 100]",
        "main [2000000, 0]",
        "main;[unknown] [3000000, 0]",
        "main [5000000, 0]",
    ];
    assert_eq!(folded(&profile), expected);
}

#[test]
fn fractions_add_up() {
    let samples = json!(vec![json!([0]); 10]);
    let profile = read(&json!([sampled("none", &samples, &json!(vec![0.25; 10]))])).unwrap();
    assert_eq!(profile.total(0), 3);
}

#[test]
fn no_profiles_are_an_empty_profile() {
    assert_eq!(read(&json!([])).unwrap().stack_count(), 0);
    assert_eq!(read(&Value::Null).unwrap().stack_count(), 0);
}

#[rstest]
#[case(json!([sampled("none", &json!([[3]]), &json!([1]))]), "frame 3 of 3 frames (at 0)")]
#[case(json!([sampled("none", &json!([[-1]]), &json!([1]))]), "not the JSON that it should be: invalid value")]
#[case(json!([sampled("none", &json!([[0], [0]]), &json!([1]))]), "a sample without a weight of 0 or more (at 1)")]
#[case(json!([sampled("none", &json!([[0]]), &json!([-1]))]), "a sample without a weight of 0 or more (at 0)")]
#[case(json!([sampled("none", &json!([[0]]), &json!([1, 1]))]), "a weight without a sample (at 1)")]
#[case(json!([sampled("none", &json!([[0]]), &json!([1e300]))]), "a sum that does not fit (at 0)")]
#[case(json!([sampled("fortnights", &json!([[0]]), &json!([1]))]), "unknown variant `fortnights`")]
#[case(json!([{"type": "sampled", "unit": "none"}]), "without samples and weights")]
#[case(json!([{"type": "evented", "unit": "none"}]), "without events")]
#[case(json!([{"type": "waterfall", "unit": "none"}]), "unknown variant `waterfall`")]
#[case(json!([evented("none", &[("O", 10.0, 0), ("C", 9.0, 0)])]), "an event before the one that comes first (at 1)")]
#[case(json!([evented("none", &[("C", 10.0, 0)])]), "the end of a frame that is not the last (at 0)")]
#[case(json!([evented("none", &[("O", 30.0, 0)])]), "an end before the last event")]
#[case(json!([evented("none", &[("X", 10.0, 0)])]), "unknown variant `X`")]
#[case(json!(7), "invalid type: integer `7`, expected a list")]
#[case(
    json!([sampled("none", &json!([[0]]), &json!([9e18])), sampled("none", &json!([[0]]), &json!([9e18]))]),
    "add up to more than a 64-bit integer"
)]
fn says_what_cannot_be_read(#[case] profiles: Value, #[case] expected: &str) {
    let error = read(&profiles).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case(json!([sampled("none", &json!([[0], [0], [0]]), &json!([1, 1, 1]))]), LimitName::Samples)]
#[case(json!([sampled("none", &json!([[0, 0, 0, 0]]), &json!([1]))]), LimitName::Stack)]
#[case(json!([sampled("none", &json!([[0, 0, 0], [0, 0, 0]]), &json!([1, 1]))]), LimitName::Frames)]
#[case(json!([evented("none", &[("O", 10.0, 0), ("O", 10.0, 0), ("O", 10.0, 0), ("O", 10.0, 0)])]), LimitName::Stack)]
fn names_the_limit_that_was_passed(#[case] profiles: Value, #[case] expected: LimitName) {
    let limits = ReadLimits { samples: 2, stack: 3, frames: 5, ..ReadLimits::default() };
    let error = read_speedscope(&file(&profiles), &limits).unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
    for (limits, expected) in
        [(ReadLimits { symbols: 2, ..limits }, LimitName::Symbols), (ReadLimits { name: 5, ..limits }, LimitName::Name)]
    {
        let error = read_speedscope(&file(&json!([])), &limits).unwrap_err();
        assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
    }
}

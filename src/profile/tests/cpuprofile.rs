use rstest::rstest;
use serde_json::{Value, json};

use super::folded;
use crate::profile::{LimitName, Profile, ReadError, ReadLimits, read_cpuprofile};

fn node(id: u32, name: &str, line: i32, children: &[u32]) -> Value {
    let url = if name.starts_with('(') { "" } else { "file:///app/server.js" };
    let call_frame = json!({"functionName": name, "scriptId": "7", "url": url, "lineNumber": line, "columnNumber": 2});
    json!({"id": id, "callFrame": call_frame, "hitCount": id, "children": children})
}

fn nodes() -> Value {
    let nodes =
        [node(1, "(root)", -1, &[2, 3]), node(2, "(idle)", -1, &[]), node(3, "serve", 4, &[5]), node(5, "", 9, &[])];
    json!(nodes)
}

fn read(document: &Value) -> Result<Profile, ReadError> {
    read_cpuprofile(document.to_string().as_bytes(), &ReadLimits::default())
}

#[test]
fn a_sample_is_worth_the_time_until_the_next_one() {
    let document = json!({
        "nodes": nodes(), "startTime": 1_000, "endTime": 1_100,
        "samples": [2, 5, 3, 5, 1], "timeDeltas": [10, 20, 5, 5, 50],
    });
    let profile = read(&document).unwrap();
    let expected = ["(root) [10000]", "(idle) [20000]", "serve [5000]", "serve;(anonymous) [55000]"];
    assert_eq!(folded(&profile), expected);
    let types: Vec<_> = profile.sample_types().iter().map(|t| format!("{}:{}", t.name, t.unit)).collect();
    assert_eq!((types, profile.total(0)), (vec!["cpu:nanoseconds".to_owned()], 90_000));
    let lines: Vec<_> = profile.function_ids().map(|f| (profile.function(f), profile.line(f))).collect();
    assert_eq!(lines[2], (("serve", "file:///app/server.js"), Some(5)));
    assert_eq!(lines[0], (("(root)", ""), None));
}

#[test]
fn samples_out_of_order_are_put_in_order() {
    let document = json!({"nodes": nodes(), "samples": [2, 5, 3], "timeDeltas": [10, 20, -5]});
    let profile = read(&document).unwrap();
    // At 10, 30 and 25; the last has no end and lasts as long as the one before it.
    assert_eq!(folded(&profile), ["(idle) [15000]", "serve [5000]", "serve;(anonymous) [5000]"]);
}

#[rstest]
#[case(json!({"nodes": nodes()}), &["(root) [1]", "(idle) [2]", "serve [3]", "serve;(anonymous) [5]"])]
#[case(json!({"nodes": nodes(), "samples": [5, 5, 3]}), &["serve [1]", "serve;(anonymous) [2]"])]
#[case(json!({"nodes": [], "samples": [], "timeDeltas": []}), &[])]
fn without_times_samples_are_counted(#[case] document: Value, #[case] expected: &[&str]) {
    assert_eq!(folded(&read(&document).unwrap()), expected);
}

#[test]
fn a_node_may_name_its_parent() {
    let mut child = node(2, "work", 0, &[]);
    child["parent"] = json!(1);
    let document = json!({"nodes": [child, node(1, "main", 0, &[])], "samples": [2]});
    assert_eq!(folded(&read(&document).unwrap()), ["main;work [1]"]);
}

#[rstest]
#[case(json!({}), "no CPU profile of V8: missing field `nodes`")]
#[case(json!({"nodes": [{"id": 1}]}), "missing field `callFrame`")]
#[case(json!({"nodes": nodes(), "samples": [9]}), "no node has the id 9")]
#[case(json!({"nodes": [node(1, "a", 0, &[4])]}), "no node has the id 4")]
#[case(json!({"nodes": [node(1, "a", 0, &[]), node(1, "b", 0, &[])]}), "two nodes with the id 1")]
#[case(json!({"nodes": nodes(), "samples": [2], "timeDeltas": [1, 2]}), "a time that fits no sample (at 1)")]
#[case(json!({"nodes": nodes(), "samples": [2, 2], "timeDeltas": [1]}), "a sample without a time (at 1)")]
#[case(json!({"nodes": nodes(), "samples": [2], "timeDeltas": [1e300]}), "a time that fits no sample (at 0)")]
fn says_what_cannot_be_read(#[case] document: Value, #[case] expected: &str) {
    let error = read(&document).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_tree_that_goes_in_a_circle_ends_at_the_limit_of_a_stack() {
    let error = read(&json!({"nodes": [node(1, "a", 0, &[2]), node(2, "b", 0, &[1])]})).unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit: LimitName::Stack, .. }), "{error}");
}

#[rstest]
#[case(ReadLimits { samples: 2, ..ReadLimits::default() }, LimitName::Samples)]
#[case(ReadLimits { stack: 1, ..ReadLimits::default() }, LimitName::Stack)]
#[case(ReadLimits { frames: 3, ..ReadLimits::default() }, LimitName::Frames)]
#[case(ReadLimits { symbols: 3, ..ReadLimits::default() }, LimitName::Symbols)]
#[case(ReadLimits { name: 10, ..ReadLimits::default() }, LimitName::Name)]
fn names_the_limit_that_was_passed(#[case] limits: ReadLimits, #[case] expected: LimitName) {
    for samples in [json!([2, 3, 5]), Value::Null] {
        let document = json!({"nodes": nodes(), "samples": samples}).to_string();
        let error = read_cpuprofile(document.as_bytes(), &limits).unwrap_err();
        assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
    }
}

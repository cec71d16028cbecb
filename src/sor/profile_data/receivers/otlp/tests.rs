//! Requests of OpenTelemetry, read without a server.

use chrono::DateTime;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::kernel::Tenant;
use crate::profile::LimitName;
use crate::sor::profile_data::proto::otlp::v1::*;
use crate::sor::profile_data::receivers::reading::AcceptedTimes;
use crate::sor::profile_data::store::Pushed;

/// A string of the table below.
const fn text(index: i32) -> i32 {
    index
}

/// Two services; inlined functions, an address in a library, and a kernel function.
fn request() -> ExportProfilesServiceRequest {
    let strings = [
        "",
        "samples",
        "count",
        "cpu",
        "nanoseconds",
        "main",
        "inlined",
        "caller",
        "app.rs",
        "/usr/lib/libc.so.6",
        "tcp_sendmsg",
        "profile.frame.type",
        "kernel",
        "service.name",
        "billing",
        "env",
        "prod",
        "thread.name",
        "worker",
    ];
    let line = |function_index, line| Line { function_index, line };
    let function = |name, file, start_line| Function {
        name_strindex: name,
        filename_strindex: file,
        start_line,
        ..Function::default()
    };
    let location = |lines| Location { lines, ..Location::default() };
    let attribute = |key, value: &str| KeyValueAndUnit {
        key_strindex: key,
        value: Some(AnyValue { string_value: Some(value.to_owned()), ..AnyValue::default() }),
    };
    let in_table = |key, value| KeyValueAndUnit {
        key_strindex: key,
        value: Some(AnyValue { string_value_strindex: Some(value), ..AnyValue::default() }),
    };
    let dictionary = ProfilesDictionary {
        mapping_table: vec![Mapping::default(), Mapping { filename_strindex: text(9) }],
        location_table: vec![
            Location::default(),
            location(vec![line(1, 3)]),
            location(vec![line(2, 7), line(3, 8)]),
            Location { mapping_index: 1, ..Location::default() },
            Location { lines: vec![line(4, 0)], attribute_indices: vec![1], ..Location::default() },
        ],
        function_table: vec![
            Function::default(),
            function(5, 8, 2),
            function(6, 8, 0),
            function(7, 8, 0),
            function(10, 0, 0),
        ],
        string_table: strings.iter().map(|text| (*text).to_owned()).collect(),
        attribute_table: vec![
            KeyValueAndUnit::default(),
            in_table(11, 12),
            attribute(13, "billing"),
            attribute(15, "prod"),
            attribute(17, "worker"),
        ],
        stack_table: vec![
            Stack::default(),
            Stack { location_indices: vec![2, 1] },
            Stack { location_indices: vec![4, 3, 1] },
        ],
    };
    let sample = |stack_index, attributes: &[i32], values: &[i64], times: usize| Sample {
        stack_index,
        attribute_indices: attributes.to_vec(),
        values: values.to_vec(),
        timestamps_unix_nano: vec![1; times],
        ..Sample::default()
    };
    let profile = Profile {
        sample_type: Some(ValueType { type_strindex: 1, unit_strindex: 2 }),
        period_type: Some(ValueType { type_strindex: 3, unit_strindex: 4 }),
        period: 10,
        time_unix_nano: 1_795_176_000_000_000_000,
        duration_nano: 5_000_000_000,
        samples: vec![
            sample(1, &[4], &[], 3),
            sample(2, &[], &[2], 0),
            sample(2, &[2], &[1, 4], 2),
            sample(1, &[3, 4], &[1], 0),
        ],
    };
    let attribute = |key: &str, value| KeyValue { key: key.to_owned(), value: Some(value), key_strindex: 0 };
    let string = |text: &str| AnyValue { string_value: Some(text.to_owned()), ..AnyValue::default() };
    let attributes = vec![
        attribute("service.name", string("shop")),
        attribute("process.pid", AnyValue { int_value: Some(7), ..AnyValue::default() }),
        attribute("process.environment_variable.SECRET", string("x")),
        attribute("host.cpus", AnyValue { int_value: Some(8), ..AnyValue::default() }),
    ];
    ExportProfilesServiceRequest {
        resource_profiles: vec![ResourceProfiles {
            resource: Some(Resource { attributes }),
            scope_profiles: vec![ScopeProfiles { scope: None, profiles: vec![profile] }],
        }],
        dictionary: Some(dictionary),
    }
}

fn times() -> AcceptedTimes {
    AcceptedTimes { now: DateTime::from_timestamp(1_795_176_060, 0).unwrap(), retention: chrono::TimeDelta::days(7) }
}

fn ready(request: &ExportProfilesServiceRequest) -> Vec<Pushed> {
    let bytes = request.encode_to_vec();
    pushed(&Tenant::default(), read(&bytes, Encoding::Proto, &ReadLimits::default()).unwrap(), &bytes, times()).unwrap()
}

fn folded(pushed: &Pushed) -> Vec<String> {
    let line = |stack: crate::profile::Stack<'_>| {
        let names: Vec<_> = stack.frames.iter().rev().map(|f| pushed.profile.name(*f)).collect();
        format!("{} {}", names.join(";"), stack.values[0])
    };
    pushed.profile.stacks().map(line).collect()
}

fn labels(pushed: &Pushed) -> Vec<String> {
    pushed.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

#[test]
fn a_request_is_split_by_service_and_by_kept_labels() {
    let ready = ready(&request());
    let apps: Vec<_> = ready.iter().map(|p| (p.app.as_str(), labels(p), folded(p))).collect();
    let cpus = || "host.cpus=8".to_owned();
    let expected = [
        (
            "shop",
            vec![cpus()],
            vec!["main;caller;inlined 30".to_owned(), "main;[libc.so.6];tcp_sendmsg_[k] 20".to_owned()],
        ),
        ("billing", vec![cpus()], vec!["main;[libc.so.6];tcp_sendmsg_[k] 50".to_owned()]),
        ("shop", vec!["env=prod".to_owned(), cpus()], vec!["main;caller;inlined 10".to_owned()]),
    ];
    assert_eq!(apps, expected);
    let first = &ready[0];
    assert_eq!((first.name.as_str(), first.period, first.duration.num_seconds()), ("process_cpu", 10, 5));
    assert_eq!(first.sample_types[0].name, "cpu");
    assert_eq!(first.time.timestamp(), 1_795_176_000);
    let lines: Vec<_> = first.profile.function_ids().map(|f| (first.profile.name(f), first.profile.line(f))).collect();
    assert_eq!(lines[..3], [("inlined", Some(7)), ("caller", Some(8)), ("main", Some(2))]);
    assert!(ready.iter().all(|one| ready.iter().filter(|other| other.id == one.id).count() == 1));
}

#[rstest]
#[case(&[], "unknown_service")]
#[case(&[("process.executable.name", "java")], "unknown_service:java")]
#[case(&[("process.executable.name", "java"), ("service.name", "shop")], "shop")]
#[case(&[("service.name", "")], "unknown_service")]
fn a_resource_names_its_service(#[case] given: &[(&str, &str)], #[case] expected: &str) {
    let mut request = request();
    let value = |text: &str| Some(AnyValue { string_value: Some(text.to_owned()), ..AnyValue::default() });
    let attributes = given.iter().map(|(k, v)| KeyValue { key: (*k).to_owned(), value: value(v), key_strindex: 0 });
    request.resource_profiles[0].resource = Some(Resource { attributes: attributes.collect() });
    assert_eq!(ready(&request)[0].app.as_str(), expected);
}

#[test]
fn json_says_the_same_as_protobuf() {
    let document = json!({
        "resourceProfiles": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}], "droppedAttributesCount": 0},
            "scopeProfiles": [{"scope": {"name": "agent", "attributes": [{"keyStrindex": 3, "value": {"boolValue": true}}]}, "profiles": [{
                "sampleType": {"typeStrindex": 1, "unitStrindex": 2}, "period": "10", "periodType": {"typeStrindex": 3, "unitStrindex": 4},
                "timeUnixNano": "1795176000000000000", "durationNano": 5, "profileId": "0102",
                "samples": [
                    {"stackIndex": 1, "values": ["2", 3], "timestampsUnixNano": ["1795176000000000000"]},
                    {"stackIndex": 1, "timestampsUnixNano": ["1795176000000000000", 1]},
                ],
            }]}],
        }],
        "dictionary": {
            "stringTable": ["", "samples", "count", "cpu", "nanoseconds", "main"], "linkTable": [{}],
            "functionTable": [{}, {"nameStrindex": 5, "startLine": "9"}],
            "locationTable": [{}, {"address": "4096", "lines": [{"functionIndex": 1, "line": "12"}]}],
            "stackTable": [{}, {"locationIndices": [1]}],
        },
    });
    let bytes = document.to_string().into_bytes();
    let profiles = read(&bytes, Encoding::Json, &ReadLimits::default()).unwrap();
    let ready = pushed(&Tenant::default(), profiles, &bytes, times()).unwrap();
    assert_eq!(ready.len(), 1);
    assert_eq!(
        (folded(&ready[0]), labels(&ready[0])),
        (vec!["main 50".to_owned(), "main 20".to_owned()], vec!["cpu=true".to_owned()])
    );
    assert_eq!(
        (ready[0].profile.line(ready[0].profile.function_ids().next().unwrap()), ready[0].app.as_str()),
        (Some(9), "shop")
    );
}

#[rstest]
#[case(json!({}))]
#[case(json!({"resourceProfiles": []}))]
#[case(json!({"resourceProfiles": [{"scopeProfiles": [{"profiles": [{"sampleType": {"typeStrindex": 1}}]}]}], "dictionary": {}}))]
fn a_request_without_samples_has_no_profiles(#[case] document: Value) {
    let bytes = document.to_string().into_bytes();
    assert_eq!(read(&bytes, Encoding::Json, &ReadLimits::default()).unwrap().len(), 0);
}

/// What changes the request into one that cannot be read.
type Change = fn(&mut Request);
type Request = ExportProfilesServiceRequest;

fn dictionary(request: &mut ExportProfilesServiceRequest) -> &mut ProfilesDictionary {
    request.dictionary.as_mut().unwrap()
}

fn profile(request: &mut ExportProfilesServiceRequest) -> &mut Profile {
    &mut request.resource_profiles[0].scope_profiles[0].profiles[0]
}

#[rstest]
#[case(|r: &mut Request| profile(r).samples[0].stack_index = 9, "stack 9 is named, but the dictionary has 3 of them")]
#[case(|r: &mut Request| profile(r).samples[0].stack_index = -1, "stack -1 is named")]
#[case(|r: &mut Request| profile(r).samples[0].attribute_indices = vec![9], "attribute 9 is named, but the dictionary has 5 of them")]
#[case(|r: &mut Request| profile(r).sample_type = None, "a profile that does not say what it counts: send opentelemetry-proto v1.11.0")]
#[case(|r: &mut Request| profile(r).samples[0].timestamps_unix_nano.clear(), "a sample without values and times: send opentelemetry-proto v1.11.0")]
#[case(|r: &mut Request| profile(r).samples[0].values = vec![i64::MAX, 1], "add up to more than a 64-bit integer holds")]
#[case(|r: &mut Request| profile(r).period = i64::MAX, "add up to more than a 64-bit integer holds")]
#[case(|r: &mut Request| r.dictionary = None, "a request without a dictionary: send opentelemetry-proto v1.11.0")]
#[case(|r: &mut Request| dictionary(r).stack_table[1].location_indices = vec![5], "location 5 is named")]
#[case(|r: &mut Request| dictionary(r).location_table[1].lines[0].function_index = 5, "function 5 is named")]
#[case(|r: &mut Request| dictionary(r).location_table[3].mapping_index = 2, "mapping 2 is named")]
#[case(|r: &mut Request| dictionary(r).location_table[1].attribute_indices = vec![5], "attribute 5 is named")]
#[case(|r: &mut Request| dictionary(r).function_table[1].name_strindex = 99, "string 99 is named, but the dictionary has 19 of them")]
#[case(|r: &mut Request| dictionary(r).attribute_table[1].key_strindex = -7, "string -7 is named")]
fn says_what_cannot_be_read(#[case] change: Change, #[case] expected: &str) {
    let mut request = request();
    change(&mut request);
    let error = read(&request.encode_to_vec(), Encoding::Proto, &ReadLimits::default()).err().unwrap().to_string();
    assert!(error.contains(expected), "{error}");
}

/// A field of a message, with its bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn with_profile(profile: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, profile)))
}

/// Profiles of other revisions, in which other things stand at these places.
#[rstest]
#[case::v1_9_values_and_attributes(with_profile(&field(2, b"\x08\x01\x12\x01\x03\x1a\x01\x01")), "field 3 of Sample is not what")]
#[case::v1_9_without_attributes(with_profile(&[field(1, b""), field(2, b"\x08\x01\x12\x01\x03")].concat()), "opentelemetry-proto v1.11.0")]
#[case::v1_7_indices_of_locations(with_profile(&field(3, b"\x01\x02")), "field 3 of Profile is not what")]
#[case::v1_5_tables_in_the_profile(with_profile(&[field(2, b"\x08\x01"), field(3, b"\x08\x01")].concat()), "field 3 of Profile is not what")]
#[case::v1experimental(with_profile(&[&field(1, &[0x22; 16])[..], b"\x11\0\0\0\0\0\0\0\x01"].concat()), "opentelemetry-proto v1.11.0")]
#[case::no_message(b"\xff\xff\xff".to_vec(), "a field goes on after the end")]
#[case::text(b"hello there".to_vec(), "opentelemetry-proto v1.11.0")]
fn another_revision_is_refused_and_the_right_one_named(#[case] bytes: Vec<u8>, #[case] expected: &str) {
    let error = read(&bytes, Encoding::Proto, &ReadLimits::default()).err().unwrap().to_string();
    assert!(error.contains(expected) && error.contains("opentelemetry-proto v1.11.0"), "{error}");
}

#[rstest]
#[case(
    r#"{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"sample" : [{"value":["1"]}]}]}]}]}"#,
    r#""sample" is of an earlier revision"#
)]
#[case(
    r#"{"resourceProfiles":[{"scopeProfiles":[{"profiles":[{"timeNanos":"1"}]}]}]}"#,
    r#""timeNanos" is of an earlier revision"#
)]
#[case(r#"{"resourceProfiles":7}"#, "as JSON: invalid type: integer `7`")]
#[case("[1]", "as JSON: it must be a JSON object")]
#[case(" []", "as JSON: it must be a JSON object")]
fn json_of_another_revision_is_refused(#[case] text: &str, #[case] expected: &str) {
    let error = read(text.as_bytes(), Encoding::Json, &ReadLimits::default()).err().unwrap().to_string();
    assert!(error.contains(expected) && error.contains("opentelemetry-proto v1.11.0"), "{error}");
}

#[test]
fn words_of_earlier_revisions_may_be_texts() {
    let text = r#"{"dictionary":{"stringTable":["","sample","\"timeNanos\":"]}}"#;
    assert_eq!(read(text.as_bytes(), Encoding::Json, &ReadLimits::default()).unwrap().len(), 0);
}

#[rstest]
#[case(ReadLimits { samples: 1, ..ReadLimits::default() }, LimitName::Samples)]
#[case(ReadLimits { stack: 2, ..ReadLimits::default() }, LimitName::Stack)]
#[case(ReadLimits { frames: 70, ..ReadLimits::default() }, LimitName::Frames)]
#[case(ReadLimits { symbols: 9, samples: 9, ..ReadLimits::default() }, LimitName::Symbols)]
#[case(ReadLimits { name: 10, ..ReadLimits::default() }, LimitName::Name)]
fn names_the_limit_that_was_passed(#[case] limits: ReadLimits, #[case] expected: LimitName) {
    let mut request = request();
    let samples = profile(&mut request).samples.clone();
    profile(&mut request).samples.extend(samples.iter().cycle().take(40).cloned());
    let error = read(&request.encode_to_vec(), Encoding::Proto, &limits).err().unwrap();
    assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
}

#[rstest]
#[case(r#"{"a":[{},{},{}]}"#, ReadLimits { symbols: 2, samples: 1, ..ReadLimits::default() }, LimitName::Symbols)]
#[case(r#"{"a":[1,2,3]}"#, ReadLimits { frames: 1, ..ReadLimits::default() }, LimitName::Frames)]
fn json_is_measured_before_it_is_decoded(#[case] text: &str, #[case] limits: ReadLimits, #[case] expected: LimitName) {
    let error = read(text.as_bytes(), Encoding::Json, &limits).err().unwrap();
    assert!(matches!(error, ReadError::Limit { limit, .. } if limit == expected), "{error}");
}

proptest! {
    #[test]
    fn damaged_requests_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = request().encode_to_vec();
        for (at, byte) in &changes {
            let len = bytes.len();
            bytes[at.index(len)] = *byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(profiles) = read(&bytes, Encoding::Proto, &ReadLimits::default()) {
            let _ = pushed(&Tenant::default(), profiles, &bytes, times());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, Encoding::Proto, &ReadLimits::default());
        let _ = read(&bytes, Encoding::Json, &ReadLimits::default());
    }

    #[test]
    fn indices_of_any_size_never_panic(indices in prop::collection::vec(prop_oneof![0..6_i32, any::<i32>()], 8)) {
        let mut request = request();
        let tables = dictionary(&mut request);
        tables.location_table[1].lines[0].function_index = indices[0];
        tables.location_table[2].mapping_index = indices[1];
        tables.stack_table[1].location_indices = vec![indices[2], indices[3]];
        tables.function_table[1].name_strindex = indices[4];
        let profile = profile(&mut request);
        profile.samples[0].stack_index = indices[5];
        profile.samples[1].attribute_indices = vec![indices[6]];
        profile.period = i64::from(indices[7]) << 31;
        let _ = read(&request.encode_to_vec(), Encoding::Proto, &ReadLimits::default());
    }
}

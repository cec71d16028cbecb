//! What is read of a request, and what is refused.

use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use rstest::rstest;
use serde_json::{Value, json};

use super::messages::{
    AnyValue, ArrayValue, Event, ExportTraceServiceRequest, KeyValue, KeyValueList, Link, Resource, ResourceSpans,
    ScopeSpans, Span, Status,
};
use super::*;
use crate::sor::performance::domain::Ended;

fn now() -> DateTime<Utc> {
    "2024-01-23T09:00:00Z".parse().unwrap()
}

fn nanos(at: DateTime<Utc>) -> u64 {
    at.timestamp_nanos_opt().unwrap().try_into().unwrap()
}

fn value(text: &str) -> AnyValue {
    AnyValue { string_value: Some(text.to_owned()), ..AnyValue::default() }
}

fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value) }
}

/// A span of 120.5 milliseconds that ended a minute ago.
fn span() -> Span {
    let ended = nanos(now() - TimeDelta::minutes(1));
    Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        name: "POST /orders".to_owned(),
        kind: 2,
        start_time_unix_nano: ended - 120_500_000,
        end_time_unix_nano: ended,
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![attribute("service.name", value("checkout"))] };
    let scope_spans = vec![ScopeSpans { spans }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans }] }
}

fn sent(body: Vec<u8>) -> SentTraces {
    SentTraces { encoding: Encoding::Proto, gzip: false, body: body.into() }
}

fn export(request: &ExportTraceServiceRequest) -> TraceExport {
    TraceExport::read(sent(request.encode_to_vec()), now()).unwrap()
}

/// The only span of a request.
fn only(of: Span) -> ExportedSpan {
    let export = export(&request(vec![of]));
    assert_eq!((export.spans.len(), export.outcome), (1, ExportOutcome::default()));
    export.spans.into_iter().next().unwrap()
}

#[test]
fn a_span_is_an_operation_of_its_service() {
    let read = only(Span {
        attributes: vec![attribute("user.id", value("ana")), attribute("http.route", value("/orders"))],
        status: Some(Status { message: "no stock".to_owned(), code: 2 }),
        events: vec![Event {
            time_unix_nano: nanos(now()),
            name: "exception".to_owned(),
            attributes: vec![attribute("exception.type", value("NoStock"))],
        }],
        ..span()
    });
    let operation = &read.operation;
    assert_eq!((operation.operation_type.as_str(), operation.scope.as_str()), ("POST /orders", "checkout"));
    assert_eq!((operation.operation_name.as_ref(), operation.duration.get(), operation.failed), (None, 120_500, true));
    assert_eq!(operation.ended, Ended::At(now() - TimeDelta::minutes(1)));
    assert_eq!(operation.user_name.as_ref().unwrap().as_str(), "ana");
    let ids = operation.span.as_ref().unwrap();
    assert_eq!((ids.trace.as_str(), ids.span.as_str()), ("0102030405060708090a0b0c0d0e0f10", "0102030405060708"));
    assert_eq!((ids.parent.as_ref(), read.is_metric, read.kind.get()), (None, true, 2));
    assert_eq!(operation.metadata.as_ref().unwrap().as_value(), &json!({"user.id": "ana", "http.route": "/orders"}));
    assert_eq!(read.error.as_deref(), Some("no stock"));
    let event =
        json!({"name": "exception", "at": "2024-01-23T09:00:00.000000Z", "attributes": {"exception.type": "NoStock"}});
    assert_eq!(read.events.iter().map(SpanEvent::to_json).collect::<Vec<_>>(), [event]);
}

#[test]
fn json_is_read_as_protobuf_is() {
    let end = nanos(now() - TimeDelta::minutes(1));
    let message = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
        "scopeSpans": [{"scope": {"name": "lib"}, "spans": [{
            "traceId": "0102030405060708090A0B0C0D0E0F10", "spanId": "0102030405060708", "parentSpanId": "",
            "name": "POST /orders", "kind": 2, "startTimeUnixNano": (end - 120_500_000).to_string(), "endTimeUnixNano": end,
            "attributes": [
                {"key": "n", "value": {"intValue": "7"}}, {"key": "m", "value": {"intValue": 8}},
                {"key": "d", "value": {"doubleValue": 0.5}}, {"key": "nan", "value": {"doubleValue": "NaN"}},
                {"key": "b", "value": {"boolValue": false}}, {"key": "none", "value": {}}, {"key": "bytes", "value": {"bytesValue": "AQI="}},
                {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
                {"key": "object", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}}},
            ],
            "status": {"code": 1}, "flags": 257, "droppedAttributesCount": 0, "traceState": "",
        }]}],
    }]});
    let sent = SentTraces { encoding: Encoding::Json, gzip: false, body: message.to_string().into() };
    let read = TraceExport::read(sent, now()).unwrap();
    let int = |number| AnyValue { int_value: Some(number), ..AnyValue::default() };
    let double = |number| AnyValue { double_value: Some(number), ..AnyValue::default() };
    let list = ArrayValue { values: vec![value("x")] };
    let object = KeyValueList { values: vec![attribute("k", int(1))] };
    let same = only(Span {
        attributes: vec![
            attribute("n", int(7)),
            attribute("m", int(8)),
            attribute("d", double(0.5)),
            attribute("nan", double(f64::NAN)),
            attribute("b", AnyValue { bool_value: Some(false), ..AnyValue::default() }),
            attribute("none", AnyValue::default()),
            attribute("bytes", AnyValue { bytes_value: Some(vec![1, 2]), ..AnyValue::default() }),
            attribute("list", AnyValue { array_value: Some(list), ..AnyValue::default() }),
            attribute("object", AnyValue { kvlist_value: Some(object), ..AnyValue::default() }),
        ],
        ..span()
    });
    assert_eq!(read.spans, [same]);
    let metadata = read.spans[0].operation.metadata.as_ref().unwrap().as_value().clone();
    let expected = json!({"n": 7, "m": 8, "d": 0.5, "nan": "NaN", "b": false, "none": null, "bytes": "AQI=", "list": ["x"], "object": {"k": 1}});
    assert_eq!(metadata, expected);
}

#[rstest]
#[case::zero_trace(Span { trace_id: vec![0; 16], ..span() }, "1 without a valid trace id and span id")]
#[case::short_trace(Span { trace_id: vec![1; 15], ..span() }, "1 without a valid trace id and span id")]
#[case::no_span(Span { span_id: Vec::new(), ..span() }, "1 without a valid trace id and span id")]
#[case::zero_span(Span { span_id: vec![0; 8], ..span() }, "1 without a valid trace id and span id")]
#[case::long_parent(Span { parent_span_id: vec![1; 9], ..span() }, "1 without a valid trace id and span id")]
#[case::end_before_start(Span { start_time_unix_nano: span().end_time_unix_nano + 1, ..span() }, "1 that ended before they began")]
#[case::no_end(Span { end_time_unix_nano: 0, ..span() }, "1 that ended before they began")]
#[case::no_start(Span { start_time_unix_nano: 0, ..span() }, "1 that took more than 31 days")]
#[case::old(moved(-TimeDelta::days(8)), "1 that did not end from 7 days ago to 10 minutes ahead")]
#[case::ahead(moved(TimeDelta::minutes(12)), "1 that did not end from 7 days ago to 10 minutes ahead")]
#[case::far_ahead(Span { start_time_unix_nano: u64::MAX - 1, end_time_unix_nano: u64::MAX, ..span() }, "1 that did not end from 7 days ago to 10 minutes ahead")]
fn a_span_that_is_not_valid_is_rejected_alone(#[case] bad: Span, #[case] why: &str) {
    let read = export(&request(vec![span(), bad, span()]));
    let outcome = ExportOutcome { rejected: 1, why: format!("spans were rejected: {why}") };
    assert_eq!((read.spans.len(), read.outcome), (2, outcome));
}

fn moved(by: TimeDelta) -> Span {
    let moved = |nanos: u64| nanos.checked_add_signed(by.num_nanoseconds().unwrap()).unwrap();
    let (start, end) = (span().start_time_unix_nano, span().end_time_unix_nano);
    Span { start_time_unix_nano: moved(start), end_time_unix_nano: moved(end), ..span() }
}

#[rstest]
#[case::server(2, true, true)]
#[case::client(3, true, true)]
#[case::step(1, true, false)]
#[case::step_without_parent(1, false, true)]
#[case::not_said(0, true, false)]
#[case::not_known(99, true, false)]
fn a_span_counts_unless_it_is_a_step_within_a_program(#[case] kind: i32, #[case] parent: bool, #[case] counts: bool) {
    let parent_span_id = if parent { vec![1; 8] } else { vec![0; 8] };
    assert_eq!(only(Span { kind, parent_span_id, ..span() }).is_metric, counts);
}

#[test]
fn names_are_cut_and_what_is_missing_has_a_name() {
    let long = only(Span { name: format!("{}ü", "x".repeat(127)), ..span() });
    assert_eq!(long.operation.operation_type.as_str(), "x".repeat(127));
    assert_eq!(long.operation.operation_name.unwrap().as_str(), format!("{}ü", "x".repeat(127)));
    let none = only(Span { name: String::new(), ..span() });
    assert_eq!(none.operation.operation_type.as_str(), "unnamed");
    let nul = only(Span { name: "a\0b".to_owned(), attributes: vec![attribute("k\0", value("v\0"))], ..span() });
    assert_eq!(nul.operation.operation_type.as_str(), "a\u{fffd}b");
    assert_eq!(nul.operation.metadata.unwrap().as_value(), &json!({"k\u{fffd}": "v\u{fffd}"}));
    let mut without_resource = request(vec![span()]);
    without_resource.resource_spans[0].resource = None;
    let read = export(&without_resource).spans.into_iter().next().unwrap().operation;
    assert_eq!((read.scope.as_str(), read.user_name.unwrap().as_str()), ("unknown_service", "otlp"));
}

#[test]
fn what_is_over_a_limit_of_a_span_is_left_out_and_counted() {
    let of_4_kib = |key: &str| attribute(key, value(&"x".repeat(4_000)));
    let read = export(&request(vec![Span {
        attributes: vec![of_4_kib("a"), of_4_kib("b"), of_4_kib("c"), attribute("d", value("small"))],
        events: vec![Event::default(); 40],
        links: vec![Link {}; 3],
        ..span()
    }]));
    let kept = read.spans[0].operation.metadata.as_ref().unwrap().as_value().as_object().unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b", "d"]);
    assert_eq!((read.spans[0].events.len(), read.left_out), (32, LeftOut { attributes: 1, events: 8, links: 3 }));
}

#[test]
fn the_same_message_has_the_same_key_however_it_was_packed() {
    let plain = request(vec![span()]).encode_to_vec();
    let packed = SentTraces { encoding: Encoding::Proto, gzip: true, body: gzip(&plain).into() };
    let keys = [TraceExport::read(sent(plain), now()).unwrap().key, TraceExport::read(packed, now()).unwrap().key];
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], export(&request(vec![span(), span()])).key);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn refusal(encoding: Encoding, gzip: bool, body: Vec<u8>) -> ExportRefused {
    TraceExport::read(SentTraces { encoding, gzip, body: body.into() }, now()).unwrap_err()
}

#[test]
fn what_is_too_large_is_refused_before_it_is_decoded() {
    let spans = export(&request(vec![span(); MOST_SPANS])).spans.len();
    assert_eq!(spans, MOST_SPANS);
    let too_many = ExportRefused::TooLarge("more than 5000 spans, which is the most of one request".to_owned());
    let more = request(vec![Span::default(); MOST_SPANS + 1]).encode_to_vec();
    assert_eq!(refusal(Encoding::Proto, false, more), too_many);
    let more = json!({"resourceSpans": [{"scopeSpans": [{"spans": vec![json!({}); MOST_SPANS + 1]}]}]});
    assert_eq!(refusal(Encoding::Json, false, more.to_string().into_bytes()), too_many);
    let bomb = refusal(Encoding::Proto, true, gzip(&vec![0; MOST_INFLATED + 1]));
    assert_eq!(bomb, ExportRefused::TooLarge("the body inflates to more than 33554432 bytes".to_owned()));
    // Empty messages of two bytes each.
    let attributes = request(vec![Span { attributes: vec![KeyValue::default(); 1_000_000], ..span() }]).encode_to_vec();
    let what = "more than 1000000 messages within one, which is the most of one request".to_owned();
    assert_eq!(refusal(Encoding::Proto, false, attributes), ExportRefused::TooLarge(what));
    let objects = format!("{{\"resourceSpans\":[{}{{}}]}}", "{},".repeat(250_000));
    let what = "more than 250000 messages within one, which is the most of one request".to_owned();
    assert_eq!(refusal(Encoding::Json, false, objects.into_bytes()), ExportRefused::TooLarge(what));
}

#[rstest]
#[case::no_gzip(Encoding::Proto, true, b"plain".to_vec())]
#[case::cut_off(Encoding::Proto, false, request(vec![span()]).encode_to_vec()[..20].to_vec())]
#[case::no_message(Encoding::Proto, false, b"\xff\xff\xff".to_vec())]
#[case::another_type(Encoding::Proto, false, b"\x08\x07".to_vec())]
#[case::a_list(Encoding::Json, false, b"[]".to_vec())]
#[case::no_json(Encoding::Json, false, b"{".to_vec())]
#[case::number_for_a_text(Encoding::Json, false, br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 7}]}]}]}"#.to_vec())]
#[case::deep(Encoding::Proto, false, deep())]
fn what_cannot_be_read_is_refused(#[case] encoding: Encoding, #[case] gzip: bool, #[case] body: Vec<u8>) {
    let refused = refusal(encoding, gzip, body);
    assert!(matches!(refused, ExportRefused::Malformed(_)), "{refused}");
}

/// A list in a list in a list.
fn deep() -> Vec<u8> {
    let nest = |inner, _| AnyValue { array_value: Some(ArrayValue { values: vec![inner] }), ..AnyValue::default() };
    let deep = (0..60).fold(AnyValue::default(), nest);
    request(vec![Span { attributes: vec![attribute("deep", deep)], ..span() }]).encode_to_vec()
}

#[rstest]
#[case(Encoding::Proto)]
#[case(Encoding::Json)]
fn an_outcome_is_read_as_it_was_written(#[case] encoding: Encoding) {
    for outcome in [ExportOutcome::default(), ExportOutcome { rejected: 7, why: "for reasons".to_owned() }] {
        assert_eq!(ExportOutcome::decode(&outcome.encode(encoding), encoding), Some(outcome));
    }
    assert_eq!(ExportOutcome::decode(b"<html>", encoding), None);
    let shown = ExportOutcome { rejected: 7, why: "no".to_owned() }.encode(Encoding::Json);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown, json!({"partialSuccess": {"rejectedSpans": "7", "errorMessage": "no"}}));
}

#[test]
fn names_over_a_thousand_of_a_scope_are_other() {
    let known = KnownTypes::default();
    let named = |name: String| only(Span { name, ..span() });
    let mut spans: Vec<_> = (0..1_001).map(|id| named(format!("GET /orders/{id}"))).collect();
    let scopes = known.unread(&spans);
    let scope = spans[0].operation.scope.clone();
    assert_eq!(scopes, [scope.clone()].into());
    known.read(scopes, [(scope, "of before".parse().unwrap())]);
    assert!(known.unread(&spans).is_empty());
    known.limit(&mut spans);
    let shown = |span: &ExportedSpan| {
        let name = span.operation.operation_name.as_ref().map(ToString::to_string);
        (span.operation.operation_type.to_string(), name)
    };
    assert_eq!(shown(&spans[998]), ("GET /orders/998".to_owned(), None));
    assert_eq!(shown(&spans[999]), ("other".to_owned(), Some("GET /orders/999".to_owned())));
    let mut again = vec![named("GET /orders/7".to_owned()), named("new".to_owned()), named("of before".to_owned())];
    known.limit(&mut again);
    assert_eq!(again.iter().map(|span| shown(span).0).collect::<Vec<_>>(), ["GET /orders/7", "other", "of before"]);
}

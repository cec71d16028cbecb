//! Turns spans of OpenTelemetry into operations.

use base64::prelude::{BASE64_STANDARD, Engine};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::ExportOutcome;
use super::messages::{AnyValue, Event, ExportTraceServiceRequest, KeyValue, Resource, Span, Status};
use crate::kernel::{JsonObject, Text255};
use crate::sor::performance::domain::{Ended, Micros, NewMetric, SpanIds, check_time};
use crate::sor::performance::names::{OperationScope, OperationType};

/// The most bytes of the attributes of a span or of an event, as JSON: 8 KiB.
const MOST_ATTRIBUTE_BYTES: usize = 8 << 10;
/// The most events of a span.
const MOST_EVENTS: usize = 32;
/// The scope of a service without a name, as OpenTelemetry calls it.
const NO_SERVICE: &str = "unknown_service";
/// The name of a span that has none.
const NO_NAME: &str = "unnamed";
/// The user of a span that names none.
const NO_USER: &str = "otlp";

/// What side of a call a span is, as OpenTelemetry numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanKind(i16);

impl SpanKind {
    /// Work within a program.
    pub const INTERNAL: Self = Self(1);

    /// The number.
    pub fn get(self) -> i16 {
        self.0
    }

    /// The kind of a number. Unspecified and unknown kinds are internal.
    fn of(number: i32) -> Self {
        i16::try_from(number).ok().filter(|kind| (1..=5).contains(kind)).map_or(Self::INTERNAL, Self)
    }
}

/// What happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// What.
    pub name: String,
    /// When it happened; `None` if the time is not valid.
    pub at: Option<DateTime<Utc>>,
    /// Further details.
    pub attributes: Option<JsonObject>,
}

impl SpanEvent {
    /// The event as it is stored and shown.
    pub fn to_json(&self) -> Value {
        let at = self.at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        json!({"name": self.name, "at": at, "attributes": self.attributes.as_ref().map(JsonObject::as_value)})
    }
}

/// A span to record.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedSpan {
    /// The operation.
    pub operation: NewMetric,
    /// Whether it counts in statistics: all but steps within a program.
    pub is_metric: bool,
    /// What side of a call it is.
    pub kind: SpanKind,
    /// Why it failed, if it says so.
    pub error: Option<String>,
    /// What happened within it.
    pub events: Vec<SpanEvent>,
}

/// Parts of spans that are not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Attributes beyond 8 KiB of a span or an event.
    pub attributes: u64,
    /// Events beyond 32 of a span.
    pub events: u64,
    /// Links to other spans.
    pub links: u64,
}

/// Why a span is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rejected {
    Ids,
    EndsBeforeStart,
    TooLong,
    OutOfRange,
}

impl Rejected {
    const ALL: [Self; 4] = [Self::Ids, Self::EndsBeforeStart, Self::TooLong, Self::OutOfRange];

    fn why(self) -> &'static str {
        match self {
            Self::Ids => "without a valid trace id and span id",
            Self::EndsBeforeStart => "that ended before they began",
            Self::TooLong => "that took more than 31 days",
            Self::OutOfRange => "that did not end from 7 days ago to 10 minutes ahead",
        }
    }
}

/// The spans of a request that can be recorded, and what is not.
pub(super) fn spans(
    request: ExportTraceServiceRequest,
    now: DateTime<Utc>,
) -> (Vec<ExportedSpan>, ExportOutcome, LeftOut) {
    let mut left_out = LeftOut::default();
    let (mut spans, mut rejected) = (Vec::new(), Vec::new());
    for of_resource in request.resource_spans {
        let sender = Sender::of(&of_resource.resource.unwrap_or_default());
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            match exported(span, &sender, now, &mut left_out) {
                Ok(span) => spans.push(span),
                Err(why) => rejected.push(why),
            }
        }
    }
    (spans, outcome(&rejected), left_out)
}

fn outcome(rejected: &[Rejected]) -> ExportOutcome {
    let count = |why: Rejected| rejected.iter().filter(|rejected| **rejected == why).count();
    let told = Rejected::ALL.into_iter().map(|why| (count(why), why)).filter(|(count, _)| *count > 0);
    let told: Vec<_> = told.map(|(count, why)| format!("{count} {}", why.why())).collect();
    let why = if told.is_empty() { String::new() } else { format!("spans were rejected: {}", told.join(", ")) };
    ExportOutcome { rejected: rejected.len() as u64, why }
}

/// What spans of one process have in common.
struct Sender {
    scope: OperationScope,
    user: Option<Text255>,
}

impl Sender {
    fn of(resource: &Resource) -> Self {
        let service = text_of(&resource.attributes, "service.name");
        let scope = service.and_then(|name| clipped(name, OperationScope::MAX_BYTES).parse().ok());
        let scope = scope.filter(|scope: &OperationScope| !scope.as_str().is_empty());
        Self {
            scope: scope.or_else(|| NO_SERVICE.parse().ok()).unwrap_or_default(),
            user: text_of(&resource.attributes, "user.id").and_then(text255),
        }
    }
}

fn exported(span: Span, sender: &Sender, now: DateTime<Utc>, left_out: &mut LeftOut) -> Result<ExportedSpan, Rejected> {
    let ids = ids(&span).ok_or(Rejected::Ids)?;
    let nanos = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).ok_or(Rejected::EndsBeforeStart)?;
    let duration = i64::try_from(nanos / 1_000).ok().and_then(Micros::new).ok_or(Rejected::TooLong)?;
    let ended = time(span.end_time_unix_nano).filter(|ended| check_time(*ended, now).is_ok());
    let ended = ended.ok_or(Rejected::OutOfRange)?;
    let kind = SpanKind::of(span.kind);
    let is_metric = kind != SpanKind::INTERNAL || ids.parent.is_none();
    let failed = span.status.as_ref().is_some_and(|status| status.code == Status::ERROR);
    let message = span.status.filter(|_| failed).map(|status| without_nul(&status.message));
    let named = text255(&span.name);
    let operation_type = clipped(&span.name, OperationType::MAX_BYTES).parse::<OperationType>().ok();
    let whole =
        operation_type.as_ref().is_some_and(|kind| named.as_ref().is_some_and(|name| name.as_str() == kind.as_str()));
    let operation_type = operation_type.or_else(|| NO_NAME.parse().ok()).ok_or(Rejected::Ids)?;
    let user_name = text_of(&span.attributes, "user.id").and_then(text255).or_else(|| sender.user.clone());
    left_out.links += span.links.len() as u64;
    left_out.events += span.events.len().saturating_sub(MOST_EVENTS) as u64;
    let metadata = object(span.attributes, left_out);
    let events = span.events.into_iter().take(MOST_EVENTS).map(|event| of_event(event, left_out)).collect();
    Ok(ExportedSpan {
        operation: NewMetric {
            // A name that is the type is not stored twice.
            operation_name: named.filter(|_| !whole),
            scope: sender.scope.clone(),
            user_name: user_name.or_else(|| NO_USER.parse().ok()),
            metadata,
            failed,
            ended: Ended::At(ended),
            span: Some(ids),
            ..NewMetric::new(operation_type, duration)
        },
        is_metric,
        kind,
        error: message.filter(|message| !message.is_empty()),
        events,
    })
}

/// The ids of a span: 16 and 8 bytes, not all zero. A parent of zeros is none.
fn ids(span: &Span) -> Option<SpanIds> {
    let trace = u128::from_be_bytes(span.trace_id.as_slice().try_into().ok()?);
    let own = u64::from_be_bytes(span.span_id.as_slice().try_into().ok()?);
    let parent = match span.parent_span_id.as_slice() {
        [] => 0,
        parent => u64::from_be_bytes(parent.try_into().ok()?),
    };
    if trace == 0 || own == 0 {
        return None;
    }
    let of_span = |id: u64| format!("{id:016x}").parse::<Text255>().ok();
    Some(SpanIds {
        trace: format!("{trace:032x}").parse().ok()?,
        span: of_span(own)?,
        parent: if parent == 0 { None } else { Some(of_span(parent)?) },
    })
}

fn time(nanos: u64) -> Option<DateTime<Utc>> {
    let micros = i64::try_from(nanos / 1_000).ok()?;
    DateTime::from_timestamp_micros(micros)
}

fn of_event(event: Event, left_out: &mut LeftOut) -> SpanEvent {
    SpanEvent {
        name: without_nul(&event.name),
        at: time(event.time_unix_nano),
        attributes: object(event.attributes, left_out),
    }
}

/// Attributes as an object of at most 8 KiB; `None` where there are none. Those that do not fit are counted.
fn object(attributes: Vec<KeyValue>, left_out: &mut LeftOut) -> Option<JsonObject> {
    let mut members = Map::new();
    let mut bytes = 2;
    for KeyValue { key, value } in attributes {
        let (key, value) = (without_nul(&key), value.map_or(Value::Null, value_of));
        // Quotes, a colon and a comma.
        let more = json!(key).to_string().len() + value.to_string().len() + 2;
        if bytes + more > MOST_ATTRIBUTE_BYTES {
            left_out.attributes += 1;
            continue;
        }
        bytes += more;
        members.insert(key, value);
    }
    if members.is_empty() { None } else { JsonObject::try_from(Value::Object(members)).ok() }
}

/// A value as JSON. Bytes are base64; numbers that JSON has not are texts.
fn value_of(value: AnyValue) -> Value {
    if let Some(text) = value.string_value {
        return without_nul(&text).into();
    }
    if let Some(list) = value.array_value {
        return list.values.into_iter().map(value_of).collect();
    }
    if let Some(object) = value.kvlist_value {
        let members = object.values.into_iter();
        return members.map(|one| (without_nul(&one.key), one.value.map_or(Value::Null, value_of))).collect();
    }
    let double = |number: f64| if number.is_finite() { json!(number) } else { json!(number.to_string()) };
    value
        .bool_value
        .map(Value::from)
        .or_else(|| value.int_value.map(Value::from))
        .or_else(|| value.double_value.map(double))
        .or_else(|| value.bytes_value.map(|bytes| BASE64_STANDARD.encode(bytes).into()))
        .unwrap_or_default()
}

fn text_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.string_value.as_deref()
}

fn text255(text: &str) -> Option<Text255> {
    clipped(text, Text255::MAX_BYTES).parse().ok()
}

/// The beginning of a text, without U+0000, which PostgreSQL cannot keep.
fn clipped(text: &str, most: usize) -> String {
    let text = without_nul(text);
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

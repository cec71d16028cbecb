//! Looks over a request before it is decoded, so that a few bytes cannot take a lot of memory.

use super::{ExportRefused, MOST_SPANS};
use crate::protobuf::shape::Holds::{Fixed, Message, Number, Text};
use crate::protobuf::shape::{self, Shape, ShapeError, ShapeLimits};

/// The most messages and texts of a request. A span with ten attributes has 46.
const MOST_MESSAGES: u64 = 1_000_000;
/// The most objects of a request in JSON. A span with ten attributes has 21.
const MOST_OBJECTS: u64 = 250_000;
/// The most numbers of a request.
const MOST_NUMBERS: u64 = 1_000_000;
const REVISION: &str = "ExportTraceServiceRequest of opentelemetry-proto v1";
const SPAN_NAME: &str = "Span";

static REQUEST: Shape = Shape { name: "ExportTraceServiceRequest", fields: &[(1, Message(&RESOURCE_SPANS))] };
static RESOURCE_SPANS: Shape =
    Shape { name: "ResourceSpans", fields: &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_SPANS))] };
static RESOURCE: Shape = Shape { name: "Resource", fields: &[(1, Message(&KEY_VALUE))] };
static SCOPE_SPANS: Shape = Shape { name: "ScopeSpans", fields: &[(2, Message(&SPAN))] };
static SPAN: Shape = Shape {
    name: SPAN_NAME,
    fields: &[
        (1, Text),
        (2, Text),
        (4, Text),
        (5, Text),
        (6, Number),
        (7, Fixed),
        (8, Fixed),
        (9, Message(&KEY_VALUE)),
        (11, Message(&EVENT)),
        (13, Message(&LINK)),
        (15, Message(&STATUS)),
    ],
};
static EVENT: Shape = Shape { name: "Event", fields: &[(1, Fixed), (2, Text), (3, Message(&KEY_VALUE))] };
static LINK: Shape = Shape { name: "Link", fields: &[] };
static STATUS: Shape = Shape { name: "Status", fields: &[(2, Text), (3, Number)] };
static KEY_VALUE: Shape = Shape { name: "KeyValue", fields: &[(1, Text), (2, Message(&VALUE))] };
static VALUE: Shape = Shape {
    name: "AnyValue",
    fields: &[(1, Text), (2, Number), (3, Number), (4, Fixed), (5, Message(&LIST)), (6, Message(&OBJECT)), (7, Text)],
};
static LIST: Shape = Shape { name: "ArrayValue", fields: &[(1, Message(&VALUE))] };
static OBJECT: Shape = Shape { name: "KeyValueList", fields: &[(1, Message(&KEY_VALUE))] };

const LIMITS: ShapeLimits = ShapeLimits {
    revision: REVISION,
    messages: MOST_MESSAGES,
    numbers: MOST_NUMBERS,
    of_one: Some((SPAN_NAME, MOST_SPANS as u64)),
};
const JSON_LIMITS: ShapeLimits = ShapeLimits { messages: MOST_OBJECTS, numbers: u64::MAX, ..LIMITS };

/// A request in protobuf.
pub(super) fn check(bytes: &[u8]) -> Result<(), ExportRefused> {
    shape::check(bytes, &REQUEST, &LIMITS).map_err(|error| refused(error, &LIMITS))
}

/// A request in JSON.
pub(super) fn check_json(bytes: &[u8]) -> Result<(), ExportRefused> {
    shape::check_json(bytes, &JSON_LIMITS).map_err(|error| refused(error, &JSON_LIMITS))
}

pub(super) fn too_many_spans() -> ExportRefused {
    ExportRefused::TooLarge(format!("more than {MOST_SPANS} spans, which is the most of one request"))
}

fn refused(error: ShapeError, limits: &ShapeLimits) -> ExportRefused {
    match error {
        ShapeError::Malformed(what) => ExportRefused::Malformed(what),
        ShapeError::OfOne => too_many_spans(),
        ShapeError::Messages => {
            let most = limits.messages;
            ExportRefused::TooLarge(format!("more than {most} messages within one, which is the most of one request"))
        }
        ShapeError::Numbers => {
            let most = limits.numbers;
            ExportRefused::TooLarge(format!("more than {most} numbers, which is the most of one request"))
        }
    }
}

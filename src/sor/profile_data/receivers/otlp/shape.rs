//! The messages of the revision that is read, to look over a request before it is decoded.

use super::{REVISION, bad};
use crate::profile::{LimitName, ReadError, ReadLimits};
use crate::protobuf::shape::Holds::{Fixed, Fixeds, Message, Number, Numbers, Text};
use crate::protobuf::shape::{self, Shape, ShapeError, ShapeLimits};

static REQUEST: Shape = Shape {
    name: "ExportProfilesServiceRequest",
    fields: &[(1, Message(&RESOURCE_PROFILES)), (2, Message(&DICTIONARY))],
};
static RESOURCE_PROFILES: Shape =
    Shape { name: "ResourceProfiles", fields: &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_PROFILES)), (3, Text)] };
static RESOURCE: Shape = Shape { name: "Resource", fields: &[(1, Message(&KEY_VALUE)), (2, Number)] };
static SCOPE_PROFILES: Shape =
    Shape { name: "ScopeProfiles", fields: &[(1, Message(&SCOPE)), (2, Message(&PROFILE)), (3, Text)] };
static SCOPE: Shape =
    Shape { name: "InstrumentationScope", fields: &[(1, Text), (2, Text), (3, Message(&KEY_VALUE)), (4, Number)] };
static PROFILE: Shape = Shape {
    name: "Profile",
    fields: &[
        (1, Message(&VALUE_TYPE)),
        (2, Message(&SAMPLE)),
        (3, Fixed),
        (4, Number),
        (5, Message(&VALUE_TYPE)),
        (6, Number),
        (7, Text),
        (8, Number),
        (9, Text),
        (10, Text),
        (11, Numbers),
    ],
};
static VALUE_TYPE: Shape = Shape { name: "ValueType", fields: &[(1, Number), (2, Number)] };
static SAMPLE: Shape =
    Shape { name: "Sample", fields: &[(1, Number), (2, Numbers), (3, Number), (4, Numbers), (5, Fixeds)] };
static DICTIONARY: Shape = Shape {
    name: "ProfilesDictionary",
    fields: &[
        (1, Message(&MAPPING)),
        (2, Message(&LOCATION)),
        (3, Message(&FUNCTION)),
        (4, Message(&LINK)),
        (5, Text),
        (6, Message(&ATTRIBUTE)),
        (7, Message(&STACK)),
    ],
};
static MAPPING: Shape =
    Shape { name: "Mapping", fields: &[(1, Number), (2, Number), (3, Number), (4, Number), (5, Numbers)] };
static LOCATION: Shape =
    Shape { name: "Location", fields: &[(1, Number), (2, Number), (3, Message(&LINE)), (4, Numbers)] };
static LINE: Shape = Shape { name: "Line", fields: &[(1, Number), (2, Number), (3, Number)] };
static FUNCTION: Shape = Shape { name: "Function", fields: &[(1, Number), (2, Number), (3, Number), (4, Number)] };
static LINK: Shape = Shape { name: "Link", fields: &[(1, Text), (2, Text)] };
static ATTRIBUTE: Shape = Shape { name: "KeyValueAndUnit", fields: &[(1, Number), (2, Message(&VALUE)), (3, Number)] };
static STACK: Shape = Shape { name: "Stack", fields: &[(1, Numbers)] };
static KEY_VALUE: Shape = Shape { name: "KeyValue", fields: &[(1, Text), (2, Message(&VALUE)), (3, Number)] };
/// Lists of pairs and bytes are not read, so what is in them is not looked at.
static VALUE: Shape = Shape {
    name: "AnyValue",
    fields: &[(1, Text), (2, Number), (3, Number), (4, Fixed), (5, Message(&LIST)), (8, Number)],
};
static LIST: Shape = Shape { name: "ArrayValue", fields: &[(1, Message(&VALUE))] };

/// Looks over a request in protobuf.
///
/// # Errors
/// A field that another revision has there; bytes that are no message; more messages and texts than `symbols` and
/// `samples` together, or more numbers than `frames`.
pub(super) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    shape::check(bytes, &REQUEST, &most(limits)).map_err(|error| refused(error, limits))
}

fn most(limits: &ReadLimits) -> ShapeLimits {
    let messages = limits.symbols.saturating_add(limits.samples);
    ShapeLimits { revision: REVISION, messages, numbers: limits.frames, of_one: None }
}

fn refused(error: ShapeError, limits: &ReadLimits) -> ReadError {
    let most = most(limits);
    match error {
        ShapeError::Malformed(what) => bad(what),
        ShapeError::Messages | ShapeError::OfOne => {
            ReadError::Limit { limit: LimitName::Symbols, number: most.messages }
        }
        ShapeError::Numbers => ReadError::Limit { limit: LimitName::Frames, number: most.numbers },
    }
}

/// Members that revisions before v1.9.0 had and later ones have not. Such members would be ignored, and with them all that
/// matters.
const EARLIER: [&str; 4] = ["sample", "locationsStartIndex", "timeNanos", "attributeUnits"];

/// Looks over a request in JSON.
///
/// # Errors
/// No object, whose members a list could stand for by their order; a member of an earlier revision; more objects than `symbols` and `samples` together, or more values than `frames`.
pub(super) fn check_json(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    shape::check_json(bytes, &most(limits)).map_err(|error| refused(error, limits))?;
    match EARLIER.iter().find(|member| has_member(bytes, member)) {
        Some(member) => Err(bad(format!("{member:?} is of an earlier revision than {REVISION}: send that revision"))),
        None => Ok(()),
    }
}

/// Whether an object somewhere has this member. Within a text its quotes would be escaped.
fn has_member(json: &[u8], member: &str) -> bool {
    let quoted = format!("\"{member}\"");
    json.windows(quoted.len()).enumerate().filter(|(_, found)| *found == quoted.as_bytes()).any(|(at, _)| {
        let after = json.get(at + quoted.len()..).unwrap_or(&[]);
        after.trim_ascii_start().starts_with(b":")
    })
}

//! Looks over a request before it is decoded: whether its fields are those of the revision that is read, and how much
//! memory its messages and numbers would take. A message of two bytes takes a hundred when it is decoded.

use super::{REVISION, bad};
use crate::profile::{LimitName, ReadError, ReadLimits};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Message(&'static Shape),
    /// A text or bytes.
    Text,
    /// One number.
    Number,
    /// One number of eight bytes.
    Fixed,
    /// Any number of numbers, side by side or each with its field.
    Numbers,
    /// The same of numbers of eight bytes.
    Fixeds,
}

/// A message: its name, and its fields by their numbers.
struct Shape {
    name: &'static str,
    fields: &'static [(u64, Holds)],
}

use Holds::{Fixed, Fixeds, Message, Number, Numbers, Text};

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

/// The deepest that messages may be inside one another. Only lists of lists go deeper than a few.
const DEEPEST: usize = 32;

/// Looks over a request in protobuf.
///
/// # Errors
/// A field that another revision has there; bytes that are no message; more messages and texts than `symbols` and
/// `samples` together, or more numbers than `frames`.
pub(super) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    Check { limits, messages: 0, numbers: 0 }.message(Wire { bytes }, &REQUEST, 0)
}

struct Check<'l> {
    limits: &'l ReadLimits,
    messages: u64,
    numbers: u64,
}

impl Check<'_> {
    fn message(&mut self, mut wire: Wire<'_>, shape: &Shape, depth: usize) -> Result<(), ReadError> {
        if depth > DEEPEST {
            return Err(bad(format!("messages more than {DEEPEST} deep")));
        }
        while !wire.bytes.is_empty() {
            let tag = wire.varint()?;
            let (field, holds) = (tag >> 3, shape.fields.iter().find(|(field, _)| *field == tag >> 3));
            let Some((_, holds)) = holds else {
                wire.skip(tag & 7)?;
                continue;
            };
            match (holds, tag & 7) {
                (Message(inner), 2) => {
                    self.messages(1)?;
                    self.message(wire.delimited()?, inner, depth + 1)?;
                }
                (Text, 2) => {
                    self.messages(1)?;
                    wire.delimited()?;
                }
                (Number | Numbers, 0) => {
                    self.numbers(1)?;
                    wire.varint()?;
                }
                (Fixed | Fixeds, 1) => wire.take(8).map(drop)?,
                (Numbers, 2) => {
                    let packed = wire.delimited()?.bytes;
                    // The last byte of a number is below 128.
                    self.numbers(packed.iter().filter(|byte| **byte < 0x80).count() as u64)?;
                }
                (Fixeds, 2) => wire.delimited().map(drop)?,
                _ => {
                    return Err(bad(format!(
                        "field {field} of {} is not what {REVISION} has there: send that revision",
                        shape.name
                    )));
                }
            }
        }
        Ok(())
    }

    fn messages(&mut self, more: u64) -> Result<(), ReadError> {
        self.messages += more;
        at_most(self.messages, LimitName::Symbols, self.limits.symbols.saturating_add(self.limits.samples))
    }

    fn numbers(&mut self, more: u64) -> Result<(), ReadError> {
        self.numbers += more;
        at_most(self.numbers, LimitName::Frames, self.limits.frames)
    }
}

fn at_most(actual: u64, limit: LimitName, number: u64) -> Result<(), ReadError> {
    if actual > number { Err(ReadError::Limit { limit, number }) } else { Ok(()) }
}

/// Members that revisions before v1.9.0 had and later ones have not. Such members would be ignored, and with them all that
/// matters.
const EARLIER: [&str; 4] = ["sample", "locationsStartIndex", "timeNanos", "attributeUnits"];

/// Looks over a request in JSON.
///
/// # Errors
/// No object, whose members a list could stand for by their order; a member of an earlier revision; more objects than `symbols` and `samples` together, or more values than `frames`.
pub(super) fn check_json(bytes: &[u8], limits: &ReadLimits) -> Result<(), ReadError> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(bad(format!("no {REVISION} as JSON: it must be a JSON object")));
    }
    let (mut objects, mut values) = (0, 0);
    for byte in bytes {
        objects += u64::from(*byte == b'{');
        values += u64::from(*byte == b',');
    }
    at_most(objects, LimitName::Symbols, limits.symbols.saturating_add(limits.samples))?;
    at_most(values, LimitName::Frames, limits.frames)?;
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

/// Bytes of a message.
struct Wire<'b> {
    bytes: &'b [u8],
}

impl<'b> Wire<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], ReadError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(cut_off)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ReadError> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.bytes.split_first().ok_or_else(cut_off)?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(bad("a number of more than ten bytes"))
    }

    fn delimited(&mut self) -> Result<Self, ReadError> {
        let length = usize::try_from(self.varint()?).map_err(|_| cut_off())?;
        self.take(length).map(|bytes| Self { bytes })
    }

    fn skip(&mut self, wire_type: u64) -> Result<(), ReadError> {
        match wire_type {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.delimited().map(drop),
            5 => self.take(4).map(drop),
            _ => Err(bad(format!("no {REVISION}: a field of no type that there is"))),
        }
    }
}

fn cut_off() -> ReadError {
    bad(format!("no {REVISION}: a field goes on after the end"))
}

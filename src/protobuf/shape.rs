//! Looks over a message before it is decoded: whether its fields are of the types that are expected, and how many messages
//! and numbers it holds. A message of two bytes takes a hundred when it is decoded.

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Holds {
    /// A message.
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

use Holds::{Fixed, Fixeds, Message, Number, Numbers, Text};

/// A message: its name, and its fields by their numbers. Other fields are skipped.
pub struct Shape {
    /// What the message is called.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [(u64, Holds)],
}

/// How much a message may hold.
#[derive(Debug, Clone, Copy)]
pub struct ShapeLimits {
    /// What the message is called as a whole, with its revision.
    pub revision: &'static str,
    /// Messages and texts together.
    pub messages: u64,
    /// Numbers.
    pub numbers: u64,
    /// The message that may be there only so often, by its name.
    pub of_one: Option<(&'static str, u64)>,
}

/// Why a message is not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// It cannot be read; the text says why.
    Malformed(String),
    /// It holds too many messages and texts.
    Messages,
    /// It holds too many numbers.
    Numbers,
    /// It holds too many of the message that is counted by itself.
    OfOne,
}

/// The deepest that messages may be inside one another. Only lists of lists go deeper than a few.
const DEEPEST: usize = 32;

/// Looks over a message in protobuf.
///
/// # Errors
/// A field of another type; bytes that are no message; a limit passed.
pub fn check(bytes: &[u8], shape: &Shape, limits: &ShapeLimits) -> Result<(), ShapeError> {
    Check { limits, messages: 0, numbers: 0, of_one: 0 }.message(Wire { bytes, limits }, shape, 0)
}

/// Checks how large a message in JSON can become, before it is decoded: each brace counts as a message and each comma as a number,
/// also inside strings.
///
/// # Errors
/// No object: a list could stand for its members by their order.
pub fn check_json(bytes: &[u8], limits: &ShapeLimits) -> Result<(), ShapeError> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(ShapeError::Malformed(format!("no {} as JSON: it must be a JSON object", limits.revision)));
    }
    let (mut objects, mut values) = (0, 0);
    for byte in bytes {
        objects += u64::from(*byte == b'{');
        values += u64::from(*byte == b',');
    }
    if objects > limits.messages {
        Err(ShapeError::Messages)
    } else if values > limits.numbers {
        Err(ShapeError::Numbers)
    } else {
        Ok(())
    }
}

struct Check<'l> {
    limits: &'l ShapeLimits,
    messages: u64,
    numbers: u64,
    of_one: u64,
}

impl Check<'_> {
    fn message(&mut self, mut wire: Wire<'_>, shape: &Shape, depth: usize) -> Result<(), ShapeError> {
        if depth > DEEPEST {
            return Err(ShapeError::Malformed(format!("messages more than {DEEPEST} deep")));
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
                    self.of_one(inner)?;
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
                    return Err(ShapeError::Malformed(format!(
                        "field {field} of {} is not what {} has there: send that revision",
                        shape.name, self.limits.revision
                    )));
                }
            }
        }
        Ok(())
    }

    fn messages(&mut self, more: u64) -> Result<(), ShapeError> {
        self.messages += more;
        if self.messages > self.limits.messages { Err(ShapeError::Messages) } else { Ok(()) }
    }

    fn numbers(&mut self, more: u64) -> Result<(), ShapeError> {
        self.numbers += more;
        if self.numbers > self.limits.numbers { Err(ShapeError::Numbers) } else { Ok(()) }
    }

    fn of_one(&mut self, shape: &Shape) -> Result<(), ShapeError> {
        let Some((_, most)) = self.limits.of_one.filter(|(name, _)| *name == shape.name) else { return Ok(()) };
        self.of_one += 1;
        if self.of_one > most { Err(ShapeError::OfOne) } else { Ok(()) }
    }
}

/// Bytes of a message.
struct Wire<'b> {
    bytes: &'b [u8],
    limits: &'b ShapeLimits,
}

impl<'b> Wire<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], ShapeError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.cut_off())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ShapeError> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.bytes.split_first().ok_or_else(|| self.cut_off())?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ShapeError::Malformed("a number of more than ten bytes".to_owned()))
    }

    fn delimited(&mut self) -> Result<Self, ShapeError> {
        let length = usize::try_from(self.varint()?).map_err(|_| self.cut_off())?;
        self.take(length).map(|bytes| Self { bytes, limits: self.limits })
    }

    fn skip(&mut self, wire_type: u64) -> Result<(), ShapeError> {
        match wire_type {
            0 => self.varint().map(drop),
            1 => self.take(8).map(drop),
            2 => self.delimited().map(drop),
            5 => self.take(4).map(drop),
            _ => Err(self.malformed("a field of no type that there is")),
        }
    }

    fn cut_off(&self) -> ShapeError {
        self.malformed("a field goes on after the end")
    }

    fn malformed(&self, what: &str) -> ShapeError {
        ShapeError::Malformed(format!("no {}: {what}", self.limits.revision))
    }
}

//! What a chunk says of its own types: the classes of its events and constants, and their fields.

use std::collections::HashMap;

use super::wire::{Text, Wire};
use crate::profile::limits::ReadError;

/// The most classes and fields that a chunk may describe. A JDK describes some 2,000.
const MAX_DESCRIBED: usize = 65_536;
/// How many elements of the description may lie in one another, and how many objects in one another in an event.
const MAX_DEPTH: usize = 16;
/// The names that mean something are shorter.
const LONGEST_NAME: u64 = 128;
/// The ids of the events that describe the types and that hold constants.
pub(super) const METADATA: u64 = 0;
pub(super) const CHECKPOINT: u64 = 1;

/// The names of the fields that are read; all others are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldName {
    StackTrace,
    State,
    ContextId,
    Samples,
    TlabSize,
    AllocationSize,
    Weight,
    Duration,
    Size,
    Id,
    Name,
    Value,
    Method,
    LineNumber,
    Frames,
    Type,
    String,
    Other,
}

impl FieldName {
    fn of(text: &str) -> Self {
        match text {
            "stackTrace" => Self::StackTrace,
            "state" => Self::State,
            "contextId" => Self::ContextId,
            "samples" => Self::Samples,
            "tlabSize" => Self::TlabSize,
            "allocationSize" => Self::AllocationSize,
            "weight" => Self::Weight,
            "duration" => Self::Duration,
            "size" => Self::Size,
            "id" => Self::Id,
            "name" => Self::Name,
            "value" => Self::Value,
            "method" => Self::Method,
            "lineNumber" => Self::LineNumber,
            "frames" => Self::Frames,
            "type" => Self::Type,
            "string" => Self::String,
            _ => Self::Other,
        }
    }
}

/// How a value stands in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// So many bytes.
    Bytes(usize),
    Text,
    /// The fields of a class, by its place.
    Object(usize),
    /// Of a class that is not described.
    Unknown(u64),
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: FieldName,
    kind: Kind,
    is_array: bool,
}

/// A value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'b> {
    /// A number, or the key of a constant.
    Number(u64),
    Text(Text<'b>),
    /// Objects of a class, one after the other.
    Objects {
        class: usize,
        count: usize,
        first: Wire<'b>,
    },
    /// Anything else.
    Other,
}

#[derive(Debug)]
struct Class {
    id: u64,
    name: String,
    /// How a value of it stands in the bytes, where it is not an object.
    is: Option<Kind>,
    fields: Vec<Field>,
}

/// The classes that a chunk describes.
#[derive(Debug, Default)]
pub(super) struct Classes {
    classes: Vec<Class>,
    places: HashMap<u64, usize>,
}

/// The description while it is read: its strings, by their places, and its classes.
struct Description<'b> {
    wire: Wire<'b>,
    strings: Vec<u32>,
    classes: Vec<Class>,
    described: usize,
}

impl Classes {
    /// Reads the event that describes the types, which `wire` starts with.
    pub(super) fn read(mut wire: Wire<'_>) -> Result<Self, ReadError> {
        let start = wire;
        let size = wire.number()?;
        let end = usize::try_from(size).ok().and_then(|size| start.at().checked_add(size));
        let end = end.ok_or_else(|| start.malformed("its metadata has an impossible size"))?;
        let mut wire = wire.until(end);
        if wire.number()? != METADATA {
            return Err(start.malformed("no metadata is where its header says"));
        }
        // Start, duration and a number of its own.
        for _ in 0..3 {
            wire.number()?;
        }
        let mut strings = Vec::new();
        for _ in 0..wire.count()? {
            if strings.len() == MAX_DESCRIBED {
                return Err(too_much(&wire));
            }
            strings.push(u32::try_from(wire.at()).unwrap_or(u32::MAX));
            wire.text()?;
        }
        let mut description = Description { wire, strings, classes: Vec::new(), described: 0 };
        description.element(None, 0)?;
        Ok(Self::of(description.classes))
    }

    /// Finds the classes that fields name by their ids.
    fn of(mut classes: Vec<Class>) -> Self {
        let places: HashMap<u64, usize> = classes.iter().enumerate().map(|(place, class)| (class.id, place)).collect();
        let known: Vec<Option<Kind>> = classes.iter().map(|class| class.is).collect();
        for field in classes.iter_mut().flat_map(|class| &mut class.fields) {
            if let Kind::Unknown(id) = field.kind
                && let Some(place) = places.get(&id)
            {
                field.kind = known.get(*place).copied().flatten().unwrap_or(Kind::Object(*place));
            }
        }
        // An object without content has no bytes, and an array could have any number of such: they are left out. What has
        // content is found level by level, as deep as objects may lie in one another.
        let mut has_content = vec![false; classes.len()];
        let takes_bytes = |field: &Field, has_content: &[bool]| match field.kind {
            Kind::Object(place) => field.is_array || has_content.get(place).is_some_and(|has| *has),
            _ => true,
        };
        for _ in 0..=MAX_DEPTH {
            for (place, class) in classes.iter().enumerate() {
                let has = class.is.is_some() || class.fields.iter().any(|field| takes_bytes(field, &has_content));
                if let Some(known) = has_content.get_mut(place) {
                    *known |= has;
                }
            }
        }
        for class in &mut classes {
            class.fields.retain(|field| takes_bytes(field, &has_content));
        }
        let is_empty = |place: usize| has_content.get(place).is_none_or(|has| !has);
        for field in classes.iter_mut().flat_map(|class| &mut class.fields) {
            if let Kind::Object(place) = field.kind
                && is_empty(place)
            {
                // Of an array of them only the count is there.
                *field = Field { kind: Kind::Number, is_array: false, name: FieldName::Other };
            }
        }
        Self { classes, places }
    }

    /// The place of the class with this id.
    pub(super) fn place(&self, id: u64) -> Option<usize> {
        self.places.get(&id).copied()
    }

    /// The name of each class, with its id and place.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, u64, usize)> {
        self.classes.iter().enumerate().map(|(place, class)| (class.name.as_str(), class.id, place))
    }

    /// Reads an object of the class at this place, giving each field that has a known name.
    pub(super) fn object<'b>(
        &self,
        class: usize,
        wire: &mut Wire<'b>,
        take: &mut dyn FnMut(FieldName, Value<'b>),
    ) -> Result<(), ReadError> {
        self.fields(class, wire, 0, take)
    }

    /// Reads a constant of the class at this place: an object, or for the class of texts a text.
    pub(super) fn constant<'b>(
        &self,
        class: usize,
        wire: &mut Wire<'b>,
        take: &mut dyn FnMut(FieldName, Value<'b>),
    ) -> Result<(), ReadError> {
        match self.classes.get(class).and_then(|class| class.is) {
            Some(kind) => {
                let value = self.value(kind, wire, 0)?;
                take(FieldName::String, value);
                Ok(())
            }
            None => self.object(class, wire, take),
        }
    }

    fn fields<'b>(
        &self,
        class: usize,
        wire: &mut Wire<'b>,
        depth: usize,
        take: &mut dyn FnMut(FieldName, Value<'b>),
    ) -> Result<(), ReadError> {
        if depth > MAX_DEPTH {
            return Err(wire.malformed(format!("more than {MAX_DEPTH} objects lie in one another")));
        }
        for field in self.classes.get(class).map_or(&[][..], |class| &class.fields) {
            let value = if field.is_array {
                let count = wire.count()?;
                let first = *wire;
                for _ in 0..count {
                    self.value(field.kind, wire, depth)?;
                }
                match field.kind {
                    Kind::Object(class) => Value::Objects { class, count, first },
                    _ => Value::Other,
                }
            } else {
                self.value(field.kind, wire, depth)?
            };
            if field.name != FieldName::Other {
                take(field.name, value);
            }
        }
        Ok(())
    }

    fn value<'b>(&self, kind: Kind, wire: &mut Wire<'b>, depth: usize) -> Result<Value<'b>, ReadError> {
        Ok(match kind {
            Kind::Number => Value::Number(wire.number()?),
            Kind::Text => Value::Text(wire.text()?),
            Kind::Bytes(len) => {
                wire.bytes(len)?;
                Value::Other
            }
            Kind::Object(class) => {
                self.fields(class, wire, depth + 1, &mut |_, _| ())?;
                Value::Other
            }
            Kind::Unknown(id) => return Err(wire.malformed(format!("it does not describe the type {id}"))),
        })
    }
}

/// How a value of a class stands in the bytes, for those that are no objects.
fn plain(name: &str) -> Option<Kind> {
    match name {
        "boolean" | "byte" => Some(Kind::Bytes(1)),
        "char" | "short" | "int" | "long" => Some(Kind::Number),
        "float" => Some(Kind::Bytes(4)),
        "double" => Some(Kind::Bytes(8)),
        "java.lang.String" => Some(Kind::Text),
        _ => None,
    }
}

fn too_much(wire: &Wire<'_>) -> ReadError {
    wire.malformed(format!("its metadata has more than {MAX_DESCRIBED} names, or classes and fields"))
}

/// The attributes that are read.
#[derive(Default)]
struct Attributes {
    id: Option<u64>,
    name: String,
    class: Option<u64>,
    is_constant: bool,
    is_array: bool,
}

impl Description<'_> {
    /// Reads an element and those in it. `class` is the place of the class whose element it lies in at once.
    fn element(&mut self, class: Option<usize>, depth: usize) -> Result<(), ReadError> {
        if depth > MAX_DEPTH {
            return Err(self
                .wire
                .malformed(format!("more than {MAX_DEPTH} elements of its metadata lie in one another")));
        }
        let element = self.name()?;
        let mut attributes = Attributes::default();
        for _ in 0..self.wire.count()? {
            let name = self.name()?;
            let value = self.name()?;
            match name.as_str() {
                "id" => attributes.id = value.parse().ok(),
                "name" => attributes.name = value,
                "class" => attributes.class = value.parse().ok(),
                "constantPool" => attributes.is_constant = value == "true",
                "dimension" => attributes.is_array = value == "1",
                _ => {}
            }
        }
        let mut inner = None;
        match element.as_str() {
            "class" => {
                let id = attributes.id.ok_or_else(|| self.wire.malformed("a class of its metadata has no id"))?;
                self.more()?;
                inner = Some(self.classes.len());
                let is = plain(&attributes.name);
                self.classes.push(Class { id, name: attributes.name, is, fields: Vec::new() });
            }
            "field" => {
                self.more()?;
                let of = attributes.class.ok_or_else(|| self.wire.malformed("a field of its metadata has no class"))?;
                let kind = if attributes.is_constant { Kind::Number } else { Kind::Unknown(of) };
                let field = Field { name: FieldName::of(&attributes.name), kind, is_array: attributes.is_array };
                if let Some(class) = class.and_then(|class| self.classes.get_mut(class)) {
                    class.fields.push(field);
                }
            }
            _ => {}
        }
        for _ in 0..self.wire.count()? {
            self.element(inner, depth + 1)?;
        }
        Ok(())
    }

    fn more(&mut self) -> Result<(), ReadError> {
        self.described += 1;
        if self.described > MAX_DESCRIBED { Err(too_much(&self.wire)) } else { Ok(()) }
    }

    /// The string that is named next; empty where it is too long to mean anything.
    fn name(&mut self) -> Result<String, ReadError> {
        let index = self.wire.number()?;
        let place = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        let place = place.ok_or_else(|| self.wire.malformed("its metadata names a string that it does not have"))?;
        Ok(self
            .wire
            .from(*place as usize)
            .text()?
            .read(LONGEST_NAME)
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default())
    }
}

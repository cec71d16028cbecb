//! What the profiles of a request refer to by index.

use std::borrow::Cow;

use super::super::super::proto::otlp::v1::{AnyValue, KeyValue, KeyValueAndUnit, Location, ProfilesDictionary};
use super::bad;
use crate::profile::{FunctionId, LimitName, ProfileBuilder, ReadError, ReadLimits};

/// The attribute of a location that says what runs there: `native`, `kernel`, `jvm`, …
const FRAME_TYPE: &str = "profile.frame.type";

/// What a frame is called of which nothing is known.
const UNKNOWN: &str = "[unknown]";

/// The tables. Index 0 means that there is nothing, even if the table is empty.
pub(super) struct Dictionary<'r> {
    tables: &'r ProfilesDictionary,
    limits: &'r ReadLimits,
    /// Of each attribute, whether it says that a frame is the kernel's.
    kernel: Vec<bool>,
}

/// The entry of a table.
fn entry<'t, T>(table: &'t [T], index: i32, what: &str) -> Result<Option<&'t T>, ReadError> {
    match usize::try_from(index).ok().and_then(|index| table.get(index)) {
        None if index != 0 => {
            Err(bad(format!("{what} {index} is named, but the dictionary has {} of them", table.len())))
        }
        found => Ok(found),
    }
}

impl<'r> Dictionary<'r> {
    pub(super) fn new(tables: &'r ProfilesDictionary, limits: &'r ReadLimits) -> Result<Self, ReadError> {
        let mut dictionary = Self { tables, limits, kernel: Vec::new() };
        let is_kernel = |attribute: &KeyValueAndUnit| {
            let is_type = dictionary.text(attribute.key_strindex)? == FRAME_TYPE;
            Ok(is_type && dictionary.value(attribute.value.as_ref())?.as_deref() == Some("kernel"))
        };
        dictionary.kernel = tables.attribute_table.iter().map(is_kernel).collect::<Result<_, ReadError>>()?;
        Ok(dictionary)
    }

    /// A text.
    pub(super) fn text(&self, index: i32) -> Result<&'r str, ReadError> {
        let text = entry(&self.tables.string_table, index, "string")?.map_or("", String::as_str);
        if text.len() as u64 > self.limits.name {
            return Err(ReadError::Limit { limit: LimitName::Name, number: self.limits.name });
        }
        Ok(text)
    }

    /// The locations of a stack, leaf first.
    pub(super) fn stack(&self, index: i32) -> Result<&'r [i32], ReadError> {
        Ok(entry(&self.tables.stack_table, index, "stack")?.map_or(&[], |stack| &stack.location_indices))
    }

    /// An attribute of a sample: its name and its value, if that is a plain one.
    pub(super) fn attribute(&self, index: i32) -> Result<Option<(&'r str, Cow<'r, str>)>, ReadError> {
        let Some(attribute) = entry(&self.tables.attribute_table, index, "attribute")? else { return Ok(None) };
        let key = self.text(attribute.key_strindex)?;
        Ok(self.value(attribute.value.as_ref())?.map(|value| (key, value)))
    }

    /// An attribute of a resource or scope, as that of a sample.
    pub(super) fn key_value(&self, attribute: &'r KeyValue) -> Result<Option<(&'r str, Cow<'r, str>)>, ReadError> {
        let key = if attribute.key.is_empty() { self.text(attribute.key_strindex)? } else { attribute.key.as_str() };
        Ok(self.value(attribute.value.as_ref())?.map(|value| (key, value)))
    }

    /// A value as a text. A list of one value is that value; empty, larger and nested ones are no plain value.
    fn value(&self, value: Option<&'r AnyValue>) -> Result<Option<Cow<'r, str>>, ReadError> {
        let Some(value) = value else { return Ok(None) };
        let value = match value.array_value.as_ref().map(|list| list.values.as_slice()) {
            None => value,
            Some([one]) => one,
            Some(_) => return Ok(None),
        };
        let text = match value {
            AnyValue { string_value: Some(text), .. } => Cow::Borrowed(text.as_str()),
            AnyValue { string_value_strindex: Some(index), .. } => Cow::Borrowed(self.text(*index)?),
            AnyValue { int_value: Some(number), .. } => number.to_string().into(),
            AnyValue { bool_value: Some(truth), .. } => truth.to_string().into(),
            AnyValue { double_value: Some(number), .. } => number.to_string().into(),
            _ => return Ok(None),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The frames of a location, leaf first: more than one where functions are inlined.
    pub(super) fn frames(
        &self,
        index: i32,
        builder: &mut ProfileBuilder,
        frames: &mut Vec<FunctionId>,
    ) -> Result<(), ReadError> {
        let location = entry(&self.tables.location_table, index, "location")?;
        let Some(location) = location.filter(|location| !location.lines.is_empty()) else {
            frames.push(self.unresolved(location, builder)?);
            return Ok(());
        };
        let mut is_kernel = false;
        for attribute in &location.attribute_indices {
            is_kernel |= entry(&self.kernel, *attribute, "attribute")?.copied().unwrap_or(false);
        }
        for line in &location.lines {
            let Some(function) = entry(&self.tables.function_table, line.function_index, "function")? else {
                frames.push(self.unresolved(Some(location), builder)?);
                continue;
            };
            let name = match self.text(function.name_strindex)? {
                "" => self.text(function.system_name_strindex)?,
                name => name,
            };
            let file = storable(self.text(function.filename_strindex)?);
            let name = match (name, is_kernel) {
                ("", _) if file.is_empty() => {
                    frames.push(self.unresolved(Some(location), builder)?);
                    continue;
                }
                ("", _) => Cow::Borrowed(UNKNOWN),
                // As profilers mark them that write native and kernel functions into one stack.
                (name, true) => format!("{}_[k]", storable(name)).into(),
                (name, false) => storable(name),
            };
            let id = builder.function(&name, &file);
            let start = if function.start_line > 0 { function.start_line } else { line.line };
            builder.line(id, u32::try_from(start).unwrap_or(0));
            frames.push(id);
        }
        Ok(())
    }

    /// The frame of an address without a function: its file's name in brackets, as it is in a pprof.
    fn unresolved(&self, location: Option<&Location>, builder: &mut ProfileBuilder) -> Result<FunctionId, ReadError> {
        let mapping = location.map_or(0, |location| location.mapping_index);
        let mapping = entry(&self.tables.mapping_table, mapping, "mapping")?;
        let file = storable(self.text(mapping.map_or(0, |mapping| mapping.filename_strindex))?);
        let base = file.rsplit(['/', '\\']).next().unwrap_or("").trim();
        Ok(match base {
            "" => builder.function(UNKNOWN, &file),
            base if base.starts_with('[') => builder.function(base, &file),
            base => builder.function(&format!("[{base}]"), &file),
        })
    }
}

/// The text without U+0000, which PostgreSQL cannot store.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

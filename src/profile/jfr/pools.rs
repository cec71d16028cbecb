//! The constants of a chunk: stacks, methods, classes, symbols, states of threads and texts.

use std::borrow::Cow;

use super::classes::{CHECKPOINT, Classes, FieldName, Value};
use super::events::Events;
use super::names::merged;
use super::wire::{Text, Wire};
use crate::profile::builder::Interner;
use crate::profile::limits::{LimitName, ReadError, ReadLimits};
use crate::profile::model::{Function, FunctionId};

/// The constants of one class: the places of their keys in the chunk, in the order of the keys.
#[derive(Debug, Default)]
struct Pool {
    /// The place of the class; `None` where the chunk does not describe it.
    class: Option<usize>,
    places: Vec<u32>,
}

impl Pool {
    fn key(wire: Wire<'_>, place: u32) -> u64 {
        wire.from(place as usize).number().unwrap_or(u64::MAX)
    }

    /// Brings the places into order. Of constants of the same key the last counts.
    fn sort(&mut self, wire: Wire<'_>) {
        self.places.reverse();
        self.places.sort_by_key(|place| Self::key(wire, *place));
        self.places.dedup_by_key(|place| Self::key(wire, *place));
    }

    /// The number of the constant among these, and its value.
    fn find<'b>(&self, wire: Wire<'b>, key: u64) -> Option<(usize, Wire<'b>)> {
        let number = self.places.binary_search_by_key(&key, |place| Self::key(wire, *place)).ok()?;
        let mut found = wire.from(*self.places.get(number)? as usize);
        found.number().ok()?;
        Some((number, found))
    }
}

/// The constants that are read.
#[derive(Debug)]
pub(super) struct Pools<'b> {
    chunk: Wire<'b>,
    stacks: Pool,
    methods: Pool,
    classes: Pool,
    symbols: Pool,
    states: Pool,
    texts: Pool,
    /// Of each method, its function once it was found.
    functions: Vec<Option<FunctionId>>,
    name_limit: u64,
}

/// The names of the classes of constants that are read.
const POOLS: [&str; 6] = [
    "jdk.types.StackTrace",
    "jdk.types.Method",
    "java.lang.Class",
    "jdk.types.Symbol",
    "jdk.types.ThreadState",
    "java.lang.String",
];

impl<'b> Pools<'b> {
    /// Finds the constants of a chunk, which may stand anywhere in it. All of them lie in events of their own.
    pub(super) fn read(chunk: Wire<'b>, described: &Classes, limits: &ReadLimits) -> Result<Self, ReadError> {
        let mut pools: [Pool; 6] = Default::default();
        for (name, _, place) in described.names() {
            if let Some(pool) = POOLS.iter().position(|pool| *pool == name).and_then(|pool| pools.get_mut(pool)) {
                pool.class = Some(place);
            }
        }
        let mut found = 0;
        for event in Events::of(chunk) {
            let (id, mut wire) = event?;
            if id != CHECKPOINT {
                continue;
            }
            // Start, duration, and the way to the checkpoint before.
            for _ in 0..3 {
                wire.number()?;
            }
            wire.byte()?;
            for _ in 0..wire.count()? {
                let id = wire.number()?;
                let class =
                    described.place(id).ok_or_else(|| wire.malformed(format!("it does not describe the type {id}")))?;
                let mut pool = pools.iter_mut().find(|pool| pool.class == Some(class));
                for _ in 0..wire.count()? {
                    if let Some(pool) = &mut pool {
                        found += 1;
                        LimitName::Symbols.check(found, limits.symbols)?;
                        pool.places.push(u32::try_from(wire.at()).unwrap_or(u32::MAX));
                    }
                    wire.number()?;
                    described.constant(class, &mut wire, &mut |_, _| ())?;
                }
            }
        }
        for pool in &mut pools {
            pool.sort(chunk);
        }
        let [stacks, methods, classes, symbols, states, texts] = pools;
        let functions = vec![None; methods.places.len()];
        Ok(Self { chunk, stacks, methods, classes, symbols, states, texts, functions, name_limit: limits.name })
    }

    /// The number of the stack with this key.
    pub(super) fn stack(&self, key: u64) -> Option<usize> {
        self.stacks.find(self.chunk, key).map(|(number, _)| number)
    }

    /// The name of a state of threads; `None` where there is no such constant.
    pub(super) fn state(&self, described: &Classes, key: u64) -> Result<Option<Cow<'b, str>>, ReadError> {
        let Some((_, wire)) = self.states.find(self.chunk, key) else { return Ok(None) };
        let mut name = Text::Empty;
        let take = &mut |of: FieldName, value: Value<'b>| {
            if let (FieldName::Name, Value::Text(text)) = (of, value) {
                name = text;
            }
        };
        read(&self.states, described, wire, take)?;
        self.text(described, name).map(Some)
    }

    /// The text, looked up where it is a constant.
    pub(super) fn text(&self, described: &Classes, text: Text<'b>) -> Result<Cow<'b, str>, ReadError> {
        let Text::Constant(key) = text else { return text.read(self.name_limit) };
        let Some((_, wire)) = self.texts.find(self.chunk, key) else { return Ok(Cow::Borrowed("")) };
        let mut found = Text::Empty;
        let take = &mut |of: FieldName, value: Value<'b>| {
            if let (FieldName::String, Value::Text(text)) = (of, value) {
                found = text;
            }
        };
        read(&self.texts, described, wire, take)?;
        found.read(self.name_limit)
    }

    /// Gives the functions of a stack to `frames`, the leaf first. A frame whose method or class is missing is left out, as
    /// Pyroscope does; one whose name is missing has an empty one.
    pub(super) fn frames(
        &mut self,
        described: &Classes,
        number: usize,
        interner: &mut Interner,
        limits: &ReadLimits,
        frames: &mut Vec<FunctionId>,
    ) -> Result<(), ReadError> {
        let Some(place) = self.stacks.places.get(number) else { return Ok(()) };
        let mut wire = self.chunk.from(*place as usize);
        wire.number()?;
        let mut list = None;
        let take = &mut |of: FieldName, value: Value<'b>| {
            if let (FieldName::Frames, Value::Objects { class, count, first }) = (of, value) {
                list = Some((class, count, first));
            }
        };
        read(&self.stacks, described, wire, take)?;
        let Some((class, count, mut wire)) = list else { return Ok(()) };
        LimitName::Stack.check(count, limits.stack)?;
        for _ in 0..count {
            let (mut method, mut line) = (None, 0);
            described.object(class, &mut wire, &mut |of, value| match (of, value) {
                (FieldName::Method, Value::Number(key)) => method = Some(key),
                (FieldName::LineNumber, Value::Number(number)) => line = number,
                _ => {}
            })?;
            let Some(function) = method.map(|key| self.function(described, key, interner)).transpose()?.flatten()
            else {
                continue;
            };
            // Native frames have no line, which is written as 0 or as a negative number.
            interner.line(function, i32::try_from(line).map_or(0, i32::unsigned_abs));
            frames.push(function);
        }
        Ok(())
    }

    fn function(
        &mut self,
        described: &Classes,
        key: u64,
        interner: &mut Interner,
    ) -> Result<Option<FunctionId>, ReadError> {
        let Some((number, wire)) = self.methods.find(self.chunk, key) else { return Ok(None) };
        if let Some(known) = self.functions.get(number).copied().flatten() {
            return Ok(Some(known));
        }
        let (mut class, mut name) = (None, None);
        read(&self.methods, described, wire, &mut |of, value| match (of, value) {
            (FieldName::Type, Value::Number(key)) => class = Some(key),
            (FieldName::Name, Value::Number(key)) => name = Some(key),
            _ => {}
        })?;
        let function = match class.and_then(|key| self.classes.find(self.chunk, key)) {
            None => None,
            Some((_, wire)) => {
                let mut class = None;
                read(&self.classes, described, wire, &mut |of, value| {
                    if let (FieldName::Name, Value::Number(key)) = (of, value) {
                        class = Some(key);
                    }
                })?;
                let (class, name) = (self.symbol(described, class)?, self.symbol(described, name)?);
                let full = format!("{class}.{name}");
                LimitName::Name.check(full.len(), self.name_limit)?;
                let function = Function { name: interner.text(&full), file: interner.text("") };
                Some(interner.function(function))
            }
        };
        if let Some(known) = self.functions.get_mut(number) {
            *known = function;
        }
        Ok(function)
    }

    fn symbol(&self, described: &Classes, key: Option<u64>) -> Result<Cow<'b, str>, ReadError> {
        let found = key.and_then(|key| self.symbols.find(self.chunk, key));
        let Some((_, wire)) = found else { return Ok(Cow::Borrowed("")) };
        let mut text = Text::Empty;
        let take = &mut |of: FieldName, value: Value<'b>| {
            if let (FieldName::String, Value::Text(found)) = (of, value) {
                text = found;
            }
        };
        read(&self.symbols, described, wire, take)?;
        Ok(merged(self.text(described, text)?))
    }
}

/// Reads a constant of a pool.
fn read<'b>(
    pool: &Pool,
    described: &Classes,
    mut wire: Wire<'b>,
    take: &mut dyn FnMut(FieldName, Value<'b>),
) -> Result<(), ReadError> {
    match pool.class {
        Some(class) => described.constant(class, &mut wire, take),
        None => Ok(()),
    }
}

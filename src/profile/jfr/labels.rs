//! The labels that the Pyroscope agent sends beside a recording: a protocol buffers message of contexts, each of which
//! names its labels and their values by the keys of texts. Samples carry the key of a context.

use std::collections::HashMap;

use crate::profile::limits::{LimitName, ReadError, ReadLimits};
use crate::profile::pprof::wire::{Wire, bytes, number};
use crate::profile::pprof::{Labels, MAX_LABEL_SETS};
use crate::profile::text::sanitise;

const CONTEXTS: u64 = bytes(1);
const TEXTS: u64 = bytes(2);
/// Of an entry of a map.
const KEY: u64 = number(1);
const NUMBER: u64 = number(2);
const VALUE: u64 = bytes(2);
const LABELS: u64 = bytes(1);

/// The sets of labels that samples may have. The first is empty.
#[derive(Debug)]
pub(super) struct LabelSets {
    pub(super) sets: Vec<Labels>,
    contexts: HashMap<u64, u32>,
}

impl Default for LabelSets {
    fn default() -> Self {
        Self { sets: vec![Labels::new()], contexts: HashMap::new() }
    }
}

impl LabelSets {
    /// Reads the message, keeping only the labels in `keep`. Contexts without any of these have the empty set, and so have
    /// those of sets over [`MAX_LABEL_SETS`].
    pub(super) fn read(message: &[u8], limits: &ReadLimits, keep: &[&str]) -> Result<Self, ReadError> {
        let of_labels = |error: ReadError| match error {
            ReadError::Malformed { what, at } => ReadError::malformed(format!("in its labels, {what}"), at),
            other => other,
        };
        Self::read_message(message, limits, keep).map_err(of_labels)
    }

    fn read_message(message: &[u8], limits: &ReadLimits, keep: &[&str]) -> Result<Self, ReadError> {
        let mut texts: Vec<(u64, &[u8])> = Vec::new();
        let mut found = 0;
        let mut more = || {
            found += 1;
            LimitName::Symbols.check(found, limits.symbols)
        };
        let mut wire = Wire::new(message);
        while let Some(tag) = wire.tag()? {
            if tag != TEXTS {
                wire.skip(tag)?;
                continue;
            }
            more()?;
            let (key, value) = entry(wire.delimited()?)?;
            texts.push((key, value.map_or(&[], |text| text.rest())));
        }
        texts.sort_by_key(|(key, _)| *key);
        let text = |key: u64| texts.binary_search_by_key(&key, |(key, _)| *key).ok().and_then(|at| texts.get(at));
        let mut read = Self::default();
        let mut numbers: HashMap<Labels, u32> = HashMap::from([(Labels::new(), 0)]);
        let mut wire = Wire::new(message);
        while let Some(tag) = wire.tag()? {
            if tag != CONTEXTS {
                wire.skip(tag)?;
                continue;
            }
            let (context, labels) = entry(wire.delimited()?)?;
            let mut set = Labels::new();
            let mut labels = labels.unwrap_or_else(|| Wire::new(&[]));
            while let Some(tag) = labels.tag()? {
                if tag != LABELS {
                    labels.skip(tag)?;
                    continue;
                }
                let (name, value) = pair(labels.delimited()?)?;
                let kept = text(name).and_then(|(_, name)| keep.iter().find(|kept| kept.as_bytes() == *name));
                if let (Some(name), Some((_, value))) = (kept, text(value)) {
                    LimitName::Name.check(value.len(), limits.name)?;
                    set.insert((*name).to_owned(), sanitise(value).into_owned());
                }
            }
            if set.is_empty() {
                continue;
            }
            more()?;
            let next = read.sets.len();
            let number = match numbers.get(&set) {
                Some(known) => *known,
                None if next > MAX_LABEL_SETS => 0,
                None => {
                    let number = u32::try_from(next).unwrap_or(0);
                    numbers.insert(set.clone(), number);
                    read.sets.push(set);
                    number
                }
            };
            read.contexts.insert(context, number);
        }
        Ok(read)
    }

    /// The number of the set of a context.
    pub(super) fn of(&self, context: u64) -> u32 {
        self.contexts.get(&context).copied().unwrap_or(0)
    }
}

/// An entry of a map whose values are texts or messages.
fn entry(mut message: Wire<'_>) -> Result<(u64, Option<Wire<'_>>), ReadError> {
    let (mut key, mut value) = (0, None);
    while let Some(tag) = message.tag()? {
        match tag {
            KEY => key = message.varint()?,
            VALUE => value = Some(message.delimited()?),
            _ => message.skip(tag)?,
        }
    }
    Ok((key, value))
}

/// An entry of a map of numbers.
fn pair(mut message: Wire<'_>) -> Result<(u64, u64), ReadError> {
    let (mut key, mut value) = (0, 0);
    while let Some(tag) = message.tag()? {
        match tag {
            KEY => key = message.varint()?,
            NUMBER => value = message.varint()?,
            _ => message.skip(tag)?,
        }
    }
    Ok((key, value))
}

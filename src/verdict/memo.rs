//! What the catalogue said of a name the last time: names repeat from profile to profile, rules do not change.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock};

use rustc_hash::{FxHashMap, FxHasher};

use super::Runtime;
use super::catalogue::{RuleIndex, Rules, split};
use super::names::Frame;
use super::origin::{self, Origin};

/// How many names are kept; past that the memory starts anew.
const CAPACITY: usize = 32_768;

/// What is known of a function by its name and file alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) own: Option<Runtime>,
    rule: Option<RuleIndex>,
    /// The rule in a stack of PHP, where builtins have bare names like C functions.
    rule_in_php: Option<RuleIndex>,
    /// The rule in a stack of the JVM, whose own classes have names that any C++ program may have.
    rule_in_jvm: Option<RuleIndex>,
    /// Whether the bare name is a word that a method of any language may have.
    plain_word: bool,
    pub(super) unresolved: bool,
    pub(super) origin: Origin,
    /// A hash of the package or class the function stands in; 0 where the name has none.
    pub(super) package: u64,
}

impl Slot {
    /// The rule that claims the function in a stack of that runtime.
    pub(super) fn rule(&self, context: Option<Runtime>) -> Option<RuleIndex> {
        match context {
            Some(Runtime::Jvm) if !matches!(self.own, Some(Runtime::Jvm)) => self.rule_in_jvm,
            _ if self.own.is_some() => self.rule,
            Some(Runtime::Php) => self.rule_in_php,
            Some(Runtime::Python | Runtime::Ruby | Runtime::Node) if self.plain_word => None,
            _ => self.rule,
        }
    }

    fn of(rules: &Rules, name: &str, file: &str) -> Self {
        let frame = Frame::of(name, file);
        if frame.unresolved {
            return Self { unresolved: true, ..Self::default() };
        }
        Self {
            own: frame.own,
            rule: rules.rule_of(&frame, None),
            rule_in_php: if frame.own.is_none() { rules.rule_of(&frame, Some(Runtime::Php)) } else { None },
            rule_in_jvm: rules.rule_of(&frame, Some(Runtime::Jvm)),
            plain_word: frame.own.is_none()
                && frame.text.bytes().all(|b| b.is_ascii_lowercase())
                && !is_c_word(&frame.text),
            unresolved: false,
            origin: origin::of(rules, &frame, file),
            package: package(&frame),
        }
    }
}

/// Words that no one but the C library names a function.
fn is_c_word(text: &str) -> bool {
    ["mem", "str"].iter().any(|p| text.starts_with(p)) || text.ends_with("alloc") || text == "cfree"
}

/// The path of a name without its function and, where it begins with a capital, its class.
fn package(frame: &Frame) -> u64 {
    let tokens: Vec<&str> = split(&frame.text).collect();
    let mut end = tokens.len().saturating_sub(1);
    let classy = |t: &&str| t.starts_with(|c: char| c.is_ascii_uppercase());
    if end > 1 && tokens.get(end - 1).is_some_and(classy) {
        end -= 1;
    }
    let Some(path) = tokens.get(..end).filter(|p| !p.is_empty()) else { return 0 };
    let mut hasher = FxHasher::default();
    for token in path {
        hasher.write(token.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish() | 1
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    file: Box<str>,
    slot: Slot,
}

/// The key is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A bounded memory of names, shared by all threads. One lock is taken per profile, not per name.
#[derive(Debug, Default)]
pub(super) struct Memo(RwLock<std::collections::HashMap<u64, Entry, BuildHasherDefault<AsIs>>>);

impl Memo {
    /// What is known of each function, in order.
    pub(super) fn slots<'n>(
        &self,
        rules: &Rules,
        functions: impl ExactSizeIterator<Item = (&'n str, &'n str)>,
    ) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(functions.len());
        let mut missing: Vec<(usize, u64, &str, &str)> = Vec::new();
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            for (name, file) in functions {
                let key = hash(name, file);
                if let Some(entry) = known.get(&key).filter(|e| *e.name == *name && *e.file == *file) {
                    slots.push(entry.slot);
                } else {
                    missing.push((slots.len(), key, name, file));
                    slots.push(Slot::default());
                }
            }
        }
        if !missing.is_empty() {
            self.learn(rules, &missing, &mut slots);
        }
        slots
    }

    fn learn(&self, rules: &Rules, missing: &[(usize, u64, &str, &str)], slots: &mut [Slot]) {
        let mut learnt = FxHashMap::default();
        for (place, key, name, file) in missing {
            let slot = Slot::of(rules, name, file);
            if let Some(free) = slots.get_mut(*place) {
                *free = slot;
            }
            // Very long names are rare, and would make the memory's bound mean nothing in bytes.
            if name.len() + file.len() <= 512 && learnt.len() < CAPACITY {
                learnt.insert(*key, Entry { name: (*name).into(), file: (*file).into(), slot });
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + learnt.len() > CAPACITY {
            known.clear();
        }
        known.extend(learnt);
    }
}

fn hash(name: &str, file: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(file.as_bytes());
    hasher.finish()
}

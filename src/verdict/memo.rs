//! What the catalogue said of a name the last time: names repeat from profile to profile, rules do not change.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock};

use hashbrown::DefaultHashBuilder;
use rustc_hash::FxHasher;

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
    /// A function that nothing is known of.
    pub(super) const UNKNOWN: Self = Self {
        own: None,
        rule: None,
        rule_in_php: None,
        rule_in_jvm: None,
        plain_word: false,
        unresolved: false,
        origin: Origin::App,
        package: 0,
    };

    /// The rules that claim the function in one stack or another.
    pub(super) fn rules(&self) -> impl Iterator<Item = RuleIndex> {
        [self.rule, self.rule_in_php, self.rule_in_jvm].into_iter().flatten()
    }

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

/// A function's name and file under two hashes whose seeds nobody knows: 128 bits, so that no two names share a key, by
/// chance or by design, and the names themselves need not be kept.
type Key = u128;

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
    #[expect(clippy::cast_possible_truncation, reason = "either half of a hash is one")]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// A bounded memory of names, shared by all threads. One lock is taken per profile, not per name.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: RwLock<HashMap<Key, Slot, BuildHasherDefault<AsIs>>>,
    seeds: [DefaultHashBuilder; 2],
}

impl Memo {
    /// What is known of each function, in order.
    pub(super) fn slots<'n>(
        &self,
        rules: &Rules,
        functions: impl ExactSizeIterator<Item = (&'n str, &'n str)>,
    ) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(functions.len());
        let mut missing: Vec<(usize, Key, &str, &str)> = Vec::new();
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            for (name, file) in functions {
                let key = self.key(name, file);
                let slot = known.get(&key).copied();
                if slot.is_none() {
                    missing.push((slots.len(), key, name, file));
                }
                slots.push(slot.unwrap_or_default());
            }
        }
        if !missing.is_empty() {
            self.learn(rules, &missing, &mut slots);
        }
        slots
    }

    fn key(&self, name: &str, file: &str) -> Key {
        let [high, low] = self.seeds.each_ref().map(|seed| Key::from(seed.hash_one((name, file))));
        high << 64 | low
    }

    fn learn(&self, rules: &Rules, missing: &[(usize, Key, &str, &str)], slots: &mut [Slot]) {
        let mut learnt = Vec::with_capacity(missing.len().min(CAPACITY));
        for (place, key, name, file) in missing {
            let slot = Slot::of(rules, name, file);
            if let Some(free) = slots.get_mut(*place) {
                *free = slot;
            }
            if learnt.len() < CAPACITY {
                learnt.push((*key, slot));
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + learnt.len() > CAPACITY {
            known.clear();
        }
        known.extend(learnt);
    }
}

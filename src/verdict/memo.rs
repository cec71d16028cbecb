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
use super::shown::is_entry;
use crate::profile::{Function, Profile, TextId};

/// How many names a generation holds: what fits into a table of 2^17 places, some 7 MiB. A fleet of a hundred apps has as
/// many.
const GENERATION: usize = 114_688;

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
    /// Whether its name, if it has one, stands at the root of everything.
    pub(super) entry: bool,
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
        entry: false,
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

    /// One runtime for all in whose stacks [`Self::rule`] says the same of every function.
    pub(super) fn context(runtime: Option<Runtime>) -> Option<Runtime> {
        match runtime {
            Some(Runtime::Jvm | Runtime::Php) => runtime,
            Some(Runtime::Python | Runtime::Ruby | Runtime::Node) => Some(Runtime::Python),
            _ => None,
        }
    }

    fn of(rules: &Rules, name: &str, file: &str) -> Self {
        let frame = Frame::of(name, file);
        if frame.unresolved {
            return Self { unresolved: true, ..Self::default() };
        }
        let [rule, rule_in_jvm] = rules.rules_of(&frame);
        Self {
            own: frame.own,
            rule,
            rule_in_php: if frame.own.is_none() { rules.rule_of(&frame, Some(Runtime::Php)) } else { None },
            rule_in_jvm,
            plain_word: frame.own.is_none()
                && frame.text.bytes().all(|b| b.is_ascii_lowercase())
                && !is_c_word(&frame.text),
            unresolved: false,
            origin: origin::of(rules, &frame, file),
            entry: is_entry(name),
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

type Slots = HashMap<Key, Slot, BuildHasherDefault<AsIs>>;

/// Names in two generations: those asked for since the younger one began, and those of the one before. When the younger is
/// full, the older is forgotten: whoever goes through many apps keeps what they share.
#[derive(Debug)]
struct Generations {
    size: usize,
    young: Slots,
    old: Slots,
}

impl Default for Generations {
    fn default() -> Self {
        Self::of(GENERATION)
    }
}

impl Generations {
    fn of(size: usize) -> Self {
        Self { size, young: Slots::default(), old: Slots::default() }
    }

    /// Keeps what was learnt or asked for again, as far as it fits.
    fn keep(&mut self, mut slots: Vec<(Key, Slot)>) {
        slots.truncate(self.size);
        if self.young.len() + slots.len() > self.size {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.extend(slots);
    }
}

/// A bounded memory of names, shared by all threads. One lock is taken per profile, not per name.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: RwLock<Generations>,
    seeds: [DefaultHashBuilder; 2],
}

impl Memo {
    /// What is known of each function of the profile, in order.
    pub(super) fn slots(&self, rules: &Rules, profile: &Profile) -> Vec<Slot> {
        // All at once, so that what one waits for from memory does not hold up the next.
        let keys = self.keys(profile);
        let mut slots = Vec::with_capacity(keys.len());
        let (mut missing, mut kept) = (Vec::new(), Vec::new());
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            for (id, key) in profile.function_ids().zip(&keys) {
                let slot = known.young.get(key).copied().or_else(|| {
                    let old = known.old.get(key).copied()?;
                    kept.push((*key, old));
                    Some(old)
                });
                if slot.is_none() {
                    missing.push((id, *key));
                }
                slots.push(slot.unwrap_or_default());
            }
        }
        for (id, key) in missing {
            let (name, file) = profile.function(id);
            let slot = Slot::of(rules, name, file);
            if let Some(place) = slots.get_mut(id.index()) {
                *place = slot;
            }
            kept.push((key, slot));
        }
        if !kept.is_empty() {
            self.known.write().unwrap_or_else(PoisonError::into_inner).keep(kept);
        }
        slots
    }

    /// The key of each function. A text is hashed once: many functions stand in one file.
    fn keys(&self, profile: &Profile) -> Vec<Key> {
        let texts: Vec<_> = profile.texts().map(|text| self.seeds.each_ref().map(|seed| seed.hash_one(text))).collect();
        let of = |text: TextId| texts.get(text.index()).copied().unwrap_or_default();
        let key = |Function { name, file }| {
            let [[name, name_too], [file, file_too]] = [of(name), of(file)];
            let [seed, seed_too] = &self.seeds;
            Key::from(seed.hash_one((name, file))) << 64 | Key::from(seed_too.hash_one((name_too, file_too)))
        };
        profile.function_ids().map(|id| profile.function_texts(id).map_or(0, key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};

    /// A memory of so many names, which reads what is asked as the judge does.
    fn memo(size: usize) -> Memo {
        Memo { known: RwLock::new(Generations::of(size)), ..Memo::default() }
    }

    fn of(names: &[&str]) -> Profile {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        for name in names {
            builder.function(name, "");
        }
        builder.build()
    }

    fn ask(memo: &Memo, names: &[&str]) -> Vec<Slot> {
        memo.slots(&Rules::builtin(), &of(names))
    }

    fn knows(memo: &Memo, name: &str) -> bool {
        let (keys, known) = (memo.keys(&of(&[name])), memo.known.read().unwrap());
        keys.iter().all(|key| known.young.contains_key(key) || known.old.contains_key(key))
    }

    #[test]
    fn says_the_same_of_a_name_however_often_it_is_asked() {
        let memo = memo(2);
        let names = ["runtime.scanobject", "main.main", "0x7f3a", "java/util/HashMap.resize", "memcpy"];
        let first = ask(&memo, &names);
        for _ in 0..3 {
            assert_eq!(ask(&memo, &names), first);
        }
        let one_by_one: Vec<_> = names.iter().rev().map(|name| ask(&memo, &[name])).rev().flatten().collect();
        assert_eq!(one_by_one, first);
    }

    #[test]
    fn reads_a_name_in_a_stack_of_the_jvm_as_a_search_there_does() {
        let rules = Rules::builtin();
        let (mut same, mut other) = (0, 0);
        for name in [
            "runtime.scanobject",
            "main.main",
            "java.util.HashMap.resize",
            "memcpy",
            "json_encode",
            "CompileBroker::compiler_thread_loop",
            "G1ParScanThreadState::copy_to_survivor_space",
            "JavaThread::run",
            "Monitor::wait",
            "ThreadPool::run",
            "futex_wait",
            "std::thread::park",
        ] {
            let frame = Frame::of(name, "");
            let expected = [None, Some(Runtime::Jvm)].map(|context| rules.rule_of(&frame, context));
            assert_eq!(rules.rules_of(&frame), expected, "{name}");
            if expected[0] == expected[1] { same += 1 } else { other += 1 }
        }
        assert!(same > 0 && other > 0, "{same} {other}");
    }

    #[test]
    fn a_context_stands_for_each_of_its_runtimes() {
        let names =
            ["runtime.scanobject", "java.util.HashMap.resize", "malloc", "read", "json_encode", "Monitor::wait"];
        for (slot, name) in ask(&memo(8), &names).iter().zip(names) {
            for runtime in Runtime::ALL.iter().copied().map(Some).chain([None]) {
                assert_eq!(slot.rule(Slot::context(runtime)), slot.rule(runtime), "{name} in {runtime:?}");
            }
        }
    }

    #[test]
    fn keeps_what_many_share_and_forgets_what_one_has() {
        let memo = memo(8);
        for app in 0..20 {
            let own: Vec<_> = (0..4).map(|n| format!("app{app}.own{n}")).collect();
            let names: Vec<_> = own.iter().map(String::as_str).chain(["runtime.mallocgc", "runtime.memmove"]).collect();
            ask(&memo, &names);
            assert!(knows(&memo, "runtime.mallocgc") && knows(&memo, "app0.own0") == (app < 2), "{app}");
            let known = memo.known.read().unwrap();
            assert!(known.young.len() <= 8 && known.old.len() <= 8);
        }
    }

    #[test]
    fn a_profile_of_more_names_than_fit_is_known_in_part() {
        let memo = memo(3);
        let slots = ask(&memo, &["a.a", "b.b", "c.c", "d.d", "runtime.scanobject"]);
        assert!(slots.last().is_some_and(|slot| slot.rules().next().is_some()));
        assert_eq!(memo.known.read().unwrap().young.len(), 3);
    }
}

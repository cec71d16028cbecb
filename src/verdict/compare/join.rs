//! The functions of two profiles side by side, joined by key.

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::profile::{FunctionTable, Profile, TextId};
use crate::verdict::names::key;

/// The index of a key among those of both profiles.
pub(super) type KeyId = u32;

/// The ticks of one function on both sides, baseline first.
pub(super) type Ticks = [i64; 2];

/// How a profile spells a function: its ticks under that name, the name, and the file.
type Spelling<'p> = (i64, &'p str, &'p str);

/// Two profiles with their functions numbered alike. Hashes are seeded per process: names that collide cannot be
/// prepared.
#[derive(Debug)]
pub(super) struct Joined<'p> {
    keys: Vec<Cow<'p, str>>,
    by_key: HashTable<KeyId>,
    seed: DefaultHashBuilder,
    /// Of each side and each text of its profile, the key; `None` where no stack with a value holds that function.
    names: [Vec<Option<KeyId>>; 2],
    profiles: [&'p Profile; 2],
    sample_type: usize,
    /// Self ticks of each key.
    pub(super) own: Vec<Ticks>,
    /// The sides on which a key occurs in a stack.
    present: Vec<[bool; 2]>,
    /// The heaviest spelling on each side: its ticks, name and file.
    spellings: Vec<[Option<Spelling<'p>>; 2]>,
    /// All ticks of each side.
    pub(super) totals: Ticks,
}

/// One stack of a side: its keys, leaf first, and its ticks.
pub(super) struct KeyedStack<'a> {
    pub(super) side: usize,
    pub(super) keys: &'a [KeyId],
    pub(super) ticks: i64,
}

impl<'p> Joined<'p> {
    /// Joins the functions of both under one sample type.
    pub(super) fn of(profiles: [&'p Profile; 2], sample_type: usize) -> Self {
        let mut joined = Self {
            keys: Vec::new(),
            by_key: HashTable::new(),
            seed: DefaultHashBuilder::default(),
            names: [Vec::new(), Vec::new()],
            profiles,
            sample_type,
            own: Vec::new(),
            present: Vec::new(),
            spellings: Vec::new(),
            totals: [0; 2],
        };
        joined.number_names();
        for side in [0, 1] {
            joined.count(side);
        }
        joined
    }

    /// Gives every name in a stack its key. A spelling that both sides share is read once.
    fn number_names(&mut self) {
        let most = self.profiles.iter().map(|profile| profile.text_count()).max().unwrap_or(0);
        let mut known: HashMap<&'p str, KeyId> = HashMap::with_capacity(most);
        for side in [0, 1] {
            let Some(profile) = self.profiles.get(side).copied() else { continue };
            let mut of_texts = vec![None; profile.text_count()];
            for name in names_in_stacks(profile, self.sample_type) {
                let raw = profile.text(name);
                let id = if let Some(id) = known.get(raw) {
                    *id
                } else {
                    let id = self.number(key(raw));
                    known.insert(raw, id);
                    id
                };
                self.mark_present(id, side);
                if let Some(place) = of_texts.get_mut(name.index()) {
                    *place = Some(id);
                }
            }
            if let Some(names) = self.names.get_mut(side) {
                *names = of_texts;
            }
        }
    }

    fn number(&mut self, key: Cow<'p, str>) -> KeyId {
        let Self { keys, by_key, seed, .. } = self;
        let text = |id: &KeyId| keys.get(*id as usize).map_or("", |key| key.as_ref());
        let entry = by_key.entry(seed.hash_one(key.as_ref()), |id| text(id) == key, |id| seed.hash_one(text(id)));
        match entry {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(place) => {
                #[expect(clippy::cast_possible_truncation, reason = "readers hold profiles under 2^32 names")]
                let id = keys.len() as KeyId;
                place.insert(id);
                keys.push(key);
                self.own.push([0; 2]);
                self.present.push([false; 2]);
                self.spellings.push([None; 2]);
                id
            }
        }
    }

    fn mark_present(&mut self, id: KeyId, side: usize) {
        if let Some(present) = self.present.get_mut(id as usize).and_then(|sides| sides.get_mut(side)) {
            *present = true;
        }
    }

    /// Adds up self ticks by name, then by key, so that the heaviest spelling of a key is known.
    fn count(&mut self, side: usize) {
        let Some(profile) = self.profiles.get(side).copied() else { return };
        let mut by_name = vec![0_i64; profile.text_count()];
        let (mut total, mut no_stack) = (0_i64, 0_i64);
        for stack in profile.stacks() {
            let value = stack.values.get(self.sample_type).copied().unwrap_or(0);
            total = total.saturating_add(value);
            let leaf = stack.frames.first().and_then(|leaf| profile.function_texts(*leaf));
            let place = match leaf {
                Some(leaf) => by_name.get_mut(leaf.name.index()),
                None => Some(&mut no_stack),
            };
            if let Some(place) = place {
                *place = place.saturating_add(value);
            }
        }
        if let Some(place) = self.totals.get_mut(side) {
            *place = total;
        }
        let names = self.names.get_mut(side).map(std::mem::take).unwrap_or_default();
        let mut seen = vec![false; names.len()];
        for id in profile.function_ids() {
            let Some(function) = profile.function_texts(id) else { continue };
            let name = function.name;
            let Some(of_key) = names.get(name.index()).copied().flatten() else { continue };
            if seen.get_mut(name.index()).is_some_and(|seen| !std::mem::replace(seen, true)) {
                let ticks = by_name.get(name.index()).copied().unwrap_or(0);
                self.add(of_key, side, (ticks, profile.text(name), profile.text(function.file)));
            }
        }
        if let Some(place) = self.names.get_mut(side) {
            *place = names;
        }
        if no_stack != 0 {
            let unknown = self.number(Cow::Borrowed(FunctionTable::NO_STACK));
            self.mark_present(unknown, side);
            self.add(unknown, side, (no_stack, FunctionTable::NO_STACK, ""));
        }
    }

    fn add(&mut self, id: KeyId, side: usize, spelling: Spelling<'p>) {
        let (ticks, name, _) = spelling;
        if let Some(own) = self.own.get_mut(id as usize).and_then(|own| own.get_mut(side)) {
            *own = own.saturating_add(ticks);
        }
        if let Some(best) = self.spellings.get_mut(id as usize).and_then(|best| best.get_mut(side)) {
            let heavier = best.is_none_or(|(most, of, _)| ticks > most || (ticks == most && name < of));
            if heavier {
                *best = Some(spelling);
            }
        }
    }

    /// All keys.
    pub(super) fn ids(&self) -> impl Iterator<Item = KeyId> + use<> {
        #[expect(clippy::cast_possible_truncation, reason = "readers hold profiles under 2^32 names")]
        (0..self.keys.len()).map(|id| id as KeyId)
    }

    /// The id of a key that either side holds.
    pub(super) fn find(&self, key: &str) -> Option<KeyId> {
        self.by_key.find(self.seed.hash_one(key), |id| self.key(*id) == key).copied()
    }

    /// The key's text.
    pub(super) fn key(&self, id: KeyId) -> &str {
        self.keys.get(id as usize).map_or("", Cow::as_ref)
    }

    /// The name as the current window spells it, else as the baseline does; of several spellings the heaviest.
    pub(super) fn name(&self, id: KeyId) -> &'p str {
        let [before, now] = self.spellings.get(id as usize).copied().unwrap_or_default();
        now.or(before).map_or("", |(_, name, _)| name)
    }

    /// The file of its heaviest spelling on that side; empty where it is not known.
    pub(super) fn file(&self, id: KeyId, side: usize) -> &'p str {
        let spelling = self.spellings.get(id as usize).and_then(|sides| sides.get(side).copied().flatten());
        spelling.map_or("", |(_, _, file)| file)
    }

    /// Self ticks on both sides.
    pub(super) fn own(&self, id: KeyId) -> Ticks {
        self.own.get(id as usize).copied().unwrap_or_default()
    }

    /// The self ticks of all keys on one side under another sample type.
    pub(super) fn own_under(&self, side: usize, sample_type: usize) -> Vec<i64> {
        let mut own = vec![0_i64; self.len()];
        let (Some(profile), Some(names)) = (self.profiles.get(side), self.names.get(side)) else { return own };
        let no_stack = self.find(FunctionTable::NO_STACK);
        for stack in profile.stacks() {
            let leaf = stack.frames.first().and_then(|leaf| profile.function_texts(*leaf));
            let id = leaf.map_or(no_stack, |leaf| names.get(leaf.name.index()).copied().flatten());
            if let Some(own) = id.and_then(|id| own.get_mut(id as usize)) {
                *own = own.saturating_add(stack.values.get(sample_type).copied().unwrap_or(0));
            }
        }
        own
    }

    /// Whether the function occurs in a stack of that side.
    pub(super) fn is_present(&self, id: KeyId, side: usize) -> bool {
        self.present.get(id as usize).and_then(|sides| sides.get(side)).copied().unwrap_or(false)
    }

    /// Whether stacks of both sides hold the function.
    pub(super) fn is_on_both(&self, id: KeyId) -> bool {
        self.is_present(id, 0) && self.is_present(id, 1)
    }

    /// How many functions either side holds.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Walks all stacks of both sides that have a value.
    pub(super) fn each_stack(&self, mut visit: impl FnMut(KeyedStack<'_>)) {
        let mut keys = Vec::new();
        for (side, (profile, names)) in self.profiles.iter().zip(&self.names).enumerate() {
            for stack in profile.stacks() {
                let ticks = stack.values.get(self.sample_type).copied().unwrap_or(0);
                if ticks == 0 {
                    continue;
                }
                keys.clear();
                let texts = stack.frames.iter().filter_map(|frame| profile.function_texts(*frame));
                keys.extend(texts.filter_map(|f| names.get(f.name.index()).copied().flatten()));
                visit(KeyedStack { side, keys: &keys, ticks });
            }
        }
    }
}

/// The names in stacks with a value, each once, in the order of the profile's functions.
fn names_in_stacks(profile: &Profile, sample_type: usize) -> Vec<TextId> {
    let mut used = vec![false; profile.function_count()];
    for stack in profile.stacks() {
        if stack.values.get(sample_type).is_some_and(|value| *value != 0) {
            for frame in stack.frames {
                if let Some(used) = used.get_mut(frame.index()) {
                    *used = true;
                }
            }
        }
    }
    let mut seen = vec![false; profile.text_count()];
    let functions = profile.function_ids().zip(used).filter(|(_, used)| *used);
    let names = functions.filter_map(|(id, _)| profile.function_texts(id).map(|f| f.name));
    names.filter(|name| seen.get_mut(name.index()).is_some_and(|seen| !std::mem::replace(seen, true))).collect()
}

//! A cache of what is known of names. Names repeat from profile to profile, and the same is learnt of a name each time.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock};

use hashbrown::DefaultHashBuilder;

use crate::profile::{Function, Profile, TextId};

/// How many names a generation holds: what fits into a table of 2^17 places, some 7 MiB with what the catalogue says of
/// each. A fleet of a hundred apps has as many.
const GENERATION: usize = 114_688;

/// A function's name and file, as two hashes with secret random seeds: 128 bits, so that no two names share a key,
/// neither by chance nor by design, and names need not be stored.
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

type Known<V> = HashMap<Key, V, BuildHasherDefault<AsIs>>;

/// Names in two generations: those that were needed since the younger one began, and those of the one before. When the
/// younger is full, the older is dropped. So names that many apps share stay.
#[derive(Debug)]
struct Generations<V> {
    size: usize,
    young: Known<V>,
    old: Known<V>,
}

impl<V> Default for Generations<V> {
    fn default() -> Self {
        Self::of(GENERATION)
    }
}

impl<V> Generations<V> {
    fn of(size: usize) -> Self {
        Self { size, young: Known::default(), old: Known::default() }
    }

    /// Keeps what was learnt or asked for again, as far as it fits.
    fn keep(&mut self, mut names: Vec<(Key, V)>) {
        names.truncate(self.size);
        if self.young.len() + names.len() > self.size {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.extend(names);
    }
}

/// A bounded cache by name, shared by all threads. One lock is taken per profile, not per name.
#[derive(Debug, Default)]
pub(super) struct NameCache<V> {
    known: RwLock<Generations<V>>,
    seeds: [DefaultHashBuilder; 2],
}

impl<V: Copy + Default> NameCache<V> {
    /// What there is to know of each function of the profile, in order: remembered, or learnt by its name and file.
    pub(super) fn of_each(&self, profile: &Profile, learn: impl Fn(&str, &str) -> V) -> Vec<V> {
        // All at once, so that the waits for memory overlap.
        let keys = self.keys(profile);
        let mut values = Vec::with_capacity(keys.len());
        let (mut missing, mut kept) = (Vec::new(), Vec::new());
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            for (id, key) in profile.function_ids().zip(&keys) {
                let value = known.young.get(key).copied().or_else(|| {
                    let old = known.old.get(key).copied()?;
                    kept.push((*key, old));
                    Some(old)
                });
                if value.is_none() {
                    missing.push((id, *key));
                }
                values.push(value.unwrap_or_default());
            }
        }
        for (id, key) in missing {
            let (name, file) = profile.function(id);
            let value = learn(name, file);
            if let Some(place) = values.get_mut(id.index()) {
                *place = value;
            }
            kept.push((key, value));
        }
        if !kept.is_empty() {
            self.known.write().unwrap_or_else(PoisonError::into_inner).keep(kept);
        }
        values
    }

    /// The key of each function. A text is hashed once, since many functions share a file.
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
    use std::cell::Cell;

    use super::*;
    use crate::profile::{ProfileBuilder, SampleType};

    /// A memory of so many names.
    fn cache(size: usize) -> NameCache<usize> {
        NameCache { known: RwLock::new(Generations::of(size)), ..NameCache::default() }
    }

    fn of(names: &[&str]) -> Profile {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        for name in names {
            let (file, name) = name.split_once(':').unwrap_or(("", name));
            builder.function(name, file);
        }
        builder.build()
    }

    /// How long each name is, with its file, and how many were learnt for it.
    fn ask(cache: &NameCache<usize>, names: &[&str]) -> (Vec<usize>, usize) {
        let learnt = Cell::new(0);
        let learn = |name: &str, file: &str| {
            learnt.set(learnt.get() + 1);
            file.len() + name.len()
        };
        (cache.of_each(&of(names), learn), learnt.get())
    }

    fn knows(cache: &NameCache<usize>, name: &str) -> bool {
        let (keys, known) = (cache.keys(&of(&[name])), cache.known.read().unwrap());
        keys.iter().all(|key| known.young.contains_key(key) || known.old.contains_key(key))
    }

    #[test]
    fn says_the_same_of_a_name_however_often_it_is_asked() {
        let cache = cache(2);
        let names = ["a", "bb", "ccc", "dddd", "eeeee"];
        for _ in 0..3 {
            assert_eq!(ask(&cache, &names).0, [1, 2, 3, 4, 5]);
        }
        for name in names.iter().rev() {
            assert_eq!(ask(&cache, &[name]).0, [name.len()]);
        }
    }

    #[test]
    fn learns_a_name_once_for_each_file_it_stands_in() {
        let cache = cache(8);
        let names = ["a.go:run", "bb.go:run", "run"];
        assert_eq!(ask(&cache, &names), (vec![7, 8, 3], 3));
        assert_eq!(ask(&cache, &names), (vec![7, 8, 3], 0));
    }

    #[test]
    fn keeps_what_many_share_and_forgets_what_one_has() {
        let cache = cache(8);
        for app in 0..20 {
            let own: Vec<_> = (0..4).map(|n| format!("app{app}.own{n}")).collect();
            let names: Vec<_> = own.iter().map(String::as_str).chain(["runtime.mallocgc", "runtime.memmove"]).collect();
            assert_eq!(ask(&cache, &names).1, if app == 0 { 6 } else { 4 });
            assert!(knows(&cache, "runtime.mallocgc") && knows(&cache, "app0.own0") == (app < 2), "{app}");
            let known = cache.known.read().unwrap();
            assert!(known.young.len() <= 8 && known.old.len() <= 8);
        }
    }

    #[test]
    fn a_profile_of_more_names_than_fit_is_known_in_part() {
        let cache = cache(3);
        let names = ["a", "bb", "ccc", "dddd", "eeeee"];
        assert_eq!([(); 2].map(|()| ask(&cache, &names).1), [5, 2]);
        let known = cache.known.read().unwrap();
        assert!(known.young.len() <= 3 && known.old.len() <= 3);
    }
}

//! Caches of recent answers, for windows that move with the current time.
//!
//! Bounded by hand: on moka, tried with its least-recently-used policy, a hit costs 0.3 to 0.4 µs more, a new key 4 µs in
//! place of 0.4 (which a discovery of 1,000 apps pays for each of them), and full caches take half as much memory again.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use rustc_hash::FxHashMap;

use crate::kernel::TimeWindow;

/// A source takes data up to an hour late; later than that, a window is closed.
const CLOSES_AFTER: TimeDelta = TimeDelta::minutes(65);
/// How far a window may have moved on.
const SLIDE: TimeDelta = TimeDelta::seconds(60);
/// Keys kept.
const MOST_KEYS: usize = 4_096;
/// Windows kept of one key.
const MOST_WINDOWS: usize = 8;

/// Whether nothing can change in the window any more.
pub fn is_closed(window: TimeWindow, now: DateTime<Utc>) -> bool {
    window.to() <= now - CLOSES_AFTER
}

/// Values found for a key, each until it is out of date.
#[derive(Debug)]
pub struct Expiring<K, V>(Mutex<FxHashMap<K, (DateTime<Utc>, V)>>);

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Expiring<K, V> {
    /// What was found for this key.
    pub fn get(&self, key: &K, now: DateTime<Utc>) -> Option<V> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|(until, _)| now < *until).map(|(_, value)| value.clone())
    }

    /// Keeps what was found until then.
    pub fn put(&self, key: K, value: V, now: DateTime<Utc>, lifetime: TimeDelta) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_KEYS && !all.contains_key(&key) {
            all.retain(|_, (until, _)| now < *until);
            if all.len() >= MOST_KEYS {
                all.clear();
            }
        }
        all.insert(key, (now + lifetime, value));
    }
}

/// Values found for a key and a window, each for a while. An open window is served by what was found for one that
/// differs by at most a minute and an eighth of its length, so that asking about "the last hour" again and again finds it;
/// a closed window only by what was found for itself.
#[derive(Debug)]
pub struct Recent<K, V>(Mutex<FxHashMap<K, Vec<Found<V>>>>);

#[derive(Debug)]
struct Found<V> {
    window: TimeWindow,
    until: DateTime<Utc>,
    value: V,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

fn serves(found: TimeWindow, asked: TimeWindow, now: DateTime<Utc>) -> bool {
    if found == asked {
        return true;
    }
    let slide = SLIDE.min(asked.duration() / 8);
    !is_closed(asked, now)
        && !is_closed(found, now)
        && (found.from() - asked.from()).abs() <= slide
        && (found.to() - asked.to()).abs() <= slide
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    fn lock(&self) -> MutexGuard<'_, FxHashMap<K, Vec<Found<V>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found for this key and window; the exact window before one near it.
    pub fn get(&self, key: &K, window: TimeWindow, now: DateTime<Utc>) -> Option<V> {
        let all = self.lock();
        let fresh = || all.get(key).into_iter().flatten().filter(|found| now < found.until);
        let exact = fresh().find(|found| found.window == window);
        exact.or_else(|| fresh().find(|found| serves(found.window, window, now))).map(|found| found.value.clone())
    }

    /// Keeps what was found, for a while.
    pub fn put(&self, key: K, window: TimeWindow, value: V, now: DateTime<Utc>, lifetime: TimeDelta) {
        let mut all = self.lock();
        if all.len() >= MOST_KEYS && !all.contains_key(&key) {
            all.retain(|_, found| found.iter().any(|found| now < found.until));
            if all.len() >= MOST_KEYS {
                all.clear();
            }
        }
        let found = all.entry(key).or_default();
        found.retain(|old| now < old.until && old.window != window);
        if found.len() >= MOST_WINDOWS {
            found.remove(0);
        }
        found.push(Found { window, until: now + lifetime, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(s, 0).unwrap()
    }

    fn window(from_s: i64, to_s: i64) -> TimeWindow {
        TimeWindow::new(at(from_s), at(to_s)).unwrap()
    }

    const MINUTE: TimeDelta = TimeDelta::seconds(60);

    #[test]
    fn serves_a_window_that_slides_with_the_present_for_a_minute() {
        let recent = Recent::default();
        recent.put("a", window(100_000, 103_600), 1, at(103_600), MINUTE);
        assert_eq!(recent.get(&"a", window(100_045, 103_645), at(103_645)), Some(1));
        assert_eq!(recent.get(&"a", window(100_060, 103_660), at(103_660)), None);
        assert_eq!(recent.get(&"b", window(100_000, 103_600), at(103_600)), None);
    }

    #[test]
    fn a_short_window_slides_less_far() {
        let recent = Recent::default();
        recent.put("a", window(100_000, 100_080), 1, at(100_080), MINUTE);
        assert_eq!(recent.get(&"a", window(100_010, 100_090), at(100_090)), Some(1));
        assert_eq!(recent.get(&"a", window(100_015, 100_095), at(100_095)), None);
    }

    #[test]
    fn a_closed_window_is_served_by_itself_only() {
        let recent = Recent::default();
        let now = at(200_000);
        recent.put("a", window(100_000, 103_600), 1, now, MINUTE);
        assert_eq!(recent.get(&"a", window(100_000, 103_600), now), Some(1));
        assert_eq!(recent.get(&"a", window(100_015, 103_615), now), None);
    }

    #[test]
    fn forgets_rather_than_grows() {
        let recent = Recent::default();
        for key in 0..10_000 {
            recent.put(key, window(100_000, 103_600), key, at(103_600), MINUTE);
        }
        assert!(recent.lock().len() <= MOST_KEYS);
        assert_eq!(recent.get(&9_999, window(100_000, 103_600), at(103_600)), Some(9_999));
    }
}

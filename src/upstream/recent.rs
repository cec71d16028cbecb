//! What was found out a moment ago, for windows that slide with the present.

use std::future::ready;
use std::hash::Hash;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;
use moka::policy::EvictionPolicy;

use crate::kernel::TimeWindow;

/// A source takes data up to an hour late; later than that, a window is closed.
const CLOSES_AFTER: TimeDelta = TimeDelta::minutes(65);
/// How far a window may have moved on.
const SLIDE: TimeDelta = TimeDelta::seconds(60);
/// Keys kept.
const MOST_KEYS: u64 = 4_096;
/// Windows kept of one key.
const MOST_WINDOWS: usize = 8;

/// Whether nothing can change in the window any more.
pub fn is_closed(window: TimeWindow, now: DateTime<Utc>) -> bool {
    window.to() <= now - CLOSES_AFTER
}

/// A cache of so many keys. The least recently used goes first and a new one always gets in: values expire within a
/// minute, so how often a key was asked for in the past says little. The cache does not expire values itself: it would read
/// the system clock, while callers pass `now`, which tests and replays fix. So the time is stored beside the value and
/// checked by `get`.
fn cache<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder().max_capacity(MOST_KEYS).eviction_policy(EvictionPolicy::lru()).build()
}

/// Values found for a key, each until it is out of date.
pub struct Expiring<K, V>(Cache<K, (DateTime<Utc>, V)>);

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Default for Expiring<K, V> {
    fn default() -> Self {
        Self(cache())
    }
}

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Expiring<K, V> {
    /// What was found for this key.
    pub async fn get(&self, key: &K, now: DateTime<Utc>) -> Option<V> {
        self.0.get(key).await.filter(|(until, _)| now < *until).map(|(_, value)| value)
    }

    /// Keeps what was found until then.
    pub async fn put(&self, key: K, value: V, now: DateTime<Utc>, lifetime: TimeDelta) {
        self.0.insert(key, (now + lifetime, value)).await;
    }
}

/// Values found for a key and a window, each for a while. An open window is served by what was found for one that
/// differs by at most a minute and an eighth of its length, so that asking about "the last hour" again and again finds it;
/// a closed window only by what was found for itself.
pub struct Recent<K, V>(Cache<K, Arc<[Found<V>]>>);

#[derive(Clone)]
struct Found<V> {
    window: TimeWindow,
    until: DateTime<Utc>,
    value: V,
}

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Default for Recent<K, V> {
    fn default() -> Self {
        Self(cache())
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

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Recent<K, V> {
    /// What was found for this key and window; the exact window before one near it.
    pub async fn get(&self, key: &K, window: TimeWindow, now: DateTime<Utc>) -> Option<V> {
        let all = self.0.get(key).await?;
        let fresh = || all.iter().filter(|found| now < found.until);
        let exact = fresh().find(|found| found.window == window);
        exact.or_else(|| fresh().find(|found| serves(found.window, window, now))).map(|found| found.value.clone())
    }

    /// Keeps what was found, for a while.
    pub async fn put(&self, key: K, window: TimeWindow, value: V, now: DateTime<Utc>, lifetime: TimeDelta) {
        let found = Found { window, until: now + lifetime, value };
        // In one step, so that of two windows found at once neither is lost.
        let add = self.0.entry(key).and_upsert_with(|entry| {
            let old = entry.map(moka::Entry::into_value).unwrap_or_default();
            let kept: Vec<_> = old.iter().filter(|old| now < old.until && old.window != window).collect();
            let oldest = kept.len().saturating_sub(MOST_WINDOWS - 1);
            ready(kept.into_iter().skip(oldest).cloned().chain([found]).collect())
        });
        add.await;
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

    #[tokio::test]
    async fn serves_a_window_that_slides_with_the_present_for_a_minute() {
        let recent = Recent::default();
        recent.put("a", window(100_000, 103_600), 1, at(103_600), MINUTE).await;
        assert_eq!(recent.get(&"a", window(100_045, 103_645), at(103_645)).await, Some(1));
        assert_eq!(recent.get(&"a", window(100_060, 103_660), at(103_660)).await, None);
        assert_eq!(recent.get(&"b", window(100_000, 103_600), at(103_600)).await, None);
    }

    #[tokio::test]
    async fn a_short_window_slides_less_far() {
        let recent = Recent::default();
        recent.put("a", window(100_000, 100_080), 1, at(100_080), MINUTE).await;
        assert_eq!(recent.get(&"a", window(100_010, 100_090), at(100_090)).await, Some(1));
        assert_eq!(recent.get(&"a", window(100_015, 100_095), at(100_095)).await, None);
    }

    #[tokio::test]
    async fn a_closed_window_is_served_by_itself_only() {
        let recent = Recent::default();
        let now = at(200_000);
        recent.put("a", window(100_000, 103_600), 1, now, MINUTE).await;
        assert_eq!(recent.get(&"a", window(100_000, 103_600), now).await, Some(1));
        assert_eq!(recent.get(&"a", window(100_015, 103_615), now).await, None);
    }

    #[tokio::test]
    async fn keeps_the_newest_windows_of_a_key() {
        let recent = Recent::default();
        let (now, hour) = (at(200_000), |n: i64| window(100_000 + n * 3_600, 103_600 + n * 3_600));
        for n in 0..9 {
            recent.put("a", hour(n), n, now, MINUTE).await;
        }
        assert_eq!(recent.get(&"a", hour(0), now).await, None);
        for n in 1..9 {
            assert_eq!(recent.get(&"a", hour(n), now).await, Some(n));
        }
    }

    #[tokio::test]
    async fn a_value_is_found_until_its_time_is_over() {
        let (expiring, recent) = (Expiring::default(), Recent::default());
        let asked = window(100_000, 103_600);
        expiring.put("a", 1, at(200_000), MINUTE).await;
        recent.put("a", asked, 1, at(200_000), MINUTE).await;
        for (now, found) in [(at(200_059), Some(1)), (at(200_060), None)] {
            assert_eq!((expiring.get(&"a", now).await, recent.get(&"a", asked, now).await), (found, found));
        }
    }

    #[tokio::test]
    async fn forgets_rather_than_grows() {
        let recent = Recent::default();
        for key in 0..10_000 {
            recent.put(key, window(100_000, 103_600), key, at(103_600), MINUTE).await;
        }
        recent.0.run_pending_tasks().await;
        assert_eq!(recent.0.entry_count(), MOST_KEYS);
        assert_eq!(recent.get(&9_999, window(100_000, 103_600), at(103_600)).await, Some(9_999));
    }
}

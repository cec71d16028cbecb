//! One call for all who ask the same at the same time.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use rustc_hash::FxHashMap;

use crate::kernel::PortResult;

type Flight<V> = BoxFuture<'static, PortResult<V>>;

/// The calls in flight by what they ask. A flight goes on as long as one of those who joined it still waits; when the last
/// one gives up, it is dropped.
#[derive(Debug)]
pub(super) struct Flights<K, V>(Mutex<FxHashMap<K, WeakShared<Flight<V>>>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Removes a landed or abandoned flight.
struct Landing<'f, K: Eq + Hash, V>(&'f Flights<K, V>, K);

impl<K: Eq + Hash, V> Drop for Landing<'_, K, V> {
    fn drop(&mut self) {
        let mut flights = self.0.lock();
        if flights.get(&self.1).is_some_and(|flight| flight.upgrade().is_none_or(|flight| flight.peek().is_some())) {
            flights.remove(&self.1);
        }
    }
}

impl<K, V> Flights<K, V> {
    fn lock(&self) -> MutexGuard<'_, FxHashMap<K, WeakShared<Flight<V>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// The answer of the flight for this key, begun now if there is none.
    pub(super) async fn join(&self, key: &K, begin: impl FnOnce() -> Flight<V>) -> PortResult<V> {
        let _landing = Landing(self, key.clone());
        let flight: Shared<Flight<V>> = {
            let mut flights = self.lock();
            let flying = flights.get(key).and_then(WeakShared::upgrade).filter(|flight| flight.peek().is_none());
            flying.unwrap_or_else(|| {
                let flight = begin().shared();
                if let Some(weak) = flight.downgrade() {
                    flights.insert(key.clone(), weak);
                }
                flight
            })
        };
        flight.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_the_same_share_one_flight() {
        let flights = Flights::<&str, u32>::default();
        let begun = AtomicU32::new(0);
        let (land, landed) = oneshot::channel();
        let begin = |landed: oneshot::Receiver<u32>| {
            begun.fetch_add(1, Ordering::Relaxed);
            async move { Ok(landed.await.unwrap()) }.boxed()
        };
        let mut first = Box::pin(flights.join(&"a", || begin(landed)));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(flights.join(&"a", || unreachable!()));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        land.send(7).unwrap();
        assert_eq!(second.await, Ok(7));
        assert_eq!(begun.into_inner(), 1);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_flight_nobody_waits_for_is_dropped_and_the_next_begins_anew() {
        let flights = Flights::<&str, u32>::default();
        let held = Arc::new(());
        let inside = held.clone();
        let never = async move {
            std::future::pending::<()>().await;
            drop(inside);
            Ok(1)
        };
        let mut first = Box::pin(flights.join(&"a", || never.boxed()));
        assert!(first.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(flights.lock().is_empty());
        assert_eq!(flights.join(&"a", || async { Ok(2) }.boxed()).await, Ok(2));
    }
}

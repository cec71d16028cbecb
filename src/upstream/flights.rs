//! Shares the work of identical requests that are made at the same time.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::kernel::{Call, PortResult, Urgency};

type Flight<V> = BoxFuture<'static, PortResult<V>>;

/// The work in flight, by its result. A flight continues while at least one caller waits for it, and is dropped with
/// the last one. It has no actor, and the urgency of its most urgent caller.
#[derive(Debug)]
pub struct Flights<K, V>(Mutex<FxHashMap<K, InFlight<V>>>);

#[derive(Debug)]
struct InFlight<V> {
    work: WeakShared<Flight<V>>,
    waiting: Arc<Waiting>,
}

/// The callers that wait for a flight.
#[derive(Debug)]
struct Waiting {
    all: Mutex<Vec<Urgency>>,
    urgency: watch::Sender<Urgency>,
}

impl Waiting {
    fn change(&self, change: impl FnOnce(&mut Vec<Urgency>)) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut all);
        if let Some(most) = all.iter().copied().reduce(Urgency::or) {
            self.urgency.send_if_modified(|urgency| std::mem::replace(urgency, most) != most);
        }
    }

    fn join(&self, own: Urgency) {
        self.change(|all| all.push(own));
    }

    fn leave(&self, own: Urgency) {
        self.change(|all| {
            if let Some(at) = all.iter().position(|urgency| *urgency == own) {
                all.swap_remove(at);
            }
        });
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// One waiting caller. When it is dropped, a flight that has ended or has no callers is removed.
struct Waiter<'f, K: Eq + Hash, V> {
    flights: &'f Flights<K, V>,
    key: K,
    waiting: Arc<Waiting>,
    urgency: Urgency,
}

impl<K: Eq + Hash, V> Drop for Waiter<'_, K, V> {
    fn drop(&mut self) {
        self.waiting.leave(self.urgency);
        let mut flights = self.flights.lock();
        let over = |flight: &InFlight<V>| flight.work.upgrade().is_none_or(|work| work.peek().is_some());
        if flights.get(&self.key).is_some_and(over) {
            flights.remove(&self.key);
        }
    }
}

impl<K, V> Flights<K, V> {
    fn lock(&self) -> MutexGuard<'_, FxHashMap<K, InFlight<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Flights<K, V> {
    /// The result of the flight for this key. Starts one if there is none.
    ///
    /// # Errors
    /// The flight's own, and those of [`Call::bound`].
    pub async fn join(&self, call: &Call, key: &K, begin: impl FnOnce(Call) -> Flight<V>) -> PortResult<V> {
        let urgency = call.urgency();
        let (work, waiting) = self.find_or_begin(call, key, begin);
        waiting.join(urgency);
        let _waiter = Waiter { flights: self, key: key.clone(), waiting, urgency };
        call.bound(work).await
    }

    fn find_or_begin(
        &self,
        call: &Call,
        key: &K,
        begin: impl FnOnce(Call) -> Flight<V>,
    ) -> (Shared<Flight<V>>, Arc<Waiting>) {
        let mut flights = self.lock();
        let flying = flights.get(key).and_then(|flight| Some((flight.work.upgrade()?, Arc::clone(&flight.waiting))));
        if let Some(flying) = flying.filter(|(work, _)| work.peek().is_none()) {
            return flying;
        }
        let (sender, receiver) = watch::channel(call.urgency());
        let waiting = Arc::new(Waiting { all: Mutex::default(), urgency: sender });
        let work = begin(call.shared(receiver)).shared();
        if let Some(weak) = work.downgrade() {
            flights.insert(key.clone(), InFlight { work: weak, waiting: Arc::clone(&waiting) });
        }
        (work, waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;
    use crate::kernel::PortError;

    fn call() -> Call {
        Call::default()
    }

    #[tokio::test]
    async fn those_who_ask_the_same_share_one_flight() {
        let flights = Flights::<&str, u32>::default();
        let begun = AtomicU32::new(0);
        let (land, landed) = oneshot::channel();
        let begin = |landed: oneshot::Receiver<u32>| {
            begun.fetch_add(1, Ordering::Relaxed);
            async move { Ok(landed.await.unwrap()) }.boxed()
        };
        let (one, another) = (call(), call());
        let mut first = Box::pin(flights.join(&one, &"a", |_| begin(landed)));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(flights.join(&another, &"a", |_| unreachable!()));
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
        let call = call();
        let mut first = Box::pin(flights.join(&call, &"a", |_| never.boxed()));
        assert!(first.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(flights.lock().is_empty());
        assert_eq!(flights.join(&call, &"a", |_| async { Ok(2) }.boxed()).await, Ok(2));
    }

    #[tokio::test]
    async fn a_flight_is_as_urgent_as_the_most_urgent_of_those_who_wait_and_each_keeps_its_own_deadline() {
        let flights = Flights::<&str, Urgency>::default();
        let past = Instant::now();
        let later = past + Duration::from_hours(1);
        let (scan, prompt) = (Call::system("test").until(later).scanning(), call().until(past));
        let (begun, seen) = oneshot::channel();
        let mut first = Box::pin(flights.join(&scan, &"a", |flight| {
            begun.send(flight).unwrap();
            std::future::pending().boxed()
        }));
        assert!(first.as_mut().now_or_never().is_none());
        let flight = seen.await.unwrap();
        assert!(flight.caller().is_none());
        assert_eq!(flight.urgency(), scan.urgency());
        let late = flights.join(&prompt, &"a", |_| unreachable!()).await;
        assert!(matches!(late, Err(PortError::Timeout(_))), "{late:?}");
        let prompt = call();
        let mut second = Box::pin(flights.join(&prompt, &"a", |_| unreachable!()));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(flight.urgency(), prompt.urgency());
        drop(second);
        assert_eq!(flight.urgency(), scan.urgency());
        assert!(first.now_or_never().is_none(), "the one who waits longer goes on waiting");
    }
}

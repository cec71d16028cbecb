//! Connections that were returned a moment ago and are used again without a check. The driver's pool checks each returned
//! connection, which costs half as much as reading a few rows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::runtime::Handle;

/// How long a connection may be used again without a check, since the driver's pool gave it out. Then it is returned to
/// the driver's pool, which checks it and replaces it if it is too old.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A connection of the driver's pool.
#[derive(Debug)]
pub(super) struct PooledConnection {
    pub(super) connection: PoolConnection<Postgres>,
    since: Instant,
}

impl PooledConnection {
    /// A connection that the driver's pool has just given out.
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, since: Instant::now() }
    }

    fn is_trusted(&self) -> bool {
        self.since.elapsed() <= TRUSTED_FOR
    }
}

/// Connections that are not in use.
#[derive(Debug, Default)]
pub(super) struct RecentConnections(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lent: Vec<PooledConnection>,
    /// Whether a task is running that returns unused connections.
    is_swept: bool,
    is_closed: bool,
}

impl RecentConnections {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().lent.len()
    }

    /// The last returned connection. One that is too old goes to the driver's pool.
    pub(super) fn take(&self) -> Option<PooledConnection> {
        // Given back outside of the lock.
        let last = self.lock().lent.pop();
        last.filter(PooledConnection::is_trusted)
    }

    /// Keeps a connection, of at most so many; gives it back where it is to go to the driver's pool.
    pub(super) fn put(
        self: &Arc<Self>,
        lent: PooledConnection,
        most: usize,
        runtime: &Handle,
    ) -> Result<(), PooledConnection> {
        let mut state = self.lock();
        if state.is_closed || state.lent.len() >= most || !lent.is_trusted() {
            return Err(lent);
        }
        state.lent.push(lent);
        if !std::mem::replace(&mut state.is_swept, true) {
            runtime.spawn(sweep(Sweeping { recent: Arc::clone(self), is_over: false }));
        }
        Ok(())
    }

    /// Keeps no more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Closes idle connections without checking them.
    pub(super) async fn clear(&self) {
        let all = std::mem::take(&mut self.lock().lent);
        for lent in all {
            let _ = lent.connection.close().await;
        }
    }
}

impl Drop for RecentConnections {
    fn drop(&mut self) {
        // The driver's pool would need a runtime to take them back.
        for lent in self.lock().lent.drain(..) {
            drop(lent.connection.detach());
        }
    }
}

async fn give_back(all: Vec<PooledConnection>) {
    for mut lent in all {
        lent.connection.return_to_pool().await;
    }
}

/// Gives back what is not used again. Its runtime may end first.
struct Sweeping {
    recent: Arc<RecentConnections>,
    is_over: bool,
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        if !self.is_over {
            self.recent.lock().is_swept = false;
        }
    }
}

async fn sweep(mut sweeping: Sweeping) {
    while !sweeping.is_over {
        tokio::time::sleep(TRUSTED_FOR).await;
        let old = {
            let mut state = sweeping.recent.lock();
            let (trusted, old) = std::mem::take(&mut state.lent).into_iter().partition(PooledConnection::is_trusted);
            state.lent = trusted;
            state.is_swept = !state.lent.is_empty();
            sweeping.is_over = !state.is_swept;
            old
        };
        give_back(old).await;
    }
}

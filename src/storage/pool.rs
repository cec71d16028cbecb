//! The pool: its limits, who holds a connection, who waits for one, and when the database counts as away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Pooler;

use super::pooler;
use super::recent::{PooledConnection, RecentConnections, TRUSTED_FOR};

/// From this share of connections in use on, the pool is nearly full.
const NEARLY_FULL_PERCENT: u64 = 80;
/// A connection that takes longer than this makes us check whether the server can be reached.
const DOUBT_AFTER: Duration = Duration::from_millis(500);
/// How long to wait for a server that could not be reached just before.
const AWAY_LIMIT: Duration = Duration::from_secs(2);

/// The limits of the pool, as `DB_POOL_SIZE` and the variables beside it set them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// The pooler in front of the server (`DB_POOLER`).
    pub pooler: Pooler,
    /// Most connections at once (`DB_POOL_SIZE`).
    pub size: u32,
    /// The largest number of idle connections that are kept (`DB_MAX_IDLE_CONNS`).
    pub max_idle: u32,
    /// A connection is replaced at this age (`DB_CONN_MAX_LIFETIME`).
    pub max_lifetime: Duration,
    /// A connection is closed after so long without use (`DB_CONN_MAX_IDLE_TIME`).
    pub max_idle_time: Duration,
    /// How long a connection is waited for (`DB_CONNECT_TIMEOUT`).
    pub connect_timeout: Duration,
    /// How long a statement may run (`DB_QUERY_TIMEOUT`).
    pub query_timeout: Duration,
}

impl PoolSettings {
    /// The defaults for a pool of this size.
    pub fn of_size(size: u32) -> Self {
        Self {
            pooler: Pooler::None,
            size: size.max(1),
            max_idle: size.max(1),
            max_lifetime: Duration::from_mins(5),
            max_idle_time: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self::of_size(20)
    }
}

/// What the pool is doing now, and what it did since the start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PoolStats {
    /// Most connections at once.
    pub max: u32,
    /// Connections open.
    pub open: u32,
    /// The idle ones among them.
    pub idle: u32,
    /// The ones among them that are in use.
    pub in_use: u32,
    /// How often a caller had to wait because all connections were in use.
    pub wait_count: u64,
    /// How long callers waited, in all.
    pub wait_duration: Duration,
}

impl PoolStats {
    /// The share of connections in use, 0 to 100.
    pub fn utilization_percent(&self) -> f64 {
        if self.max == 0 { 0.0 } else { f64::from(self.in_use) * 100.0 / f64::from(self.max) }
    }

    /// Whether at least 80 % of the connections are in use.
    pub fn is_nearly_full(&self) -> bool {
        u64::from(self.in_use) * 100 >= u64::from(self.max) * NEARLY_FULL_PERCENT && self.max > 0
    }
}

/// How much of the pool a kind of work may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// All of its connections.
    Whole,
    /// At most three quarters, so that other work always finds a connection. A pool of one connection is used whole.
    ThreeQuarters,
}

impl Share {
    /// How many connections of a pool of this size that is.
    fn of(self, size: u32) -> u32 {
        match self {
            Self::Whole => size,
            Self::ThreeQuarters => (size - size.div_ceil(4)).max(1),
        }
    }
}

/// Why there was no connection.
#[derive(Debug)]
pub(super) enum NoConnection {
    /// All connections of the share, this many, are in use, and none came back in time.
    Exhausted(u32),
    /// The server refuses connections, or open ones are lost.
    Away(sqlx::Error),
    /// The server is still as silent as it was before.
    Silent,
}

/// How long a transaction may wait for its next statement. A process that was stopped, or whose network is gone, would
/// otherwise keep its locks, and others would wait for them.
const SILENT_FOR: Duration = Duration::from_secs(30);

/// The pool and its counts.
#[derive(Debug)]
pub(super) struct Pool {
    connections: PgPool,
    /// The semaphore of these connections, which do not go through the driver's own queue.
    turns: Semaphore,
    /// The semaphore of [`Share::ThreeQuarters`].
    some_turns: Semaphore,
    recent: Arc<RecentConnections>,
    settings: PoolSettings,
    options: PgConnectOptions,
    in_use: AtomicU32,
    waits: AtomicU64,
    waited_us: AtomicU64,
    away: AtomicBool,
}

impl Pool {
    /// A pool that connects when it is first asked.
    pub(super) fn lazy(options: PgConnectOptions, settings: PoolSettings) -> Self {
        let limits = (settings.pooler == Pooler::None).then(|| limits(&settings));
        let connections = PgPoolOptions::new()
            .max_connections(settings.size)
            .max_lifetime(settings.max_lifetime)
            .idle_timeout(settings.max_idle_time)
            .acquire_timeout(settings.connect_timeout)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    // It was checked when it came back.
                    if meta.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                let limits = limits.clone();
                Box::pin(async move {
                    let Some(limits) = limits else { return Ok(()) };
                    // Not as a start option: poolers between the server and us refuse unknown ones.
                    let sql = sqlx::AssertSqlSafe(limits.map(|limit| format!("SET {limit}")).join("; "));
                    sqlx::raw_sql(sql).execute(connection).await.map(|_| ())
                })
            })
            .connect_lazy_with(options.clone());
        Self {
            connections,
            turns: turns(Share::Whole.of(settings.size)),
            some_turns: turns(Share::ThreeQuarters.of(settings.size)),
            recent: Arc::default(),
            settings,
            options,
            in_use: AtomicU32::new(0),
            waits: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            away: AtomicBool::new(false),
        }
    }

    /// How to connect beside the pool.
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The limits.
    pub(super) fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// Takes a connection; the one place where waits are counted.
    pub(super) async fn acquire(&self, share: Share) -> Result<Lease<'_>, NoConnection> {
        if self.away.load(Ordering::Relaxed) {
            self.probe(AWAY_LIMIT.min(self.settings.connect_timeout)).await.map_err(|error| match error {
                sqlx::Error::PoolTimedOut => NoConnection::Silent,
                error => NoConnection::Away(error),
            })?;
            self.away.store(false, Ordering::Relaxed);
        }
        let begun = Instant::now();
        let waits = self.exhausted(share);
        let taken = tokio::select! {
            taken = tokio::time::timeout(self.settings.connect_timeout, self.take(share)) => {
                taken.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            }
            error = self.doubt(share) => Err(error),
        };
        if waits {
            let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.waits.fetch_add(1, Ordering::Relaxed);
            self.waited_us.fetch_add(us, Ordering::Relaxed);
        }
        match taken {
            Ok((lent, turns)) => {
                self.in_use.fetch_add(1, Ordering::Relaxed);
                Ok(Lease { lent: Some(lent), is_clean: false, pool: self, _turns: turns })
            }
            Err(sqlx::Error::PoolTimedOut) if self.exhausted(share) => {
                Err(NoConnection::Exhausted(share.of(self.settings.size)))
            }
            Err(error) => {
                self.away.store(true, Ordering::Relaxed);
                Err(NoConnection::Away(error))
            }
        }
    }

    /// Does `work` on a connection: one statement or one transaction, with the time limit of the settings. Behind a pooler
    /// the limit cannot stay with the connection, and all of it is one transaction.
    pub(super) async fn run<T>(
        &self,
        connection: &mut PgConnection,
        work: &(impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync),
    ) -> Result<T, sqlx::Error> {
        if self.settings.pooler == Pooler::None {
            return work(connection).await;
        }
        // A pooler takes connections at once and makes us wait for a session here.
        let limits = limits(&self.settings);
        let begun = tokio::time::timeout(self.settings.connect_timeout, pooler::begin(connection, &limits)).await;
        let mut transaction = begun.map_err(|_| sqlx::Error::PoolTimedOut)??;
        let found = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(found)
    }

    /// One that came back a moment ago, or one of the driver's pool, which may connect.
    async fn take(&self, share: Share) -> Result<(PooledConnection, Turns<'_>), sqlx::Error> {
        let some = match share {
            Share::Whole => None,
            Share::ThreeQuarters => Some(self.some_turns.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?),
        };
        let turn = self.turns.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let lent = match self.recent.take() {
            Some(lent) => lent,
            None => PooledConnection::new(self.connections.acquire().await?),
        };
        Ok((lent, (turn, some)))
    }

    /// Whether all connections of the share are in use.
    fn exhausted(&self, share: Share) -> bool {
        self.in_use.load(Ordering::Relaxed) >= self.settings.size
            || (share == Share::ThreeQuarters && self.some_turns.available_permits() == 0)
    }

    /// The driver's pool tries a refused connection again until the time is up. A caller that waits suspiciously long
    /// connects by itself and ends the wait with the server's error. It never ends where the server answers.
    async fn doubt(&self, share: Share) -> sqlx::Error {
        tokio::time::sleep(DOUBT_AFTER).await;
        if !self.exhausted(share)
            && let Err(error) = self.probe(self.settings.connect_timeout).await
        {
            return error;
        }
        std::future::pending().await
    }

    /// Connects beside the pool, to see whether the server answers.
    async fn probe(&self, limit: Duration) -> Result<(), sqlx::Error> {
        let connect = tokio::time::timeout(limit, self.options.connect());
        let connection = connect.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        connection.close().await
    }

    /// What it is doing.
    pub(super) fn stats(&self) -> PoolStats {
        let in_use = self.in_use.load(Ordering::Relaxed);
        let idle = u32::try_from(self.connections.num_idle() + self.recent.len()).unwrap_or(u32::MAX);
        PoolStats {
            max: self.settings.size,
            open: self.connections.size().max(in_use),
            idle,
            in_use,
            wait_count: self.waits.load(Ordering::Relaxed),
            wait_duration: Duration::from_micros(self.waited_us.load(Ordering::Relaxed)),
        }
    }

    /// How many came back a moment ago and wait to be handed on.
    #[cfg(test)]
    pub(super) fn handed_on(&self) -> usize {
        self.recent.len()
    }

    /// Closes idle connections. Connections requested from now on are new.
    pub(super) async fn renew(&self) {
        self.recent.clear().await;
        while let Some(idle) = self.connections.try_acquire() {
            let _ = idle.close().await;
        }
    }

    /// Closes it: connections in use are waited for.
    pub(super) async fn close(&self) {
        self.recent.close();
        self.recent.clear().await;
        self.connections.close().await;
    }
}

/// What sessions are set to: the server ends a statement that takes too long, and a transaction whose client sends nothing; and
/// it compiles no query, which takes longer than most queries here run.
fn limits(settings: &PoolSettings) -> [String; 3] {
    [
        "jit = off".to_owned(),
        format!("statement_timeout = {}", settings.query_timeout.as_millis()),
        format!("idle_in_transaction_session_timeout = {}", SILENT_FOR.as_millis()),
    ]
}

fn turns(connections: u32) -> Semaphore {
    Semaphore::new(usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS))
}

/// The turn of a connection, and that of the share where it is not the whole pool.
type Turns<'p> = (SemaphorePermit<'p>, Option<SemaphorePermit<'p>>);

/// A connection in use, which returns to the pool when this value is dropped.
pub(super) struct Lease<'p> {
    lent: Option<PooledConnection>,
    is_clean: bool,
    pool: &'p Pool,
    /// Released after the connection, so that the next request finds the connection.
    _turns: Turns<'p>,
}

impl Lease<'_> {
    /// The connection. It is only `None` during drop.
    pub(super) fn get(&mut self) -> Option<&mut PgConnection> {
        self.lent.as_mut().map(|lent| &mut *lent.connection)
    }

    /// Returns it after work that succeeded, so it may be used again without a check.
    pub(super) fn succeeded(mut self) {
        // A transaction that was dropped is not rolled back yet.
        self.is_clean = self.lent.as_ref().is_some_and(|lent| !lent.connection.should_flush());
    }

    /// Closes the connection, because it is lost.
    pub(super) fn lose(mut self) {
        if let Some(mut lent) = self.lent.take() {
            lent.connection.close_on_drop();
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.pool.in_use.fetch_sub(1, Ordering::Relaxed);
        let Some(mut lent) = self.lent.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let (pool, recent) = (self.pool.connections.clone(), Arc::clone(&self.pool.recent));
        let max_idle = usize::try_from(self.pool.settings.max_idle).unwrap_or(usize::MAX);
        if self.is_clean {
            match recent.put(lent, max_idle.saturating_sub(pool.num_idle()), &runtime) {
                Ok(()) => return,
                Err(back) => lent = back,
            }
        }
        // The driver's `after_release` runs before a connection counts as idle, so that of many released at once all
        // would stay. A check after the release sees them all.
        runtime.spawn(async move {
            lent.connection.return_to_pool().await;
            while pool.num_idle() + recent.len() > max_idle {
                let Some(surplus) = pool.try_acquire() else { return };
                let _ = surplus.close().await;
            }
        });
    }
}

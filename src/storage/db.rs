//! The one way to the database: connections are taken, queries counted, retried and their errors mapped here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures::future::BoxFuture;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

use crate::kernel::PortError;
use crate::telemetry;

use super::pool::{NoConnection, Pool, PoolSettings, PoolStats, Share};
use super::schema::Schema;
use super::sqlstate::{Meaning, translate};

/// How often a statement is tried again.
const RETRIES: usize = 3;
/// The pauses between tries.
pub(super) const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_factor(2.0)
    .with_max_delay(Duration::from_secs(5));
/// What a statement gets beyond its limit before the server's own cancelling is given up on.
const GRACE: Duration = Duration::from_secs(1);

/// Whether a statement may be sent again after its connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A read, or a write that is idempotent by its key.
    Safe,
    /// A write that would count twice.
    Unsafe,
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A named constraint refused the row; the adapter says what that means.
    #[error("constraint {0} refused the row")]
    Constraint(String),
    /// Everything else.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<DbError> for PortError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Constraint(name) => Self::Invalid(format!("constraint {name} refused the row")),
            DbError::Port(error) => error,
        }
    }
}

/// A database, reached through a pool of connections. Clones share the pool.
#[derive(Debug, Clone)]
pub struct Db {
    pub(super) pool: Arc<Pool>,
    pub(super) schema: Arc<watch::Sender<Schema>>,
    share: Share,
}

/// One try that failed.
struct Failed {
    error: DbError,
    /// Whether the same may be tried again, given what the statement is.
    again: fn(Repeat) -> bool,
}

impl Failed {
    fn finally(error: PortError) -> Self {
        Self { error: DbError::Port(error), again: |_| false }
    }
}

impl Db {
    /// A database that is connected to when it is first asked; [`Db::prepare`] makes its schema ready.
    pub fn open(options: PgConnectOptions, settings: PoolSettings) -> Self {
        let options = options.application_name("flamewarden");
        let (pool, schema) = (Pool::lazy(options, settings), watch::Sender::new(Schema::default()));
        Self { pool: Arc::new(pool), schema: Arc::new(schema), share: Share::Whole }
    }

    /// The same database, for work that must not keep other work from it: all such work together uses at most three quarters of the
    /// connections.
    #[must_use]
    pub fn leaving_a_quarter(&self) -> Self {
        Self { share: Share::ThreeQuarters, ..self.clone() }
    }

    /// Runs statements on one connection, at most until the query timeout.
    ///
    /// `work` is one statement or one transaction. It may be called again, at most three times: where no connection
    /// was to be had, where the server rolled it back (deadlock, serialization failure), and after a lost connection
    /// if `repeat` allows it.
    ///
    /// # Errors
    /// [`DbError::Constraint`] names the constraint that refused the row. Away or lost: `Unavailable`; too slow:
    /// `Timeout`; all connections in use: `Overloaded`.
    pub async fn run<T: Send>(
        &self,
        repeat: Repeat,
        work: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync,
    ) -> Result<T, DbError> {
        self.try_to_run(repeat, work).await.map_err(|error| self.explained(error))
    }

    /// The same, whose error is the database's own while the server is starting too.
    pub(super) async fn try_to_run<T: Send>(
        &self,
        repeat: Repeat,
        work: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync,
    ) -> Result<T, DbError> {
        let mut retry = 0;
        (|| self.once(&work))
            .retry(BACKOFF.with_max_times(RETRIES))
            .when(|failed| (failed.again)(repeat))
            .notify(|failed, _| {
                tracing::debug!(error = %failed.error, retry, "a statement is tried again");
                metrics::counter!("db_retries_total").increment(1);
                retry += 1;
            })
            .await
            .map_err(|failed| failed.error)
    }

    async fn once<T: Send>(
        &self,
        work: &(impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync),
    ) -> Result<T, Failed> {
        let mut held = match self.pool.acquire(self.share).await {
            Ok(held) => held,
            Err(NoConnection::Exhausted(most)) => {
                let detail = match self.share {
                    Share::Whole => format!("all {most} database connections are in use"),
                    Share::ThreeQuarters => format!("all {most} database connections for this kind of work are in use"),
                };
                return Err(Failed::finally(PortError::Overloaded { detail, retry_after_s: 1 }));
            }
            Err(NoConnection::Silent) => {
                return Err(Failed::finally(PortError::Unavailable("database: no answer".into())));
            }
            Err(NoConnection::Away(error)) => {
                // A fault in the options is no reason to try again.
                let again = if Meaning::of(&error) == Meaning::Ours { |_| false } else { |_| true };
                return Err(Failed { error: away(&error), again });
            }
        };
        let Some(connection) = held.get() else {
            return Err(Failed::finally(PortError::Internal("a connection without a connection".into())));
        };
        let counted = telemetry::query();
        let begun = Instant::now();
        let limit = self.pool.settings().query_timeout + GRACE;
        let done = tokio::time::timeout(limit, self.pool.run(connection, work)).await;
        drop(counted);
        let outcome = match &done {
            Ok(Ok(_)) => "ok",
            Ok(Err(_)) => "error",
            Err(_) => "timeout",
        };
        metrics::histogram!("db_query_duration_seconds", "outcome" => outcome).record(begun.elapsed().as_secs_f64());
        match done {
            Ok(Ok(found)) => {
                held.succeeded();
                Ok(found)
            }
            Ok(Err(error)) => {
                let again: fn(Repeat) -> bool = match Meaning::of(&error) {
                    Meaning::RolledBack => |_| true,
                    Meaning::Away | Meaning::Full => |repeat| repeat == Repeat::Safe,
                    _ => |_| false,
                };
                if Meaning::of(&error) == Meaning::Away {
                    held.lose();
                }
                Err(Failed { error: translate(&error), again })
            }
            Err(_) => {
                held.lose();
                Err(Failed::finally(PortError::Timeout(format!("database: no answer within {limit:?}"))))
            }
        }
    }

    /// What cannot be reached while the schema is not ready is starting.
    fn explained(&self, error: DbError) -> DbError {
        match (error, self.schema()) {
            (DbError::Port(PortError::Unavailable(detail)), Schema::Waiting(why) | Schema::Refused(why)) => {
                tracing::debug!(%detail, "asked before the schema is ready");
                let why = why.public;
                PortError::Starting(format!("the server is starting, its database is not ready: {why}; try again"))
                    .into()
            }
            (error, _) => error,
        }
    }

    /// What the pool is doing.
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Sets the gauges of the pool; called before metrics are read.
    pub fn record_stats(&self) {
        let stats = self.stats();
        metrics::gauge!("db_connections_max").set(stats.max);
        metrics::gauge!("db_connections_open").set(stats.open);
        metrics::gauge!("db_connections_idle").set(stats.idle);
        metrics::gauge!("db_connections_in_use").set(stats.in_use);
        metrics::counter!("db_connection_waits_total").absolute(stats.wait_count);
        metrics::gauge!("db_connection_wait_seconds").set(stats.wait_duration.as_secs_f64());
    }

    /// Uses new connections from now on. A connection does not live longer than the runtime that opened it, so work
    /// that continues after others ended needs new ones, as in a server whose workers have stopped.
    pub async fn renew(&self) {
        self.pool.renew().await;
    }

    /// Closes the pool; what is running is waited for.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Nothing was sent: whatever the server said, it is away.
fn away(error: &sqlx::Error) -> DbError {
    match translate(error) {
        DbError::Port(error @ (PortError::Unavailable(_) | PortError::Overloaded { .. })) => DbError::Port(error),
        other => DbError::Port(PortError::Unavailable(format!("no database connection: {other}"))),
    }
}

#[cfg(test)]
#[path = "db_tests.rs"]
mod tests;

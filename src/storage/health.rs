//! The health of the database, for the health routes.

use std::time::{Duration, Instant};

use super::{Db, PoolStats, Reason, Repeat, Schema};
use crate::kernel::PortError;
use crate::storage::DbError;

/// How long the database may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// The database is slow if an empty query takes this long.
const SLOW: Duration = Duration::from_secs(1);

/// How the database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Well.
    Pass,
    /// It serves, and is nearly full or slow.
    Warn,
    /// It does not serve.
    Fail,
}

/// The database's health at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// How it does.
    pub condition: Condition,
    /// Why it is not healthy.
    pub reason: Option<Reason>,
    /// How long it took to answer, or to fail.
    pub response_time: Duration,
    /// The pool.
    pub pool: PoolStats,
    /// How far the schema has come.
    pub schema: Schema,
}

impl Health {
    /// Whether requests may be sent here: the database answers and its schema is ours. A full pool is no reason to
    /// send them elsewhere.
    pub fn is_ready(&self) -> bool {
        self.condition != Condition::Fail
    }
}

impl Db {
    /// Asks the database, for at most two seconds.
    pub async fn health(&self) -> Health {
        let begun = Instant::now();
        let asked = tokio::time::timeout(LIMIT, self.ping()).await;
        let response_time = begun.elapsed();
        let pool = self.stats();
        let schema = self.schema();
        let full = pool.in_use >= pool.max;
        let (condition, reason) = match (asked, &schema) {
            (Ok(Err(error)), Schema::Waiting(why)) => {
                let reason = Reason { public: why.public.clone(), internal: format!("{}; {error}", why.internal) };
                (Condition::Fail, Some(reason))
            }
            (_, Schema::Refused(why) | Schema::Waiting(why)) => (Condition::Fail, Some(why.clone())),
            (Ok(Err(DbError::Port(PortError::Overloaded { detail, .. }))), Schema::Ready) => {
                (Condition::Warn, Some(Reason::plain(detail)))
            }
            (Err(_), Schema::Ready) if full => (Condition::Warn, Some(Reason::plain("all connections are in use"))),
            (Ok(Err(error)), Schema::Ready) => {
                let reason = Reason { public: "it cannot be reached".to_owned(), internal: error.to_string() };
                (Condition::Fail, Some(reason))
            }
            (Err(_), Schema::Ready) => (Condition::Fail, Some(Reason::plain("it does not answer"))),
            (Ok(Ok(())), Schema::Ready) if pool.is_nearly_full() => {
                (Condition::Warn, Some(Reason::plain("at least 80 % of the connections are in use")))
            }
            (Ok(Ok(())), Schema::Ready) if response_time > SLOW => {
                (Condition::Warn, Some(Reason::plain("the database answers slowly")))
            }
            (Ok(Ok(())), Schema::Ready) => (Condition::Pass, None),
        };
        Health { condition, reason, response_time, pool, schema }
    }

    /// Watches its pool.
    pub fn watch_pool(&self) -> PoolWatch {
        PoolWatch { db: self.clone(), nearly_full: false }
    }

    async fn ping(&self) -> Result<(), DbError> {
        self.try_to_run(Repeat::Safe, |c| Box::pin(async move { sqlx::query("SELECT 1").execute(c).await.map(|_| ()) }))
            .await
    }
}

/// Logs when the pool becomes nearly full and when it no longer is.
#[derive(Debug)]
pub struct PoolWatch {
    db: Db,
    nearly_full: bool,
}

impl PoolWatch {
    /// How often to look.
    pub const EVERY: Duration = Duration::from_secs(1);

    /// Looks once; answers whether that changed.
    pub fn look(&mut self) -> bool {
        let pool = self.db.stats();
        let before = std::mem::replace(&mut self.nearly_full, pool.is_nearly_full());
        match (before, self.nearly_full) {
            (false, true) => {
                tracing::warn!(
                    in_use = pool.in_use,
                    max = pool.max,
                    "at least 80 % of the database connections are in use"
                );
            }
            (true, false) => {
                tracing::warn!(in_use = pool.in_use, max = pool.max, "database connections are free again");
            }
            _ => return false,
        }
        true
    }
}

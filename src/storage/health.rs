//! What the health paths say of the database.

use std::time::{Duration, Instant};

use super::{Db, PoolStats, Repeat, Schema};
use crate::kernel::PortError;
use crate::storage::DbError;

/// How long the database may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// Past this share of connections in use the pool is nearly full.
const NEARLY_FULL_PERCENT: f64 = 80.0;
/// An answer to nothing that takes this long is slow.
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
    /// Why it does not do well; may name the server's words, so it is for the log and for people of the house.
    pub reason: Option<String>,
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
    /// Asks the database; the answer takes two seconds at most.
    pub async fn health(&self) -> Health {
        let begun = Instant::now();
        let asked = tokio::time::timeout(LIMIT, self.ping()).await;
        let response_time = begun.elapsed();
        let pool = self.stats();
        let schema = self.schema();
        let full = pool.in_use >= pool.max;
        let (condition, reason) = match (asked, &schema) {
            (_, Schema::Refused(why)) | (Ok(Ok(())), Schema::Waiting(why)) => (Condition::Fail, Some(why.clone())),
            (Ok(Err(DbError::Port(PortError::Overloaded { detail, .. }))), Schema::Ready) => {
                (Condition::Warn, Some(detail))
            }
            (Err(_), Schema::Ready) if full => (Condition::Warn, Some("all connections are in use".to_owned())),
            (Ok(Err(error)), _) => (Condition::Fail, Some(error.to_string())),
            (Err(_), _) => (Condition::Fail, Some("the database does not answer".to_owned())),
            (Ok(Ok(())), Schema::Ready) if pool.utilization_percent() > NEARLY_FULL_PERCENT => {
                (Condition::Warn, Some("over 80 % of the connections are in use".to_owned()))
            }
            (Ok(Ok(())), Schema::Ready) if response_time > SLOW => {
                (Condition::Warn, Some("the database answers slowly".to_owned()))
            }
            (Ok(Ok(())), Schema::Ready) => (Condition::Pass, None),
        };
        Health { condition, reason, response_time, pool, schema }
    }

    async fn ping(&self) -> Result<(), DbError> {
        self.run(Repeat::Safe, |c| Box::pin(async move { sqlx::query("SELECT 1").execute(c).await.map(|_| ()) })).await
    }
}

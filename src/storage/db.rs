//! The one way to the database: connections are taken, queries counted, retried and their errors mapped here.

use futures::future::BoxFuture;
use sqlx::{PgConnection, PgPool};

use crate::kernel::PortError;
use crate::telemetry;

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

/// A database, reached through a pool of connections.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
}

impl Db {
    /// A database behind this pool.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Runs statements on one connection. `work` may be called again where `repeat` allows it.
    pub async fn run<T: Send>(
        &self,
        _repeat: Repeat,
        work: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync,
    ) -> Result<T, DbError> {
        let mut connection = self.pool.acquire().await.map_err(|e| PortError::Unavailable(e.to_string()))?;
        let _counted = telemetry::query();
        work(&mut connection).await.map_err(|error| match &error {
            sqlx::Error::Database(db) if db.constraint().is_some() => {
                DbError::Constraint(db.constraint().unwrap_or_default().to_owned())
            }
            _ => DbError::Port(PortError::Unavailable(error.to_string())),
        })
    }
}

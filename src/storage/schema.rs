//! From "no database yet" to "its schema is ours": connects with backoff, migrates, and says how far it came.

use backon::Retryable;
use sqlx::{ConnectOptions, Connection};

use super::Db;
use super::db::BACKOFF;
use super::migrate::{self, MigrateError};
use super::sqlstate::Meaning;

/// How far the schema has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// Not there; why is for people.
    Waiting(String),
    /// All migrations of this binary are applied.
    Ready,
    /// It cannot be made ready without somebody doing something.
    Refused(String),
}

impl Default for Schema {
    fn default() -> Self {
        Self::Waiting("not connected yet".to_owned())
    }
}

impl Db {
    /// Connects, tries again with backoff until the database is there, and makes the schema ready: by migrating it, or,
    /// with `migrate` false, by waiting until somebody else has. Returns when it is.
    ///
    /// # Errors
    /// What no waiting mends: a changed migration, a migration that fails, a server older than PostgreSQL 15.
    pub async fn prepare(&self, migrate: bool) -> Result<(), MigrateError> {
        let mut said = String::new();
        let prepared = (|| self.prepare_once(migrate))
            .retry(BACKOFF.without_max_times())
            .when(is_passing)
            .notify(|error, _| {
                let why = error.to_string();
                if why != said {
                    tracing::warn!(reason = %why, "the database is not ready; it is tried again");
                    said.clone_from(&why);
                }
                self.schema.send_replace(Schema::Waiting(why));
            })
            .await;
        self.schema.send_replace(match &prepared {
            Ok(()) => Schema::Ready,
            Err(error) => Schema::Refused(error.to_string()),
        });
        prepared
    }

    async fn prepare_once(&self, migrate: bool) -> Result<(), MigrateError> {
        let limit = self.pool.settings().connect_timeout;
        let connect = tokio::time::timeout(limit, self.pool.options().connect());
        let mut connection = connect.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        migrate::check_server(&mut connection).await?;
        if migrate {
            let applied = migrate::up(&mut connection, None).await?;
            if !applied.is_empty() {
                tracing::info!(applied = applied.len(), "the schema was migrated");
            }
        } else {
            migrate::check_applied(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }

    /// How far the schema has come.
    pub fn schema(&self) -> Schema {
        self.schema.borrow().clone()
    }

    /// Returns once the schema is ready, or refused.
    pub async fn settled(&self) -> Schema {
        let mut watched = self.schema.subscribe();
        let found = watched.wait_for(|schema| !matches!(schema, Schema::Waiting(_))).await;
        found.map_or_else(|_| Schema::default(), |schema| schema.clone())
    }
}

/// Whether waiting mends it: the server is away, starting or full, or somebody else has yet to migrate.
fn is_passing(error: &MigrateError) -> bool {
    match error {
        MigrateError::Missing(_) => true,
        MigrateError::Database(error) => {
            matches!(Meaning::of(error), Meaning::Away | Meaning::Full | Meaning::RolledBack)
        }
        _ => false,
    }
}

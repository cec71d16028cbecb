//! Makes the schema ready: connects with backoff, migrates, and reports how far it has come.

use backon::Retryable;
use sqlx::{ConnectOptions, Connection};

use super::Db;
use super::db::BACKOFF;
use super::migrate::{self, MigrateError};
use super::sqlstate::{self, Meaning};

/// Why the database is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What callers may read: no address, no SQL, none of the server's own words.
    pub public: String,
    /// The whole text, for the log.
    pub internal: String,
}

impl Reason {
    /// One text for callers and for the log.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        let public = text.into();
        Self { internal: public.clone(), public }
    }
}

impl From<&MigrateError> for Reason {
    fn from(error: &MigrateError) -> Self {
        let public = match error {
            MigrateError::Failed { version, name, cause } => {
                let cause = sqlstate::public(cause);
                format!("migration {version} ({name}) failed and was taken back whole: {cause}")
            }
            MigrateError::Database(error) => sqlstate::public(error),
            ours => ours.to_string(),
        };
        Self { public, internal: error.to_string() }
    }
}

/// How far the schema has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// Not ready yet.
    Waiting(Reason),
    /// All migrations of this binary are applied.
    Ready,
    /// It cannot become ready until somebody acts.
    Refused(Reason),
}

impl Default for Schema {
    fn default() -> Self {
        Self::Waiting(Reason::plain("this server has not connected to it yet"))
    }
}

impl Db {
    /// Connects, with backoff until the database is there, and makes the schema ready: by migrating it, or, with
    /// `migrate` false, by waiting until somebody else has. Returns when it is ready.
    ///
    /// # Errors
    /// What no waiting mends: a changed migration, a migration that fails, a server older than PostgreSQL 15.
    pub async fn prepare(&self, migrate: bool) -> Result<(), MigrateError> {
        let mut said = String::new();
        let prepared = (|| self.prepare_once(migrate))
            .retry(BACKOFF.without_max_times())
            .when(is_passing)
            .notify(|error, _| {
                let why = Reason::from(error);
                if why.internal != said {
                    tracing::warn!(reason = why.internal, "the database is not ready; it is tried again");
                    said.clone_from(&why.internal);
                }
                self.schema.send_replace(Schema::Waiting(why));
            })
            .await;
        self.schema.send_replace(match &prepared {
            Ok(()) => Schema::Ready,
            Err(error) => {
                let why = Reason::from(error);
                tracing::error!(reason = why.internal, "the schema cannot be made ready; this server stops");
                Schema::Refused(why)
            }
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

/// Whether waiting helps: the server cannot be reached, is starting or full, or another process has yet to migrate.
fn is_passing(error: &MigrateError) -> bool {
    match error {
        MigrateError::Missing(_) => true,
        MigrateError::Database(error) => {
            matches!(Meaning::of(error), Meaning::Away | Meaning::Full | Meaning::RolledBack)
        }
        _ => false,
    }
}

//! Opens the database of this process, and closes it.

use std::str::FromStr;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::plan::{Database, Plan};
use crate::config::{ConnectTo, Settings, SslMode};
use crate::storage::{Db, Embedded, EmbeddedSettings, PoolSettings};

/// The database, and the cluster where this process runs it itself.
pub(super) struct OpenDatabase {
    pub(super) db: Db,
    embedded: Option<Embedded>,
}

impl OpenDatabase {
    /// Opens what the plan asks for. One that runs elsewhere is connected to when it is first asked.
    pub(super) async fn open(settings: &Settings, plan: &Plan) -> anyhow::Result<Option<Self>> {
        let (options, embedded) = match plan.database {
            Database::None => return Ok(None),
            Database::External => (connect_options(&settings.database.connect_to)?, None),
            Database::Embedded => {
                let embedded = start_embedded(settings).await?;
                (embedded.connect_options(), Some(embedded))
            }
        };
        let db = Db::open(options, pool_settings(settings, plan));
        Ok(Some(Self { db, embedded }))
    }

    /// Closes the pool, then stops the cluster.
    pub(super) async fn close(self) {
        self.db.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

async fn start_embedded(settings: &Settings) -> anyhow::Result<Embedded> {
    let mut embedded = EmbeddedSettings::new(&settings.server.data_dir);
    embedded.binaries.clone_from(&settings.database.binaries_dir);
    let embedded = Embedded::start(embedded)
        .await
        .context("the embedded database cannot run; DATABASE_URL or DB_HOST names one that runs elsewhere")?;
    tracing::info!(
        major = embedded.major(),
        binaries = %embedded.binaries().display(),
        directory = %embedded.cluster().display(),
        "running an embedded PostgreSQL"
    );
    Ok(embedded)
}

fn pool_settings(settings: &Settings, plan: &Plan) -> PoolSettings {
    let database = &settings.database;
    PoolSettings {
        size: plan.pool_size,
        max_idle: database.max_idle.unwrap_or(plan.pool_size),
        max_lifetime: database.max_lifetime,
        max_idle_time: database.max_idle_time,
        connect_timeout: database.connect_timeout,
        query_timeout: database.query_timeout,
    }
}

/// How to connect to a database that runs elsewhere.
///
/// # Errors
/// Fails where the URL cannot be read; its text is not repeated, as it holds a password.
pub(crate) fn connect_options(connect_to: &ConnectTo) -> anyhow::Result<PgConnectOptions> {
    match connect_to {
        ConnectTo::Embedded => anyhow::bail!("the embedded database is started, not connected to"),
        ConnectTo::Url(url) => PgConnectOptions::from_str(url.expose_secret())
            .map_err(|_| anyhow::anyhow!("database.url (DATABASE_URL) cannot be read as a PostgreSQL URL")),
        ConnectTo::Parts { host, port, name, user, password, sslmode } => Ok(PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(*port)
            .database(name)
            .username(user)
            .password(password.expose_secret())
            .ssl_mode(match sslmode {
                SslMode::Disable => PgSslMode::Disable,
                SslMode::Allow => PgSslMode::Allow,
                SslMode::Prefer => PgSslMode::Prefer,
                SslMode::Require => PgSslMode::Require,
                SslMode::VerifyCa => PgSslMode::VerifyCa,
                SslMode::VerifyFull => PgSslMode::VerifyFull,
            })),
    }
}

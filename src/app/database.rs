//! Opens the database of this process, and closes it.

use anyhow::Context as _;

use super::plan::{Database, Plan};
use crate::config::Settings;
use crate::storage::{self, Db, Embedded, PoolSettings};

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
            Database::External => {
                let options = storage::options_of(&settings.database)?;
                (options.context("the settings name no database that runs elsewhere")?, None)
            }
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
    let embedded = Embedded::start(storage::embedded_settings(&settings.database, &settings.server.data_dir))
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
        pooler: database.pooler,
        size: plan.pool_size,
        max_idle: database.max_idle.unwrap_or(plan.pool_size),
        max_lifetime: database.max_lifetime,
        max_idle_time: database.max_idle_time,
        connect_timeout: database.connect_timeout,
        query_timeout: database.query_timeout,
    }
}

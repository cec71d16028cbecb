//! Migrations: embedded in the binary, run in order in one transaction, which one process at a time may hold; taken back
//! when asked.
//!
//! Applied migrations are recorded in `_sqlx_migrations`, with a checksum. Migrations that only a newer binary knows
//! are left alone. A migration that was changed after it was applied is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sqlx::migrate::{Migrate as _, Migration, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _, Transaction};

use super::{pooler, sqlstate};

/// The migrations that this binary brings.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
/// The table of applied migrations.
const TABLE: &str = "_sqlx_migrations";
/// The oldest PostgreSQL that is served.
const OLDEST_SERVER: i32 = 150_000;
/// The key of the advisory lock for migrations; the number is arbitrary.
const LOCK: i64 = 0x464c_414d_4557_4152;

/// Why the schema is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration was edited after it was applied.
    #[error(
        "migration {version} ({name}) is applied to this database in another form than this binary brings: run the binary that applied it, or take it back with that one's `migrate down`"
    )]
    Changed {
        /// Its number.
        version: i64,
        /// Its name.
        name: String,
    },
    /// A migration failed and was rolled back.
    #[error("migration {version} ({name}) failed and was taken back whole: {}", sqlstate::said(cause))]
    Failed {
        /// Its number.
        version: i64,
        /// Its name.
        name: String,
        /// What the server said.
        cause: sqlx::Error,
    },
    /// Taking back would lose rows.
    #[error("these tables hold rows that would be lost: {0}; say --yes to lose them")]
    HoldsRows(String),
    /// No such migration.
    #[error("there is no migration {0}")]
    Unknown(i64),
    /// A migration that this binary does not know cannot be taken back by it.
    #[error("migration {0} was applied by a newer binary: take it back with that one")]
    Newer(i64),
    /// Migrations are not applied yet; their numbers.
    #[error("migrations are missing: {0}")]
    Missing(String),
    /// The server is too old.
    #[error("the server is PostgreSQL {0}; 15 to 18 are served")]
    OldServer(String),
    /// The database cannot be reached or refuses.
    #[error("database: {}", sqlstate::said(.0))]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => Self::Database(error),
            sqlx::migrate::MigrateError::ExecuteMigration(cause, version) => {
                Self::Failed { version, name: name_of(version), cause }
            }
            other => Self::Database(sqlx::Error::Configuration(Box::new(other))),
        }
    }
}

/// A migration and what this database knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: State,
}

/// How a migration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not applied yet.
    Pending,
    /// Applied as this binary brings it.
    Applied(DateTime<Utc>),
    /// Applied in another form.
    Changed(DateTime<Utc>),
    /// Applied by a newer binary.
    Newer(DateTime<Utc>),
}

fn ups() -> impl Iterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(|migration| !migration.migration_type.is_down_migration())
}

fn downs() -> impl DoubleEndedIterator<Item = &'static Migration> {
    MIGRATIONS.iter().filter(|migration| migration.migration_type.is_down_migration())
}

fn name_of(version: i64) -> String {
    ups().find(|migration| migration.version == version).map_or_else(String::new, |found| found.description.to_string())
}

/// Refuses a server that is too old.
pub(super) async fn check_server(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
    let row = sqlx::raw_sql(sql).fetch_one(connection).await?;
    let (number, name): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if number < OLDEST_SERVER { Err(MigrateError::OldServer(name)) } else { Ok(()) }
}

/// Applies what is missing, in order, up to `target`, all or none; returns the numbers applied. Other processes that migrate
/// wait.
pub async fn up(connection: &mut PgConnection, target: Option<i64>) -> Result<Vec<i64>, MigrateError> {
    if let Some(target) = target {
        known(target)?;
    }
    let mut transaction = lock(connection).await?;
    let done = up_locked(&mut transaction, target).await;
    end(transaction, done).await
}

async fn up_locked(connection: &mut PgConnection, target: Option<i64>) -> Result<Vec<i64>, MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = applied(connection).await?;
    refuse_changed(&applied)?;
    let mut done = Vec::new();
    for migration in ups().filter(|m| target.is_none_or(|target| m.version <= target)) {
        if !applied.contains_key(&migration.version) {
            connection.apply(TABLE, migration).await?;
            done.push(migration.version);
        }
    }
    Ok(done)
}

/// Takes back the migrations above `target`, newest first, all or none; without `target` the newest alone. Returns
/// their numbers.
///
/// # Errors
/// Where a table or column would go whose table holds rows, unless `lose_rows`.
pub async fn down(
    connection: &mut PgConnection,
    target: Option<i64>,
    lose_rows: bool,
) -> Result<Vec<i64>, MigrateError> {
    if let Some(target) = target.filter(|target| *target != 0) {
        known(target)?;
    }
    let mut transaction = lock(connection).await?;
    let done = down_locked(&mut transaction, target, lose_rows).await;
    end(transaction, done).await
}

async fn down_locked(
    connection: &mut PgConnection,
    target: Option<i64>,
    lose_rows: bool,
) -> Result<Vec<i64>, MigrateError> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = applied(connection).await?;
    refuse_changed(&applied)?;
    let newest = applied.keys().next_back().copied().unwrap_or_default();
    let doomed: Vec<i64> =
        applied.keys().rev().copied().filter(|v| target.map_or(*v == newest, |target| *v > target)).collect();
    let before = columns(connection).await?;
    let holding = holding_rows(connection, before.keys()).await?;
    for version in &doomed {
        let migration = downs().find(|m| m.version == *version).ok_or(MigrateError::Newer(*version))?;
        connection.revert(TABLE, migration).await?;
    }
    let after = columns(connection).await?;
    let losing: Vec<&str> = holding
        .iter()
        .filter(|table| after.get(*table).is_none_or(|left| before.get(*table).is_some_and(|had| !had.is_subset(left))))
        .map(String::as_str)
        .collect();
    if !losing.is_empty() && !lose_rows {
        return Err(MigrateError::HoldsRows(losing.join(", ")));
    }
    Ok(doomed)
}

/// Every migration that this binary or this database knows, in order.
pub async fn status(connection: &mut PgConnection) -> Result<Vec<Status>, MigrateError> {
    let mut transaction = begin(connection).await?;
    let applied = if exists(&mut transaction).await? { applied(&mut transaction).await? } else { BTreeMap::new() };
    transaction.commit().await?;
    Ok(status_of(applied))
}

/// The status where there is no database yet: every migration is pending.
pub fn status_without_database() -> Vec<Status> {
    status_of(BTreeMap::new())
}

fn status_of(applied: BTreeMap<i64, Noted>) -> Vec<Status> {
    let mut all: BTreeMap<i64, Status> = ups()
        .map(|migration| {
            let state = match applied.get(&migration.version) {
                None => State::Pending,
                Some(found) if *found.checksum == *migration.checksum => State::Applied(found.at),
                Some(found) => State::Changed(found.at),
            };
            let name = migration.description.to_string();
            (migration.version, Status { version: migration.version, name, state })
        })
        .collect();
    for (version, found) in applied {
        let newer = Status { version, name: found.name, state: State::Newer(found.at) };
        all.entry(version).or_insert(newer);
    }
    all.into_values().collect()
}

/// Fails where migrations of this binary are not applied.
pub(super) async fn check_applied(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let mut missing = Vec::new();
    for status in status(connection).await? {
        match status.state {
            State::Pending => missing.push(status.version.to_string()),
            State::Changed(_) => return Err(MigrateError::Changed { version: status.version, name: status.name }),
            State::Applied(_) | State::Newer(_) => {}
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(MigrateError::Missing(missing.join(", "))) }
}

/// The DDL of all migrations, with the notes that mark them as applied, to be run by hand in one piece.
pub fn sql() -> String {
    let mut text = format!(
        "BEGIN;\n\nCREATE TABLE IF NOT EXISTS {TABLE} (\n    version BIGINT PRIMARY KEY,\n    description TEXT NOT NULL,\n    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),\n    success BOOLEAN NOT NULL,\n    checksum BYTEA NOT NULL,\n    execution_time BIGINT NOT NULL\n);\n"
    );
    for migration in ups() {
        let name = migration.description.replace('\'', "''");
        let checksum = migration.checksum.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let version = migration.version;
        let _ = write!(
            text,
            "\n-- migration {version:04}: {name}\n{}\nINSERT INTO {TABLE} (version, description, success, checksum, execution_time)\nVALUES ({version}, '{name}', TRUE, '\\x{checksum}', -1);\n",
            migration.sql.as_str().trim_end()
        );
    }
    text.push_str("\nCOMMIT;\n");
    text
}

struct Noted {
    name: String,
    checksum: Vec<u8>,
    at: DateTime<Utc>,
}

async fn exists(connection: &mut PgConnection) -> Result<bool, MigrateError> {
    Ok(sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(TABLE).fetch_one(connection).await?)
}

async fn applied(connection: &mut PgConnection) -> Result<BTreeMap<i64, Noted>, MigrateError> {
    let rows: Vec<(i64, String, Vec<u8>, DateTime<Utc>)> =
        sqlx::query_as("SELECT version, description, checksum, installed_on FROM _sqlx_migrations WHERE success")
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().map(|(version, name, checksum, at)| (version, Noted { name, checksum, at })).collect())
}

fn refuse_changed(applied: &BTreeMap<i64, Noted>) -> Result<(), MigrateError> {
    let changed =
        ups().find(|m| applied.get(&m.version).is_some_and(|found| found.checksum.as_slice() != &*m.checksum));
    changed.map_or(Ok(()), |m| Err(MigrateError::Changed { version: m.version, name: m.description.to_string() }))
}

fn known(version: i64) -> Result<(), MigrateError> {
    if ups().any(|migration| migration.version == version) { Ok(()) } else { Err(MigrateError::Unknown(version)) }
}

/// Begins a transaction, which a pooler needs. Without a pooler it does no harm.
async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, MigrateError> {
    // Migrations are written to find things there already; the server need not say so each time.
    Ok(pooler::begin(connection, &["client_min_messages = warning".to_owned()]).await?)
}

/// Begins a transaction once no other process migrates. The lock goes with the transaction, however that ends.
async fn lock(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, MigrateError> {
    let mut transaction = begin(connection).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Commits everything, or rolls back where a part failed, and releases the lock.
async fn end<T>(transaction: Transaction<'_, Postgres>, done: Result<T, MigrateError>) -> Result<T, MigrateError> {
    if done.is_ok() {
        transaction.commit().await?;
    } else {
        // If the connection is lost, the server rolls back by itself.
        let _ = transaction.rollback().await;
    }
    done
}

/// The tables that are not the server's own, with their columns.
async fn columns(connection: &mut PgConnection) -> Result<BTreeMap<String, BTreeSet<String>>, MigrateError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT format('%I.%I', n.nspname, c.relname), a.attname::text
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> $1
           AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'",
    )
    .bind(TABLE)
    .fetch_all(connection)
    .await?;
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, column) in rows {
        tables.entry(table).or_default().insert(column);
    }
    Ok(tables)
}

async fn holding_rows(
    connection: &mut PgConnection,
    tables: impl Iterator<Item = &String>,
) -> Result<Vec<String>, MigrateError> {
    let mut holding = Vec::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {table})"));
        if sqlx::query_scalar(sql).fetch_one(&mut *connection).await? {
            holding.push(table.clone());
        }
    }
    Ok(holding)
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;

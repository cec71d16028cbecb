//! Migrations: embedded in the binary, run in order under one advisory lock, taken back when asked.

use sqlx::migrate::Migrator;

/// The migrations that this binary brings.
static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The migrations of this binary, set to accept a database that newer binaries have migrated further.
pub(super) fn migrator() -> Migrator {
    let mut migrator = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_ignore_missing(true);
    migrator
}

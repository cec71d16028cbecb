//! Poolers that may run each transaction in another session of the server, such as PgBouncer with
//! `pool_mode = transaction`.
//!
//! The next transaction may run in another session, and others have used it before. So nothing may be left in one:
//! no settings, no prepared statements, no locks. Each piece of work is one transaction, and what it sets is local to it.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use crate::config::Pooler;

/// How to connect to a server that is behind this pooler.
pub fn options_behind(pooler: Pooler, options: PgConnectOptions) -> PgConnectOptions {
    match pooler {
        Pooler::None => options,
        // PgBouncer refuses a start-up parameter that it does not know.
        Pooler::Transaction => options.extra_float_digits(None).statement_cache_capacity(0),
    }
}

/// Begins a transaction with settings of its own, in a session that others may have used.
///
/// All statements must come after it, reads too: the driver prepares and executes a statement in two exchanges, and
/// outside of a transaction the pooler may send them to two sessions.
pub(super) async fn begin<'c>(
    connection: &'c mut PgConnection,
    settings: &[String],
) -> Result<Transaction<'c, Postgres>, sqlx::Error> {
    connection.clear_cached_statements().await?;
    // The driver names what it prepares even where it keeps nothing, and counts from 1 on every connection: statements
    // that others left in this session have the same names.
    let settings = settings.iter().fold(String::new(), |all, setting| all + "; SET LOCAL " + setting);
    connection.begin_with(AssertSqlSafe(format!("BEGIN; DEALLOCATE ALL{settings}"))).await
}

/// What to do about an error that is caused by a pooler that the settings do not name.
pub(super) fn hint(error: &sqlx::Error) -> Option<&'static str> {
    let error = error.as_database_error()?;
    // A statement that another session has prepared, or that this one has prepared before.
    let is_of_a_pooler = matches!(error.code().as_deref(), Some("26000" | "42P05"))
        || error.message().starts_with("unsupported startup parameter");
    is_of_a_pooler
        .then_some("a pooler is in front of the server: set DB_POOLER=transaction, and no options in DATABASE_URL")
}

#[cfg(test)]
#[path = "pooler_tests.rs"]
mod tests;

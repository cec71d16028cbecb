//! The meaning of the errors of PostgreSQL and of the driver, in one place.

use crate::kernel::PortError;

use super::DbError;
use super::pooler::hint;

/// The SQLSTATE of a role without the needed rights, and what to do about it.
const LACKS_A_RIGHT: &str = "42501";
const GRANT_IT: &str = "this server's role lacks a right: grant it CREATE on the database and on schema public, or \
                        migrate with another role and set MIGRATE=false";

/// What a failure means for the statement and for a second try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The connection or the server is gone; whether the statement was carried out is not known.
    Away,
    /// The server took everything back (a deadlock, a serialization failure): the same again may succeed.
    RolledBack,
    /// The server has no connection left.
    Full,
    /// The statement ran into its time limit.
    TooSlow,
    /// A named constraint refused the row, or a function of ours an argument.
    Refused,
    /// The tables are not there (yet).
    NoSchema,
    /// A fault of ours.
    Ours,
}

impl Meaning {
    /// Reads an error.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                Self::of_code(&code, database.constraint().is_some())
            }
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_) => Self::Away,
            _ => Self::Ours,
        }
    }

    fn of_code(code: &str, named: bool) -> Self {
        match code {
            "40001" | "40P01" => Self::RolledBack,
            "53300" | "53400" => Self::Full,
            // Cancelled by statement_timeout, or a lock was not to be had in time.
            "57014" | "55P03" => Self::TooSlow,
            // Undefined table, column, schema, function: the schema is older than this binary.
            "42P01" | "42703" | "3F000" | "42883" => Self::NoSchema,
            // A read-only transaction is a standby that is not yet, or no longer, the primary.
            // With 25P03 the server closed the connection, because the client of a transaction sent nothing for too long.
            "25006" | "25P03" | "3D000" => Self::Away,
            _ => match code.get(..2).unwrap_or_default() {
                // Connection exceptions, wrong credentials, out of resources, shut down, system errors.
                "08" | "28" | "53" | "57" | "58" => Self::Away,
                // Constraints, and what functions of ours refuse: both have a name.
                "22" | "23" | "55" | "P0" if named => Self::Refused,
                _ => Self::Ours,
            },
        }
    }
}

/// The error a room sees.
pub(super) fn translate(error: &sqlx::Error) -> DbError {
    let text = said(error);
    DbError::Port(match Meaning::of(error) {
        Meaning::Refused => {
            let name = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
            return DbError::Constraint(name.unwrap_or_default().to_owned());
        }
        Meaning::Away | Meaning::RolledBack => PortError::Unavailable(format!("database: {text}")),
        Meaning::NoSchema => PortError::Unavailable(format!("database, schema not migrated: {text}")),
        Meaning::Full => PortError::Overloaded { detail: format!("database: {text}"), retry_after_s: 1 },
        Meaning::TooSlow => PortError::Timeout(format!("database: {text}")),
        Meaning::Ours => PortError::Internal(format!("database: {text}")),
    })
}

/// The error with its SQLSTATE, and with what to do about it where that is known; for the log.
pub(super) fn said(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Database(database) => match database.code() {
            Some(code) => format!("{database} (SQLSTATE {code})"),
            None => database.to_string(),
        },
        other => other.to_string(),
    };
    let lacks_a_right = error.as_database_error().is_some_and(|e| e.code().as_deref() == Some(LACKS_A_RIGHT));
    match hint(error).or(lacks_a_right.then_some(GRANT_IT)) {
        Some(hint) => format!("{text}: {hint}"),
        None => text,
    }
}

/// What callers may read of an error: what happened and what to do about it, without the server's own words.
pub(super) fn public(error: &sqlx::Error) -> String {
    let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return match Meaning::of(error) {
            Meaning::Away => "it cannot be reached".to_owned(),
            _ => "the log says why".to_owned(),
        };
    };
    let what = match &*code {
        LACKS_A_RIGHT => return format!("{GRANT_IT} (SQLSTATE {code})"),
        "28P01" | "28000" => "it refused this server's user or password",
        "3D000" => "no database has the name that the settings give",
        "57P03" => "it is starting or stopping",
        _ => match Meaning::of(error) {
            Meaning::Full => "it has no connection left",
            Meaning::TooSlow => "it did not answer in time",
            Meaning::Away | Meaning::RolledBack => "it cannot be used at the moment",
            Meaning::Refused | Meaning::NoSchema | Meaning::Ours => "it refused a statement, the log says which",
        },
    };
    format!("{what} (SQLSTATE {code})")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lost_connection("08006", false, Meaning::Away)]
    #[case::shut_down("57P01", false, Meaning::Away)]
    #[case::starting_up("57P03", false, Meaning::Away)]
    #[case::wrong_password("28P01", false, Meaning::Away)]
    #[case::disk_full("53100", false, Meaning::Away)]
    #[case::standby("25006", false, Meaning::Away)]
    #[case::silent_in_a_transaction("25P03", false, Meaning::Away)]
    #[case::too_many_connections("53300", false, Meaning::Full)]
    #[case::cancelled("57014", false, Meaning::TooSlow)]
    #[case::serialization("40001", false, Meaning::RolledBack)]
    #[case::deadlock("40P01", false, Meaning::RolledBack)]
    #[case::unique("23505", true, Meaning::Refused)]
    #[case::check("23514", true, Meaning::Refused)]
    #[case::function_that_refuses("22023", true, Meaning::Refused)]
    #[case::function_that_finds_nothing("P0002", true, Meaning::Refused)]
    #[case::bad_text("22P02", false, Meaning::Ours)]
    #[case::not_null_has_no_name("23502", false, Meaning::Ours)]
    #[case::no_table("42P01", false, Meaning::NoSchema)]
    #[case::syntax("42601", false, Meaning::Ours)]
    fn each_sqlstate_has_one_meaning(#[case] code: &str, #[case] named: bool, #[case] meaning: Meaning) {
        assert_eq!(Meaning::of_code(code, named), meaning);
    }

    #[test]
    fn a_broken_row_is_a_fault_of_ours() {
        let error = translate(&sqlx::Error::RowNotFound);
        assert!(matches!(error, DbError::Port(PortError::Internal(_))), "{error:?}");
    }
}

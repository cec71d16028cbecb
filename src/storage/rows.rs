//! Rows that become values of a domain, and rows that cannot: a table that was made by hand is adopted with what it
//! holds.

use futures::future::BoxFuture;
use sqlx::{PgConnection, Postgres, Transaction};

use super::DbError;
use super::sqlstate::{Meaning, translate};
use crate::kernel::{Page, PortError, PortResult, RowId};

/// A column of a stored row that no value can be made of: somebody wrote it past the routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{table} row {id}: {column} {why}")]
pub struct Broken {
    table: &'static str,
    id: i32,
    column: &'static str,
    why: String,
}

impl From<Broken> for PortError {
    fn from(broken: Broken) -> Self {
        Self::Internal(broken.to_string())
    }
}

/// A row while its columns are read: names the table, the row and the column where one cannot be.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    table: &'static str,
    id: i32,
}

impl Columns {
    /// The columns of a row.
    pub fn of(table: &'static str, id: i32) -> Self {
        Self { table, id }
    }

    /// Its id.
    pub fn id(self) -> Result<RowId, Broken> {
        RowId::new(self.id.into()).ok_or_else(|| self.broken("id", &"is below 1"))
    }

    /// Reads a column as the type that checks it.
    pub fn read<V, T: TryFrom<V, Error: std::fmt::Display>>(self, column: &'static str, value: V) -> Result<T, Broken> {
        T::try_from(value).map_err(|error| self.broken(column, &error))
    }

    /// Reads a column that may be NULL.
    pub fn read_some<V, T: TryFrom<V, Error: std::fmt::Display>>(
        self,
        column: &'static str,
        value: Option<V>,
    ) -> Result<Option<T>, Broken> {
        value.map(|value| self.read(column, value)).transpose()
    }

    /// Reads a column whose text is a name of something.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, Broken> {
        text.parse().map_err(|error| self.broken(column, &error))
    }

    fn broken(self, column: &'static str, why: &dyn std::fmt::Display) -> Broken {
        Broken { table: self.table, id: self.id, column, why: why.to_string() }
    }
}

/// Reads a page of rows. One that no value can be made of must not take the others from their readers: it is left out,
/// and the log says so.
pub fn readable<R, T: TryFrom<R, Error = Broken>, P>(page: Page<R, P>) -> Page<T, P> {
    page.read(|row| match T::try_from(row) {
        Ok(value) => Some(value),
        Err(broken) => {
            tracing::warn!(error = %broken, "a stored row is left out, since it is not valid");
            None
        }
    })
}

/// Ends a write whose row came back. What cannot be read is not kept, whether or not a check of the table holds it.
pub async fn keep<R, T: TryFrom<R, Error = Broken>>(
    transaction: Transaction<'_, Postgres>,
    row: Option<R>,
) -> Result<Result<Option<T>, Broken>, sqlx::Error> {
    let read = row.map(T::try_from).transpose();
    if read.is_ok() {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(read)
}

/// Begins what [`keep`] ends.
pub async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    sqlx::Connection::begin(connection).await
}

/// Runs a statement of a transaction so that the transaction goes on where the statement alone fails.
///
/// # Errors
/// What ends the transaction as well, such as a lost connection.
pub async fn apart<T>(
    transaction: &mut PgConnection,
    statement: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
) -> Result<Result<T, DbError>, sqlx::Error> {
    let mut savepoint = begin(transaction).await?;
    match statement(&mut savepoint).await {
        Ok(done) => {
            savepoint.commit().await?;
            Ok(Ok(done))
        }
        Err(error) if matches!(Meaning::of(&error), Meaning::Refused | Meaning::Ours) => {
            savepoint.rollback().await?;
            Ok(Err(translate(&error)))
        }
        Err(error) => Err(error),
    }
}

/// What came of a write that [`keep`] ended. A row of an adopted table may hold what is not valid: a write that would
/// keep it is a conflict that names the member to give too, if it is one of `changeable`, the columns that a change may
/// hold; else the row must be removed.
pub fn kept<T>(written: Result<Result<T, Broken>, DbError>, table: &str, changeable: &[&str]) -> PortResult<T> {
    let stored = |column: &str| {
        let way_out = if changeable.contains(&column) {
            format!("give {} too", camel_case(column))
        } else {
            "remove the row and write it anew".to_owned()
        };
        PortError::Conflict(format!("the stored {column} is not valid: {way_out}"))
    };
    match written {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(broken)) => Err(stored(broken.column)),
        Err(DbError::Constraint(name)) => {
            let column = name.strip_prefix(table).and_then(|name| name.strip_suffix("_check"));
            Err(stored(column.map_or(name.as_str(), |column| column.trim_start_matches('_'))))
        }
        Err(DbError::Port(error)) => Err(error),
    }
}

fn camel_case(column: &str) -> String {
    let mut words = column.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name + &head.to_ascii_uppercase() + tail
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn conflict(text: &str) -> PortResult<()> {
        Err(PortError::Conflict(text.to_owned()))
    }

    #[rstest]
    #[case("max_self_percent", "the stored max_self_percent is not valid: give maxSelfPercent too")]
    #[case("app_name", "the stored app_name is not valid: remove the row and write it anew")]
    fn a_write_that_would_keep_nonsense_says_what_to_do(#[case] column: &'static str, #[case] text: &str) {
        let changeable = ["max_self_percent", "tier"];
        let broken = Columns::of("thing", 7).broken(column, &"is odd");
        assert_eq!(broken.to_string(), format!("thing row 7: {column} is odd"));
        assert_eq!(kept(Ok(Err(broken)), "thing", &changeable), conflict(text));
        let constraint = DbError::Constraint(format!("thing_{column}_check"));
        assert_eq!(kept(Err(constraint), "thing", &changeable), conflict(text));
    }
}

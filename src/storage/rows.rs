//! Turns rows into values of a domain. Tables that were made by hand may hold rows that are not valid.

use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

use futures::future::BoxFuture;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use sqlx::{PgConnection, Postgres, Transaction};

use super::DbError;
use super::sqlstate::{Meaning, translate};
use crate::kernel::{OddRow, PortError, PortResult, Repeated, RowId, Stored};

/// Lets `query_as!` read words into their enums: `to_jsonb(lower(state)) AS "state: Json<State>"`. A word that is none of them
/// is an error of the query.
macro_rules! words_in_rows {
    ($($word:ty),+ $(,)?) => {$(
        impl From<sqlx::types::Json<$word>> for $word {
            fn from(read: sqlx::types::Json<Self>) -> Self {
                read.0
            }
        }
    )+};
}
pub(crate) use words_in_rows;

/// Reads the columns of a row into the types that check them, and gathers what each of them finds wrong.
#[derive(Debug, Default)]
pub struct Columns(RefCell<Vec<String>>);

impl Columns {
    /// The row's id.
    pub fn id(&self, id: i32) -> Option<RowId> {
        self.checked("id", RowId::new(id.into()).ok_or("is below 1"))
    }

    /// Reads a column as the type that checks it.
    pub fn read<V: Clone, T: TryFrom<V, Error: Display>>(&self, column: &str, value: &V) -> Option<T> {
        self.checked(column, T::try_from(value.clone()))
    }

    /// Reads a column that may be NULL.
    pub fn read_some<V: Clone, T: TryFrom<V, Error: Display>>(
        &self,
        column: &str,
        value: Option<&V>,
    ) -> Option<Option<T>> {
        match value {
            Some(value) => self.read(column, value).map(Some),
            None => Some(None),
        }
    }

    /// Reads a column whose text is a name of something.
    pub fn parse<T: FromStr<Err: Display>>(&self, column: &str, text: &str) -> Option<T> {
        self.checked(column, text.parse())
    }

    /// Reads a column that may be NULL and whose text is a name of something.
    pub fn parse_some<T: FromStr<Err: Display>>(&self, column: &str, text: Option<&str>) -> Option<Option<T>> {
        match text {
            Some(text) => self.parse(column, text).map(Some),
            None => Some(None),
        }
    }

    /// What several columns make together, or the member to look at and why they make nothing.
    pub fn together<T, E: Display + Copy>(
        &self,
        made: Result<T, E>,
        member: impl FnOnce(E) -> &'static str,
    ) -> Option<T> {
        made.map_err(|why| self.0.borrow_mut().push(format!("{}: {why}", member(why)))).ok()
    }

    fn checked<T>(&self, column: &str, read: Result<T, impl Display>) -> Option<T> {
        read.map_err(|why| self.0.borrow_mut().push(format!("{}: {why}", camel_case(column)))).ok()
    }

    /// The value that was made of all columns, or what is wrong with them.
    ///
    /// # Errors
    /// What is wrong, a sentence for each column.
    pub fn made<T>(self, value: Option<T>) -> Result<T, Vec<String>> {
        value.ok_or(self.0.into_inner())
    }
}

/// A row as its table holds it: it is written with the names and the values that the routes show.
pub trait Row: Serialize {
    /// What a valid row is.
    type Value;

    /// The value of the row.
    ///
    /// # Errors
    /// What is wrong with it, a sentence for each column.
    fn value(&self) -> Result<Self::Value, Vec<String>>;
}

/// A row as it is answered: one that no value can be made of with all that it holds and what is wrong with it.
pub fn stored<R: Row>(row: &R) -> Stored<R::Value> {
    match row.value() {
        Ok(value) => Stored::Valid(value),
        Err(problems) => Stored::Odd(OddRow::new(members(row), problems)),
    }
}

fn members(row: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// An object that may be NULL; an empty one says as little.
pub fn unless_empty(object: Option<&Value>) -> Option<&Value> {
    object.filter(|object| object.as_object().is_none_or(|members| !members.is_empty()))
}

/// Writes an object that may be NULL: as `{}` then.
///
/// # Errors
/// The serializer's.
pub fn or_empty<S: Serializer>(object: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
    match object {
        Some(object) => object.serialize(serializer),
        None => Map::<String, Value>::new().serialize(serializer),
    }
}

/// Ends a change whose row came back, unless what the change only repeats differs from what is stored; then nothing is
/// changed, and the name of the member is answered.
///
/// # Errors
/// The transaction cannot be ended.
pub async fn end_change<R: Row>(
    transaction: Transaction<'_, Postgres>,
    row: Option<R>,
    repeated: &Repeated,
) -> Result<Result<Option<Stored<R::Value>>, String>, sqlx::Error> {
    let differing = row.as_ref().and_then(|row| repeated.differing(&members(row)).map(str::to_owned));
    if let Some(name) = differing {
        transaction.rollback().await?;
        return Ok(Err(name));
    }
    transaction.commit().await?;
    Ok(Ok(row.as_ref().map(stored)))
}

/// The result of a change that [`end_change`] ended.
///
/// # Errors
/// `Invalid` names the member that differs; else as [`written`].
pub fn changed<T>(done: Result<Result<T, String>, DbError>, table: &str, changeable: &[&str]) -> PortResult<T> {
    let differs = |name| PortError::Invalid(format!("/{name}: cannot be changed, and is stored with another value"));
    written(done, table, changeable)?.map_err(differs)
}

/// Begins what [`end_change`] ends.
pub async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    sqlx::Connection::begin(connection).await
}

/// Runs a statement of a transaction. If the statement fails, the transaction continues.
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

/// The result of a write. A row of an adopted table may hold what a check of the table refuses: a write that would keep
/// it is a conflict that names the member to give too, if it is one of `changeable`, the columns that a change may hold;
/// else the row must be removed.
///
/// # Errors
/// As said; else the database's.
pub fn written<T>(done: Result<T, DbError>, table: &str, changeable: &[&str]) -> PortResult<T> {
    done.map_err(|error| match error {
        DbError::Constraint(name) => {
            let column = name.strip_prefix(table).and_then(|name| name.strip_suffix("_check"));
            let column = column.map_or(name.as_str(), |column| column.trim_start_matches('_'));
            let way_out = if changeable.contains(&column) {
                format!("give {} too", camel_case(column))
            } else {
                "remove the row and write it anew".to_owned()
            };
            PortError::Conflict(format!("the stored {column} is not valid: {way_out}"))
        }
        DbError::Port(error) => error,
    })
}

/// A row that the database answered as JSON, with the names that its columns have in bodies.
pub fn camel_keys(row: Value) -> Value {
    renamed(row, camel_case)
}

/// A body as the database reads it into a row: its members have the names of columns.
pub fn snake_keys(body: Value) -> Value {
    renamed(body, |name| {
        name.chars().fold(String::new(), |mut column, letter| {
            if letter.is_ascii_uppercase() {
                column.push('_');
            }
            column.push(letter.to_ascii_lowercase());
            column
        })
    })
}

fn renamed(object: Value, name: impl Fn(&str) -> String) -> Value {
    match object {
        Value::Object(members) => members.into_iter().map(|(old, value)| (name(&old), value)).collect(),
        other => other,
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
    use crate::kernel::AppName;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("max_self_percent", "the stored max_self_percent is not valid: give maxSelfPercent too")]
    #[case("app_name", "the stored app_name is not valid: remove the row and write it anew")]
    fn a_write_that_a_check_refuses_says_what_to_do(#[case] column: &str, #[case] text: &str) {
        let constraint = DbError::Constraint(format!("thing_{column}_check"));
        let refused = written::<()>(Err(constraint), "thing", &["max_self_percent", "tier"]);
        assert_eq!(refused, Err(PortError::Conflict(text.to_owned())));
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Thing {
        id: i32,
        app_name: String,
        #[serde(serialize_with = "or_empty")]
        labels: Option<Value>,
    }

    impl Row for Thing {
        type Value = (RowId, AppName);

        fn value(&self) -> Result<Self::Value, Vec<String>> {
            let columns = Columns::default();
            let (id, app) = (columns.id(self.id), columns.read("app_name", &self.app_name));
            columns.made(id.zip(app))
        }
    }

    #[test]
    fn columns_and_members_have_one_name_each() {
        let (row, body) = (json!({"app_name": "a", "at": {"in_it": 1}}), json!({"appName": "a", "at": {"in_it": 1}}));
        assert_eq!((camel_keys(row.clone()), snake_keys(body.clone())), (body, row));
    }

    #[test]
    fn an_odd_row_is_shown_with_all_that_is_wrong() {
        let thing = |id, name: &str| Thing { id, app_name: name.to_owned(), labels: None };
        assert!(stored(&thing(1, "shop")).valid().is_some());
        let Stored::Odd(row) = stored(&thing(0, "")) else { panic!("odd") };
        let problems = ["id: is below 1", "appName: must not be empty"];
        let expected = json!({"id": 0, "appName": "", "labels": {}, "problems": problems});
        assert_eq!(Value::Object(row.members().clone()), expected);
    }
}

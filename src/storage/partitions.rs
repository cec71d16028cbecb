//! Tables partitioned by time: partitions are made ahead and on demand, and dropped once past their retention.
//!
//! A room describes its table as a [`PartitionedTable`]; its migration makes the table, and the DEFAULT partition if it
//! is to have one. A partition is known by its name, `block_20260123` or `rollup_202601`: partitions with other names
//! are left alone, and so are tables that only look like partitions.
//!
//! Statements that name a partition cannot be checked at compile time, as the names vary. They are built from checked
//! names and dates only; everything else is a bound parameter.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Db, Repeat};
use crate::kernel::{PortError, PortResult};

/// How often a change is tried while other sessions hold the table.
const TRIES: u32 = 3;

/// The most rows that are moved out of DEFAULT when a partition is made, as readers and writers wait meanwhile. Where there are
/// more, the partition is not made, and its rows stay in DEFAULT.
const MOST_MOVED: i64 = 50_000;

/// PostgreSQL cuts longer names off.
const LONGEST_NAME: usize = 63;
/// The longest ending of a partition's name.
const LONGEST_SUFFIX: usize = "_20260123".len();

/// The name of a partitioned table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableName {
    schema: &'static str,
    table: &'static str,
}

impl TableName {
    /// A name; meant for constants, so that a wrong one does not compile.
    ///
    /// # Panics
    /// Where the schema or the table is not of the form `[a-z_][a-z0-9_]*`, or too long for partitions to be named
    /// after it.
    pub const fn new(schema: &'static str, table: &'static str) -> Self {
        assert!(is_identifier(schema, LONGEST_NAME), "not the name of a schema");
        assert!(is_identifier(table, LONGEST_NAME - LONGEST_SUFFIX), "not the name of a partitioned table");
        Self { schema, table }
    }

    /// Another table of the same schema, as SQL.
    fn sibling(self, table: &str) -> String {
        format!(r#""{}"."{table}""#, self.schema)
    }

    /// The table, as SQL.
    fn sql(self) -> String {
        self.sibling(self.table)
    }
}

const fn is_identifier(name: &str, longest: usize) -> bool {
    if name.len() > longest || !matches!(name.as_bytes(), [b'a'..=b'z' | b'_', ..]) {
        return false;
    }
    let mut rest = name.as_bytes();
    while let [b'a'..=b'z' | b'0'..=b'9' | b'_', others @ ..] = rest {
        rest = others;
    }
    rest.is_empty()
}

/// What one partition holds, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// A day: `block_20260123`.
    Day,
    /// A month: `rollup_202601`.
    Month,
}

impl Period {
    fn first_day(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// The first day of the period after the one that begins with `first`.
    fn next(self, first: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Month => first.checked_add_months(Months::new(1)),
        }
    }

    fn format(self, first: NaiveDate) -> impl std::fmt::Display {
        first.format(match self {
            Self::Day => "%Y%m%d",
            Self::Month => "%Y%m",
        })
    }

    fn parse(self, text: &str) -> Option<NaiveDate> {
        let day = match self {
            Self::Day => text.to_owned(),
            Self::Month => format!("{text}01"),
        };
        NaiveDate::parse_from_str(&day, "%Y%m%d").ok().filter(|first| self.format(*first).to_string() == text)
    }
}

/// A table partitioned by the range of one `date` or `timestamptz` column.
///
/// Where it has a DEFAULT partition, rows that came before their partition are moved into it when it is made, unless they are too
/// many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionedTable {
    /// The table.
    pub name: TableName,
    /// What one partition holds.
    pub period: Period,
    /// For how many days partitions are made ahead, today among them.
    pub days_ahead: u64,
    /// How long rows are kept; `None` keeps them for good.
    pub retention: Option<TimeDelta>,
    /// How long one of three tries waits for sessions that hold the table. Short, as sessions that come later queue behind
    /// the one that waits.
    pub lock_timeout: Duration,
}

/// The result for expired partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Partitions dropped.
    pub dropped: Vec<String>,
    /// Partitions that other sessions are using; the next call tries again.
    pub held: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Make,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangeOutcome {
    Done,
    /// Another process was first.
    DoneBefore,
    /// Other sessions hold the table.
    Held,
    /// Too many rows would have to be moved.
    TooMany,
}

/// The DEFAULT partition and the columns to move out of it, all quoted.
struct DefaultPartition {
    name: String,
    key: String,
    columns: String,
}

impl PartitionedTable {
    /// Makes the partitions of today and the days ahead. Returns the names of new ones.
    ///
    /// # Errors
    /// As [`PartitionedTable::make`].
    pub async fn make_ahead(self, db: &Db, now: DateTime<Utc>) -> PortResult<Vec<String>> {
        self.make(db, self.upcoming_days(now)).await
    }

    fn upcoming_days(self, now: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> {
        (0..self.days_ahead).filter_map(move |days| now.date_naive().checked_add_days(Days::new(days)))
    }

    /// Makes the partitions of these days. Returns the names of new ones.
    ///
    /// # Errors
    /// The database's; `Timeout` where other sessions hold the table. Partitions made before the error stay.
    pub async fn make(self, db: &Db, days: impl IntoIterator<Item = NaiveDate>) -> PortResult<Vec<String>> {
        let wanted: BTreeSet<_> = days.into_iter().map(|day| self.period.first_day(day)).collect();
        let existing = self.list(db).await?;
        let mut made = Vec::new();
        for first in wanted.difference(&existing) {
            let partition = self.partition(*first);
            match self.change(db, Change::Make, *first).await? {
                ChangeOutcome::Done => made.push(partition),
                ChangeOutcome::DoneBefore => {}
                ChangeOutcome::TooMany => tracing::info!(
                    partition,
                    "a partition is not made: over {MOST_MOVED} rows of its time stay in the one for all others"
                ),
                ChangeOutcome::Held => {
                    let detail = format!("database: other sessions hold the table that {partition} is to be part of");
                    return Err(PortError::Timeout(detail));
                }
            }
        }
        Ok(made)
    }

    /// Drops the partitions whose last instant is past the retention.
    ///
    /// # Errors
    /// The database's. The next call drops what is left.
    pub async fn drop_expired(self, db: &Db, now: DateTime<Utc>) -> PortResult<Expired> {
        let mut expired = Expired::default();
        for first in self.list(db).await?.into_iter().filter(|first| self.is_expired(*first, now)) {
            let names = match self.change(db, Change::Drop, first).await? {
                ChangeOutcome::Done => &mut expired.dropped,
                ChangeOutcome::DoneBefore | ChangeOutcome::TooMany => continue,
                ChangeOutcome::Held => &mut expired.held,
            };
            names.push(self.partition(first));
        }
        Ok(expired)
    }

    /// The first days of the partitions that are there.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(self, db: &Db) -> PortResult<BTreeSet<NaiveDate>> {
        Ok(db.run(Repeat::Safe, move |c| Box::pin(self.read(c))).await?)
    }

    fn partition(self, first: NaiveDate) -> String {
        format!("{}_{}", self.name.table, self.period.format(first))
    }

    /// The first day of a partition of this name.
    fn first_day(self, partition: &str) -> Option<NaiveDate> {
        self.period.parse(partition.strip_prefix(self.name.table)?.strip_prefix('_')?)
    }

    /// Whether nothing of the partition may be read any more.
    fn is_expired(self, first: NaiveDate, now: DateTime<Utc>) -> bool {
        let end = self.period.next(first).map(|next| next.and_time(NaiveTime::MIN).and_utc());
        end.zip(self.retention).is_some_and(|(end, retention)| end <= now - retention)
    }

    async fn change(self, db: &Db, change: Change, first: NaiveDate) -> PortResult<ChangeOutcome> {
        for _ in 0..TRIES {
            let tried = db
                .run(Repeat::Safe, move |c| {
                    Box::pin(async move {
                        let mut transaction = c.begin().await?;
                        match self.try_change(&mut transaction, change, first).await {
                            Err(error) if is_lock_timeout(&error) => Ok(ChangeOutcome::Held),
                            Err(error) => Err(error),
                            Ok(outcome) => transaction.commit().await.map(|()| outcome),
                        }
                    })
                })
                .await?;
            if tried != ChangeOutcome::Held {
                return Ok(tried);
            }
        }
        Ok(ChangeOutcome::Held)
    }

    /// Makes or drops a partition within a transaction.
    async fn try_change(
        self,
        transaction: &mut PgConnection,
        change: Change,
        first: NaiveDate,
    ) -> Result<ChangeOutcome, sqlx::Error> {
        self.lock(transaction).await?;
        let lock_timeout = format!("{}ms", self.lock_timeout.as_millis());
        sqlx::query_scalar!("SELECT set_config('lock_timeout', $1, true)", lock_timeout)
            .fetch_one(&mut *transaction)
            .await?;
        let exists = self.read(transaction).await?.contains(&first);
        let statements = match change {
            Change::Make if !exists => {
                let default = self.default_partition(transaction).await?;
                if self.rows_to_move(transaction, first, default.as_ref()).await? > MOST_MOVED {
                    return Ok(ChangeOutcome::TooMany);
                }
                self.statements_to_make(first, default.as_ref())
            }
            Change::Drop if exists => self.statements_to_drop(first),
            Change::Make | Change::Drop => return Ok(ChangeOutcome::DoneBefore),
        };
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
        }
        Ok(ChangeOutcome::Done)
    }

    /// Lets one session at a time change the partitions of this table. The key of the advisory lock is PostgreSQL's
    /// hash of `partitions of <schema>.<table>`.
    async fn lock(self, transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
        let key = format!("partitions of {}.{}", self.name.schema, self.name.table);
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key).execute(transaction).await.map(drop)
    }

    async fn read(self, connection: &mut PgConnection) -> Result<BTreeSet<NaiveDate>, sqlx::Error> {
        let names = sqlx::query_scalar!(
            r#"SELECT child.relname::text AS "name!" FROM pg_inherits
               JOIN pg_class AS child ON child.oid = inhrelid
               JOIN pg_class AS parent ON parent.oid = inhparent AND parent.relnamespace = child.relnamespace
               WHERE inhparent = $1::text::regclass"#,
            self.name.sql(),
        )
        .fetch_all(connection)
        .await?;
        Ok(names.iter().filter_map(|name| self.first_day(name)).collect())
    }

    /// The DEFAULT partition, if the table has one. Generated columns are left out: they are computed anew.
    async fn default_partition(self, connection: &mut PgConnection) -> Result<Option<DefaultPartition>, sqlx::Error> {
        sqlx::query_as!(
            DefaultPartition,
            r#"SELECT format('%s.%I', child.relnamespace::regnamespace, child.relname) AS "name!",
                      quote_ident(key.attname) AS "key!",
                      (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                       WHERE attrelid = partrelid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS "columns!"
               FROM pg_partitioned_table
               JOIN pg_class AS child ON child.oid = partdefid
               JOIN pg_attribute AS key ON key.attrelid = partrelid AND key.attnum = partattrs[0]
               WHERE partrelid = $1::text::regclass"#,
            self.name.sql(),
        )
        .fetch_optional(connection)
        .await
    }

    /// How many rows of DEFAULT belong to a partition; it counts to one more than are moved.
    async fn rows_to_move(
        self,
        connection: &mut PgConnection,
        first: NaiveDate,
        default: Option<&DefaultPartition>,
    ) -> Result<i64, sqlx::Error> {
        let (Some(DefaultPartition { name, key, .. }), Some([from, to])) = (default, self.bounds(first)) else {
            return Ok(0);
        };
        let more = MOST_MOVED + 1;
        let rows = format!("SELECT FROM {name} WHERE {key} >= {from} AND {key} < {to} LIMIT {more}");
        let count = AssertSqlSafe(format!("SELECT count(*) FROM ({rows}) AS to_move"));
        sqlx::query_scalar(count).fetch_one(connection).await
    }

    /// The bounds of a partition as SQL. A `date` reads them as days.
    fn bounds(self, first: NaiveDate) -> Option<[String; 2]> {
        Some([first, self.period.next(first)?].map(|day| format!("'{day} 00:00:00+00'")))
    }

    fn statements_to_make(self, first: NaiveDate, default: Option<&DefaultPartition>) -> Vec<String> {
        let Some([from, to]) = self.bounds(first) else { return Vec::new() };
        let (table, partition) = (self.name.sql(), self.name.sibling(&self.partition(first)));
        let mut statements = Vec::new();
        if let Some(DefaultPartition { name, .. }) = default {
            // Other sessions have to wait for the table before they look up its partitions. A row that is already on its way
            // to DEFAULT would be refused once the partition exists. A reader that has to wait for DEFAULT would find the moved
            // rows neither there nor in the new partition. Both locks are taken before any weaker one, as strengthening a lock leads to
            // deadlocks.
            statements.push(format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"));
            statements.push(format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"));
        }
        // PostgreSQL 17 and newer attach no table with an identity column of its own.
        statements.push(format!("CREATE TABLE {partition} (LIKE {table} INCLUDING ALL EXCLUDING IDENTITY)"));
        if let Some(DefaultPartition { name, key, columns }) = default {
            // The triggers of the table are for changes. This is none.
            statements.push(format!("ALTER TABLE {name} DISABLE TRIGGER USER"));
            statements.push(format!(
                "WITH moved AS (DELETE FROM {name} WHERE {key} >= {from} AND {key} < {to} RETURNING {columns})
                 INSERT INTO {partition} ({columns}) SELECT {columns} FROM moved"
            ));
            statements.push(format!("ALTER TABLE {name} ENABLE TRIGGER USER"));
        }
        // Unlike a partition made in place, an empty table is attached while readers and writers go on.
        statements.push(format!("ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({from}) TO ({to})"));
        statements
    }

    fn statements_to_drop(self, first: NaiveDate) -> Vec<String> {
        let (table, partition) = (self.name.sql(), self.name.sibling(&self.partition(first)));
        vec![format!("ALTER TABLE {table} DETACH PARTITION {partition}"), format!("DROP TABLE {partition}")]
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

#[cfg(test)]
mod tests;

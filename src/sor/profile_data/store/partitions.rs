//! The days of the store: a partition each, made ahead and dropped as a whole.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::kernel::{PortError, PortResult};
use crate::storage::{Db, Repeat};

/// Days that partitions are made ahead for, today among them.
const AHEAD: u64 = 3;

/// Dictionaries outlive the blocks that need them by this.
const DICTIONARY_GRACE: TimeDelta = TimeDelta::days(1);

/// Tries to drop a partition that readers hold, and how long each waits for them at most.
const DROP_TRIES: u32 = 3;
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// One writer at a time makes and drops partitions ("flamestore", as a number).
const MAINTENANCE_LOCK: &str = "SELECT pg_advisory_xact_lock(7377166829047640)";

/// A partitioned table of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Block,
    Dict,
}

impl Table {
    const ALL: [Self; 2] = [Self::Block, Self::Dict];

    fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Dict => "dict",
        }
    }

    fn partition(self, day: NaiveDate) -> String {
        format!("{}_{}", self.name(), day.format("%Y%m%d"))
    }

    /// The day of a partition of this table.
    fn day(self, partition: &str) -> Option<NaiveDate> {
        let day = partition.strip_prefix(self.name())?.strip_prefix('_')?;
        NaiveDate::parse_from_str(day, "%Y%m%d").ok().filter(|_| day.len() == 8)
    }

    /// The statements that make the partition of a day. An empty table is attached under a lock that lets readers and
    /// writers go on.
    fn create(self, day: NaiveDate) -> Option<[String; 2]> {
        let (table, partition, next) = (self.name(), self.partition(day), day.checked_add_days(Days::new(1))?);
        let zone = if self == Self::Block { " 00:00:00+00" } else { "" };
        Some([
            format!("CREATE TABLE profile_store.{partition} (LIKE profile_store.{table} INCLUDING ALL)"),
            format!(
                "ALTER TABLE profile_store.{table} ATTACH PARTITION profile_store.{partition} \
                 FOR VALUES FROM ('{day}{zone}') TO ('{next}{zone}')"
            ),
        ])
    }

    /// Whether nothing of that day may be read any more.
    fn expired(self, day: NaiveDate, now: DateTime<Utc>, retention: TimeDelta) -> bool {
        let grace = if self == Self::Dict { DICTIONARY_GRACE } else { TimeDelta::zero() };
        day.checked_add_days(Days::new(1))
            .is_some_and(|end| end.and_time(NaiveTime::MIN).and_utc() + grace <= now - retention)
    }
}

/// What a round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Partitions made.
    pub made: Vec<String>,
    /// Partitions dropped.
    pub dropped: Vec<String>,
    /// Expired partitions that readers held on to; the next round tries again.
    pub held: Vec<String>,
}

/// Makes the partitions of today and the days ahead, drops the expired ones.
pub(super) async fn maintain(db: &Db, now: DateTime<Utc>, retention: TimeDelta) -> PortResult<Maintenance> {
    let today = now.date_naive();
    let ahead: Vec<_> = (0..AHEAD).filter_map(|days| today.checked_add_days(Days::new(days))).collect();
    let mut done = Maintenance { made: make(db, &ahead).await?, ..Maintenance::default() };
    for (table, day) in existing(db).await? {
        if table.expired(day, now, retention) {
            let partition = table.partition(day);
            if drop_partition(db, table, &partition).await? {
                done.dropped.push(partition);
            } else {
                done.held.push(partition);
            }
        }
    }
    Ok(done)
}

/// Makes the partitions of these days, where they are missing.
pub(super) async fn make(db: &Db, days: &[NaiveDate]) -> PortResult<Vec<String>> {
    let days = days.to_vec();
    let made = db
        .run(Repeat::Safe, move |c| {
            let days = days.clone();
            Box::pin(async move {
                let mut transaction = c.begin().await?;
                sqlx::query(MAINTENANCE_LOCK).execute(&mut *transaction).await?;
                let known = partitions(&mut transaction).await?;
                let mut made = Vec::new();
                for (table, day) in days.iter().flat_map(|day| Table::ALL.map(|table| (table, *day))) {
                    if known.contains(&(table, day)) {
                        continue;
                    }
                    for statement in table.create(day).into_iter().flatten() {
                        // Built of constants and a date.
                        sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
                    }
                    made.push(table.partition(day));
                }
                transaction.commit().await?;
                Ok(made)
            })
        })
        .await?;
    Ok(made)
}

async fn existing(db: &Db) -> PortResult<Vec<(Table, NaiveDate)>> {
    Ok(db.run(Repeat::Safe, |c| Box::pin(partitions(c))).await?)
}

async fn partitions(connection: &mut PgConnection) -> Result<Vec<(Table, NaiveDate)>, sqlx::Error> {
    let names = sqlx::query_scalar!(
        r#"SELECT child.relname::text AS "name!" FROM pg_inherits
           JOIN pg_class child ON child.oid = inhrelid
           JOIN pg_class parent ON parent.oid = inhparent
           WHERE parent.relnamespace = 'profile_store'::regnamespace AND parent.relkind = 'p'
           ORDER BY 1"#
    )
    .fetch_all(connection)
    .await?;
    let known = |name: &String| Table::ALL.into_iter().find_map(|table| Some((table, table.day(name)?)));
    Ok(names.iter().filter_map(known).collect())
}

/// Drops a partition unless readers hold on to it for too long.
async fn drop_partition(db: &Db, table: Table, partition: &str) -> PortResult<bool> {
    let table = table.name();
    let detach = format!("ALTER TABLE profile_store.{table} DETACH PARTITION profile_store.{partition}");
    let drop = format!("DROP TABLE profile_store.{partition}");
    for _ in 0..DROP_TRIES {
        let dropped = db
            .run(Repeat::Safe, |c| {
                // Built of constants and a name that was read as a date.
                let statements = [LOCK_TIMEOUT.to_owned(), MAINTENANCE_LOCK.to_owned(), detach.clone(), drop.clone()];
                Box::pin(async move {
                    let mut transaction = c.begin().await?;
                    for statement in statements {
                        match sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await {
                            Ok(_) => {}
                            Err(error) if is_lock_timeout(&error) => return Ok(false),
                            Err(error) => return Err(error),
                        }
                    }
                    transaction.commit().await?;
                    Ok(true)
                })
            })
            .await
            .map_err(PortError::from)?;
        if dropped {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_and_known_by_its_day() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        assert_eq!(Table::Block.partition(day), "block_20261121");
        assert_eq!(Table::Dict.day("dict_20261121"), Some(day));
        assert_eq!(Table::Dict.day("block_20261121"), None);
        assert_eq!(Table::Block.day("block_2026112"), None);
    }

    #[test]
    fn dictionaries_expire_a_day_after_their_blocks() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 10).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let week = TimeDelta::days(7);
        assert!(!Table::Block.expired(day, at("2026-11-17T23:59:59Z"), week));
        assert!(Table::Block.expired(day, at("2026-11-18T00:00:00Z"), week));
        assert!(!Table::Dict.expired(day, at("2026-11-18T00:00:00Z"), week));
        assert!(Table::Dict.expired(day, at("2026-11-19T00:00:00Z"), week));
    }
}

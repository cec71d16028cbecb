//! The days of the store, and the months of its rollups: a partition each, made ahead and dropped as a whole.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::StoreSettings;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Block,
    Dict,
    Rollup,
}

impl Table {
    const ALL: [Self; 3] = [Self::Block, Self::Dict, Self::Rollup];

    fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Dict => "dict",
            Self::Rollup => "rollup",
        }
    }

    /// How partitions of this table are named by their first day.
    fn format(self) -> &'static str {
        if self == Self::Rollup { "%Y%m" } else { "%Y%m%d" }
    }

    /// The first day of the partition that a day lies in.
    fn first_day(self, day: NaiveDate) -> NaiveDate {
        if self == Self::Rollup { day.with_day(1).unwrap_or(day) } else { day }
    }

    /// The first day after the partition that begins with this one.
    fn next(self, first: NaiveDate) -> Option<NaiveDate> {
        if self == Self::Rollup {
            first.checked_add_months(Months::new(1))
        } else {
            first.checked_add_days(Days::new(1))
        }
    }

    fn partition(self, first: NaiveDate) -> String {
        format!("{}_{}", self.name(), first.format(self.format()))
    }

    /// The first day of a partition of this table.
    fn day(self, partition: &str) -> Option<NaiveDate> {
        let digits = partition.strip_prefix(self.name())?.strip_prefix('_')?;
        let day = if self == Self::Rollup { format!("{digits}01") } else { digits.to_owned() };
        NaiveDate::parse_from_str(&day, "%Y%m%d").ok().filter(|first| self.partition(*first) == partition)
    }

    /// The statements that make the partition that begins with a day. An empty table is attached under a lock that lets
    /// readers and writers go on.
    fn create(self, first: NaiveDate) -> Option<[String; 2]> {
        let (table, partition, next) = (self.name(), self.partition(first), self.next(first)?);
        let zone = if self == Self::Dict { "" } else { " 00:00:00+00" };
        Some([
            format!("CREATE TABLE profile_store.{partition} (LIKE profile_store.{table} INCLUDING ALL)"),
            format!(
                "ALTER TABLE profile_store.{table} ATTACH PARTITION profile_store.{partition} \
                 FOR VALUES FROM ('{first}{zone}') TO ('{next}{zone}')"
            ),
        ])
    }

    /// Whether nothing of the partition that begins with that day may be read any more.
    fn expired(self, first: NaiveDate, now: DateTime<Utc>, settings: &StoreSettings) -> bool {
        let kept = match self {
            Self::Block => settings.retention,
            Self::Dict => settings.retention + DICTIONARY_GRACE,
            Self::Rollup => settings.rollup_retention,
        };
        self.next(first).is_some_and(|end| end.and_time(NaiveTime::MIN).and_utc() <= now - kept)
    }
}

/// What a round of maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Partitions made.
    pub made: Vec<String>,
    /// Closed hours of apps that were rolled up.
    pub rolled: usize,
    /// Partitions dropped.
    pub dropped: Vec<String>,
    /// Expired partitions that readers held on to; the next round tries again.
    pub held: Vec<String>,
}

/// Makes the partitions of today and the days ahead, and of the months that hours are still rolled up in.
pub(super) async fn make_ahead(db: &Db, now: DateTime<Utc>, settings: &StoreSettings) -> PortResult<Vec<String>> {
    let today = now.date_naive();
    let ahead = (0..AHEAD).filter_map(|days| today.checked_add_days(Days::new(days)));
    let oldest = (now - settings.retention).date_naive();
    let kept = oldest.iter_days().take_while(|day| *day <= today).map(|day| (Table::Rollup, day));
    make_all(db, of_days(ahead).chain(kept)).await
}

/// Drops the expired partitions: those dropped, and those that readers hold.
pub(super) async fn drop_expired(
    db: &Db,
    now: DateTime<Utc>,
    settings: &StoreSettings,
) -> PortResult<(Vec<String>, Vec<String>)> {
    let (mut dropped, mut held) = (Vec::new(), Vec::new());
    for (table, first) in existing(db).await? {
        if table.expired(first, now, settings) {
            let partition = table.partition(first);
            let done = if drop_partition(db, table, &partition).await? { &mut dropped } else { &mut held };
            done.push(partition);
        }
    }
    Ok((dropped, held))
}

/// Makes the partitions of these days, where they are missing.
pub(super) async fn make(db: &Db, days: &[NaiveDate]) -> PortResult<Vec<String>> {
    make_all(db, of_days(days.iter().copied())).await
}

fn of_days(days: impl Iterator<Item = NaiveDate>) -> impl Iterator<Item = (Table, NaiveDate)> {
    days.flat_map(|day| Table::ALL.map(|table| (table, day)))
}

async fn make_all(db: &Db, wanted: impl Iterator<Item = (Table, NaiveDate)>) -> PortResult<Vec<String>> {
    let wanted: BTreeSet<_> = wanted.map(|(table, day)| (table.first_day(day), table)).collect();
    let made = db
        .run(Repeat::Safe, move |c| {
            let wanted = wanted.clone();
            Box::pin(async move {
                let mut transaction = c.begin().await?;
                sqlx::query(MAINTENANCE_LOCK).execute(&mut *transaction).await?;
                let known = partitions(&mut transaction).await?;
                let mut made = Vec::new();
                for (day, table) in wanted {
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
        assert_eq!(Table::Rollup.partition(Table::Rollup.first_day(day)), "rollup_202611");
        assert_eq!(Table::Rollup.day("rollup_202611"), NaiveDate::from_ymd_opt(2026, 11, 1));
        assert_eq!(Table::Rollup.day("rollup_20261121"), None);
    }

    #[rstest::rstest]
    #[case(Table::Block, "2026-11-10", "2026-11-18T00:00:00Z")]
    #[case::dictionaries_a_day_after_their_blocks(Table::Dict, "2026-11-10", "2026-11-19T00:00:00Z")]
    #[case::rollups_by_their_month(Table::Rollup, "2026-11-01", "2027-03-01T00:00:00Z")]
    #[case::over_the_end_of_a_year(Table::Rollup, "2026-12-01", "2027-04-01T00:00:00Z")]
    fn a_partition_expires_when_its_last_instant_does(#[case] table: Table, #[case] first: &str, #[case] at: &str) {
        let (first, at) = (first.parse().unwrap(), at.parse::<DateTime<Utc>>().unwrap());
        let settings = StoreSettings::default();
        assert!(!table.expired(first, at - TimeDelta::seconds(1), &settings));
        assert!(table.expired(first, at, &settings));
    }
}

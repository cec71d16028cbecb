//! The partitioned tables of the store, and how long each is kept.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::StoreSettings;
use crate::kernel::PortResult;
use crate::storage::{Db, Expired, PartitionedTable, Period, TableName};

/// Days that partitions are made ahead for, today among them.
const DAYS_AHEAD: u64 = 3;

/// How much longer dictionaries are kept than the blocks that need them.
const DICTIONARY_GRACE: TimeDelta = TimeDelta::days(1);

const BLOCK: TableName = TableName::new("profile_store", "block");
const DICT: TableName = TableName::new("profile_store", "dict");
const ROLLUP: TableName = TableName::new("profile_store", "rollup");

fn tables(settings: &StoreSettings) -> [PartitionedTable; 3] {
    [
        (BLOCK, Period::Day, settings.retention),
        (DICT, Period::Day, settings.retention + DICTIONARY_GRACE),
        (ROLLUP, Period::Month, settings.rollup_retention),
    ]
    .map(|(name, period, retention)| PartitionedTable {
        name,
        period,
        days_ahead: DAYS_AHEAD,
        retention: Some(retention),
        lock_timeout: Duration::from_millis(500),
    })
}

/// Makes the partitions of today and the days ahead, and of the months in which hours are still rolled up.
pub(super) async fn make_ahead(db: &Db, now: DateTime<Utc>, settings: &StoreSettings) -> PortResult<Vec<String>> {
    let mut made = Vec::new();
    for table in tables(settings) {
        made.extend(table.make_ahead(db, now).await?);
    }
    let [.., rollup] = tables(settings);
    let oldest = (now - settings.retention).date_naive();
    made.extend(rollup.make(db, oldest.iter_days().take_while(|day| *day <= now.date_naive())).await?);
    Ok(made)
}

/// Makes missing partitions for these days.
pub(super) async fn make(db: &Db, days: &[NaiveDate], settings: &StoreSettings) -> PortResult<()> {
    for table in tables(settings) {
        table.make(db, days.iter().copied()).await?;
    }
    Ok(())
}

/// Drops the expired partitions.
pub(super) async fn drop_expired(db: &Db, now: DateTime<Utc>, settings: &StoreSettings) -> PortResult<Expired> {
    let mut expired = Expired::default();
    for table in tables(settings) {
        let Expired { dropped, held } = table.drop_expired(db, now).await?;
        expired.dropped.extend(dropped);
        expired.held.extend(held);
    }
    Ok(expired)
}

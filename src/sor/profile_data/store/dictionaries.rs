//! Dictionaries as they are read, the ones used last kept in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

use super::codec::Tables;
use super::sql;
use crate::kernel::{PortError, PortResult, offload};
use crate::storage::Db;

/// A dictionary as far as it was read.
#[derive(Debug, Clone, Default)]
struct Known {
    tables: Arc<Tables>,
    next_seq: i32,
    used: u64,
}

/// Dictionaries by epoch, within a number of bytes.
#[derive(Debug)]
pub(super) struct Dictionaries {
    limit: usize,
    known: Mutex<(u64, HashMap<i64, Known>)>,
}

impl Dictionaries {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, known: Mutex::default() }
    }

    /// The dictionaries of these epochs, each at least as complete as the blocks that were read before the call.
    pub(super) async fn of(&self, db: &Db, epochs: &BTreeMap<i64, NaiveDate>) -> PortResult<HashMap<i64, Arc<Tables>>> {
        let found = {
            let known = self.lock();
            epochs.keys().filter_map(|id| known.1.get(id).map(|k| (*id, k.clone()))).collect()
        };
        let found = read(db, epochs, found).await?;
        self.keep(&found);
        Ok(tables(found))
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        self.lock().1.values().map(|known| known.tables.bytes()).sum()
    }

    fn keep(&self, read: &HashMap<i64, Known>) {
        let mut guard = self.lock();
        let (now, known) = &mut *guard;
        *now += 1;
        for (id, new) in read {
            let place = known.entry(*id).or_default();
            if place.next_seq <= new.next_seq {
                *place = new.clone();
            }
            place.used = *now;
        }
        let mut total: usize = known.values().map(|known| known.tables.bytes()).sum();
        while total > self.limit {
            let Some(oldest) = known.iter().min_by_key(|(id, known)| (known.used, **id)).map(|(id, _)| *id) else {
                break;
            };
            total -= known.remove(&oldest).map_or(0, |known| known.tables.bytes());
        }
        metrics::gauge!("profile_store_dictionary_cache_bytes").set(total as f64);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<i64, Known>)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The dictionaries of epochs that are not needed again soon. They are not cached.
pub(super) async fn once(db: &Db, epochs: &BTreeMap<i64, NaiveDate>) -> PortResult<HashMap<i64, Arc<Tables>>> {
    Ok(tables(read(db, epochs, HashMap::new()).await?))
}

/// Reads what is not found yet.
async fn read(
    db: &Db,
    epochs: &BTreeMap<i64, NaiveDate>,
    mut found: HashMap<i64, Known>,
) -> PortResult<HashMap<i64, Known>> {
    let wanted: Vec<_> = epochs.iter().map(|(id, day)| (*day, *id, found.get(id).map_or(0, |k| k.next_seq))).collect();
    let segments = sql::segments(db, &wanted).await?;
    if !segments.is_empty() {
        let grow = move || -> PortResult<HashMap<i64, Known>> {
            for (epoch, seq, body) in segments {
                let known = found.entry(epoch).or_default();
                let corrupt = |e: super::codec::Corrupt| PortError::Internal(format!("dictionary {epoch}/{seq}: {e}"));
                Arc::make_mut(&mut known.tables).append(&body).map_err(corrupt)?;
                known.next_seq = seq + 1;
            }
            Ok(found)
        };
        found = offload("reading dictionaries", grow).await??;
    }
    Ok(found)
}

fn tables(found: HashMap<i64, Known>) -> HashMap<i64, Arc<Tables>> {
    found.into_iter().map(|(id, known)| (id, known.tables)).collect()
}

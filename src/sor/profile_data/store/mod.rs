//! The embedded profile store: an adapter of [`ProfileDataSor`] on PostgreSQL, and the way that pushed profiles come in
//! by.
//!
//! Laid out for one machine and some fifty apps. A pushed profile is one row, some hundred bytes: the values of the
//! nodes of its stacks. The nodes are numbered by a dictionary that one writer keeps for one app and one hour (an
//! *epoch*), in memory while it grows and in segments on disk, written by the same statement as the blocks that need
//! them. Nothing is coordinated: a second writer has epochs of its own, and readers join epochs by name. Days are
//! partitions, dropped as a whole. There are no rows per sample and no shared symbol tables. Hours that are over are merged
//! into rollups, which are read in place of their blocks, and kept when the blocks are gone.

mod codec;
mod dictionaries;
mod epochs;
mod partitions;
mod pushed;
mod reader;
mod rollups;
mod select;
mod series;
mod silence;
mod sql;
mod survey;
mod tally;
mod timeline;
mod writer;

#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{NaiveDate, TimeDelta};

use super::domain::{MergedProfile, ProfileQuery};
use super::port::ProfileDataSor;
use super::timeline::{StepWidth, Timeline};
use crate::kernel::{AppName, Call, Clock, PortError, PortResult, Selector, Tenant, TimeWindow, offload};
use crate::profile::{Profile, SampleType};
use crate::storage::{Db, Expired, MaintenanceRound};
use crate::telemetry::RequestScope;

#[doc(hidden)]
pub use codec::{Block, EpochSum, Growth, HourBlock, Joined, OpenDictionary, Rollup, Tables};
pub use codec::{DictionaryFull, DictionaryLimits};
pub use pushed::{PushId, Pushed};
pub(crate) use select::{FoundSeries, SeriesFilter, Steps, TypedSeries};
pub(crate) use series::{MAX_LABEL_NAME, MAX_LABEL_VALUE, MAX_LABELS, SAMPLE_LABELS, whole_value};
pub use writer::{Accepted, PushError};

/// How long profiles are kept, and how much memory the store may take.
#[derive(Debug, Clone, Copy)]
pub struct StoreSettings {
    /// How long profiles are kept: 7 days.
    pub retention: TimeDelta,
    /// How long closed hours are kept, merged: 90 days.
    pub rollup_retention: TimeDelta,
    /// Hours of apps merged in one round of maintenance, the oldest first: 600, what fifty apps make in twelve hours.
    pub rollups_at_once: u32,
    /// Bytes of all dictionaries that are written to: 24 MiB.
    pub open_dictionaries: usize,
    /// Bytes of dictionaries kept for reading: 16 MiB.
    pub dictionary_cache: usize,
    /// What one profile may add to a dictionary.
    pub dictionary: DictionaryLimits,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            retention: TimeDelta::days(7),
            rollup_retention: TimeDelta::days(90),
            rollups_at_once: 600,
            open_dictionaries: 24 << 20,
            dictionary_cache: 16 << 20,
            dictionary: DictionaryLimits::default(),
        }
    }
}

/// The result of a maintenance round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Partitions made.
    pub made: Vec<String>,
    /// Closed hours of apps that were rolled up.
    pub rolled: usize,
    /// The result for expired partitions.
    pub expired: Expired,
}

/// How long a push or a read waits for the schema of a starting server: SDKs do not send again.
const SCHEMA_WITHIN: Duration = Duration::from_secs(5);

/// The embedded profile store.
#[derive(Clone)]
pub struct ProfileStore {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    clock: Arc<dyn Clock>,
    settings: StoreSettings,
    writers: writer::Writers,
    epochs: epochs::OpenEpochs,
    dictionaries: dictionaries::Dictionaries,
    series: Mutex<HashMap<i32, Arc<BTreeMap<i32, series::Series>>>>,
    /// Days that certainly have partitions.
    days: Mutex<BTreeSet<NaiveDate>>,
}

impl ProfileStore {
    /// A store in this database, whose schema must be there. Call [`ProfileStore::maintain`] before the first push, and
    /// every hour.
    pub fn new(db: Db, clock: Arc<dyn Clock>, settings: StoreSettings) -> Self {
        let shared = Shared {
            db,
            clock,
            settings,
            writers: writer::Writers::default(),
            epochs: epochs::OpenEpochs::new(settings.open_dictionaries),
            dictionaries: dictionaries::Dictionaries::new(settings.dictionary_cache),
            series: Mutex::default(),
            days: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How long profiles are kept.
    pub fn retention(&self) -> TimeDelta {
        self.shared.settings.retention
    }

    /// Stores profiles: all of one app or none. Returns when they are stored. While a starting server makes the schema,
    /// a push waits for it, since SDKs do not send again.
    ///
    /// # Errors
    /// A profile too large, or a store that cannot be reached. The profiles already stored are untouched.
    pub async fn push(&self, profiles: Vec<Pushed>) -> Result<Accepted, PushError> {
        let (shared, now) = (Arc::clone(&self.shared), self.shared.clock.now());
        let work = async move {
            shared.wait_for_schema().await;
            writer::push(&shared, profiles, now).await
        };
        // A task of its own: a client that hangs up must not leave a push stored and not remembered.
        let task = match RequestScope::current() {
            Some(scope) => tokio::spawn(scope.run(work)),
            None => tokio::spawn(work),
        };
        task.await.map_err(|e| PushError::Port(PortError::Internal(e.to_string())))?
    }

    /// Makes the partitions of today and the two days after, rolls up hours that are over, and drops what is past
    /// retention.
    ///
    /// # Errors
    /// The database's. What was not done is done by the next call.
    pub async fn maintain(&self) -> PortResult<Maintenance> {
        let now = self.shared.clock.now();
        let Shared { db, settings, .. } = &*self.shared;
        let made = partitions::make_ahead(db, now, settings).await?;
        self.shared.writers.forget_idle(now, |epoch| self.shared.epochs.forget(epoch));
        // First, as what is dropped cannot be rolled up.
        let rolled = rollups::roll(&self.shared, now).await;
        let expired = partitions::drop_expired(db, now, settings).await?;
        let done = Maintenance { made, rolled: rolled?, expired };
        if done != Maintenance::default() {
            let Expired { dropped, held } = &done.expired;
            tracing::info!(made = ?done.made, rolled = done.rolled, ?dropped, ?held, "maintained the profile store");
        }
        Ok(done)
    }

    /// [`ProfileStore::maintain`], to be run every hour.
    pub fn maintenance_round(&self) -> MaintenanceRound {
        let store = self.clone();
        MaintenanceRound::new("profile store", move || {
            let store = store.clone();
            async move { store.maintain().await.map(drop) }
        })
    }

    /// The series of the tenant that have profiles in the window and pass the filter, once for each of their types, in
    /// order of the apps.
    pub(crate) async fn series(
        &self,
        call: &Call,
        tenant: &Tenant,
        window: TimeWindow,
        filter: &dyn SeriesFilter,
    ) -> PortResult<Vec<FoundSeries>> {
        self.shared.read(call, select::series(&self.shared, tenant, window, filter)).await
    }

    /// All profiles of the window from the series that pass the filter, merged into one. Their values are added up under
    /// this sample type, so the filter should pass one type only.
    pub(crate) async fn merged_series(
        &self,
        call: &Call,
        tenant: &Tenant,
        window: TimeWindow,
        filter: &dyn SeriesFilter,
        sample_type: SampleType,
    ) -> PortResult<Profile> {
        self.shared.read(call, select::merged(&self.shared, tenant, window, filter, sample_type)).await
    }

    /// The totals of each series that passes the filter, step by step. Hours that are only kept as rollups have one total
    /// each, at their start.
    pub(crate) async fn series_totals(
        &self,
        call: &Call,
        tenant: &Tenant,
        window: TimeWindow,
        filter: &dyn SeriesFilter,
        steps: Steps,
    ) -> PortResult<Vec<(FoundSeries, BTreeMap<i64, i64>)>> {
        self.shared.read(call, select::totals(&self.shared, tenant, window, filter, steps)).await
    }

    /// Bytes of memory: of the dictionaries that are written to, and of those kept for reading.
    pub fn memory(&self) -> (usize, usize) {
        (self.shared.epochs.bytes(), self.shared.dictionaries.bytes())
    }
}

impl Shared {
    /// Waits a moment for the schema that a starting server makes. Where it does not come, the statement says why.
    async fn wait_for_schema(&self) {
        let _ = tokio::time::timeout(SCHEMA_WITHIN, self.db.settled()).await;
    }

    /// Reads once the schema is there, within the bounds of the call.
    async fn read<T>(&self, call: &Call, reading: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        let waited = async {
            self.wait_for_schema().await;
            reading.await
        };
        call.bound(waited).await
    }

    /// The app's series, read again if one that is needed is not known.
    async fn series_of(
        &self,
        app: i32,
        needed: impl Iterator<Item = i32>,
    ) -> PortResult<Arc<BTreeMap<i32, series::Series>>> {
        let known = lock(&self.series).get(&app).map(Arc::clone).unwrap_or_default();
        if needed.into_iter().all(|id| known.contains_key(&id)) {
            return Ok(known);
        }
        let known = Arc::new(sql::series(&self.db, app).await?);
        lock(&self.series).insert(app, Arc::clone(&known));
        Ok(known)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ProfileDataSor for ProfileStore {
    async fn apps<'a>(
        &'a self,
        call: &'a Call,
        tenant: Option<&'a Tenant>,
        window: TimeWindow,
    ) -> PortResult<Vec<AppName>> {
        self.shared.read(call, reader::apps(&self.shared, tenant, window)).await
    }

    async fn merged(&self, call: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        self.shared.read(call, reader::merged(&self.shared, query)).await
    }

    async fn merged_pair(
        &self,
        call: &Call,
        query: &ProfileQuery,
        baseline: TimeWindow,
        baseline_selector: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
        let reading = reader::merged_pair(&self.shared, query, baseline, baseline_selector);
        self.shared.read(call, reading).await
    }

    async fn totals(&self, call: &Call, query: &ProfileQuery, width: StepWidth) -> PortResult<Option<Timeline<i64>>> {
        self.shared.read(call, timeline::totals(&self.shared, query, width)).await
    }

    async fn stacks(
        &self,
        call: &Call,
        query: &ProfileQuery,
        width: StepWidth,
    ) -> PortResult<Option<Timeline<Profile>>> {
        self.shared.read(call, timeline::stacks(&self.shared, query, width)).await
    }
}

/// Runs work on what is stored off the threads that serve requests.
async fn merging<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, codec::Corrupt> + Send + 'static,
) -> PortResult<T> {
    offload("merging profiles", work).await?.map_err(|e| PortError::Internal(e.to_string()))
}

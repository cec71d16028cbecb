//! Stores pushed profiles: one app at a time, one statement each.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::sync::OwnedMutexGuard;

use super::Shared;
use super::codec::{Block, DictionaryFull, DictionaryLimits, OpenDictionary};
use super::partitions;
use super::pushed::{PushId, Pushed};
use super::series::{self, Labels, Series, Shape};
use super::sql::{self, BlockRow, SegmentRow};
use super::tally::hour;
use crate::kernel::{AppName, PortError, PortResult, Tenant, offload};

/// How long a push is remembered, so that its repetition is not counted twice.
const REMEMBERED: TimeDelta = TimeDelta::minutes(5);

/// Label sets of one app in one hour; further ones collapse into one.
const MAX_LABEL_SETS: usize = 200;

/// Hours that an app may be writing to at once; the one not used for longest is closed.
const MAX_OPEN_HOURS: usize = 3;

/// The result of a push.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Profiles stored.
    pub stored: usize,
    /// Profiles that had been stored before.
    pub repeated: usize,
    /// Profiles whose labels collapsed.
    pub collapsed: usize,
}

/// Why a push was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The profile is too large to be kept.
    #[error(transparent)]
    TooLarge(#[from] DictionaryFull),
    /// The store cannot be reached.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A dictionary that is written to.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) id: i64,
    /// The number of its next segment.
    pub(super) next_seq: i32,
    pub(super) dictionary: OpenDictionary,
    /// Set when its memory is needed for others.
    pub(super) close: Arc<AtomicBool>,
}

impl Epoch {
    /// A new epoch with nothing in its dictionary.
    pub(super) fn new(id: i64) -> Self {
        Self { id, next_seq: 0, dictionary: OpenDictionary::default(), close: Arc::default() }
    }

    /// Whether it was closed by another task.
    pub(super) fn is_closed(&self) -> bool {
        self.close.load(Ordering::Relaxed)
    }
}

/// The state of an app that writes.
#[derive(Debug, Default)]
pub(super) struct AppState {
    id: Option<i32>,
    series: HashMap<[u8; 32], i32>,
    /// By hour, the least recently used first.
    epochs: VecDeque<(DateTime<Utc>, Epoch)>,
    label_sets: BTreeMap<DateTime<Utc>, HashSet<[u8; 32]>>,
    recent: VecDeque<(DateTime<Utc>, PushId)>,
    recent_ids: HashSet<PushId>,
}

impl AppState {
    /// Drops the epochs whose memory is needed elsewhere.
    pub(super) fn drop_closed(&mut self) {
        self.epochs.retain(|(_, epoch)| !epoch.is_closed());
    }

    fn forget_old_pushes(&mut self, now: DateTime<Utc>) {
        while let Some((at, id)) = self.recent.front() {
            if *at + REMEMBERED > now {
                break;
            }
            self.recent_ids.remove(id);
            self.recent.pop_front();
        }
    }

    /// The labels of a profile, or one set for all where the app has too many in that hour.
    fn series_of(&mut self, pushed: &Pushed) -> (Series, [u8; 32], bool) {
        let mut shape = Shape {
            name: pushed.name.clone(),
            sample_types: pushed.sample_types.clone(),
            period_type: pushed.period_type.clone(),
            cumulative: pushed.labels.get("__delta__").is_some_and(|delta| delta == "false"),
            collapsed: false,
        };
        let mut labels = Labels::of(&pushed.labels);
        let set = series::hash_of_labels(&labels);
        let sets = self.label_sets.entry(hour(pushed.time)).or_default();
        let collapsed = !sets.contains(&set) && sets.len() >= MAX_LABEL_SETS;
        if collapsed {
            (labels, shape.collapsed) = (Labels::default(), true);
        } else {
            sets.insert(set);
        }
        while self.label_sets.len() > MAX_OPEN_HOURS {
            self.label_sets.pop_first();
        }
        let hash = series::hash(&shape, &labels);
        (Series { shape, labels }, hash, collapsed)
    }
}

/// An app of a tenant.
type TenantApp = (Tenant, AppName);

/// The apps that write, each behind its own lock.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<HashMap<TenantApp, Arc<tokio::sync::Mutex<AppState>>>>);

impl Writers {
    fn of(&self, app: &TenantApp) -> Arc<tokio::sync::Mutex<AppState>> {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.clone()).or_default())
    }

    /// Forgets apps that were not written to and have nothing to remember.
    pub(super) fn forget_idle(&self, now: DateTime<Utc>, forget: impl Fn(i64)) {
        let mut apps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        apps.retain(|_, app| {
            let Ok(mut state) = app.try_lock() else { return true };
            state.forget_old_pushes(now);
            let ended = |hour: &DateTime<Utc>| *hour + TimeDelta::minutes(125) < now;
            state.epochs.retain(|(hour, epoch)| {
                let ended = ended(hour);
                if ended {
                    forget(epoch.id);
                }
                !ended
            });
            !(state.epochs.is_empty() && state.recent.is_empty())
        });
    }
}

/// Stores the profiles of one push, app by app. Each app's are stored together or not at all.
pub(super) async fn push(
    shared: &Arc<Shared>,
    profiles: Vec<Pushed>,
    now: DateTime<Utc>,
) -> Result<Accepted, PushError> {
    let mut by_app: BTreeMap<TenantApp, Vec<Pushed>> = BTreeMap::new();
    for pushed in profiles {
        by_app.entry((pushed.tenant.clone(), pushed.app.clone())).or_default().push(pushed);
    }
    let mut accepted = Accepted::default();
    for (app, profiles) in by_app {
        let of_app = push_app(shared, &app, profiles, now).await?;
        accepted.stored += of_app.stored;
        accepted.repeated += of_app.repeated;
        accepted.collapsed += of_app.collapsed;
    }
    Ok(accepted)
}

async fn push_app(
    shared: &Arc<Shared>,
    app: &TenantApp,
    mut profiles: Vec<Pushed>,
    now: DateTime<Utc>,
) -> Result<Accepted, PushError> {
    let lock = shared.writers.of(app);
    let mut state = Arc::clone(&lock).lock_owned().await;
    state.forget_old_pushes(now);
    state.drop_closed();
    let pushed = profiles.len();
    let mut ids = HashSet::new();
    profiles.retain(|p| !state.recent_ids.contains(&p.id));
    let mut accepted = Accepted { repeated: pushed - profiles.len(), ..Accepted::default() };
    if profiles.is_empty() {
        return Ok(accepted);
    }
    make_days(shared, &profiles).await?;
    let app_id = match state.id {
        Some(id) => id,
        None => *state.id.insert(sql::app_id(&shared.db, app, now).await?),
    };
    let mut work = Vec::with_capacity(profiles.len());
    for pushed in profiles {
        ids.insert(pushed.id);
        let (series, hash, collapsed) = state.series_of(&pushed);
        accepted.collapsed += usize::from(collapsed);
        let series = if let Some(id) = state.series.get(&hash) {
            *id
        } else {
            let id = sql::series_id(&shared.db, app_id, &series, hash).await?;
            state.series.insert(hash, id);
            id
        };
        work.push((series, pushed));
    }
    accepted.stored = work.len();
    let epochs = take_epochs(shared, &mut state, &work).await?;
    let taken: Vec<i64> = epochs.values().map(|epoch| epoch.id).collect();
    let epochs = match append(shared, app_id, epochs, work, now).await {
        Ok(epochs) => epochs,
        Err(error) => {
            // Their dictionaries hold entries that the database does not have.
            for id in taken {
                shared.epochs.forget(id);
            }
            return Err(error);
        }
    };
    for id in ids {
        state.recent_ids.insert(id);
        state.recent.push_back((now, id));
    }
    keep_epochs(shared, state, epochs, &lock);
    metrics::counter!("profile_store_profiles_total").increment(accepted.stored as u64);
    metrics::counter!("profile_store_collapsed_total").increment(accepted.collapsed as u64);
    Ok(accepted)
}

/// Adds profiles to the dictionaries of their epochs and writes both in one statement. On failure the epochs are dropped.
async fn append(
    shared: &Shared,
    app_id: i32,
    epochs: Epochs,
    work: Vec<(i32, Pushed)>,
    now: DateTime<Utc>,
) -> Result<Epochs, PushError> {
    let limits = shared.settings.dictionary;
    let Encoded { epochs, segments, blocks } =
        offload("encoding a profile", move || encode(epochs, work, limits)).await??;
    let over = epochs.keys().copied().filter(|hour| *hour + TimeDelta::hours(1) <= now).collect();
    sql::append(&shared.db, app_id, segments, blocks, over).await?;
    Ok(epochs)
}

/// Makes missing partitions: those for the days of late profiles.
async fn make_days(shared: &Shared, profiles: &[Pushed]) -> PortResult<()> {
    let days: BTreeSet<NaiveDate> = profiles.iter().map(|p| p.time.date_naive()).collect();
    let missing: Vec<_> = {
        let known = shared.days.lock().unwrap_or_else(PoisonError::into_inner);
        days.difference(&known).copied().collect()
    };
    if !missing.is_empty() {
        partitions::make(&shared.db, &missing, &shared.settings).await?;
        shared.days.lock().unwrap_or_else(PoisonError::into_inner).extend(missing);
    }
    Ok(())
}

type Epochs = BTreeMap<DateTime<Utc>, Epoch>;

/// Takes the epochs of the profiles out of the app's state, and opens missing ones. On failure the app keeps what it
/// had.
async fn take_epochs(shared: &Shared, state: &mut AppState, work: &[(i32, Pushed)]) -> PortResult<Epochs> {
    let mut epochs = Epochs::new();
    for (_, pushed) in work {
        let hour = hour(pushed.time);
        if epochs.contains_key(&hour) {
            continue;
        }
        let at = state.epochs.iter().position(|(known, _)| *known == hour);
        let epoch = match at.and_then(|at| state.epochs.remove(at)) {
            Some((_, epoch)) => epoch,
            None => match sql::next_epoch(&shared.db).await {
                Ok(id) => Epoch::new(id),
                Err(error) => {
                    state.epochs.extend(epochs);
                    return Err(error);
                }
            },
        };
        epochs.insert(hour, epoch);
    }
    Ok(epochs)
}

/// Gives the epochs back after their commit.
fn keep_epochs(
    shared: &Shared,
    mut state: OwnedMutexGuard<AppState>,
    epochs: Epochs,
    lock: &Arc<tokio::sync::Mutex<AppState>>,
) {
    let kept: Vec<_> = epochs.keys().copied().collect();
    for (hour, epoch) in epochs {
        shared.epochs.note(&epoch, lock);
        state.epochs.push_back((hour, epoch));
    }
    state.drop_closed();
    while state.epochs.len() > MAX_OPEN_HOURS.max(kept.len()) {
        if let Some((_, epoch)) = state.epochs.pop_front() {
            shared.epochs.forget(epoch.id);
        }
    }
}

struct Encoded {
    epochs: Epochs,
    segments: Vec<SegmentRow>,
    blocks: Vec<BlockRow>,
}

/// Turns profiles into rows. On failure the epochs are dropped.
fn encode(mut epochs: Epochs, work: Vec<(i32, Pushed)>, limits: DictionaryLimits) -> Result<Encoded, DictionaryFull> {
    let mut blocks = Vec::with_capacity(work.len());
    for (series, pushed) in work {
        let Some(epoch) = epochs.get_mut(&hour(pushed.time)) else { continue };
        let nodes = epoch.dictionary.intern(&pushed.profile, limits)?;
        let stacks = nodes.into_iter().zip(pushed.profile.stacks().map(|stack| stack.values));
        let block = Block::of(pushed.profile.sample_types().len(), stacks);
        blocks.push(BlockRow {
            time: pushed.time,
            duration_ms: i32::try_from(pushed.duration.num_milliseconds()).unwrap_or(i32::MAX),
            series,
            epoch: epoch.id,
            samples: pushed.events(),
            totals: block.totals(),
            body: block.encode(),
        });
    }
    let mut segments = Vec::with_capacity(epochs.len());
    for (hour, epoch) in &mut epochs {
        if let Some(body) = epoch.dictionary.take_segment() {
            segments.push(SegmentRow { day: hour.date_naive(), epoch: epoch.id, seq: epoch.next_seq, body });
            epoch.next_seq += 1;
        }
    }
    Ok(Encoded { epochs, segments, blocks })
}

//! What a fleet search asks for and finds. Pure: nothing here awaits.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::bor::SorAnswer;
use crate::bor::facts::source_facts;
use crate::kernel::{AppName, FunctionName, PortError, ProfileType, Selector, Tenant, TimeWindow};
use crate::profile::SampleType;
use crate::sor::profile_data::{MergedProfile, ProfileMeta};
use crate::sor::registry::Service;
use crate::verdict::{Category, FleetApp, Hotspot, Match, Ranking};

/// Which profiles to read.
#[derive(Debug, Clone)]
pub struct FleetQuery {
    /// The kind of profile.
    pub kind: ProfileType,
    /// The window.
    pub window: TimeWindow,
    /// The series of each app that are read.
    pub selector: Selector,
    /// The apps, sorted, each once; `None` for all that have profiles in the window.
    pub apps: Option<Vec<AppName>>,
    /// The one tenant whose apps are listed and read. `None`: those of the configured tenant are listed, and an app is
    /// read from the tenant it is registered with.
    pub tenant: Option<Tenant>,
}

/// What to look for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Where.
    pub fleet: FleetQuery,
    /// A part of a function's name.
    pub function: FunctionName,
    /// At most this many matches are shown.
    pub limit: usize,
}

/// What to rank.
#[derive(Debug, Clone)]
pub struct HotspotsRequest {
    /// Of which apps.
    pub fleet: FleetQuery,
    /// At most this many functions.
    pub limit: usize,
    /// Categories whose functions are left out.
    pub exclude: Vec<Category>,
    /// By what.
    pub sort: Ranking,
}

/// What came of reading a fleet.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The apps, sorted.
    pub apps: Vec<AppName>,
    /// Apps with data in the window.
    pub with_data: usize,
    /// The apps that were read by another kind of profile than was asked for, as they do not send that: by their places.
    pub read_as: BTreeMap<usize, ProfileType>,
    /// Who owns them, where the registry was asked.
    pub owners: SorAnswer<BTreeMap<AppName, Service>>,
    /// The apps that could not be read, in the order of the apps.
    pub failures: Vec<(AppName, AppFailure)>,
}

impl Scan {
    /// The kind of profile that the app at a place was read by, if that is not the one that was asked for.
    pub fn read_as(&self, place: usize) -> Option<String> {
        self.read_as.get(&place).map(ToString::to_string)
    }

    /// The name of the app at a place, and the service that it is registered as.
    pub fn app(&self, place: usize) -> Option<(&AppName, Option<&Service>)> {
        let app = self.apps.get(place)?;
        Some((app, self.owners.known().and_then(|services| services.get(app))))
    }
}

/// Why an app could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppFailure {
    /// It is unknown.
    Unknown,
    /// No profile of the app in the window has these labels, which the registry gives it.
    LabelsUnmatched(Selector),
    /// It was not its turn within the time of a search, which is this long.
    NotReached(Duration),
    /// Its profile could not be read.
    Failed(PortError),
}

impl AppFailure {
    /// The failure of the source, where it is one.
    pub(super) fn error(&self) -> Option<PortError> {
        match self {
            Self::Unknown | Self::LabelsUnmatched(_) => None,
            Self::NotReached(within) => {
                Some(PortError::Timeout(format!("not reached within the {within:?} of a fleet search")))
            }
            Self::Failed(error) => Some(error.clone()),
        }
    }
}

/// Where a function was found.
#[derive(Debug)]
pub struct FleetMatches {
    /// What was read.
    pub scan: Scan,
    /// All matches, not only those that are shown.
    pub match_count: usize,
    /// The matches, ranked.
    pub matches: Vec<Match>,
    /// What the ticks of each app count, by its place.
    pub ticks: HashMap<usize, AppTicks>,
}

/// The functions that cost most over a fleet.
#[derive(Debug)]
pub struct FleetHotspots {
    /// What was read.
    pub scan: Scan,
    /// The functions, ranked.
    pub hotspots: Vec<Hotspot>,
}

/// An app as the judge takes it.
pub(super) fn fleet_app(kind: ProfileType, merged: &MergedProfile) -> FleetApp<'_> {
    FleetApp { kind, profile: &merged.profile, facts: source_facts(&merged.meta) }
}

/// What an app's ticks count.
#[derive(Debug, Clone)]
pub struct AppTicks {
    /// The sample type, where it is known.
    pub sample_type: Option<SampleType>,
    /// The number to divide a sum by; 0 if it is not known.
    snapshots: u64,
}

impl AppTicks {
    pub(super) fn of(kind: ProfileType, meta: &ProfileMeta) -> Self {
        let snapshots = if kind.is_snapshot() { meta.snapshots.unwrap_or(0) } else { 1 };
        Self { sample_type: meta.sample_type.clone(), snapshots }
    }

    /// A sum of ticks as it is shown: for snapshots their mean, if their number is known.
    pub fn shown(&self, sum: i64) -> Option<i64> {
        match self.snapshots {
            0 => (sum == 0).then_some(0),
            n => Some(i64::try_from(i128::from(sum) / i128::from(n)).unwrap_or(sum)),
        }
    }
}

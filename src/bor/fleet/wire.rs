//! The answers as JSON. Shares are rounded to two decimals here and nowhere else.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::domain::{AppFailure, FleetHotspots, FleetMatches, FleetQuery, HotspotsRequest, Scan, SearchRequest};
use crate::bor::Absence;
use crate::http::{Code, Problem};
use crate::kernel::{AppName, round2, round4};
use crate::sor::registry::Service;
use crate::verdict::{Category, Hotspot, HotspotService, Match, Origin, Ranking};

/// Where a function was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FleetMatches)]
pub struct SearchBody {
    /// What was looked for.
    pub query: String,
    /// The kind of profile, canonical.
    #[schema(example = "cpu")]
    pub profile_type: String,
    /// The first instant inside, epoch seconds.
    pub from: i64,
    /// The first instant after, epoch seconds.
    pub to: i64,
    /// Apps whose profile was read.
    pub app_count: usize,
    /// Of these, apps with data in the window.
    pub apps_with_data: usize,
    /// All matches, not only those shown.
    pub match_count: usize,
    /// By self share descending, then by total share, app and name.
    pub matches: Vec<MatchBody>,
    /// The apps that could not be read; nothing is known of their functions.
    pub errors: Vec<AppErrorBody>,
    /// v2: the registry is off or failed; its fields are absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<Absence>,
}

/// A function of an app that matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FleetMatch)]
pub struct MatchBody {
    /// The app.
    pub app: String,
    /// The function, as the app's profile spells it.
    pub function: String,
    /// The share of the app's ticks in stacks that end in it, 0–100.
    pub self_percent: f64,
    /// The ticks of stacks that end in it; null for snapshots whose number is not known.
    pub self_samples: Option<i64>,
    /// The share of the app's ticks in stacks that contain it, 0–100.
    pub total_percent: f64,
    /// The share of the app's ticks in stacks that contain any match, each stack once, 0–100.
    pub app_percent: f64,
    /// What ticks count.
    pub sample_type: Option<String>,
    /// In which unit.
    pub unit: Option<String>,
    /// `wall` where the app sends no CPU profiles and was read by the elapsed time of its threads; absent where it was read
    /// by the kind that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<String>,
    /// Under 100 samples of the app were seen: shares say little.
    pub low_samples: bool,
    /// v2: the team that owns the app. Null if not set, absent if the app is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub team_owner: Option<Option<String>>,
    /// v2: how much the app matters; absent where it is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// v2: the channel on which its owners are notified. Null if not set, absent if the app is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub notification_channel: Option<Option<String>>,
}

/// An app that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FleetError)]
pub struct AppErrorBody {
    /// The app.
    pub app: String,
    /// Why, as a code of the table of errors.
    #[schema(example = "app_unknown")]
    pub code: String,
    /// Why, in words.
    pub detail: String,
}

/// The functions that cost most over many apps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FleetHotspots)]
pub struct HotspotsBody {
    /// The kind of profile, canonical.
    #[schema(example = "cpu")]
    pub profile_type: String,
    /// The first instant inside, epoch seconds.
    pub from: i64,
    /// The first instant after, epoch seconds.
    pub to: i64,
    /// By what they are ranked.
    pub sort: Ranking,
    /// Apps whose profile was read.
    pub app_count: usize,
    /// Of these, apps with data in the window.
    pub apps_with_data: usize,
    /// In the order that was asked for, descending, then by name.
    pub hotspots: Vec<HotspotBody>,
    /// The apps that could not be read; nothing is known of their functions.
    pub errors: Vec<AppErrorBody>,
    /// v2: the registry is off or failed; its fields are absent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<Absence>,
}

/// A function and the services that run it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FleetHotspot)]
pub struct HotspotBody {
    /// The function's name, spelled as in the service where its share is largest.
    pub function: String,
    /// What it does there; null where no rule claims it.
    pub category: Option<Category>,
    /// Whose code it is.
    pub kind: Origin,
    /// How many services run it.
    pub service_count: usize,
    /// v2: how many of them are of tier `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_service_count: Option<usize>,
    /// Its largest self share, 0–100, of services with at least 100 samples; 0 where there are none.
    pub max_self_percent: f64,
    /// The number of services × the largest self share.
    pub impact_score: f64,
    /// cpu: the cores it takes in all services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// By self share descending, then by app.
    pub services: Vec<HotspotServiceBody>,
}

/// A service that runs a hotspot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FleetHotspotService)]
pub struct HotspotServiceBody {
    /// The app.
    pub app: String,
    /// The share of the app's ticks in stacks that end in the function, 0–100.
    pub self_percent: f64,
    /// cpu: the cores it takes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// As in a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<String>,
    /// Under 100 samples of the app were seen: it counts as a service, and its share for nothing.
    pub low_samples: bool,
    /// v2: the team that owns the app. Null if not set, absent if the app is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub team_owner: Option<Option<String>>,
    /// v2: how much the app matters; absent where it is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

impl AppErrorBody {
    fn of((app, failure): &(AppName, AppFailure)) -> Self {
        let problem = match failure {
            AppFailure::Unknown => Problem::app_unknown(app, &[]),
            AppFailure::LabelsUnmatched(labels) => {
                let detail =
                    format!("no profile of the app in this window has the labels that the registry gives it: {labels}");
                Problem::new(Code::AppUnknown, detail)
            }
            AppFailure::NotReached(within) => {
                let seconds = within.as_secs();
                let detail = format!("not reached within the {seconds} s of a search: ask for fewer apps at once");
                Problem::new(Code::Timeout, detail)
            }
            AppFailure::Failed(error) => Problem::of_profiles(error),
        };
        Self { app: app.to_string(), code: problem.code().id().to_owned(), detail: problem.detail().to_owned() }
    }

    fn all(scan: &Scan) -> Vec<Self> {
        scan.failures.iter().map(Self::of).collect()
    }
}

fn ends(fleet: &FleetQuery) -> (i64, i64) {
    (fleet.window.from().timestamp(), fleet.window.to().timestamp())
}

impl SearchBody {
    pub(super) fn of(request: &SearchRequest, found: FleetMatches) -> Self {
        let FleetMatches { scan, match_count, matches, ticks } = found;
        let row = |row: Match| {
            let (app, service) = scan.app(row.app).unzip();
            let service = service.flatten();
            let ticks = ticks.get(&row.app);
            let counted = ticks.and_then(|ticks| ticks.sample_type.as_ref());
            MatchBody {
                app: app.map(ToString::to_string).unwrap_or_default(),
                function: row.function,
                self_percent: round2(row.self_percent),
                self_samples: ticks.and_then(|ticks| ticks.shown(row.self_ticks)),
                total_percent: round2(row.total_percent),
                app_percent: round2(row.app_percent),
                sample_type: counted.map(|counted| counted.name.clone()),
                unit: counted.map(|counted| counted.unit.clone()),
                read_as: scan.read_as(row.app),
                low_samples: row.low_samples,
                team_owner: service.map(team_owner),
                tier: service.map(tier),
                notification_channel: service.map(|s| s.notification_channel.as_ref().map(ToString::to_string)),
            }
        };
        let (from, to) = ends(&request.fleet);
        Self {
            query: request.function.to_string(),
            profile_type: request.fleet.kind.to_string(),
            from,
            to,
            app_count: scan.apps.len() - scan.failures.len(),
            apps_with_data: scan.with_data,
            match_count,
            matches: matches.into_iter().map(row).collect(),
            errors: AppErrorBody::all(&scan),
            owners: scan.owners.absence(),
        }
    }
}

impl HotspotsBody {
    pub(super) fn of(request: &HotspotsRequest, found: FleetHotspots) -> Self {
        let FleetHotspots { scan, hotspots } = found;
        let (from, to) = ends(&request.fleet);
        Self {
            profile_type: request.fleet.kind.to_string(),
            from,
            to,
            sort: request.sort,
            app_count: scan.apps.len() - scan.failures.len(),
            apps_with_data: scan.with_data,
            hotspots: hotspots.into_iter().map(|hotspot| HotspotBody::of(hotspot, &scan)).collect(),
            errors: AppErrorBody::all(&scan),
            owners: scan.owners.absence(),
        }
    }
}

impl HotspotBody {
    fn of(hotspot: Hotspot, scan: &Scan) -> Self {
        let service = |place: usize| scan.app(place).and_then(|(_, service)| service);
        let critical = hotspot.services.iter().filter(|s| service(s.app).is_some_and(|s| s.tier.is_critical())).count();
        let row = |used: &HotspotService| HotspotServiceBody {
            app: scan.app(used.app).map(|(app, _)| app.to_string()).unwrap_or_default(),
            self_percent: round2(used.self_percent),
            cores: used.cores.map(round4),
            read_as: scan.read_as(used.app),
            low_samples: used.low_samples,
            team_owner: service(used.app).map(team_owner),
            tier: service(used.app).map(tier),
        };
        Self {
            function: hotspot.function,
            category: hotspot.category,
            kind: hotspot.origin,
            service_count: hotspot.services.len(),
            critical_service_count: scan.owners.known().map(|_| critical),
            max_self_percent: round2(hotspot.max_self_percent),
            impact_score: round2(hotspot.impact),
            cores: hotspot.cores.map(round4),
            services: hotspot.services.iter().map(row).collect(),
        }
    }
}

fn team_owner(service: &Service) -> Option<String> {
    service.team_owner.as_ref().map(ToString::to_string)
}

fn tier(service: &Service) -> String {
    service.tier.to_string()
}

//! Profiles: from a Pyroscope server, from the embedded store, or from another Flamewarden.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::{Kind, Room, Sor};
use crate::app::health::{Check, HealthCheck, SourceHealth};
use crate::app::placement::{Demand, InvalidPlan, Placement};
use crate::app::wiring::Wiring;
use crate::config::{Credentials, Settings};
use crate::http::{Unreachable, why_unreachable};
use crate::kernel::{Call, Clock, PortError, TimeWindow};
use crate::profile::Budget;
use crate::sor::profile_data::querier::{self, Querier};
use crate::sor::profile_data::receivers::{self, Receiver};
use crate::sor::profile_data::store::{ProfileStore, StoreSettings};
use crate::sor::profile_data::{self, ProfileDataSor, PyroscopeSettings};

pub(in crate::app) const FUNCTION: &str = "ReadPyroscopeProfile.sor.v1";

pub(super) const ROOM: Room = Room {
    functions: &[FUNCTION],
    chapters: &[
        ("profiles", "Profiles, from a Pyroscope server or the embedded store"),
        ("receivers", "Where profilers push to"),
        (
            "pyroscope",
            "The query service of Pyroscope, on the embedded store: for Grafana's data source and `profilecli`",
        ),
    ],
    kind: Kind::Sor(Sor {
        title: "profiles",
        url_key: "profile_data_url",
        placement,
        described: ["the embedded store", "not read"],
        warnings,
        build,
        routes: |routes, placement| {
            profile_data::routes(routes);
            if *placement == Placement::Local {
                receivers::routes(routes);
                querier::routes(routes);
            } else {
                receivers::routes_off(routes);
                querier::routes_off(routes);
            }
        },
    }),
};

fn placement(settings: &Settings, demand: &Demand<'_>) -> Result<Placement, InvalidPlan> {
    match (demand.url, &settings.pyroscope.url) {
        _ if !demand.served && demand.needed_by.is_none() => Ok(Placement::Off),
        (Some(url), _) => Ok(Placement::Remote(url.clone())),
        (None, Some(url)) => Ok(Placement::Pyroscope(url.clone())),
        (None, None) => match demand.needed_by {
            Some(reader) if !demand.served => Err(InvalidPlan::NoProfiles(reader)),
            _ => Ok(Placement::Local),
        },
    }
}

fn warnings(settings: &Settings, placement: &Placement, _: &Demand<'_>) -> Vec<String> {
    let ignored = settings.pyroscope.url.is_some() && !matches!(placement, Placement::Pyroscope(_));
    let warning = "PYROSCOPE_URL is ignored: profiles come from PROFILE_DATA_URL, or nobody reads any";
    ignored.then(|| warning.to_owned()).into_iter().collect()
}

fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    // One for the process, shared by everything that reads profiles from others.
    let budget = Budget::new(wiring.settings.profiles.inflate_budget);
    let clock = Arc::clone(&wiring.clock);
    let port: Arc<dyn ProfileDataSor> = match placement {
        Placement::Off => return Ok(()),
        Placement::Remote(url) => {
            profile_data::remote(wiring.outward(url, wiring.settings.sor.timeout)?, budget, clock)
        }
        Placement::Pyroscope(url) => profile_data::pyroscope(&pyroscope(wiring.settings, url, budget), clock)?,
        Placement::Local => {
            let store = ProfileStore::new(wiring.database()?, Arc::clone(&clock), store(wiring.settings));
            wiring.maintain(store.maintenance_round())?;
            wiring.offer_service(Querier::new(store.clone(), Arc::clone(&clock)));
            wiring.offer_service(Receiver::new(store.clone(), clock, budget));
            Arc::new(store)
        }
    };
    let source = match placement {
        Placement::Remote(url) => Some((url, Unreachable::Upstream)),
        Placement::Pyroscope(url) => Some((url, Unreachable::Broken)),
        Placement::Off | Placement::Local => None,
    };
    if let Some((url, if_it_answers)) = source {
        let (port, clock) = (Arc::clone(&port), Arc::clone(&wiring.clock));
        wiring.check_health(Arc::new(SourceCheck {
            port,
            url: url.clone(),
            if_it_answers,
            clock,
            last: Mutex::default(),
        }));
    }
    wiring.offer(port);
    // The catalogue, for the route that follows a category.
    wiring.rules()?;
    Ok(())
}

/// How long the source may take to list its apps, and each step of finding out why it does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long an answer is used again.
const ASKED_EVERY: Duration = Duration::from_secs(15);

/// Whether the server that profiles come from can be read: it is asked for the apps of the last minute.
struct SourceCheck {
    port: Arc<dyn ProfileDataSor>,
    url: Url,
    /// What is wrong where the server takes connections and gives no apps.
    if_it_answers: Unreachable,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<(Instant, Option<Unreachable>)>>,
}

impl SourceCheck {
    async fn ask(&self) -> Option<Unreachable> {
        let now = self.clock.now();
        let window = TimeWindow::new(now - TimeDelta::minutes(1), now).ok()?;
        let call = Call::system("health").until(Instant::now() + ANSWER_WITHIN);
        match call.bound(self.port.apps(&call, None, window)).await {
            Ok(_) | Err(PortError::Overloaded { .. } | PortError::Starting(_)) => None,
            Err(PortError::Denied(_)) => Some(Unreachable::Denied),
            Err(PortError::Timeout(_)) => Some(match why_unreachable(&self.url, ANSWER_WITHIN).await {
                Unreachable::Dns => Unreachable::Dns,
                _ => Unreachable::Timeout,
            }),
            Err(_) => Some(match why_unreachable(&self.url, ANSWER_WITHIN).await {
                Unreachable::Broken => self.if_it_answers,
                other => other,
            }),
        }
    }
}

#[async_trait]
impl HealthCheck for SourceCheck {
    fn name(&self) -> &'static str {
        "profiles"
    }

    async fn check(&self) -> Check {
        // Held while it is asked, so that many who ask at once make one call.
        let mut last = self.last.lock().await;
        let class = match *last {
            Some((asked, class)) if asked.elapsed() < ASKED_EVERY => class,
            _ => {
                let class = self.ask().await;
                *last = Some((Instant::now(), class));
                class
            }
        };
        let host = self.url.host_str().unwrap_or_default();
        let host = self.url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let detail = class.map(Unreachable::advice);
        let health = SourceHealth { host, reachable: class.is_none(), class, detail };
        Check { warn: class.is_some(), details: serde_json::to_value(health).unwrap_or_default() }
    }
}

fn store(settings: &Settings) -> StoreSettings {
    StoreSettings {
        retention: TimeDelta::days(settings.store.retention_days.into()),
        rollup_retention: TimeDelta::days(settings.store.rollup_days.into()),
        ..StoreSettings::default()
    }
}

fn pyroscope(settings: &Settings, url: &Url, budget: Budget) -> PyroscopeSettings {
    let given = &settings.pyroscope;
    PyroscopeSettings {
        tenant: given.tenant.clone().map(Into::into),
        credentials: given.credentials.clone().map(|credentials| match credentials {
            Credentials::Basic(pair) => profile_data::Credentials::Basic(pair),
            Credentials::Token(token) => profile_data::Credentials::Bearer(token),
        }),
        timeout: given.timeout,
        budget,
        ..PyroscopeSettings::new(url.clone())
    }
}

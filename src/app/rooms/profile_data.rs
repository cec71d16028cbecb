//! Profiles: from a Pyroscope server, from the embedded store, or from another Flamewarden.

use std::sync::Arc;

use chrono::TimeDelta;
use url::Url;

use super::{Kind, Room, Sor};
use crate::app::placement::{Asked, InvalidPlan, Placement};
use crate::app::wiring::Wiring;
use crate::config::{Credentials, Settings};
use crate::profile::Budget;
use crate::sor::profile_data::receivers::{self, Receiver};
use crate::sor::profile_data::store::{ProfileStore, StoreSettings};
use crate::sor::profile_data::{self, ProfileDataSor, PyroscopeSettings};

pub(in crate::app) const FUNCTION: &str = "ReadPyroscopeProfile.sor.v1";

pub(super) const ROOM: Room = Room {
    functions: &[FUNCTION],
    chapters: &[
        ("profiles", "Profiles, from a Pyroscope server or the embedded store"),
        ("receivers", "Where profilers push to"),
    ],
    kind: Kind::Sor(Sor {
        title: "profiles",
        url_key: "profile_data_url",
        place,
        told: ["the embedded store", "not read"],
        warnings,
        build,
        routes: |routes, placement| {
            profile_data::routes(routes);
            if *placement == Placement::Local { receivers::routes(routes) } else { receivers::routes_off(routes) }
        },
    }),
};

fn place(settings: &Settings, asked: &Asked<'_>) -> Result<Placement, InvalidPlan> {
    match (asked.url, &settings.pyroscope.url) {
        _ if !asked.served && asked.needed_by.is_none() => Ok(Placement::Off),
        (Some(url), _) => Ok(Placement::Remote(url.clone())),
        (None, Some(url)) => Ok(Placement::Pyroscope(url.clone())),
        (None, None) => match asked.needed_by {
            Some(reader) if !asked.served => Err(InvalidPlan::NoProfiles(reader)),
            _ => Ok(Placement::Local),
        },
    }
}

fn warnings(settings: &Settings, placement: &Placement, _: &Asked<'_>) -> Vec<String> {
    let ignored = settings.pyroscope.url.is_some() && !matches!(placement, Placement::Pyroscope(_));
    let warning = "PYROSCOPE_URL is ignored: profiles come from PROFILE_DATA_URL, or nobody reads any";
    ignored.then(|| warning.to_owned()).into_iter().collect()
}

fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    // One for the process: all that reads what others sent shares it.
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
            wiring.offer_service(Receiver::new(store.clone(), clock, budget));
            Arc::new(store)
        }
    };
    wiring.offer(port);
    Ok(())
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

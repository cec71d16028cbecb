//! The ports of a process, each resolved once.

use std::sync::Arc;

use actix_web::web;
use anyhow::Context as _;
use utoipa_actix_web::service_config::ServiceConfig;

use super::always;
use super::background::Background;
use super::health::Looked;
use super::plan::{Plan, ProfileSource};
use crate::config::{Credentials, Function, Functions, Settings};
use crate::kernel::{Clock, IdSource};
use crate::sor::profile_data::store::{ProfileStore, StoreSettings};
use crate::sor::profile_data::{self, ProfileDataSor, PyroscopeSettings};
use crate::storage::{Db, Schema};
use crate::ui;

/// What handlers share. Built once, mounted by every worker.
#[derive(Clone)]
pub(super) struct Ports {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) looked: Looked,
    pub(super) profiles: Option<Arc<dyn ProfileDataSor>>,
}

impl Ports {
    /// Resolves every port of the plan: here, elsewhere, or off.
    pub(super) fn resolve(
        settings: &Settings,
        plan: &Plan,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>),
        db: Option<&Db>,
        background: &mut Background,
    ) -> anyhow::Result<Self> {
        let profiles = match &plan.profiles {
            None => None,
            Some(ProfileSource::Pyroscope(url)) => {
                let source = profile_data::pyroscope(&pyroscope_settings(settings, url), Arc::clone(&clock))?;
                Some(source)
            }
            Some(ProfileSource::Embedded) => {
                let db = db.context("the embedded store needs a database")?;
                let store = ProfileStore::new(db.clone(), Arc::clone(&clock), StoreSettings::default());
                keep_house(background, db.clone(), store.clone());
                Some(Arc::new(store) as Arc<dyn ProfileDataSor>)
            }
            Some(ProfileSource::Remote(_)) => None,
        };
        Ok(Self { clock, ids, looked: Looked { db: db.cloned() }, profiles })
    }

    /// Gives handlers what they ask for.
    pub(super) fn lend(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::from(Arc::clone(&self.clock)));
        config.app_data(web::Data::from(Arc::clone(&self.ids)));
        config.app_data(web::Data::new(self.looked.clone()));
        if let Some(profiles) = &self.profiles {
            config.app_data(web::Data::from(Arc::clone(profiles)));
        }
    }
}

/// Opens the rooms that are served.
pub(super) fn open_rooms(functions: &Functions, config: &mut ServiceConfig) {
    if functions.serve(Function::ProfileData) {
        profile_data::routes(config);
    }
    always::routes(config);
    ui::routes(config);
}

fn pyroscope_settings(settings: &Settings, url: &url::Url) -> PyroscopeSettings {
    let given = &settings.pyroscope;
    PyroscopeSettings {
        tenant: given.tenant.clone().map(Into::into),
        credentials: given.credentials.clone().map(|credentials| match credentials {
            Credentials::Basic(pair) => profile_data::Credentials::Basic(pair),
            Credentials::Token(token) => profile_data::Credentials::Bearer(token),
        }),
        timeout: given.timeout,
        ..PyroscopeSettings::new(url.clone())
    }
}

/// The store's days are kept once its tables are there.
fn keep_house(background: &mut Background, db: Db, store: ProfileStore) {
    background.run(async move {
        if db.settled().await == Schema::Ready {
            store.keep_house().await;
        }
    });
}

//! What rooms are built with, and what they offer.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use anyhow::Context as _;
use futures::FutureExt;
use futures::future::BoxFuture;
use url::Url;

use super::background::Background;
use super::health::HealthCheck;
use super::placement::Placement;
use super::rooms;
use super::scheduler::Job;
use super::traced_profiles::TracedProfiles;
use crate::bor::RelationalPorts;
use crate::config::{RulesSettings, Settings};
use crate::http::{Outward, OutwardSettings, bearer};
use crate::kernel::{Clock, CostPerCoreHour, IdSource, Version};
use crate::sor::baseline::BaselineSor;
use crate::sor::profile_data::ProfileDataSor;
use crate::sor::registry::RegistrySor;
use crate::storage::{Db, MaintenanceRound, run_maintenance};
use crate::verdict::Rules;

/// The largest answer taken from another Flamewarden: an export of 31 days is far below.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Adds one value to an app.
type Mount = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// What handlers share, found by type. Built once, mounted by every worker.
#[derive(Clone, Default)]
pub(super) struct Offers {
    by_type: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    mounts: Vec<Mount>,
}

impl Offers {
    /// Offers a port or another value that is shared.
    pub(super) fn add<P: ?Sized + Send + Sync + 'static>(&mut self, port: Arc<P>) {
        self.by_type.insert(TypeId::of::<P>(), Arc::new(Arc::clone(&port)));
        let data = web::Data::from(port);
        self.mounts.push(Arc::new(move |app| {
            app.app_data(data.clone());
        }));
    }

    fn find<P: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<P>> {
        self.by_type.get(&TypeId::of::<P>())?.downcast_ref::<Arc<P>>().map(Arc::clone)
    }

    /// Adds the shared values to an app.
    pub(super) fn mount(&self, app: &mut web::ServiceConfig) {
        for mount in &self.mounts {
            mount(app);
        }
    }
}

/// What rooms are built with, and what they offer.
pub(super) struct Wiring<'a> {
    /// The settings.
    pub(super) settings: &'a Settings,
    /// The clock.
    pub(super) clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub(super) ids: Arc<dyn IdSource>,
    db: Option<Db>,
    background: &'a mut Background,
    pub(super) offers: Offers,
    pub(super) health: Vec<Arc<dyn HealthCheck>>,
    pub(super) endings: Vec<BoxFuture<'static, ()>>,
    pub(super) jobs: Vec<Job>,
}

impl<'a> Wiring<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>),
        db: Option<Db>,
        background: &'a mut Background,
    ) -> Self {
        let mut offers = Offers::default();
        offers.add(Arc::clone(&clock));
        offers.add(Arc::clone(&ids));
        Self { settings, clock, ids, db, background, offers, health: Vec::new(), endings: Vec::new(), jobs: Vec::new() }
    }

    /// Offers a port to handlers and to rooms that are built later.
    pub(super) fn offer<P: ?Sized + Send + Sync + 'static>(&mut self, port: Arc<P>) {
        self.offers.add(port);
    }

    /// Offers a service to handlers.
    pub(super) fn offer_service<S: Send + Sync + 'static>(&mut self, service: S) {
        self.offers.add(Arc::new(service));
    }

    /// A port that was offered; `None` where it is off.
    pub(super) fn find<P: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<P>> {
        self.offers.find::<P>()
    }

    /// The database of this process.
    pub(super) fn database(&self) -> anyhow::Result<Db> {
        self.db.clone().context("a database is needed and none is open")
    }

    /// A client of another Flamewarden.
    pub(super) fn outward(&self, url: &Url, timeout: Duration) -> anyhow::Result<Outward> {
        let authorization = self.settings.auth.service_token.as_ref().map(bearer);
        let settings =
            OutwardSettings { base: url.clone(), timeout, max_answer_bytes: MAX_ANSWER_BYTES, authorization };
        Ok(Outward::new(settings)?)
    }

    /// What a relational system of record is made of: here, elsewhere, or not at all.
    pub(super) fn placed<T>(
        &self,
        placement: &Placement,
        local: impl FnOnce(Db) -> T,
        remote: impl FnOnce(Outward) -> T,
    ) -> anyhow::Result<Option<T>> {
        Ok(match placement {
            Placement::Off => None,
            Placement::Local => Some(local(self.database()?)),
            Placement::Remote(url) | Placement::Pyroscope(url) => {
                Some(remote(self.outward(url, self.settings.sor.relational_timeout)?))
            }
        })
    }

    /// Offers the port of a relational system of record, unless it is off.
    pub(super) fn relational<P: ?Sized + Send + Sync + 'static>(
        &mut self,
        placement: &Placement,
        local: impl FnOnce(Db) -> Arc<P>,
        remote: impl FnOnce(Outward) -> Arc<P>,
    ) -> anyhow::Result<()> {
        if let Some(port) = self.placed(placement, local, remote)? {
            self.offer(port);
        }
        Ok(())
    }

    /// Where profiles come from. Each call is a span of the decision that makes it.
    pub(super) fn profiles(&self) -> anyhow::Result<Arc<dyn ProfileDataSor>> {
        let port = self.find::<dyn ProfileDataSor>().context("profiles are needed and nobody reads any")?;
        Ok(Arc::new(TracedProfiles(port)))
    }

    /// What a decision of that contract works with beside profiles.
    pub(super) fn relational_ports(&mut self, version: Version) -> anyhow::Result<RelationalPorts> {
        let (clock, ids) = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        if version == Version::V1 {
            return Ok(RelationalPorts { baselines: None, history: None, registry: None, clock, ids, version });
        }
        Ok(RelationalPorts {
            baselines: self.find::<dyn BaselineSor>(),
            history: rooms::recorder(self)?,
            registry: self.find::<dyn RegistrySor>(),
            clock,
            ids,
            version,
        })
    }

    /// What a decision works with that asks the registry alone, and records nothing.
    pub(super) fn registry_alone(&self) -> RelationalPorts {
        RelationalPorts {
            baselines: None,
            history: None,
            registry: self.find::<dyn RegistrySor>(),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            version: Version::V2,
        }
    }

    /// The catalogue, read once.
    pub(super) fn rules(&mut self) -> anyhow::Result<Arc<Rules>> {
        if let Some(rules) = self.find::<Rules>() {
            return Ok(rules);
        }
        let RulesSettings { dir, quiet_cores } = &self.settings.rules;
        let rules = Rules::of_settings(dir.as_deref(), *quiet_cores)?;
        self.offer(Arc::clone(&rules));
        Ok(rules)
    }

    /// What a core costs in an hour, where that is set.
    pub(super) fn cost(&self) -> Option<CostPerCoreHour> {
        self.settings.cost.per_core_hour
    }

    /// Runs a maintenance round of the database for as long as the server runs.
    pub(super) fn maintain(&mut self, round: MaintenanceRound) -> anyhow::Result<()> {
        let db = self.database()?;
        self.background.run(run_maintenance(db, round));
        Ok(())
    }

    /// Registers what the server does by itself, while this process leads the job's group.
    pub(super) fn job(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Runs a task until the server stops.
    pub(super) fn in_background(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.background.run(task);
    }

    /// Adds a check to the health of the process.
    pub(super) fn check_health(&mut self, check: Arc<dyn HealthCheck>) {
        self.health.push(check);
    }

    /// Registers work for the end, after the last request.
    pub(super) fn before_the_end(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.endings.push(work.boxed());
    }
}

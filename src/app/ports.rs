//! The ports of a process, each resolved once.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use anyhow::Context as _;
use chrono::TimeDelta;
use url::Url;

use super::always;
use super::background::Background;
use super::health::Looked;
use super::plan::{Placement, Plan, ProfileSource};
use crate::bor::diff::{self, DiffParts, DiffService};
use crate::bor::fleet::{self, FleetParts, FleetService};
use crate::bor::triage::{self, TriageParts, TriageService};
use crate::bor::{Grafana, LinkSettings, RelationalPorts};
use crate::config::{Credentials, Function, Functions, Settings, SpoolFsync, SpoolMode};
use crate::http::{Outward, OutwardSettings, Routes};
use crate::kernel::{Clock, IdSource, Version};
use crate::profile::Budget;
use crate::sor::alert_rule::{self, AlertRuleSor};
use crate::sor::baseline::{self, BaselineSor};
use crate::sor::history::{self, Fsync, HistorySor, Repeats, Retention, Spool, SpoolSettings};
use crate::sor::profile_data::receivers::{self, Receiver};
use crate::sor::profile_data::store::{ProfileStore, StoreSettings};
use crate::sor::profile_data::{self, ProfileDataSor, PyroscopeSettings};
use crate::sor::registry::{self, RegistrySor};
use crate::storage::{Db, run_maintenance};
use crate::ui;
use crate::verdict::Rules;

/// The largest answer taken from another Flamewarden: an export of 31 days is far below.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Why a port cannot be made: the plan and what is open disagree.
const NO_DATABASE: &str = "a database is needed and none is open";

/// What handlers share. Built once, mounted by every worker.
#[derive(Clone)]
pub(super) struct Ports {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) looked: Looked,
    pub(super) profiles: Option<Arc<dyn ProfileDataSor>>,
    pub(super) baselines: Option<Arc<dyn BaselineSor>>,
    pub(super) history: Option<Arc<dyn HistorySor>>,
    pub(super) registry: Option<Arc<dyn RegistrySor>>,
    pub(super) rules: Option<Arc<dyn AlertRuleSor>>,
    pub(super) links: LinkSettings,
    pub(super) triage: Option<TriageService>,
    pub(super) diff: Option<DiffService>,
    pub(super) fleet: Option<FleetService>,
    pub(super) receiver: Option<web::Data<Receiver>>,
    /// Decisions record through it; whoever stops the server flushes it.
    pub(super) spool: Option<Arc<Spool>>,
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
        let sor = &settings.sor;
        // One for the process: all that reads what others sent shares it.
        let budget = Budget::new(settings.profiles.inflate_budget);
        let mut receiver = None;
        let profiles = match &plan.profiles {
            None => None,
            Some(ProfileSource::Pyroscope(url)) => {
                Some(profile_data::pyroscope(&pyroscope_settings(settings, url, budget), Arc::clone(&clock))?)
            }
            Some(ProfileSource::Embedded) => {
                let db = db.cloned().context(NO_DATABASE)?;
                let store = ProfileStore::new(db.clone(), Arc::clone(&clock), store_settings(settings));
                background.run(run_maintenance(db, store.maintenance_round()));
                receiver = Some(web::Data::new(Receiver::new(store.clone(), Arc::clone(&clock), budget)));
                Some(Arc::new(store) as Arc<dyn ProfileDataSor>)
            }
            Some(ProfileSource::Remote(url)) => {
                Some(profile_data::remote(outward(url, sor.timeout)?, budget, Arc::clone(&clock)))
            }
        };
        let relational = Relational { db, timeout: sor.relational_timeout };
        let baselines = relational.resolve(&plan.baseline, baseline::local, baseline::remote)?;
        let local_history = |db| history::local(db, Arc::clone(&clock));
        let history = relational.resolve(&plan.history, local_history, history::remote)?;
        if let (Some(days), Placement::Local) = (settings.history.retention_days, &plan.history) {
            let db = db.cloned().context(NO_DATABASE)?;
            let retention = Retention::new(db.clone(), Arc::clone(&clock), days);
            background.run(run_maintenance(db, retention.maintenance_round()));
        }
        let registry = relational.resolve(&plan.registry, registry::local, registry::remote)?;
        let rules = relational.resolve(&plan.alert_rule, alert_rule::local, alert_rule::remote)?;
        let mut ports = Self {
            clock,
            ids,
            looked: Looked { db: db.cloned(), spool: None },
            profiles,
            baselines,
            history,
            registry,
            rules,
            links: link_settings(settings),
            triage: None,
            diff: None,
            fleet: None,
            receiver,
            spool: None,
        };
        ports.spool = ports.open_spool(settings)?;
        ports.looked.spool.clone_from(&ports.spool);
        let rules = match &settings.rules.dir {
            Some(dir) => Arc::new(Rules::load(dir)?),
            None => Rules::builtin(),
        };
        ports.triage = ports.resolve_triage(settings, &rules)?;
        ports.diff = ports.resolve_diff(settings)?;
        ports.fleet = ports.resolve_fleet(settings, rules)?;
        Ok(ports)
    }

    /// The spool around the history, where assessments are made that belong there.
    fn open_spool(&self, settings: &Settings) -> anyhow::Result<Option<Arc<Spool>>> {
        let records = settings.server.functions.decide_with_records();
        let Some(history) = self.history.clone().filter(|_| records) else { return Ok(None) };
        let given = &settings.spool;
        let spool = SpoolSettings {
            directory: (given.mode == SpoolMode::Disk).then(|| settings.server.data_dir.join("spool")),
            fsync: match given.fsync {
                SpoolFsync::EachSecond => Fsync::EachSecond,
                SpoolFsync::Always => Fsync::Always,
            },
            max_bytes: given.max_bytes,
        };
        Ok(Some(Arc::new(Spool::open(spool, history, Arc::clone(&self.clock), Arc::clone(&self.ids))?)))
    }

    /// Triage over these ports, where it is served.
    fn resolve_triage(&self, settings: &Settings, rules: &Arc<Rules>) -> anyhow::Result<Option<TriageService>> {
        let Some(version) = settings.server.functions.triage() else { return Ok(None) };
        Ok(Some(TriageService::new(TriageParts {
            profiles: self.profiles.clone().context("triage needs profiles")?,
            relational: self.relational(settings, version),
            rules: Arc::clone(rules),
        })))
    }

    /// The diff report over these ports, where it is served.
    fn resolve_diff(&self, settings: &Settings) -> anyhow::Result<Option<DiffService>> {
        let Some(version) = settings.server.functions.diff() else { return Ok(None) };
        Ok(Some(DiffService::new(DiffParts {
            profiles: self.profiles.clone().context("the diff report needs profiles")?,
            relational: self.relational(settings, version),
        })))
    }

    /// The fleet search over these ports, where it is served.
    fn resolve_fleet(&self, settings: &Settings, rules: Arc<Rules>) -> anyhow::Result<Option<FleetService>> {
        let Some(version) = settings.server.functions.fleet() else { return Ok(None) };
        Ok(Some(FleetService::new(FleetParts {
            profiles: self.profiles.clone().context("the fleet search needs profiles")?,
            relational: self.relational(settings, version),
            rules,
        })))
    }

    /// What a decision of that contract reads and writes beside profiles.
    fn relational(&self, settings: &Settings, version: Version) -> RelationalPorts {
        let v2 = version == Version::V2;
        RelationalPorts {
            baselines: self.baselines.clone().filter(|_| v2),
            history: self.recorder(settings).filter(|_| v2),
            registry: self.registry.clone().filter(|_| v2),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            version,
        }
    }

    /// Where a decision records.
    fn recorder(&self, settings: &Settings) -> Option<Arc<dyn HistorySor>> {
        let spool = self.spool.clone()? as Arc<dyn HistorySor>;
        Some(match settings.history.repeats_every {
            Some(every) => Arc::new(Repeats::new(spool, Arc::clone(&self.clock), every)),
            None => spool,
        })
    }

    /// Gives handlers what they ask for.
    pub(super) fn lend(&self, config: &mut web::ServiceConfig) {
        config.app_data(web::Data::from(Arc::clone(&self.clock)));
        config.app_data(web::Data::from(Arc::clone(&self.ids)));
        config.app_data(web::Data::new(self.looked.clone()));
        config.app_data(web::Data::new(self.links.clone()));
        if let Some(profiles) = &self.profiles {
            config.app_data(web::Data::from(Arc::clone(profiles)));
        }
        if let Some(baselines) = &self.baselines {
            config.app_data(web::Data::from(Arc::clone(baselines)));
        }
        if let Some(history) = &self.history {
            config.app_data(web::Data::from(Arc::clone(history)));
        }
        if let Some(registry) = &self.registry {
            config.app_data(web::Data::from(Arc::clone(registry)));
        }
        if let Some(rules) = &self.rules {
            config.app_data(web::Data::from(Arc::clone(rules)));
        }
        if let Some(triage) = &self.triage {
            config.app_data(web::Data::new(triage.clone()));
        }
        if let Some(diff) = &self.diff {
            config.app_data(web::Data::new(diff.clone()));
        }
        if let Some(fleet) = &self.fleet {
            config.app_data(web::Data::new(fleet.clone()));
        }
        if let Some(receiver) = &self.receiver {
            config.app_data(receiver.clone());
        }
    }
}

/// How relational systems of record are reached.
struct Relational<'a> {
    db: Option<&'a Db>,
    timeout: Duration,
}

impl Relational<'_> {
    /// The port of one: here, elsewhere, or off.
    fn resolve<P: ?Sized>(
        &self,
        placement: &Placement,
        local: impl FnOnce(Db) -> Arc<P>,
        remote: impl FnOnce(Outward) -> Arc<P>,
    ) -> anyhow::Result<Option<Arc<P>>> {
        Ok(match placement {
            Placement::Off => None,
            Placement::Local => Some(local(self.db.cloned().context(NO_DATABASE)?)),
            Placement::Remote(url) => Some(remote(outward(url, self.timeout)?)),
        })
    }
}

/// Which rooms are open.
#[derive(Debug, Clone)]
pub(super) struct Rooms {
    functions: Functions,
    receivers: bool,
}

impl Rooms {
    /// The rooms of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { functions: plan.functions.clone(), receivers: plan.profiles == Some(ProfileSource::Embedded) }
    }

    /// All there are.
    pub(super) fn all() -> Self {
        Self { functions: Functions::all(), receivers: true }
    }

    /// Opens them.
    pub(super) fn open(&self, routes: &mut Routes<'_>) {
        if self.functions.triage().is_some() {
            triage::routes(routes);
        }
        if self.functions.diff().is_some() {
            diff::routes(routes);
        }
        if self.functions.fleet().is_some() {
            fleet::routes(routes);
        }
        if self.functions.serve(Function::ProfileData) {
            profile_data::routes(routes);
            if self.receivers {
                receivers::routes(routes);
            } else {
                receivers::routes_off(routes);
            }
        }
        if self.functions.serve(Function::Baseline) {
            baseline::routes(routes);
        }
        if self.functions.serve(Function::History) {
            history::routes(routes);
        }
        if self.functions.serve(Function::Registry) {
            registry::routes(routes);
        }
        if self.functions.serve(Function::AlertRule) {
            alert_rule::routes(routes);
        }
        always::routes(routes);
        ui::routes(routes);
    }
}

fn link_settings(settings: &Settings) -> LinkSettings {
    let grafana = settings.links.grafana.clone();
    LinkSettings { grafana: grafana.map(|(url, datasource_uid)| Grafana { url: url.to_string(), datasource_uid }) }
}

/// How another Flamewarden is reached.
fn outward(url: &Url, timeout: Duration) -> anyhow::Result<Outward> {
    let settings =
        OutwardSettings { base: url.clone(), timeout, max_answer_bytes: MAX_ANSWER_BYTES, authorization: None };
    Ok(Outward::new(settings)?)
}

fn store_settings(settings: &Settings) -> StoreSettings {
    StoreSettings {
        retention: TimeDelta::days(settings.store.retention_days.into()),
        rollup_retention: TimeDelta::days(settings.store.rollup_days.into()),
        ..StoreSettings::default()
    }
}

fn pyroscope_settings(settings: &Settings, url: &Url, budget: Budget) -> PyroscopeSettings {
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

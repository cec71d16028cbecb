//! What every decision does with the systems of record other than profile data: it asks them and records in them, and
//! it never fails because of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::kernel::{AppName, Call, Clock, IdSource, PortResult, ProfileType, Selector, Stored, Tenant, Version};
use crate::sor::baseline::{Baseline, BaselineSor};
use crate::sor::history::{HistorySor, NewAssessment};
use crate::sor::registry::{RegistrySor, Service};
use crate::telemetry::span;

/// The longest time that reading profiles waits for the registry. Most of the time for a decision is left then.
const REGISTRY_WITHIN: Duration = Duration::from_secs(5);

/// Why the fields of a SOR are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absence {
    /// The SOR is off in this process.
    Off,
    /// It did not do its work.
    Unavailable,
}

/// The answer of a SOR other than profile data.
#[derive(Debug, Clone, PartialEq)]
pub enum SorAnswer<T> {
    /// It is not part of the contract (v1), or there is nothing to ask.
    NotAsked,
    /// It is off.
    Off,
    /// It failed.
    Unavailable,
    /// It answered.
    Known(T),
}

impl<T> SorAnswer<T> {
    /// The answer, where there is one.
    pub fn known(&self) -> Option<&T> {
        if let Self::Known(answer) = self { Some(answer) } else { None }
    }

    /// Why there is nothing to show.
    pub fn absence(&self) -> Option<Absence> {
        match self {
            Self::Off => Some(Absence::Off),
            Self::Unavailable => Some(Absence::Unavailable),
            Self::NotAsked | Self::Known(_) => None,
        }
    }

    /// How it went, without the answer.
    pub fn outcome(&self) -> SorAnswer<()> {
        match self {
            Self::NotAsked => SorAnswer::NotAsked,
            Self::Off => SorAnswer::Off,
            Self::Unavailable => SorAnswer::Unavailable,
            Self::Known(_) => SorAnswer::Known(()),
        }
    }
}

/// The relational SORs that a decision of v2 works with.
#[derive(Clone)]
pub struct RelationalPorts {
    /// Approved limits; `None` where that SOR is off. Never asked in v1.
    pub baselines: Option<Arc<dyn BaselineSor>>,
    /// The audit trail; `None` where that SOR is off. Never written in v1.
    pub history: Option<Arc<dyn HistorySor>>,
    /// Owners, tenants, and the labels of an app's own series; `None` where that SOR is off. Never asked in v1.
    pub registry: Option<Arc<dyn RegistrySor>>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Keys of history entries.
    pub ids: Arc<dyn IdSource>,
    /// The contract served.
    pub version: Version,
}

impl RelationalPorts {
    /// The limits of an app, of one kind or all.
    pub(super) async fn limits(
        &self,
        call: &Call,
        app: &AppName,
        kind: Option<ProfileType>,
    ) -> SorAnswer<Vec<Baseline>> {
        let ask = |port| BaselineSor::list(port, call, app, kind);
        self.ask(call, "baseline.read", self.baselines.as_deref(), Some(app), "limits could not be read", ask).await
    }

    /// The service that an app is registered as.
    pub(super) async fn service(&self, call: &Call, app: &AppName) -> SorAnswer<Option<Service>> {
        let call = &call.until(Instant::now() + REGISTRY_WITHIN);
        let ask = async |port| Ok(RegistrySor::get(port, call, app).await?.and_then(Stored::valid));
        let failed = "labels and tenant could not be read: all series of the app are read";
        self.ask(call, "registry.read", self.registry.as_deref(), Some(app), failed, ask).await
    }

    /// All registered services.
    pub(super) async fn services(&self, call: &Call) -> SorAnswer<BTreeMap<AppName, Service>> {
        let call = &call.until(Instant::now() + REGISTRY_WITHIN);
        let ask = async |port| {
            let services = RegistrySor::list(port, call).await?;
            Ok(services.into_iter().map(|service| (service.app_name.clone(), service)).collect())
        };
        let failed = "owners could not be read: all series of each app are read";
        self.ask(call, "registry.read", self.registry.as_deref(), None, failed, ask).await
    }

    async fn ask<'p, P: ?Sized, T, A: Future<Output = PortResult<T>>>(
        &self,
        call: &Call,
        operation: &'static str,
        port: Option<&'p P>,
        app: Option<&AppName>,
        failed: &str,
        question: impl FnOnce(&'p P) -> A,
    ) -> SorAnswer<T> {
        if self.version == Version::V1 {
            return SorAnswer::NotAsked;
        }
        let Some(port) = port else { return SorAnswer::Off };
        let name = app.map_or("", AppName::as_str);
        match span(operation, name, call.bound(question(port))).await {
            Ok(answer) => SorAnswer::Known(answer),
            Err(error) => {
                tracing::warn!(app = app.map(AppName::as_str), %error, "{failed}");
                SorAnswer::Unavailable
            }
        }
    }

    /// Records an assessment with the present time and a new key. `entry` is called only if the history is on.
    pub(super) async fn record(
        &self,
        call: &Call,
        app: &AppName,
        entry: impl FnOnce() -> PortResult<NewAssessment>,
    ) -> SorAnswer<()> {
        if self.version == Version::V1 {
            return SorAnswer::NotAsked;
        }
        let Some(history) = &self.history else { return SorAnswer::Off };
        let recorded = match entry() {
            Ok(mut entry) => {
                entry.assessed_at = Some(self.clock.now());
                entry.idempotency_key = Some(self.ids.next());
                span("history.write", app.as_str(), history.record(call, entry)).await
            }
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => SorAnswer::Known(()),
            Err(error) => {
                tracing::error!(app = app.as_str(), %error, "an assessment could not be recorded");
                SorAnswer::Unavailable
            }
        }
    }
}

/// Narrows a selector to the series of a registered service. An app that is not registered owns all series with its
/// name.
pub(super) fn narrowed(selector: &Selector, service: Option<&Service>) -> Selector {
    let labels = service.and_then(|service| service.pyroscope_labels.as_ref());
    labels.map_or_else(|| selector.clone(), |labels| selector.and(labels.matchers()))
}

/// The tenant of a service, if it is not the one that the source is configured with.
pub(super) fn tenant_of(service: Option<&Service>) -> Option<Tenant> {
    service.and_then(Service::tenant).cloned()
}

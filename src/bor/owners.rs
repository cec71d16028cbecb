//! Who owns the apps of a fleet, how much they matter, and which series are their own, of which tenant.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Version;
use super::relational::{Absence, RelationalPorts};
use crate::kernel::{AppName, Call, PortError, Selector, Tenant};
use crate::sor::registry::Service;

/// The longest that profiles wait for the registry: most of a decision's time is left then.
const WITHIN: Duration = Duration::from_secs(5);

/// What the registry says of all apps.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owners {
    /// Not part of the contract (v1).
    NotAsked,
    /// The SOR is off.
    Off,
    /// The SOR failed.
    Unavailable,
    /// Every service that is registered.
    Known(BTreeMap<AppName, Service>),
}

impl Owners {
    /// Asks the registry, once for all apps; in v1 nobody.
    pub(super) async fn of(call: &Call, ports: &RelationalPorts) -> Self {
        if ports.version == Version::V1 {
            return Self::NotAsked;
        }
        let Some(port) = &ports.registry else { return Self::Off };
        let too_late = |_| Err(PortError::Timeout(format!("the registry did not answer within {WITHIN:?}")));
        match tokio::time::timeout(WITHIN, port.list(call)).await.unwrap_or_else(too_late) {
            Ok(services) => {
                Self::Known(services.into_iter().map(|service| (service.app_name.clone(), service)).collect())
            }
            Err(error) => {
                tracing::warn!(%error, "owners could not be read: all series of an app are its own");
                Self::Unavailable
            }
        }
    }

    /// The service of an app, where it is registered.
    pub(super) fn service(&self, app: &AppName) -> Option<&Service> {
        if let Self::Known(services) = self { services.get(app) } else { None }
    }

    /// Whether the registry answered.
    pub(super) fn are_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Why nothing is said of owners.
    pub(super) fn absence(&self) -> Option<Absence> {
        match self {
            Self::Off => Some(Absence::Off),
            Self::Unavailable => Some(Absence::Unavailable),
            Self::NotAsked | Self::Known(_) => None,
        }
    }

    /// The tenant of an app, where that is not the one the source is configured with.
    pub(super) fn tenant(&self, app: &AppName) -> Option<Tenant> {
        self.service(app).and_then(Service::tenant).cloned()
    }

    /// A selector, narrowed to an app's own series.
    pub(super) fn narrow(&self, app: &AppName, selector: &Selector) -> Selector {
        let labels = self.service(app).and_then(|service| service.pyroscope_labels.as_ref());
        labels.map_or_else(|| selector.clone(), |labels| selector.and(labels.matchers()))
    }
}

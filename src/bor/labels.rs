//! The tenant of an app and the labels of its own series, by which BORs narrow what they read.

use std::time::Duration;

use super::Version;
use super::relational::{RelationalPorts, Sor};
use crate::kernel::{AppName, Call, PortError, Selector, Tenant};
use crate::sor::registry::PyroscopeLabels;

/// The longest that profiles wait for the registry: most of a decision's time is left then.
const WITHIN: Duration = Duration::from_secs(5);

/// What the registry says of an app's series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnLabels {
    labels: PyroscopeLabels,
    /// Whose they are, where that is not the tenant the source is configured with.
    pub(super) tenant: Option<Tenant>,
    /// Whether the registry could say it.
    pub(super) registry: Sor,
}

impl OwnLabels {
    /// Asks the registry, once; in v1 nobody. Where it is off or fails, the app's own series are all of the configured
    /// tenant that carry its name.
    pub(super) async fn of(call: &Call, app: &AppName, ports: &RelationalPorts) -> Self {
        let none = |registry| Self { labels: PyroscopeLabels::default(), tenant: None, registry };
        if ports.version == Version::V1 {
            return none(Sor::Fine);
        }
        let Some(port) = &ports.registry else { return none(Sor::Off) };
        let too_late = |_| Err(PortError::Timeout(format!("the registry did not answer within {WITHIN:?}")));
        match tokio::time::timeout(WITHIN, port.get(call, app)).await.unwrap_or_else(too_late) {
            Ok(service) => {
                let tenant = service.as_ref().and_then(|service| service.tenant().cloned());
                let labels = service.and_then(|service| service.pyroscope_labels).unwrap_or_default();
                Self { labels, tenant, registry: Sor::Fine }
            }
            Err(error) => {
                tracing::warn!(app = app.as_str(), %error, "labels and tenant could not be read: all series of the app are");
                none(Sor::Unavailable)
            }
        }
    }

    /// A selector, narrowed to the app's own series.
    pub(super) fn narrow(&self, selector: &Selector) -> Selector {
        selector.and(self.labels.matchers())
    }
}

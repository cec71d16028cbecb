use chrono::{DateTime, Utc};

use super::labels::PyroscopeLabels;
use super::metadata::Metadata;
use crate::kernel::{AppName, Change, Page, Repeated, RowId, Stored, Tenant, Text255, Tier};

/// What is known of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The row's id.
    pub id: RowId,
    /// The app: the service's name in profiles.
    pub app_name: AppName,
    /// Who owns it.
    pub team_owner: Option<Text255>,
    /// How much it matters.
    pub tier: Tier,
    /// Where it runs.
    pub environment: Option<Text255>,
    /// The channel on which its owners are notified.
    pub notification_channel: Option<Text255>,
    /// The labels of its series. Series without them do not belong to it.
    pub pyroscope_labels: Option<PyroscopeLabels>,
    /// What else its owners want to be known.
    pub metadata: Option<Metadata>,
    /// When it was registered first.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

impl Service {
    /// The tenant of its profiles, where that is not the one the source is configured with.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.metadata.as_ref().and_then(Metadata::tenant)
    }
}

/// A service to be registered. The same app again changes the fields that are given and keeps the others.
#[derive(Debug, Clone, PartialEq)]
pub struct NewService {
    /// The app.
    pub app_name: AppName,
    /// Who owns it.
    pub team_owner: Option<Text255>,
    /// How much it matters; `standard` for a new service of which nothing was said.
    pub tier: Option<Tier>,
    /// Where it runs.
    pub environment: Option<Text255>,
    /// The channel on which its owners are notified.
    pub notification_channel: Option<Text255>,
    /// The labels of its series.
    pub pyroscope_labels: Option<PyroscopeLabels>,
    /// What else its owners want to be known.
    pub metadata: Option<Metadata>,
}

/// What to change of a service; at least one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceChange {
    /// Who owns it.
    pub team_owner: Change<Text255>,
    /// How much it matters.
    pub tier: Option<Tier>,
    /// Where it runs.
    pub environment: Change<Text255>,
    /// The channel on which its owners are notified.
    pub notification_channel: Change<Text255>,
    /// The labels of its series.
    pub pyroscope_labels: Change<PyroscopeLabels>,
    /// What else its owners want to be known.
    pub metadata: Change<Metadata>,
    /// Read-only members that the caller repeated; they must be as they are stored.
    pub repeated: Repeated,
}

impl ServiceChange {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self { repeated: self.repeated.clone(), ..Self::default() }
    }
}

/// Which services to list, by app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceQuery {
    /// Only services of this tier.
    pub tier: Option<Tier>,
    /// At most this many, 1 to 10,000.
    pub limit: u16,
    /// Continue after this place.
    pub after: Option<ServicePosition>,
}

impl ServiceQuery {
    /// The largest page, and the default one.
    pub const MAX_LIMIT: u16 = 10_000;
}

/// A place in the list of services: pages continue after it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServicePosition(pub(super) String);

/// One page of services, by app.
pub type ServicePage = Page<Stored<Service>, ServicePosition>;

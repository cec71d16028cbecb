//! Services as they go over the wire: the bodies of the routes, which the remote adapter reads and writes too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::domain::{NewService, Service, ServiceChange};
use super::labels::PyroscopeLabels;
use super::metadata::Metadata;
use crate::http::{ReadOnly, StoredBody, empty_for_none, given};
use crate::kernel::{AppName, Change, Repeated, RowId, Text255, Tier};

/// A service to be registered. What is absent or null stays as it is where the app is registered already.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewService, example = json!({"appName": "flamewarden", "teamOwner": "payments", "tier": "critical",
    "environment": "production", "notificationChannel": "#payments-oncall", "pyroscopeLabels": {"function": "all"},
    "metadata": {"repository": "git.example/payments/checkout"}}))]
pub(super) struct NewServiceBody {
    /// The app: 1 to 512 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    app_name: AppName,
    /// Who owns it: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    team_owner: Option<Text255>,
    /// How much it matters, `critical` the most: free text of 1 to 20 bytes; `standard` if nothing was ever said.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20, default = "standard")]
    tier: Option<Tier>,
    /// Where it runs: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    environment: Option<Text255>,
    /// The channel on which its owners are notified: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    notification_channel: Option<Text255>,
    /// The labels of its series, at most 20: triage and diff read these series alone. Names are letters, digits, `_` and
    /// `.`, neither `service_name` nor beginning with `__`; values are at most 2,048 bytes.
    #[schema(value_type = Option<HashMap<String, String>>)]
    pyroscope_labels: Option<PyroscopeLabels>,
    /// What else its owners want to be known: an object of at most 64 KiB. Its `pyroscopeTenant`, if it has one, is the
    /// tenant whose profiles of the app are read: 1 to 150 letters, digits and `!-_.*'()`, neither `.` nor `..`.
    #[schema(value_type = Option<HashMap<String, Value>>)]
    metadata: Option<Metadata>,
}

impl From<NewServiceBody> for NewService {
    fn from(body: NewServiceBody) -> Self {
        Self {
            app_name: body.app_name,
            team_owner: body.team_owner,
            tier: body.tier,
            environment: body.environment,
            notification_channel: body.notification_channel,
            pyroscope_labels: body.pyroscope_labels,
            metadata: body.metadata,
        }
    }
}

impl From<NewService> for NewServiceBody {
    fn from(new: NewService) -> Self {
        Self {
            app_name: new.app_name,
            team_owner: new.team_owner,
            tier: new.tier,
            environment: new.environment,
            notification_channel: new.notification_channel,
            pyroscope_labels: new.pyroscope_labels,
            metadata: new.metadata,
        }
    }
}

/// The change of a service: at least one member. Absent members stay, null clears.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ServiceChange, example = json!({"teamOwner": "checkout", "environment": null}))]
pub(super) struct ServiceChangeBody {
    /// A new owner, or null for none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    team_owner: Change<Text255>,
    /// A new tier.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 20)]
    tier: Option<Tier>,
    /// Another environment, or null for none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    environment: Change<Text255>,
    /// Another channel, or null for none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    notification_channel: Change<Text255>,
    /// Other labels in place of all that there are, or null for none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<HashMap<String, String>>)]
    pyroscope_labels: Change<PyroscopeLabels>,
    /// Another object in place of the one that there is, or null for none.
    #[serde(default, skip_serializing_if = "Change::is_keep")]
    #[schema(value_type = Option<HashMap<String, Value>>)]
    metadata: Change<Metadata>,
}

impl From<ServiceChangeBody> for ServiceChange {
    fn from(body: ServiceChangeBody) -> Self {
        Self {
            team_owner: body.team_owner,
            tier: body.tier,
            environment: body.environment,
            notification_channel: body.notification_channel,
            pyroscope_labels: body.pyroscope_labels,
            metadata: body.metadata,
            repeated: Repeated::default(),
        }
    }
}

impl ReadOnly for ServiceChangeBody {
    const MEMBERS: &'static [&'static str] = &["id", "appName", "createdAt", "updatedAt"];
}

impl From<ServiceChange> for ServiceChangeBody {
    fn from(change: ServiceChange) -> Self {
        Self {
            team_owner: change.team_owner,
            tier: change.tier,
            environment: change.environment,
            notification_channel: change.notification_channel,
            pyroscope_labels: change.pyroscope_labels,
            metadata: change.metadata,
        }
    }
}

/// What is known of a service.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Service, example = json!({"id": 1, "appName": "flamewarden", "teamOwner": "payments", "tier": "critical",
    "environment": "production", "notificationChannel": "#payments-oncall", "pyroscopeLabels": {"function": "all"},
    "metadata": {"repository": "git.example/payments/checkout"}, "createdAt": "2024-01-23T08:53:20.123456Z",
    "updatedAt": "2024-01-23T08:53:20.123456Z"}))]
pub(super) struct ServiceBody {
    /// The row's id.
    #[schema(value_type = i32, minimum = 1)]
    id: RowId,
    /// The app.
    #[schema(value_type = String)]
    app_name: AppName,
    /// Who owns it.
    #[schema(value_type = Option<String>)]
    team_owner: Option<Text255>,
    /// How much it matters.
    #[schema(value_type = String)]
    tier: Tier,
    /// Where it runs.
    #[schema(value_type = Option<String>)]
    environment: Option<Text255>,
    /// The channel on which its owners are notified.
    #[schema(value_type = Option<String>)]
    notification_channel: Option<Text255>,
    /// The labels of its series; empty where there are none.
    #[serde(default, with = "empty_for_none")]
    #[schema(value_type = HashMap<String, String>)]
    pyroscope_labels: Option<PyroscopeLabels>,
    /// What else its owners want to be known; empty where that is nothing.
    #[serde(default, with = "empty_for_none")]
    #[schema(value_type = HashMap<String, Value>)]
    metadata: Option<Metadata>,
    /// When it was registered first.
    created_at: DateTime<Utc>,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
}

impl From<Service> for ServiceBody {
    fn from(row: Service) -> Self {
        Self {
            id: row.id,
            app_name: row.app_name,
            team_owner: row.team_owner,
            tier: row.tier,
            environment: row.environment,
            notification_channel: row.notification_channel,
            pyroscope_labels: row.pyroscope_labels,
            metadata: row.metadata,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<ServiceBody> for Service {
    fn from(body: ServiceBody) -> Self {
        Self {
            id: body.id,
            app_name: body.app_name,
            team_owner: body.team_owner,
            tier: body.tier,
            environment: body.environment,
            notification_channel: body.notification_channel,
            pyroscope_labels: body.pyroscope_labels,
            metadata: body.metadata,
            created_at: body.created_at,
            updated_at: body.updated_at,
        }
    }
}

/// Services.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Services)]
pub(super) struct ServicesBody {
    /// How many this page holds.
    pub(super) count: usize,
    /// The services, by app.
    #[schema(value_type = Vec<ServiceBody>)]
    pub(super) services: Vec<StoredBody<ServiceBody>>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}

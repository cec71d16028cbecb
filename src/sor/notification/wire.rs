//! Notifications as JSON: the bodies that are more than a type of the port. The remote adapter reads and writes them too.

use serde::{Deserialize, Serialize};

use super::domain::{Enqueued, Message, MirroredAlert, NewMessage};

/// One page of notifications.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Notifications)]
pub(super) struct MessagePageBody {
    /// How many notifications this page has.
    pub(super) count: usize,
    /// The notifications, newest first.
    pub(super) notifications: Vec<Message>,
    /// Continues the list; null on its last page.
    #[schema(required = false)]
    pub(super) next_cursor: Option<String>,
}

/// Messages to be delivered.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessages, example = json!({"messages": [{"key": "7/2026-01-23T08:53:20Z/firing/-", "incidentId": 7,
    "meantFor": ["#orders"], "notice": {"event": "firing", "severity": "critical",
    "headline": "FIRING critical · checkout · gc_pressure 41.3 % of cpu", "lines": ["rule 12 · team orders"],
    "links": [{"name": "triage", "url": "http://localhost:8080/triage/checkout"}], "alert": {"id": 7}}}]}))]
pub(super) struct NewMessagesBody {
    /// The messages, in order.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) messages: Vec<NewMessage>,
}

/// What became of messages that were handed in.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = EnqueuedMessages)]
pub(super) struct EnqueuedBody {
    /// Of each, in order.
    pub(super) messages: Vec<Enqueued>,
}

/// All alerts that fire, and those that are over lately.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MirroredAlerts, example = json!({"alerts": [{"labels": {"alertname": "FlamewardenRule", "app": "checkout"},
    "annotations": {"summary": "gc_pressure over 30 % of cpu"}, "startsAt": "2026-01-23T08:53:20Z",
    "endsAt": "2026-01-23T08:58:20Z", "generatorURL": "http://localhost:8080/alerts/7"}]}))]
pub(super) struct MirroredAlertsBody {
    /// The alerts.
    pub(super) alerts: Vec<MirroredAlert>,
}

/// How many alerts were handed on.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Mirrored)]
pub(super) struct MirroredBody {
    /// All that were sent.
    #[schema(example = 1)]
    pub(super) alerts: usize,
}

//! The log as JSON: the bodies of the routes. The remote adapter reads and writes them too. Entries are bodies as they are.

use serde::{Deserialize, Serialize};

use super::domain::{AuditEntry, NewAuditEntry};

/// One page of the log.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditLog)]
pub(super) struct AuditLogBody {
    /// How many entries this page has.
    pub(super) count: usize,
    /// The entries, newest first.
    pub(super) entries: Vec<AuditEntry>,
    /// Continues the list; null on its last page.
    #[schema(required = false)]
    pub(super) next_cursor: Option<String>,
}

/// Entries to append, at most 1,000.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewAuditEntries, example = json!({"entries": [{"userId": "token:ci", "accessMethod": "token",
    "action": "request.denied", "resourceType": "route", "resourceId": "PUT /baselines/{key}", "result": "denied",
    "times": 3, "clientIp": "192.0.2.7", "userAgent": "curl/8.5.0", "requestId": null,
    "metadata": {"reason": "forbidden"}}]}))]
pub(super) struct NewAuditEntriesBody {
    /// The entries, in order.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) entries: Vec<NewAuditEntry>,
}

/// How many entries were appended.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = AppendedEntries)]
pub(super) struct AppendedBody {
    /// All that were sent.
    #[schema(example = 1)]
    pub(super) appended: usize,
}

/// The longest list of entries to append.
pub(super) const MAX_ENTRIES: usize = 1_000;

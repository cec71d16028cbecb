//! The rows of `core.message`.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::domain::{Message, MessageState};
use crate::kernel::{PortError, PortResult, RowId};

pub(super) struct Row {
    pub(super) id: i32,
    pub(super) key: String,
    pub(super) channel: String,
    pub(super) incident_id: i32,
    pub(super) body: Value,
    pub(super) state: String,
    pub(super) attempts: i32,
    pub(super) last_error: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) settled_at: Option<DateTime<Utc>>,
}

/// The checks of the tables allow no such row.
pub(super) fn broken(why: impl Display) -> PortError {
    PortError::Internal(format!("a row of the notifications: {why}"))
}

fn id(number: i32) -> PortResult<RowId> {
    RowId::new(number.into()).ok_or_else(|| broken("an id below 1"))
}

impl TryFrom<Row> for Message {
    type Error = PortError;

    fn try_from(row: Row) -> PortResult<Self> {
        Ok(Self {
            id: id(row.id)?,
            key: row.key,
            channel: row.channel.parse().map_err(broken)?,
            incident_id: id(row.incident_id)?,
            body: serde_json::from_value(row.body).map_err(broken)?,
            state: MessageState::of_name(&row.state).ok_or_else(|| broken("a state that is none"))?,
            attempts: row.attempts,
            last_error: row.last_error,
            created_at: row.created_at,
            settled_at: row.settled_at,
        })
    }
}

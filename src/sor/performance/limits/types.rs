//! The types of operations that are known.

use serde::{Deserialize, Serialize};

use crate::kernel::{Text255, words};
use crate::sor::performance::names::OperationType;

words! {
    /// What kind of work an operation is.
    OperationCategory:
    /// It reads.
    Read = "read",
    /// It writes.
    Write = "write",
    /// It keeps things in order.
    Admin = "admin",
    /// It is made of others.
    Workflow = "workflow",
}

/// A type of operations, to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"operationType": "checkout", "description": "an order is placed", "category": "write",
    "typicalDurationMs": 120.0, "isTracked": true}))]
pub struct NewOperationType {
    /// The name: 1 to 128 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub operation_type: OperationType,
    /// What is done: 1 to 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub description: Option<Text255>,
    /// What kind of work it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<OperationCategory>,
    /// How long it usually takes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 2_678_400_000_i64)]
    pub typical_duration_ms: Option<TypicalMs>,
    /// Whether a limit is learnt for it by itself; true if absent.
    #[serde(default = "yes")]
    pub is_tracked: bool,
}

fn yes() -> bool {
    true
}

/// How long an operation usually takes: 0 to 31 days, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct TypicalMs(f64);

impl TypicalMs {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for TypicalMs {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        let in_range = (0.0..=2_678_400_000.0).contains(&number);
        in_range.then_some(Self(number)).ok_or_else(|| "must be 0 to 2678400000".to_owned())
    }
}

/// A type of operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperationTypeRow, example = json!({"operationType": "commit", "description": null, "category": "write",
    "typicalDurationMs": 5.0, "isTracked": true}))]
pub struct OperationTypeRow {
    /// The name.
    pub operation_type: String,
    /// The type of operations.
    pub description: Option<String>,
    /// What kind of work it is.
    pub category: Option<OperationCategory>,
    /// How long it usually takes, in milliseconds.
    pub typical_duration_ms: Option<f64>,
    /// Whether a limit is learnt for it by itself.
    pub is_tracked: bool,
}

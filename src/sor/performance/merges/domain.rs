use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kernel::{JsonObject, Page, Text255, words};
use crate::sor::performance::domain::Micros;
use crate::sor::performance::names::OperationScope;

words! {
    /// How a merge ended.
    #[derive(Default)]
    MergeStatus:
    /// All of it is merged.
    #[default]
    Success = "success",
    /// A part of it is merged.
    PartialSuccess = "partial_success",
    /// Nothing is merged.
    Failed = "failed",
    /// Somebody gave it up.
    Abandoned = "abandoned",
}

/// A number of conflicts: 0 to 2,147,483,647.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct ConflictCount(i32);

impl ConflictCount {
    /// The number.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for ConflictCount {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let count = i32::try_from(number).ok().filter(|count| *count >= 0);
        count.map(Self).ok_or_else(|| format!("must be 0 to {}", i32::MAX))
    }
}

/// A merge that is over, to be recorded. Durations are in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"sourceScope": "branch:7", "targetScope": "branch:1", "totalMergeUs": 50_000,
    "mergeBaseCalcUs": 8_000, "conflictDetectionUs": 20_000, "conflictCount": 4, "autoResolutionUs": 15_000,
    "autoSuccessCount": 3, "autoFailureCount": 1, "mergeStatus": "partial_success"}))]
pub struct NewMerge {
    /// What was merged: up to 512 bytes.
    #[schema(value_type = String, max_length = 512)]
    pub source_scope: OperationScope,
    /// What it was merged into, which is not the same: up to 512 bytes.
    #[schema(value_type = String, max_length = 512)]
    pub target_scope: OperationScope,
    /// Duration of the whole merge: at most 31 days, and at least the sum of its phases.
    #[schema(value_type = i64, minimum = 0, maximum = 2_678_400_000_000_i64)]
    pub total_merge_us: Micros,
    /// The last commit that both have in common: 1 to 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub merge_base_hash: Option<Text255>,
    /// How long it took to find that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 2_678_400_000_000_i64)]
    pub merge_base_calc_us: Option<Micros>,
    /// How long it took to find the conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 2_678_400_000_000_i64)]
    pub conflict_detection_us: Option<Micros>,
    /// How many conflicts there were; 0 if absent.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 0)]
    pub conflict_count: ConflictCount,
    /// How long the conflicts took that were resolved automatically.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 2_678_400_000_000_i64)]
    pub auto_resolution_us: Option<Micros>,
    /// How many conflicts were resolved automatically: at most `conflictCount`; 0 if absent.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 0)]
    pub auto_success_count: ConflictCount,
    /// How many attempts to resolve a conflict automatically failed; 0 if absent.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 0)]
    pub auto_failure_count: ConflictCount,
    /// How it ended; `success` if absent.
    #[serde(default)]
    #[schema(value_type = Option<MergeStatus>)]
    pub merge_status: MergeStatus,
    /// Details of the result: up to 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub merge_outcome: Option<JsonObject>,
    /// Who merged: 1 to 255 bytes; the caller if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub user_name: Option<Text255>,
    /// The session that the merge was part of: 1 to 255 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub session_id: Option<Text255>,
}

/// Why the figures of a merge contradict each other. Each names the member that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MergeRefused {
    /// The source is the target.
    #[error("must not be the same as sourceScope")]
    SameScope,
    /// More conflicts were resolved than there were.
    #[error("must not be above conflictCount")]
    Resolved,
    /// The phases took longer than the whole.
    #[error("must not be less than mergeBaseCalcUs, conflictDetectionUs and autoResolutionUs together")]
    Phases,
}

impl MergeRefused {
    /// Where in the body the member is, as a JSON pointer.
    pub fn pointer(self) -> &'static str {
        match self {
            Self::SameScope => "/targetScope",
            Self::Resolved => "/autoSuccessCount",
            Self::Phases => "/totalMergeUs",
        }
    }
}

impl NewMerge {
    /// Checks that its figures do not contradict each other.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), MergeRefused> {
        let phases = [self.merge_base_calc_us, self.conflict_detection_us, self.auto_resolution_us];
        // Three of 31 days cannot overflow.
        let together: i64 = phases.into_iter().flatten().map(Micros::get).sum();
        if self.source_scope == self.target_scope {
            Err(MergeRefused::SameScope)
        } else if self.auto_success_count > self.conflict_count {
            Err(MergeRefused::Resolved)
        } else if together > self.total_merge_us.get() {
            Err(MergeRefused::Phases)
        } else {
            Ok(())
        }
    }
}

/// A merge. Durations are in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 3, "sourceScope": "branch:7", "targetScope": "branch:1", "totalMergeUs": 50_000,
    "mergeBaseHash": null, "mergeBaseCalcUs": 8_000, "conflictDetectionUs": 20_000, "conflictCount": 4,
    "autoResolutionUs": 15_000, "autoSuccessCount": 3, "autoFailureCount": 1, "autoResolutionSuccessRate": 75.0,
    "mergeStatus": "partial_success", "mergeOutcome": null, "userName": "token:ci", "sessionId": null,
    "startedAt": "2024-01-23T08:53:20.073456Z", "completedAt": "2024-01-23T08:53:20.123456Z"}))]
pub struct Merge {
    /// Its id.
    pub id: i64,
    /// What was merged.
    pub source_scope: String,
    /// What it was merged into.
    pub target_scope: String,
    /// The whole duration.
    pub total_merge_us: i64,
    /// The last commit that both have in common.
    pub merge_base_hash: Option<String>,
    /// How long it took to find that commit.
    pub merge_base_calc_us: Option<i64>,
    /// How long it took to find the conflicts.
    pub conflict_detection_us: Option<i64>,
    /// How many conflicts there were.
    pub conflict_count: i32,
    /// How long the conflicts took that were resolved automatically.
    pub auto_resolution_us: Option<i64>,
    /// How many conflicts were resolved automatically.
    pub auto_success_count: i32,
    /// How many attempts to resolve a conflict automatically failed.
    pub auto_failure_count: i32,
    /// The percentage of attempts that resolved a conflict; null where there was none.
    pub auto_resolution_success_rate: Option<f64>,
    /// How it ended.
    pub merge_status: MergeStatus,
    /// Details of the result.
    #[schema(value_type = Option<Object>)]
    pub merge_outcome: Option<Value>,
    /// Who merged.
    pub user_name: String,
    /// The session that the merge was part of.
    pub session_id: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Which merges to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MergeQuery {
    /// Only those of this source.
    pub source_scope: Option<OperationScope>,
    /// Only those into this target.
    pub target_scope: Option<OperationScope>,
    /// Only those that ended like this.
    pub status: Option<MergeStatus>,
    /// How many at most.
    pub limit: u16,
    /// Only those with a smaller id.
    pub after: Option<i64>,
}

impl MergeQuery {
    /// The most rows of a page.
    pub const MAX_LIMIT: u16 = 1_000;
    /// How many rows a page has if the request names no limit.
    pub const DEFAULT_LIMIT: u16 = 100;
}

/// One page of merges, newest first.
pub type MergePage = Page<Merge, i64>;

/// Figures of the merges of a source into a target. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"sourceBranch": "branch:7", "targetBranch": "branch:1", "mergeCount": 12, "avgDurationMs": 48.2,
    "maxDurationMs": 120.5, "minDurationMs": 21.0, "avgConflicts": 1.5, "maxConflicts": 4, "successfulMerges": 10,
    "failedMerges": 1, "lastMerge": "2024-01-23T08:53:20.123456Z"}))]
pub struct MergeStatistics {
    /// What was merged.
    pub source_branch: String,
    /// What it was merged into.
    pub target_branch: String,
    /// How many merges there were.
    pub merge_count: i64,
    /// The mean duration.
    pub avg_duration_ms: f64,
    /// The longest duration.
    pub max_duration_ms: f64,
    /// The shortest duration.
    pub min_duration_ms: f64,
    /// The mean number of conflicts.
    pub avg_conflicts: f64,
    /// The largest number of conflicts.
    pub max_conflicts: i32,
    /// How many succeeded completely.
    pub successful_merges: i64,
    /// How many failed. Those that succeeded in part or were abandoned count as neither.
    pub failed_merges: i64,
    /// When the last one ended.
    pub last_merge: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn merge(change: &Value) -> Result<NewMerge, serde_json::Error> {
        let mut body = json!({"sourceScope": "branch:7", "targetScope": "branch:1", "totalMergeUs": 50,
            "mergeBaseCalcUs": 20, "conflictDetectionUs": 20, "autoResolutionUs": 10, "conflictCount": 4,
            "autoSuccessCount": 4});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(body)
    }

    #[rstest]
    #[case::as_it_is(json!({}), Ok(()))]
    #[case::no_time_at_all(json!({"totalMergeUs": 0, "mergeBaseCalcUs": 0, "conflictDetectionUs": 0, "autoResolutionUs": 0}), Ok(()))]
    #[case::into_itself(json!({"targetScope": "branch:7"}), Err(MergeRefused::SameScope))]
    #[case::one_resolved_too_many(json!({"autoSuccessCount": 5}), Err(MergeRefused::Resolved))]
    #[case::failures_may_be_more(json!({"autoFailureCount": 9}), Ok(()))]
    #[case::phases_too_long(json!({"autoResolutionUs": 11}), Err(MergeRefused::Phases))]
    fn figures_must_not_contradict_each_other(#[case] change: Value, #[case] expected: Result<(), MergeRefused>) {
        assert_eq!(merge(&change).unwrap().check(), expected);
    }

    #[rstest]
    #[case("conflictCount", json!(-3))]
    #[case("autoFailureCount", json!(2_147_483_648_i64))]
    #[case("totalMergeUs", json!(-1))]
    #[case("mergeBaseCalcUs", json!(2_678_400_000_001_i64))]
    #[case("mergeStatus", json!("SUCCESS"))]
    #[case("sourceBranchId", json!(7))]
    fn what_is_out_of_range_is_refused(#[case] member: &str, #[case] value: Value) {
        assert!(merge(&json!({member: value})).is_err());
    }
}

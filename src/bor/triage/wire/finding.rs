//! The findings of a triage.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::FindingSeverity;
use crate::verdict::{Category, Change, Runtime};

/// One category's share of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageFinding)]
pub struct FindingBody {
    /// The category.
    pub category: Category,
    /// Its share of the active ticks, each tick claimed once.
    pub percent: f64,
    /// The low end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The high end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The share of active ticks whose stacks have the category anywhere.
    pub inclusive_percent: f64,
    /// With `compare`: how it compares with the earlier window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// With `compare`: what it was then; absent if it was under 1 % or nothing is known of then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<WasBody>,
    /// With `compare`, from the embedded store, here or of another Flamewarden: since when it has cost more than in the hour before the
    /// window, where that is clear. Windows of up to two hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<SinceBody>,
    /// The share from which it is a diagnosis.
    pub threshold: f64,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// Whether the low end reaches the threshold.
    pub confirmed: bool,
    /// The runtime that most of its ticks belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Whether this kind of profile can show it; if not, its absence says nothing.
    pub observable: bool,
    /// Processor cores it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// cpu: the most that could be saved if all its work went away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<AtMostBody>,
    /// Reported but not counted in `percent`: work that idle processors did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted_percent: Option<f64>,
    /// alloc: its share of what allocation costs the processor, percent of cpu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_percent: Option<f64>,
    /// The categories that its stacks were claimed as otherwise.
    pub mechanisms: Vec<MechanismBody>,
    /// What its ticks come from, where names tell: largest first, from 5 % of the finding on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<CauseBody>,
    /// The frames that lead to it.
    pub responsible: Vec<ResponsibleBody>,
    /// The application's frames on most of its stacks: at most five, largest first, of equals the one nearest the
    /// claiming frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteBody>,
    /// The claiming frames, heaviest first.
    pub evidence: Vec<EvidenceBody>,
    /// lock and wall, of `lock_contention`: the five locks that threads wait for most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<LockBody>,
    /// How many locks there are beside these; absent if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_locks: Option<usize>,
    /// What to do.
    pub recommendation: String,
    /// How to do it.
    pub steps: Vec<String>,
}

/// What a finding could save: an upper bound. Findings share stacks, so these do not add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageAtMost)]
pub struct AtMostBody {
    /// Processor cores; absent where it is not known how many the app uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.4)]
    pub cores: Option<f64>,
    /// Percent of the app's active ticks: the larger of `percent` and `inclusivePercent`.
    #[schema(example = 34.2)]
    pub percent_of_app: f64,
    /// What the cores cost in a month of 730 hours, in the money of `COST_PER_CORE_HOUR`; absent without that setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 11.68)]
    pub per_month: Option<f64>,
}

/// What a finding was in the earlier window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageWas)]
pub struct WasBody {
    /// Its share of the active ticks, percent.
    pub percent: f64,
    /// The low end of its 95 % interval, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The high end, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// cpu: processor cores it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
}

/// Since when a category costs more: after this minute its rate stays over 3 median absolute deviations from the hour
/// before the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageSince)]
pub struct SinceBody {
    /// The start of the minute.
    pub at: DateTime<Utc>,
    /// The label of the version that began then, if one did: `version`, `service_version` or `service_git_ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "version")]
    pub label: Option<String>,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2.3.1")]
    pub value: Option<String>,
}

/// A category beneath another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageMechanism)]
pub struct MechanismBody {
    /// The category.
    pub category: Category,
    /// Percent of the active ticks.
    pub percent: f64,
}

/// A frame that leads to a category's ticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageResponsible)]
pub struct ResponsibleBody {
    /// The function.
    pub function: String,
    /// The share of the category beneath it.
    pub percent: f64,
    /// The share of all ticks that it is on the stack of.
    pub total_percent: f64,
    /// From it down to the claiming frame, shortened.
    pub path: Vec<String>,
}

/// One thing that a finding's ticks come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageCause)]
pub struct CauseBody {
    /// Which one: a closed list by category, to which new ones may be added. serialization: `codec_built`,
    /// `json_encode`, `json_decode`, `protobuf_encode`, `protobuf_decode`, `xml_encode`, `xml_decode`, `yaml_encode`,
    /// `yaml_decode`, `csv_encode`, `csv_decode`, `objects_encode`, `objects_decode`; regex: `regex_compile`, `regex_match`; compression: `compressor_made`,
    /// `compressing`, `decompressing`; crypto: `tls_context`, `handshake`, `key_parsing`, `signing`,
    /// `password_hash`, `digest`, `encryption`, `slow_cipher`, `crypto_in_script`;
    /// database: `db_connect`, `db_prepare`, `orm_flush`, `row_mapping`, `db_embedded`, `db_fetch`; disk_io: `file_stat`,
    /// `directory_walk`, `file_read`, `file_write`, `file_sync`, `file_open`; gc_pressure: `gc_assist`, `gc_idle_mark`,
    /// `gc_mark`, `gc_sweep`, `gc_evacuation`; allocation: `small_allocation`, `heap_growth`,
    /// `freeing`; class_loading: `class_lookup`, `class_definition`, `module_import`, `class_verification`; exception:
    /// `stack_trace`, `unwinding`; logging: `log_caller`, `log_write`, `log_format`; scheduling: `looking_for_work`;
    /// memory_copy: `clearing`; lock_contention: `runtime_lock`, `interpreter_lock`.
    #[schema(example = "handshake")]
    pub cause: String,
    /// Percent of the active ticks. What no name tells the cause of is in none. Causes of `gc_pressure`, `allocation`,
    /// `memory_copy`, `scheduling`, `lock_contention` and `disk_io` add up to at most `percent`; those of the others hold
    /// what runs beneath, and add up to at most `inclusivePercent`.
    #[schema(example = 13.2)]
    pub percent: f64,
    /// The function that most of it comes from; absent where none has a fifth of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "com.example.Gateway.call")]
    pub responsible: Option<String>,
}

/// A frame of the application on the stacks of a finding: a place to open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageSite)]
pub struct SiteBody {
    /// The function.
    pub function: String,
    /// The share of the finding's ticks beneath it.
    #[schema(example = 91.0)]
    pub percent: f64,
    /// Its file, as the profiler spells it; absent where the profile has none, as folded text and flame graphs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "cart.go")]
    pub file: Option<String>,
    /// A line of the function in its file: the one it starts in where the profiler records that, as Go's does, else the
    /// lowest that was sampled in it. Absent where the profile has neither; the embedded store keeps files and no lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 48)]
    pub line: Option<u32>,
}

/// A lock that threads wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriageLock)]
pub struct LockBody {
    /// The function that takes it: the application's nearest to the lock.
    #[schema(example = "com.example.Stock.take")]
    pub function: String,
    /// Its share of the wait for locks, percent.
    #[schema(example = 62.5)]
    pub percent: f64,
    /// lock: milliseconds waited for it per second, over all threads, where the time is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 340.2)]
    pub wait_ms_per_second: Option<f64>,
}

/// A claiming frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TriageEvidence)]
pub struct EvidenceBody {
    /// The function.
    pub function: String,
    /// Percent of the active ticks.
    pub percent: f64,
}

#[cfg(test)]
mod tests {
    use crate::verdict::Rules;

    #[test]
    fn the_documentation_lists_every_cause() {
        for cause in Rules::builtin().causes() {
            assert!(include_str!("finding.rs").contains(&format!("`{}`", cause.id)), "{}", cause.id);
        }
    }
}

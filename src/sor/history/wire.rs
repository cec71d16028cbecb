//! History as it goes over the wire: the bodies of the routes, which the remote adapter reads and writes too.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::bounded::{Recommendation, TopFunctions};
use super::domain::{Assessment, AssessmentSeverity, NewAssessment, ProfileTypes};
use crate::kernel::{AppName, ProfileType, RowId, Text255};

/// The header that carries the idempotency key of an assessment.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

impl Default for ProfileTypes {
    fn default() -> Self {
        Self(vec![ProfileType::Cpu])
    }
}

impl Serialize for ProfileTypes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProfileTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// RFC 3339 and nothing looser, so that no year is read that a database cannot keep.
fn rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let time = text.map(|text| DateTime::parse_from_rfc3339(&text)).transpose();
    time.map(|time| time.map(|time| time.to_utc())).map_err(|_| de::Error::custom("must be an RFC 3339 time"))
}

/// An assessment to be kept.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"appName": "checkout", "profileTypes": "cpu,alloc", "diagnosis": "gc_pressure",
    "severity": "high", "topFunctions": {"cpu": [{"name": "G1 Young Generation", "selfPercent": 34.2}]},
    "recommendation": "give the heap more room", "requestedBy": "ana", "assessedAt": "2024-01-23T08:53:20Z"}))]
pub(super) struct NewAssessmentBody {
    /// The app: 1 to 512 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    pub(super) app_name: AppName,
    /// The diagnosis: 1 to 255 bytes.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    pub(super) diagnosis: Text255,
    /// How bad.
    pub(super) severity: AssessmentSeverity,
    /// The profile types that were read, comma-joined, names or aliases; `cpu` if absent, empty if none was.
    #[serde(default)]
    #[schema(value_type = Option<String>, default = "cpu")]
    pub(super) profile_types: Option<ProfileTypes>,
    /// The heaviest functions: an object or an array, at most 64 KiB.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(super) top_functions: Option<TopFunctions>,
    /// What to do: at most 64 KiB.
    #[schema(value_type = Option<String>, max_length = 65_536)]
    pub(super) recommendation: Option<Recommendation>,
    /// Who asked: 1 to 255 bytes.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(super) requested_by: Option<Text255>,
    /// When it was assessed, at most 60 s in the future; it becomes `createdAt`. If absent: now.
    #[serde(default, deserialize_with = "rfc3339")]
    pub(super) assessed_at: Option<DateTime<Utc>>,
}

impl From<NewAssessmentBody> for NewAssessment {
    fn from(body: NewAssessmentBody) -> Self {
        Self {
            app_name: body.app_name,
            diagnosis: body.diagnosis,
            severity: body.severity,
            profile_types: body.profile_types.unwrap_or_default().0,
            top_functions: body.top_functions,
            recommendation: body.recommendation,
            requested_by: body.requested_by,
            assessed_at: body.assessed_at,
            idempotency_key: None,
        }
    }
}

impl From<&NewAssessment> for NewAssessmentBody {
    fn from(new: &NewAssessment) -> Self {
        Self {
            app_name: new.app_name.clone(),
            diagnosis: new.diagnosis.clone(),
            severity: new.severity,
            profile_types: Some(ProfileTypes(new.profile_types.clone())),
            top_functions: new.top_functions.clone(),
            recommendation: new.recommendation.clone(),
            requested_by: new.requested_by.clone(),
            assessed_at: new.assessed_at,
        }
    }
}

/// An assessment as it is kept.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Assessment, example = json!({"id": 4711, "appName": "checkout", "profileTypes": "cpu,alloc",
    "diagnosis": "gc_pressure", "severity": "high",
    "topFunctions": {"cpu": [{"name": "G1 Young Generation", "selfPercent": 34.2}]},
    "recommendation": "give the heap more room", "requestedBy": "ana", "createdAt": "2024-01-23T08:53:20Z"}))]
pub(super) struct AssessmentBody {
    /// The row's id.
    #[schema(value_type = i32, minimum = 1)]
    id: RowId,
    /// The app.
    #[schema(value_type = String)]
    app_name: AppName,
    /// The profile types that were read, canonical, comma-joined.
    #[schema(value_type = String)]
    profile_types: ProfileTypes,
    /// The diagnosis.
    #[schema(value_type = String)]
    diagnosis: Text255,
    /// How bad.
    severity: AssessmentSeverity,
    /// The heaviest functions: an object or an array.
    #[schema(value_type = Option<serde_json::Value>)]
    top_functions: Option<TopFunctions>,
    /// What to do.
    #[schema(value_type = Option<String>)]
    recommendation: Option<Recommendation>,
    /// Who asked.
    #[schema(value_type = Option<String>)]
    requested_by: Option<Text255>,
    /// When it was assessed.
    created_at: DateTime<Utc>,
}

impl From<Assessment> for AssessmentBody {
    fn from(row: Assessment) -> Self {
        Self {
            id: row.id,
            app_name: row.app_name,
            profile_types: ProfileTypes(row.profile_types),
            diagnosis: row.diagnosis,
            severity: row.severity,
            top_functions: row.top_functions,
            recommendation: row.recommendation,
            requested_by: row.requested_by,
            created_at: row.created_at,
        }
    }
}

impl From<AssessmentBody> for Assessment {
    fn from(body: AssessmentBody) -> Self {
        Self {
            id: body.id,
            app_name: body.app_name,
            profile_types: body.profile_types.0,
            diagnosis: body.diagnosis,
            severity: body.severity,
            top_functions: body.top_functions,
            recommendation: body.recommendation,
            requested_by: body.requested_by,
            created_at: body.created_at,
        }
    }
}

/// One page of an app's assessments.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = History)]
pub(super) struct HistoryBody {
    /// The app.
    #[schema(value_type = String)]
    pub(super) app_name: AppName,
    /// How many this page holds.
    pub(super) count: usize,
    /// The assessments, newest first.
    pub(super) history: Vec<AssessmentBody>,
    /// Continues the list; null on its last page.
    pub(super) next_cursor: Option<String>,
}

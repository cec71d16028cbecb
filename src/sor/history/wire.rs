//! History as it goes over the wire: the bodies of the routes, which the remote adapter reads and writes too.

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaType};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::batch::{Batch, Recorded};
use super::bounded::{Recommendation, TopFunctions};
use super::domain::{Assessment, AssessmentSeverity, NewAssessment, ProfileTypes};
use crate::http::{Problem, StoredBody, empty_for_none};
use crate::kernel::{AppName, PortError, PortResult, ProfileType, RowId, Text255, rfc3339_or_null};

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

/// A body that holds an assessment to be kept, with members of its own before those of the assessment. A body that refuses
/// unknown members cannot be flattened into another.
macro_rules! new_assessment_body {
    ($(#[$about:meta])* $name:ident { $($(#[$about_own:meta])* $own:ident: $kind:ty,)? }) => {
        #[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        $(#[$about])*
        pub(super) struct $name {
            $($(#[$about_own])* pub(super) $own: $kind,)?
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
            #[serde(default, deserialize_with = "rfc3339_or_null")]
            pub(super) assessed_at: Option<DateTime<Utc>>,
        }

        impl From<$name> for NewAssessment {
            fn from(body: $name) -> Self {
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
    };
}

new_assessment_body! {
    /// An assessment to be kept.
    #[schema(example = json!({"appName": "flamewarden", "profileTypes": "cpu,alloc", "diagnosis": "gc_pressure",
        "severity": "high", "topFunctions": {"cpu": [{"name": "G1 Young Generation", "selfPercent": 34.2}]},
        "recommendation": "give the heap more room", "requestedBy": "ana", "assessedAt": "2024-01-23T08:53:20Z"}))]
    NewAssessmentBody {}
}

new_assessment_body! {
    /// An assessment to be kept once, however often it is sent.
    #[schema(example = json!({"idempotencyKey": "018d3f3e-7c1a-7000-8000-000000000001", "appName": "flamewarden",
        "profileTypes": "cpu", "diagnosis": "gc_pressure", "severity": "high", "assessedAt": "2024-01-23T08:53:20Z"}))]
    KeyedAssessmentBody {
        /// The same key is the same assessment.
        idempotency_key: Uuid,
    }
}

impl From<KeyedAssessmentBody> for Recorded {
    fn from(body: KeyedAssessmentBody) -> Self {
        Self { key: body.idempotency_key, trace: None, entry: body.into() }
    }
}

/// Several assessments to be kept.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"entries": [
    {"idempotencyKey": "018d3f3e-7c1a-7000-8000-000000000001", "appName": "flamewarden", "profileTypes": "cpu",
     "diagnosis": "gc_pressure", "severity": "high", "assessedAt": "2024-01-23T08:53:20Z"},
    {"idempotencyKey": "018d3f3e-7c1a-7000-8000-000000000002", "appName": "billing", "diagnosis": "cpu_bound",
     "severity": "low"}]}))]
pub(super) struct BatchBody {
    /// 1 to 500 assessments. Each is read alone: one that is not valid keeps no other from being kept.
    #[schema(value_type = Vec<BatchEntry>, min_items = 1, max_items = 500)]
    pub(super) entries: Batch<Box<RawValue>>,
}

/// An entry in the documentation: an assessment, or anything else, which is refused in its place and not with the body.
struct BatchEntry;

impl PartialSchema for BatchEntry {
    fn schema() -> RefOr<Schema> {
        let other = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let other = other.description(Some("Anything else has a result of status 400."));
        AnyOfBuilder::new().item(Ref::from_schema_name(KeyedAssessmentBody::name())).item(other).into()
    }
}

impl ToSchema for BatchEntry {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((KeyedAssessmentBody::name().into_owned(), KeyedAssessmentBody::schema()));
        KeyedAssessmentBody::schemas(schemas);
    }
}

/// What [`BatchBody`] is read from.
#[derive(Debug, Serialize)]
pub(super) struct SentBatch {
    entries: Vec<SentEntry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SentEntry {
    idempotency_key: Uuid,
    #[serde(flatten)]
    entry: NewAssessmentBody,
}

impl From<&[Recorded]> for SentBatch {
    fn from(batch: &[Recorded]) -> Self {
        let sent = |recorded: &Recorded| SentEntry { idempotency_key: recorded.key, entry: (&recorded.entry).into() };
        Self { entries: batch.iter().map(sent).collect() }
    }
}

/// What became of one assessment of several.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BatchResult)]
pub(super) struct ResultBody {
    /// What the same assessment alone would be answered with: 201 where it is kept.
    status: u16,
    /// The row's id, where it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, minimum = 1)]
    id: Option<RowId>,
    /// Why it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Result<RowId, Problem>> for ResultBody {
    fn from(result: Result<RowId, Problem>) -> Self {
        match result {
            Ok(id) => Self { status: StatusCode::CREATED.as_u16(), id: Some(id), error: None },
            Err(problem) => {
                let (status, error) = (problem.status_code().as_u16(), problem.detail().to_owned());
                Self { status, id: None, error: Some(error) }
            }
        }
    }
}

impl From<ResultBody> for PortResult<RowId> {
    fn from(body: ResultBody) -> Self {
        let error = body.error.unwrap_or_default();
        match (body.id, body.status) {
            (Some(id), _) => Ok(id),
            (None, 400) => Err(PortError::Invalid(error)),
            (None, 409) => Err(PortError::Conflict(error)),
            (None, 500) => Err(PortError::Internal(error)),
            (None, 504) => Err(PortError::Timeout(error)),
            _ => Err(PortError::Unavailable(error)),
        }
    }
}

/// What became of several assessments.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BatchResults, example = json!({"results": [{"status": 201, "id": 4711},
    {"status": 400, "error": "/severity: is missing"}]}))]
pub(super) struct BatchResultsBody {
    /// One result for each entry, in the order of the entries.
    pub(super) results: Vec<ResultBody>,
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
#[schema(as = Assessment, example = json!({"id": 1, "appName": "flamewarden", "profileTypes": "cpu,alloc",
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
    #[serde(default, with = "empty_for_none")]
    #[schema(value_type = serde_json::Value)]
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
    #[schema(value_type = Vec<AssessmentBody>)]
    pub(super) history: Vec<StoredBody<AssessmentBody>>,
    /// Continues the list; null on its last page.
    pub(super) next_cursor: Option<String>,
}

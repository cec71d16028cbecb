use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::kernel::{AppName, FindingSeverity, LimitSeverity, ProfileType, RowId, Text255};

/// How far `assessed_at` may lie ahead of the clock: 60 s, for clocks that disagree a little.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(60);

/// A severity as history keeps it: of findings (`high`, `medium`, `low`) or of limits (`critical`, `warning`, `info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the values")]
pub enum AssessmentSeverity {
    High,
    Medium,
    Low,
    Critical,
    Warning,
    Info,
}

impl AssessmentSeverity {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 6] = [Self::High, Self::Medium, Self::Low, Self::Critical, Self::Warning, Self::Info];

    /// The name in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl std::str::FromStr for AssessmentSeverity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == name)
            .ok_or_else(|| format!("unknown severity {name:?}: valid are high, medium, low, critical, warning, info"))
    }
}

impl From<FindingSeverity> for AssessmentSeverity {
    fn from(severity: FindingSeverity) -> Self {
        match severity {
            FindingSeverity::Low => Self::Low,
            FindingSeverity::Medium => Self::Medium,
            FindingSeverity::High => Self::High,
        }
    }
}

impl From<LimitSeverity> for AssessmentSeverity {
    fn from(severity: LimitSeverity) -> Self {
        match severity {
            LimitSeverity::Info => Self::Info,
            LimitSeverity::Warning => Self::Warning,
            LimitSeverity::Critical => Self::Critical,
        }
    }
}

/// The heaviest functions of an assessment: a JSON object or array of at most 64 KiB without U+0000.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct TopFunctions(Value);

/// Why a JSON value is no [`TopFunctions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopFunctions {
    /// A text, a number, a truth value or null.
    #[error("must be an object or an array")]
    Shape,
    /// Too long when written as JSON.
    #[error("is {0} bytes long as JSON, at most 65536 are allowed")]
    TooLong(usize),
    /// A text or a name in it holds U+0000, which PostgreSQL cannot keep.
    #[error("must not hold U+0000")]
    Nul,
}

impl TopFunctions {
    /// Longest value, in bytes of JSON.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Takes an object of tables (`{"cpu": [row, …]}`), leaving out the last rows of the longest tables as long as the
    /// whole is over the limit. U+0000 becomes U+FFFD.
    pub fn fitting(tables: Map<String, Value>) -> Self {
        let mut tables: Map<String, Value> = tables.into_iter().map(|(k, v)| (without_nul(&k), clean(v))).collect();
        loop {
            let excess = serde_json::to_string(&tables).map_or(0, |text| text.len()).saturating_sub(Self::MAX_BYTES);
            let longest = tables.values_mut().max_by_key(|table| json_bytes(table)).and_then(Value::as_array_mut);
            match longest.filter(|rows| excess > 0 && !rows.is_empty()) {
                Some(rows) => drop(rows.pop()),
                None if excess == 0 => return Self(Value::Object(tables)),
                None => return Self(Value::Object(Map::new())),
            }
        }
    }

    /// The value.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

impl TryFrom<Value> for TopFunctions {
    type Error = InvalidTopFunctions;

    fn try_from(value: Value) -> Result<Self, InvalidTopFunctions> {
        if !value.is_object() && !value.is_array() {
            return Err(InvalidTopFunctions::Shape);
        }
        let bytes = json_bytes(&value);
        if bytes > Self::MAX_BYTES {
            return Err(InvalidTopFunctions::TooLong(bytes));
        }
        if holds_nul(&value) {
            return Err(InvalidTopFunctions::Nul);
        }
        Ok(Self(value))
    }
}

impl<'de> serde::Deserialize<'de> for TopFunctions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

fn json_bytes(value: &Value) -> usize {
    value.to_string().len()
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn clean(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(without_nul(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(clean).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (without_nul(&name), clean(value))).collect())
        }
        other => other,
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// What to do, in prose: at most 64 KiB without U+0000, since it names functions and their names may be long.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Recommendation(String);

/// Why a text is no [`Recommendation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecommendation {
    /// Too long.
    #[error("is {0} bytes long, at most 65536 are allowed")]
    TooLong(usize),
    /// Holds U+0000, which PostgreSQL cannot keep.
    #[error("must not hold U+0000")]
    Nul,
}

impl Recommendation {
    /// Longest text, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Takes any text: what is over the limit is cut off, U+0000 becomes U+FFFD.
    pub fn fitting(text: &str) -> Self {
        let mut text = without_nul(text);
        text.truncate(text.floor_char_boundary(Self::MAX_BYTES));
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Recommendation {
    type Error = InvalidRecommendation;

    fn try_from(text: String) -> Result<Self, InvalidRecommendation> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidRecommendation::TooLong(text.len()));
        }
        if text.contains('\0') {
            return Err(InvalidRecommendation::Nul);
        }
        Ok(Self(text))
    }
}

impl<'de> serde::Deserialize<'de> for Recommendation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// One assessment as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// The row's id.
    pub id: RowId,
    /// The app.
    pub app_name: AppName,
    /// The diagnosis.
    pub diagnosis: Text255,
    /// How bad.
    pub severity: AssessmentSeverity,
    /// The kinds that were read.
    pub profile_types: Vec<ProfileType>,
    /// The heaviest functions.
    pub top_functions: Option<TopFunctions>,
    /// What to do.
    pub recommendation: Option<Recommendation>,
    /// Who asked.
    pub requested_by: Option<Text255>,
    /// When it was assessed (or stored, where that was not said).
    pub created_at: DateTime<Utc>,
}

/// An assessment to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAssessment {
    /// The app.
    pub app_name: AppName,
    /// The diagnosis, a category or a contract name: 1 to 255 bytes.
    pub diagnosis: Text255,
    /// How bad.
    pub severity: AssessmentSeverity,
    /// The kinds that were read.
    pub profile_types: Vec<ProfileType>,
    /// The heaviest functions; BORs write `{"cpu": [row, …]}`, see [`TopFunctions::fitting`].
    pub top_functions: Option<TopFunctions>,
    /// What to do.
    pub recommendation: Option<Recommendation>,
    /// Who asked.
    pub requested_by: Option<Text255>,
    /// When it was assessed; absent means when it is stored.
    pub assessed_at: Option<DateTime<Utc>>,
    /// The same key again is the same assessment. Absent: the spool gives one, a direct write has none.
    pub idempotency_key: Option<Uuid>,
}

/// The time lies ahead of the clock by more than clocks may disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lies more than 60 seconds in the future")]
pub struct TooFarAhead;

/// Checks when something was assessed: at most 60 s in the future.
pub(super) fn check_assessed_at(assessed_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), TooFarAhead> {
    if assessed_at.is_some_and(|at| at - now > MAX_AHEAD) { Err(TooFarAhead) } else { Ok(()) }
}

/// Writes kinds as rows and bodies hold them: `cpu,alloc`.
pub(super) fn join_types(types: &[ProfileType]) -> String {
    types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")
}

/// Reads kinds as rows and bodies hold them: aliases and repeats collapse, the order is kept, an empty text is none.
pub(super) fn split_types(text: &str) -> Result<Vec<ProfileType>, crate::kernel::UnknownProfileType> {
    let mut types = Vec::new();
    for name in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let kind: ProfileType = name.parse()?;
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    Ok(types)
}

/// Which assessments of an app to list, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    /// The app.
    pub app_name: AppName,
    /// At most this many, 1 to 500.
    pub limit: u16,
    /// Only those of this window; either end may be open.
    pub from: Option<DateTime<Utc>>,
    /// See `from`.
    pub to: Option<DateTime<Utc>>,
    /// Continue after this place.
    pub after: Option<HistoryPosition>,
}

impl HistoryQuery {
    /// The largest page.
    pub const MAX_LIMIT: u16 = 500;

    /// The newest `limit` assessments of an app.
    pub fn newest(app_name: AppName, limit: u16) -> Self {
        Self { app_name, limit, from: None, to: None, after: None }
    }
}

/// A place in an app's history: pages continue after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HistoryPosition(pub(super) DateTime<Utc>, pub(super) i32);

/// One page of assessments.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// The assessments, newest first.
    pub entries: Vec<Assessment>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<HistoryPosition>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!("cpu"), InvalidTopFunctions::Shape)]
    #[case(json!(null), InvalidTopFunctions::Shape)]
    #[case(json!([{"a\0": 1}]), InvalidTopFunctions::Nul)]
    #[case(json!({"a": ["b\0"]}), InvalidTopFunctions::Nul)]
    #[case(json!(["x".repeat(65_533)]), InvalidTopFunctions::TooLong(65_537))]
    fn refuses_what_no_column_could_hold(#[case] value: Value, #[case] error: InvalidTopFunctions) {
        assert_eq!(TopFunctions::try_from(value), Err(error));
    }

    #[test]
    fn leaves_out_the_last_rows_of_the_longest_table_until_the_whole_fits() {
        let row = |n: usize| json!({"name": format!("{n}{}", "f".repeat(20_000)), "selfPercent": 1.5});
        let tables = json!({"cpu": [row(1), row(2), row(3), row(4)], "wall": [row(5)]});
        let fitted = TopFunctions::fitting(tables.as_object().unwrap().clone());
        assert_eq!(fitted.as_value(), &json!({"cpu": [row(1), row(2)], "wall": [row(5)]}));
    }

    #[test]
    fn a_table_that_cannot_be_shortened_is_left_out() {
        let tables = json!({"cpu": "x".repeat(70_000)});
        assert_eq!(TopFunctions::fitting(tables.as_object().unwrap().clone()).as_value(), &json!({}));
    }

    #[test]
    fn a_recommendation_is_cut_between_characters() {
        let text = Recommendation::fitting(&format!("a\0{}", "ü".repeat(40_000)));
        assert_eq!(text.as_str().len(), 65_536);
        assert!(text.as_str().starts_with("a\u{fffd}ü"));
        assert_eq!(Recommendation::try_from("x".repeat(65_537)), Err(InvalidRecommendation::TooLong(65_537)));
    }

    #[rstest]
    #[case("cpu, memory,allocation,mutex", "cpu,alloc,lock")]
    #[case("", "")]
    #[case("wall,cpu", "wall,cpu")]
    fn kinds_collapse_to_canonical_names_in_the_order_given(#[case] text: &str, #[case] joined: &str) {
        assert_eq!(join_types(&split_types(text).unwrap()), joined);
    }

    #[rstest]
    #[case("cpu,")]
    #[case("heap")]
    fn refuses_unknown_kinds(#[case] text: &str) {
        assert!(split_types(text).is_err());
    }

    #[test]
    fn a_minute_ahead_is_the_most() {
        let now = DateTime::from_timestamp(1_706_000_000, 0).unwrap();
        assert_eq!(check_assessed_at(Some(now + TimeDelta::seconds(60)), now), Ok(()));
        assert_eq!(check_assessed_at(Some(now + TimeDelta::milliseconds(60_001)), now), Err(TooFarAhead));
        assert_eq!(check_assessed_at(None, now), Ok(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_was_made_to_fit_is_valid(names in prop::collection::vec("\\PC{0,9}\0?", 0..20), copies in 1..1500usize) {
            let rows: Vec<Value> = names.iter().map(|n| json!(n.repeat(copies))).collect();
            let tables = json!({"cpu": rows, "a\0b": 1});
            let fitted = TopFunctions::fitting(tables.as_object().unwrap().clone());
            prop_assert_eq!(TopFunctions::try_from(fitted.as_value().clone()), Ok(fitted));
        }
    }
}

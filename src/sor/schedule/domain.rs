use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::kernel::{Text255, rfc3339};

/// The name of a job or of a group of jobs: 1 to 63 lower-case letters, digits and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9_]{1,63}$", example = "example")]
pub struct ScheduleName(Cow<'static, str>);

/// A text is no [`ScheduleName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 63 of the characters a to z, 0 to 9 and _")]
pub struct InvalidScheduleName;

impl ScheduleName {
    /// A name that stands in the code.
    ///
    /// # Panics
    /// Where it is none; a constant does not compile then.
    pub const fn of(name: &'static str) -> Self {
        assert!(is_name(name), "no name of a job or of a group");
        Self(Cow::Borrowed(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_name(text: &str) -> bool {
    let mut rest = text.as_bytes();
    if rest.is_empty() || rest.len() > 63 {
        return false;
    }
    while let [first, more @ ..] = rest {
        if !matches!(first, b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        rest = more;
    }
    true
}

impl TryFrom<String> for ScheduleName {
    type Error = InvalidScheduleName;

    fn try_from(text: String) -> Result<Self, InvalidScheduleName> {
        if is_name(&text) { Ok(Self(text.into())) } else { Err(InvalidScheduleName) }
    }
}

impl FromStr for ScheduleName {
    type Err = InvalidScheduleName;

    fn from_str(text: &str) -> Result<Self, InvalidScheduleName> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a job is due: at each multiple of its period since the Unix epoch, and so much later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", try_from = "TimetableMembers")]
pub struct Timetable {
    /// Seconds from one due time to the next.
    #[schema(minimum = 1, example = 60)]
    period_seconds: i32,
    /// Seconds that it is due after a multiple of the period, less than the period.
    #[schema(minimum = 0, example = 30)]
    offset_seconds: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimetableMembers {
    period_seconds: i32,
    offset_seconds: i32,
}

/// Two numbers make no [`Timetable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("periodSeconds must be at least 1, and offsetSeconds at least 0 and less than periodSeconds")]
pub struct InvalidTimetable;

impl Timetable {
    /// A timetable that stands in the code.
    ///
    /// # Panics
    /// Where it is none; a constant does not compile then.
    pub const fn of(period_seconds: i32, offset_seconds: i32) -> Self {
        assert!(period_seconds >= 1 && 0 <= offset_seconds && offset_seconds < period_seconds, "no timetable");
        Self { period_seconds, offset_seconds }
    }

    /// A timetable of two numbers.
    ///
    /// # Errors
    /// Where they are out of range.
    pub fn new(period_seconds: i32, offset_seconds: i32) -> Result<Self, InvalidTimetable> {
        if (0..period_seconds).contains(&offset_seconds) {
            Ok(Self { period_seconds, offset_seconds })
        } else {
            Err(InvalidTimetable)
        }
    }

    /// Seconds from one due time to the next.
    pub fn period_seconds(self) -> i32 {
        self.period_seconds
    }

    /// Seconds after a multiple of the period.
    pub fn offset_seconds(self) -> i32 {
        self.offset_seconds
    }

    /// The last due time that is not after `now`.
    pub fn last_due(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let (period, offset) = (i64::from(self.period_seconds), i64::from(self.offset_seconds));
        let due = (now.timestamp() - offset).div_euclid(period) * period + offset;
        DateTime::from_timestamp(due, 0).unwrap_or(now)
    }

    /// The first due time after `now`.
    pub fn next_due(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.last_due(now) + Duration::from_secs(self.period_seconds.unsigned_abs().into())
    }
}

impl TryFrom<TimetableMembers> for Timetable {
    type Error = InvalidTimetable;

    fn try_from(members: TimetableMembers) -> Result<Self, InvalidTimetable> {
        Self::new(members.period_seconds, members.offset_seconds)
    }
}

/// The right to run the jobs of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The group.
    pub group: ScheduleName,
    /// The process that leads it.
    pub holder: Uuid,
    /// How often the lease has gone to another holder, from 1.
    #[schema(minimum = 1, example = 1)]
    pub term: i64,
    /// When it ends, unless it is renewed before.
    pub expires_at: DateTime<Utc>,
}

impl Lease {
    /// How long a lease is held after it was taken or renewed.
    pub const DURATION: Duration = Duration::from_secs(15);
}

/// Reads a term, which is 1 or more.
fn term<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let term = i64::deserialize(deserializer)?;
    if term < 1 { Err(serde::de::Error::custom("must be 1 or more")) } else { Ok(term) }
}

/// A run that a leader is about to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "job": "example", "group": "example", "timetable": {"periodSeconds": 60, "offsetSeconds": 30},
    "due": "2026-01-23T08:53:30Z", "holder": "018d3f3e-7c1a-7000-8000-000000000001", "term": 1,
}))]
pub struct RunStart {
    /// The job.
    pub job: ScheduleName,
    /// Its group.
    pub group: ScheduleName,
    /// When it is due.
    pub timetable: Timetable,
    /// The due time that this run is for.
    #[serde(deserialize_with = "rfc3339")]
    pub due: DateTime<Utc>,
    /// The process that runs it.
    pub holder: Uuid,
    /// The term of its lease.
    #[serde(deserialize_with = "term")]
    #[schema(minimum = 1)]
    pub term: i64,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "job": "example", "holder": "018d3f3e-7c1a-7000-8000-000000000001", "term": 1, "durationMs": 12, "error": null,
}))]
pub struct RunEnd {
    /// The job.
    pub job: ScheduleName,
    /// The process that ran it.
    pub holder: Uuid,
    /// The term in which it began.
    #[serde(deserialize_with = "term")]
    #[schema(minimum = 1)]
    pub term: i64,
    /// How long it took, in milliseconds.
    #[schema(value_type = i64, minimum = 0, maximum = 4_294_967_295_u32)]
    pub duration_ms: u32,
    /// Why it failed, for people; null where it did not.
    #[schema(value_type = Option<String>, max_length = 255)]
    pub error: Option<Text255>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// It did what it should.
    Ok,
    /// It failed, or took too long.
    Failed,
    /// The process that ran it was lost, and the run was done again.
    Abandoned,
}

impl RunOutcome {
    /// The name in rows and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl FromStr for RunOutcome {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Ok, Self::Failed, Self::Abandoned];
        all.into_iter().find(|outcome| outcome.as_str() == text).ok_or("must be ok, failed or abandoned")
    }
}

/// A job, and how its last run went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// Its name.
    pub name: ScheduleName,
    /// The group it belongs to.
    pub group: ScheduleName,
    /// When it is due.
    #[serde(flatten)]
    pub timetable: Timetable,
    /// The due time that was last run for.
    pub last_due_at: DateTime<Utc>,
    /// When the last run began.
    pub started_at: DateTime<Utc>,
    /// When it ended; null while it runs.
    pub finished_at: Option<DateTime<Utc>>,
    /// How the last run that ended did; null before the first has.
    pub outcome: Option<RunOutcome>,
    /// Why that one failed.
    #[schema(value_type = Option<String>, max_length = 255)]
    pub error: Option<Text255>,
    /// How long that one took, in milliseconds.
    #[schema(minimum = 0)]
    pub duration_ms: Option<i64>,
    /// How often it was begun.
    #[schema(minimum = 1)]
    pub runs: i64,
    /// How many of these failed or were abandoned.
    #[schema(minimum = 0)]
    pub failures: i64,
    /// When somebody asked for a run that has not begun yet.
    pub asked_at: Option<DateTime<Utc>>,
    /// The process that began the last run.
    pub holder: Uuid,
    /// The term of its lease then.
    #[schema(minimum = 1)]
    pub term: i64,
}

impl JobRecord {
    /// Whether a leader that is not running it is to run it at `now`: it is due, somebody asked for it, or a run was never
    /// ended because its process was lost.
    pub fn is_to_run(&self, timetable: Timetable, now: DateTime<Utc>) -> bool {
        self.last_due_at < timetable.last_due(now) || self.asked_at.is_some() || self.finished_at.is_none()
    }
}

/// Who leads, and all jobs that were ever begun and are not forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The leases that hold, by group.
    pub leaders: Vec<Lease>,
    /// The jobs, by name.
    pub jobs: Vec<JobRecord>,
}

/// A job that was not begun for so many days is forgotten: no version that runs has it.
pub(super) const FORGOTTEN_AFTER_DAYS: i32 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-01-23T{text}Z").parse().unwrap()
    }

    #[rstest]
    #[case::on_time((60, 0), "08:53:00", "08:53:00", "08:54:00")]
    #[case::just_before((60, 0), "08:52:59.999", "08:52:00", "08:53:00")]
    #[case::between((60, 0), "08:53:31.5", "08:53:00", "08:54:00")]
    #[case::before_its_offset((60, 30), "08:53:29", "08:52:30", "08:53:30")]
    #[case::at_its_offset((60, 30), "08:53:30", "08:53:30", "08:54:30")]
    #[case::each_second((1, 0), "08:53:29.7", "08:53:29", "08:53:30")]
    #[case::each_day((86_400, 3_600), "00:59:59", "-1 01:00:00", "01:00:00")]
    fn is_due_at_multiples_of_its_period_and_its_offset_later(
        #[case] (period, offset): (i32, i32),
        #[case] now: &str,
        #[case] last: &str,
        #[case] next: &str,
    ) {
        let timetable = Timetable::of(period, offset);
        let last = last.strip_prefix("-1 ").map_or_else(|| at(last), |time| at(time) - Duration::from_hours(24));
        assert_eq!((timetable.last_due(at(now)), timetable.next_due(at(now))), (last, at(next)));
    }

    #[test]
    fn times_before_the_epoch_round_down_too() {
        let now = DateTime::from_timestamp(-1, 0).unwrap();
        assert_eq!(Timetable::of(60, 0).last_due(now).timestamp(), -60);
    }

    #[rstest]
    #[case::done("08:53:30", Some("08:53:31"), None, false)]
    #[case::due("08:52:30", Some("08:52:31"), None, true)]
    #[case::missed_for_hours("04:52:30", Some("04:52:31"), None, true)]
    #[case::asked("08:53:30", Some("08:53:31"), Some("08:53:40"), true)]
    #[case::lost("08:53:30", None, None, true)]
    #[case::ahead_of_this_clock("08:54:30", Some("08:54:31"), None, false)]
    fn runs_what_is_due_asked_for_or_lost(
        #[case] last_due: &str,
        #[case] finished: Option<&str>,
        #[case] asked: Option<&str>,
        #[case] expected: bool,
    ) {
        let timetable = Timetable::of(60, 30);
        let job = JobRecord {
            name: ScheduleName::of("job"),
            group: ScheduleName::of("group"),
            timetable,
            last_due_at: at(last_due),
            started_at: at(last_due),
            finished_at: finished.map(at),
            outcome: Some(RunOutcome::Ok),
            error: None,
            duration_ms: Some(1_000),
            runs: 7,
            failures: 0,
            asked_at: asked.map(at),
            holder: Uuid::nil(),
            term: 1,
        };
        assert_eq!(job.is_to_run(timetable, at("08:53:50")), expected);
    }

    #[rstest]
    #[case::shortest((1, 0), true)]
    #[case::no_period((0, 0), false)]
    #[case::negative((60, -1), false)]
    #[case::a_whole_period_later((60, 60), false)]
    #[case::last_second((60, 59), true)]
    fn a_timetable_has_an_offset_within_its_period(#[case] (period, offset): (i32, i32), #[case] valid: bool) {
        assert_eq!(Timetable::new(period, offset).is_ok(), valid);
        let json = format!(r#"{{"periodSeconds":{period},"offsetSeconds":{offset}}}"#);
        assert_eq!(serde_json::from_str::<Timetable>(&json).is_ok(), valid);
    }

    #[rstest]
    #[case("a", true)]
    #[case("audit_chain2", true)]
    #[case("", false)]
    #[case("Audit", false)]
    #[case("audit-chain", false)]
    #[case("ä", false)]
    #[case(&"a".repeat(63), true)]
    #[case(&"a".repeat(64), false)]
    fn a_name_is_short_and_plain(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(text.parse::<ScheduleName>().is_ok(), valid);
    }
}

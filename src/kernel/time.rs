use chrono::{DateTime, Datelike, TimeDelta, Utc};

/// The longest window of a request: 31 days.
pub const MAX_WINDOW: TimeDelta = TimeDelta::days(31);

/// How long a window is whose start or end is not given: an hour.
pub const DEFAULT_WINDOW: TimeDelta = TimeDelta::hours(1);

/// The source of the current time, so that tests and replays can fix it.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that only moves when it is set.
#[derive(Debug)]
pub struct FixedClock(std::sync::Mutex<DateTime<Utc>>);

#[expect(clippy::expect_used, reason = "a poisoned test clock ends the test")]
impl FixedClock {
    /// A clock that always shows `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(std::sync::Mutex::new(now))
    }

    /// Moves the clock.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().expect("clock") += by;
    }

    /// Sets the clock.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().expect("clock") = now;
    }
}

#[expect(clippy::expect_used, reason = "a poisoned test clock ends the test")]
impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("clock")
    }
}

/// Reads RFC 3339 and nothing looser, so that no year is read that a database cannot keep: for
/// `#[serde(deserialize_with = "rfc3339")]`.
pub fn rfc3339<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    parse_rfc3339(&<String as serde::Deserialize>::deserialize(deserializer)?)
}

/// The same for a member that may be null.
pub fn rfc3339_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
    text.map(|text| parse_rfc3339(&text)).transpose()
}

fn parse_rfc3339<E: serde::de::Error>(text: &str) -> Result<DateTime<Utc>, E> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    // In the texts of the database there is no year 0.
    let time = time.ok().filter(|time| time.year() >= 1);
    time.ok_or_else(|| E::custom("must be an RFC 3339 time"))
}

/// A half-open span of time, `[from, to)`, not empty and at most 31 days long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeWindow {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// Why two times do not make a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// `from` is not before `to`.
    #[error("from must lie before to")]
    Reversed,
    /// Longer than 31 days.
    #[error("the window is longer than 31 days")]
    TooLong,
}

impl TimeWindow {
    /// The window `[from, to)`.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Self, InvalidWindow> {
        if from >= to {
            return Err(InvalidWindow::Reversed);
        }
        if to - from > MAX_WINDOW {
            return Err(InvalidWindow::TooLong);
        }
        Ok(Self { from, to })
    }

    /// The first instant inside.
    pub fn from(&self) -> DateTime<Utc> {
        self.from
    }

    /// The first instant after.
    pub fn to(&self) -> DateTime<Utc> {
        self.to
    }

    /// How long it is.
    pub fn duration(&self) -> TimeDelta {
        self.to - self.from
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> f64 {
        self.duration().num_milliseconds() as f64 / 1_000.0
    }

    /// Whether the instant is inside.
    pub fn contains(&self, instant: DateTime<Utc>) -> bool {
        self.from <= instant && instant < self.to
    }

    /// Whether the two windows share an instant.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[derive(serde::Deserialize)]
    struct Times {
        #[serde(deserialize_with = "rfc3339")]
        at: DateTime<Utc>,
        #[serde(default, deserialize_with = "rfc3339_or_null")]
        end: Option<DateTime<Utc>>,
    }

    #[rstest]
    #[case(r#"{"at": "2026-01-23T08:53:20+01:00"}"#, Some(("2026-01-23T07:53:20Z", None)))]
    #[case(r#"{"at": "0001-01-01T00:00:00Z", "end": null}"#, Some(("0001-01-01T00:00:00Z", None)))]
    #[case(
        r#"{"at": "2026-01-23T08:53:20Z", "end": "9999-12-31T23:59:59Z"}"#,
        Some(("2026-01-23T08:53:20Z", Some("9999-12-31T23:59:59Z")))
    )]
    #[case(r#"{"at": "0000-12-31T00:00:00Z"}"#, None)]
    #[case(r#"{"at": "+262142-01-01T00:00:00Z"}"#, None)]
    #[case(r#"{"at": "2026-01-23T08:53:20Z", "end": "tomorrow"}"#, None)]
    #[case(r#"{"at": null}"#, None)]
    fn reads_times_that_a_database_can_keep(#[case] json: &str, #[case] expected: Option<(&str, Option<&str>)>) {
        let read = serde_json::from_str::<Times>(json).ok().map(|times| (times.at, times.end));
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(read, expected.map(|(at, end)| (time(at), end.map(time))));
    }
}

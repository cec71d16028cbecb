use chrono::{DateTime, TimeDelta, Utc};

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
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    let time = DateTime::parse_from_rfc3339(&text);
    time.map(|time| time.to_utc()).map_err(|_| serde::de::Error::custom("must be an RFC 3339 time"))
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

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, de};

use crate::http::{Code, Problem};
use crate::kernel::{Clock, DEFAULT_WINDOW, InvalidWindow, MAX_WINDOW, TimeWindow, parse_duration};

/// The default end of a window is rounded down to this, so that identical questions share one answer.
const DEFAULT_STEP_S: i64 = 15;
/// The last second of the year 9999.
const LAST_EPOCH_S: i64 = 253_402_300_799;

/// A time as callers write it: epoch seconds, RFC 3339, `now`, or `now` minus a length such as `now-90m` or
/// `now-3h30m`. Fractions of a second are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, example = "now-1h")]
pub struct TimeParam(Written);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

/// The text is not a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTime(&'static str);

impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const SHAPES: InvalidTime = InvalidTime("must be epoch seconds, RFC 3339, now, now-90m or now-3h30m");
const OUT_OF_RANGE: InvalidTime = InvalidTime("must lie between the years 1970 and 9999");

impl TimeParam {
    /// The instant.
    ///
    /// # Errors
    /// `parameter_invalid` for one before 1970.
    pub fn resolve(self, clock: &dyn Clock) -> Result<DateTime<Utc>, Problem> {
        self.at(clock.now())
    }

    /// The instant, if it is `now`.
    ///
    /// # Errors
    /// `parameter_invalid` for one before 1970.
    pub fn at(self, now: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
        match self.0 {
            Written::At(instant) => Ok(instant),
            Written::Ago(span) => now
                .trunc_subsecs(0)
                .checked_sub_signed(span)
                .filter(|instant| instant.timestamp() >= 0)
                .ok_or_else(|| Problem::new(Code::ParameterInvalid, format!("a time {OUT_OF_RANGE}"))),
        }
    }
}

impl FromStr for TimeParam {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if text == "now" {
            return Ok(Self(Written::Ago(TimeDelta::zero())));
        }
        if let Some(rest) = text.strip_prefix("now") {
            // An unescaped `+` arrives as a space: `now-3h+30m` must not be read as `now-3h 30m`.
            let span = rest.strip_prefix('-').filter(|span| !span.contains(char::is_whitespace)).ok_or(SHAPES)?;
            return whole_seconds(span).map(Written::Ago).map(Self);
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            if text.len() >= 13 {
                return Err(InvalidTime("must be epoch seconds, not milliseconds"));
            }
            let instant = text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            return instant.filter(in_range).map(|at| Self(Written::At(at))).ok_or(OUT_OF_RANGE);
        }
        let instant = DateTime::parse_from_rfc3339(text)
            // An unescaped `+02:00` arrives as ` 02:00`.
            .or_else(|_| DateTime::parse_from_rfc3339(&text.replacen(' ', "+", 1)))
            .map_err(|_| SHAPES)?;
        Some(instant.to_utc().trunc_subsecs(0)).filter(in_range).map(|at| Self(Written::At(at))).ok_or(OUT_OF_RANGE)
    }
}

fn in_range(instant: &DateTime<Utc>) -> bool {
    (0..=LAST_EPOCH_S).contains(&instant.timestamp())
}

/// Reads a duration; fractions of a second are cut.
fn whole_seconds(text: &str) -> Result<TimeDelta, InvalidTime> {
    let duration = parse_duration(text).ok_or(SHAPES)?;
    i64::try_from(duration.as_secs()).ok().and_then(TimeDelta::try_seconds).ok_or(OUT_OF_RANGE)
}

/// A length of time as callers write it: `90s`, `5m`, `1h30m`. Fractions of a second are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanParam(TimeDelta);

impl SpanParam {
    /// The length.
    pub fn get(self) -> TimeDelta {
        self.0
    }
}

impl FromStr for SpanParam {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        const SPANS: InvalidTime = InvalidTime("must be a length of at most 31 days such as 90s, 5m or 1h30m");
        let length = whole_seconds(text).map_err(|_| SPANS)?;
        Some(length).filter(|length| *length <= MAX_WINDOW).map(Self).ok_or(SPANS)
    }
}

impl<'de> Deserialize<'de> for SpanParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for TimeParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The end of a window that was not given: now, rounded down to 15 seconds.
pub fn default_to(now: DateTime<Utc>) -> DateTime<Utc> {
    let now = now.trunc_subsecs(0);
    now - TimeDelta::seconds(now.timestamp().rem_euclid(DEFAULT_STEP_S))
}

/// The start and the end of a window, where they are given.
pub type Ends = (Option<TimeParam>, Option<TimeParam>);

/// One window. If `to` is absent, it ends at [`default_to`]. If `from` is absent, it begins an hour before
/// [`default_to`].
///
/// # Errors
/// `window_invalid` unless `from` lies before `to` and at most 31 days.
pub fn window(from: Option<TimeParam>, to: Option<TimeParam>, clock: &dyn Clock) -> Result<TimeWindow, Problem> {
    let now = clock.now();
    let latest = default_to(now);
    let end = given_or(to, now, latest)?;
    let start = given_or(from, now, latest - DEFAULT_WINDOW)?;
    window_of(start, end, to.is_none())
}

/// Two windows to compare: the baseline, then the current one. By default the current window ends at [`default_to`],
/// the baseline ends where the current one begins, and each is an hour long.
///
/// # Errors
/// As [`window`].
pub fn windows(baseline: Ends, current: Ends, now: DateTime<Utc>) -> Result<(TimeWindow, TimeWindow), Problem> {
    let before = |(from, to): Ends, latest: DateTime<Utc>| {
        let end = given_or(to, now, latest)?;
        let start = given_or(from, now, end - DEFAULT_WINDOW)?;
        window_of(start, end, to.is_none() && end == default_to(now))
    };
    let current = before(current, default_to(now))?;
    Ok((before(baseline, current.from())?, current))
}

/// The window between two times. If its end is a default, the error says how that came about.
fn window_of(start: DateTime<Utc>, end: DateTime<Utc>, is_default_end: bool) -> Result<TimeWindow, Problem> {
    TimeWindow::new(start, end).map_err(|error| match error {
        InvalidWindow::Reversed if is_default_end => {
            let detail = format!(
                "from must lie before to; to was not given and is {}, which is now rounded down to {DEFAULT_STEP_S} \
                 seconds: give an earlier from, or to=now",
                end.to_rfc3339_opts(SecondsFormat::Secs, true)
            );
            Problem::new(Code::WindowInvalid, detail)
        }
        error => error.into(),
    })
}

fn given_or(given: Option<TimeParam>, now: DateTime<Utc>, default: DateTime<Utc>) -> Result<DateTime<Utc>, Problem> {
    given.map_or(Ok(default), |time| time.at(now))
}

impl From<InvalidWindow> for Problem {
    fn from(error: InvalidWindow) -> Self {
        Self::new(Code::WindowInvalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::FixedClock;
    use proptest::prelude::*;
    use rstest::rstest;

    const NOW: i64 = 1_706_003_607;

    #[test]
    fn an_end_that_was_made_up_is_explained() {
        let error = window(Some("now-1s".parse().unwrap()), None, &clock()).unwrap_err();
        let expected =
            "from must lie before to; to was not given and is 2024-01-23T09:53:15Z, which is now rounded down";
        assert!(error.detail().starts_with(expected), "{}", error.detail());
        let both = (Some("now".parse().unwrap()), Some("now-1h".parse().unwrap()));
        assert_eq!(window(both.0, both.1, &clock()).unwrap_err().detail(), "from must lie before to");
    }

    fn clock() -> FixedClock {
        FixedClock::at(DateTime::from_timestamp(NOW, 999_000_000).unwrap())
    }

    fn ends(window: TimeWindow) -> (i64, i64) {
        (window.from().timestamp(), window.to().timestamp())
    }

    fn seconds(text: &str) -> i64 {
        text.parse::<TimeParam>().unwrap().resolve(&clock()).unwrap().timestamp()
    }

    #[rstest]
    #[case("1706000000", 1_706_000_000)]
    #[case("0", 0)]
    #[case("2024-01-23T08:53:20Z", 1_706_000_000)]
    #[case("2024-01-23T08:53:20.999Z", 1_706_000_000)]
    #[case("2024-01-23T10:53:20+02:00", 1_706_000_000)]
    #[case("2024-01-23T10:53:20 02:00", 1_706_000_000)]
    #[case("now", NOW)]
    #[case("now-90m", NOW - 5_400)]
    #[case("now-3h30m", NOW - 12_600)]
    #[case("now-1d2h3m4s", NOW - 93_784)]
    #[case("now-30m3h", NOW - 12_600)]
    #[case("now-1500ms", NOW - 1)]
    fn reads_every_way_to_write_a_time(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(seconds(text), expected);
    }

    #[rstest]
    #[case("1706000000000", "must be epoch seconds, not milliseconds")]
    #[case("999999999999", "must lie between the years 1970 and 9999")]
    #[case("now-", SHAPES.0)]
    #[case("now-5", SHAPES.0)]
    #[case("now+5m", SHAPES.0)]
    #[case("now--5m", SHAPES.0)]
    #[case("now-5M", SHAPES.0)]
    #[case("now-3h 30m", SHAPES.0)]
    #[case("now-9999999999999999999s", "must lie between the years 1970 and 9999")]
    #[case("-5", SHAPES.0)]
    #[case("", SHAPES.0)]
    #[case("yesterday", SHAPES.0)]
    #[case("1969-12-31T23:59:59Z", "must lie between the years 1970 and 9999")]
    fn refuses_with_a_reason(#[case] text: &str, #[case] reason: &str) {
        assert_eq!(text.parse::<TimeParam>().unwrap_err().to_string(), reason);
    }

    #[rstest]
    #[case("5m", Some(300))]
    #[case("1h30m", Some(5_400))]
    #[case("1h 30m", Some(5_400))]
    #[case("0s", Some(0))]
    #[case("31d", Some(2_678_400))]
    #[case("32d", None)]
    #[case("-5m", None)]
    #[case("1M", None)]
    #[case("300", None)]
    #[case("", None)]
    fn reads_lengths(#[case] text: &str, #[case] seconds: Option<i64>) {
        assert_eq!(text.parse::<SpanParam>().ok().map(|length| length.get().num_seconds()), seconds);
    }

    #[test]
    fn a_span_that_reaches_before_1970_is_refused_when_resolved() {
        let problem = "now-20000d".parse::<TimeParam>().unwrap().resolve(&clock()).unwrap_err();
        assert_eq!(problem.code(), Code::ParameterInvalid);
    }

    #[test]
    fn the_default_window_ends_at_the_last_quarter_minute() {
        let window = window(None, None, &clock()).unwrap();
        assert_eq!(ends(window), (NOW - 12 - 3_600, NOW - 12));
        assert_eq!(window.to().timestamp() % 15, 0);
    }

    #[test]
    fn one_window_begins_an_hour_before_now_wherever_it_ends() {
        let window = window(None, Some("now-30m".parse().unwrap()), &clock()).unwrap();
        assert_eq!(ends(window), (NOW - 12 - 3_600, NOW - 1_800));
    }

    #[test]
    fn two_windows_are_counted_backwards_from_the_end_of_the_current_one() {
        let time = |text: &str| Some(text.parse::<TimeParam>().unwrap());
        let two = |baseline, current| {
            let (baseline, current) = windows(baseline, current, clock().now()).unwrap();
            (ends(baseline), ends(current))
        };
        let (end, hour) = (NOW - 12, 3_600);
        assert_eq!(two((None, None), (None, None)), ((end - 2 * hour, end - hour), (end - hour, end)));
        let two_hours_ago = NOW - 2 * hour;
        let expected = ((two_hours_ago - 2 * hour, two_hours_ago - hour), (two_hours_ago - hour, two_hours_ago));
        assert_eq!(two((None, None), (None, time("now-2h"))), expected);
        let expected = ((two_hours_ago, end - hour), (end - hour, end));
        assert_eq!(two((time("now-2h"), None), (None, None)), expected);
    }

    #[rstest]
    #[case("now", "now", "from must lie before to")]
    #[case("now", "now-1h", "from must lie before to")]
    #[case("now-32d", "now", "the window is longer than 31 days")]
    fn a_reversed_or_long_window_is_refused(#[case] from: &str, #[case] to: &str, #[case] detail: &str) {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let problem = window(Some(from), Some(to), &clock()).unwrap_err();
        assert_eq!((problem.code(), problem.detail()), (Code::WindowInvalid, detail));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(now)?[-+0-9dhmsTZ:. ]{0,30}|\\PC{0,20}") {
            if let Ok(time) = text.parse::<TimeParam>() {
                let _ = time.resolve(&clock());
            }
        }
    }
}

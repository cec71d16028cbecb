//! Times as clients of Pyroscope write them in parameters.

use chrono::{DateTime, Utc};

use crate::http::TimeParam;

/// A time; absent, it is now. The number of its digits tells its unit.
pub(super) fn sent_time(text: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(now) };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let no_time = || format!("{text} is no time");
        let number: i64 = text.parse().map_err(|_| no_time())?;
        let per_second = match text.len() {
            0..=10 => 1,
            11..=13 => 1_000,
            14..=16 => 1_000_000,
            _ => 1_000_000_000,
        };
        let nanoseconds = u32::try_from(number % per_second * (1_000_000_000 / per_second)).unwrap_or(0);
        return DateTime::from_timestamp(number / per_second, nanoseconds).ok_or_else(no_time);
    }
    let parsed: TimeParam = text.parse().map_err(|e: <TimeParam as std::str::FromStr>::Err| e.to_string())?;
    parsed.at(now).map_err(|problem| problem.detail().to_owned())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1795176000")]
    #[case("1795176000000")]
    #[case("1795176000000000")]
    #[case("1795176000000000000")]
    #[case("2026-11-20T12:00:00Z")]
    #[case("now-1h")]
    fn the_digits_of_a_time_tell_its_unit(#[case] text: &str) {
        let noon: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(sent_time(Some(text), noon + TimeDelta::hours(1)), Ok(noon));
    }
}

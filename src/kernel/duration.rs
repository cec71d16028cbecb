use std::time::Duration;

/// The longest text that is read, in bytes. humantime panics on one that adds up to exactly 2^64 seconds, which takes
/// more than this.
const LONGEST: usize = 20;

/// Reads a duration as people write it: numbers, each with its unit, such as `500ms`, `90s`, `1h30m`, `1h 30m` or `2d`.
/// `None` for anything else, such as a number without a unit (except 0) or with a sign.
///
/// `M`, which humantime reads as months, is refused: people who write it mean minutes.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text.len() > LONGEST || text.contains('M') {
        return None;
    }
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("500ms", Some(500))]
    #[case("30s", Some(30_000))]
    #[case("5m", Some(300_000))]
    #[case("1h30m", Some(5_400_000))]
    #[case("1h 30m", Some(5_400_000))]
    #[case("90min", Some(5_400_000))]
    #[case("1.5h", Some(5_400_000))]
    #[case("1m30s5ms", Some(90_005))]
    #[case("1d", Some(86_400_000))]
    #[case("1d2h3m4s", Some(93_784_000))]
    #[case("0", Some(0))]
    #[case("30", None)]
    #[case("1h30", None)]
    #[case("s", None)]
    #[case("", None)]
    #[case(" ", None)]
    #[case("-5m", None)]
    #[case("5M", None)]
    #[case("99999999999999999y", None)]
    #[case("18446744073709551615s1000ms", None)]
    fn reads_numbers_with_units(#[case] text: &str, #[case] ms: Option<u64>) {
        assert_eq!(parse_duration(text), ms.map(Duration::from_millis));
    }

    proptest! {
        #[test]
        fn never_panics(text in "([0-9]{1,20}(\\.[0-9]{1,9})?(ms|us|ns|s|m|h|d|w|y)){0,3}|\\PC{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}

use std::time::Duration;

/// Reads `500ms`, `30s`, `5m`, `1h30m`: numbers with the units h, m, s and ms, the greater first.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut units = [("h", 3_600_000_u64), ("m", 60_000), ("s", 1_000), ("ms", 1)].into_iter();
    let mut rest = text;
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, each_ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = number.parse::<u64>().ok()?.checked_mul(each_ms)?.checked_add(total_ms)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("500ms", Some(500))]
    #[case("30s", Some(30_000))]
    #[case("5m", Some(300_000))]
    #[case("1h30m", Some(5_400_000))]
    #[case("1m30s5ms", Some(90_005))]
    #[case("30", None)]
    #[case("s", None)]
    #[case("", None)]
    #[case("30m1h", None)]
    #[case("5 m", None)]
    #[case("-5m", None)]
    fn reads_spans_with_units(#[case] text: &str, #[case] ms: Option<u64>) {
        assert_eq!(parse(text), ms.map(Duration::from_millis));
    }
}

use super::*;
use rstest::rstest;

fn pattern() -> Option<FunctionPattern> {
    Some("^gc".to_owned().try_into().unwrap())
}

fn category() -> Option<RuleCategory> {
    Some("gc_pressure".parse().unwrap())
}

#[rstest]
#[case(None, None, None, Ok(()))]
#[case(None, Some(Measure::Largest), None, Ok(()))]
#[case(pattern(), Some(Measure::Sum), None, Ok(()))]
#[case(None, None, category(), Ok(()))]
#[case(None, Some(Measure::Sum), None, Err(InvalidRule::MeasureWithoutPattern))]
#[case(None, Some(Measure::Total), None, Err(InvalidRule::MeasureWithoutPattern))]
#[case(pattern(), None, category(), Err(InvalidRule::CategoryOfFunctions))]
#[case(None, Some(Measure::Largest), category(), Err(InvalidRule::CategoryOfFunctions))]
fn a_rule_is_for_functions_or_for_a_category(
    #[case] pattern: Option<FunctionPattern>,
    #[case] measure: Option<Measure>,
    #[case] category: Option<RuleCategory>,
    #[case] expected: Result<(), InvalidRule>,
) {
    assert_eq!(Measured::new(pattern, measure, category).map(|_| ()), expected);
}

#[test]
fn says_what_is_to_be_measured() {
    let of = |pattern, measure, category| Measured::new(pattern, measure, category).unwrap();
    let given = pattern().unwrap();
    assert_eq!(of(None, None, None).what(), What::Largest(None));
    assert_eq!(of(pattern(), Some(Measure::Largest), None).what(), What::Largest(Some(&given)));
    assert_eq!(of(pattern(), Some(Measure::Sum), None).what(), What::Sum(&given));
    assert_eq!(of(pattern(), Some(Measure::Total), None).what(), What::Total(&given));
    assert_eq!(of(None, None, category()).what(), What::Category(Category::GcPressure));
}

#[rstest]
#[case("*", true)]
#[case("shop", false)]
fn services_narrow_only_rules_for_every_app(#[case] app: &str, #[case] taken: bool) {
    let scope = Scope::new(app.parse().unwrap(), Some(ServiceFilter::default()));
    assert_eq!(scope.is_ok(), taken);
    assert!(Scope::new(app.parse().unwrap(), None).is_ok());
}

#[rstest]
#[case("none")]
#[case("idle")]
#[case("unresolved")]
#[case("profiler_overhead")]
#[case("GC_PRESSURE")]
#[case("")]
fn refuses_a_category_that_is_no_finding(#[case] text: &str) {
    let error = text.parse::<RuleCategory>().unwrap_err();
    assert!(error.contains("give one of gc_pressure, allocation,") && !error.contains("idle,"), "{error}");
}

#[test]
fn a_window_is_one_of_three_and_what_must_last_at_most_a_day() {
    assert_eq!([300, 900, 3_600].map(|s| RuleWindow::try_from(s).unwrap().interval_seconds()), [60, 180, 720]);
    assert_eq!(RuleWindow::try_from(600).unwrap_err(), "is 600 s, must be 300, 900 or 3600");
    assert!(Lasting::try_from(0).is_ok() && Lasting::try_from(86_400).is_ok());
    for seconds in [-1, 86_401, i64::MAX] {
        let error = Lasting::try_from(seconds).unwrap_err();
        assert_eq!(error, format!("is {seconds} s, must be from 0 to 86400"));
    }
}

#[test]
fn waits_as_long_as_the_window_unless_told_otherwise() {
    let hour = Timing { window: RuleWindow::try_from(3_600).ok(), ..Timing::default() };
    assert_eq!((hour.hold_seconds(), hour.keep_firing_seconds()), (3_600, 300));
    let at_once = Timing { hold: Lasting::try_from(0).ok(), keep_firing: Lasting::try_from(60).ok(), ..hour };
    assert_eq!((at_once.hold_seconds(), at_once.keep_firing_seconds()), (0, 60));
    assert_eq!(Timing::default().hold_seconds(), 300);
}

#[rstest]
#[case("https://wiki.example/gc#heap", true)]
#[case("http://10.0.0.1:8080/a b", true)]
#[case("ftp://wiki.example", false)]
#[case("javascript:alert(1)", false)]
#[case("wiki.example/gc", false)]
#[case("https://", false)]
fn a_runbook_is_an_address_that_a_browser_opens(#[case] text: &str, #[case] taken: bool) {
    let read = RunbookUrl::try_from(text.to_owned());
    assert_eq!(
        read.map_err(|error| error == InvalidRunbook::Address).map(|_| ()),
        if taken { Ok(()) } else { Err(true) }
    );
}

#[test]
fn a_runbook_is_at_most_255_bytes_long() {
    let of = |bytes: usize| RunbookUrl::try_from(format!("https://{}", "a".repeat(bytes - 8)));
    assert!(of(255).is_ok());
    assert_eq!(of(256).unwrap_err().to_string(), "is 256 bytes long, at most 255 are allowed");
}

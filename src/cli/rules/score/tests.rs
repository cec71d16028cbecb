use rstest::rstest;

use super::*;
use crate::kernel::testing::shared;

/// At least this many of the verdicts on the real profiles are right. A change may only raise it.
const RIGHT: usize = 28;
/// At least this many of the places to start at are named.
const PLACES: usize = 17;

#[test]
fn verdicts_on_real_profiles_are_as_often_right_as_they_were() {
    let Some(dir) = shared("verdict-cases") else { return };
    let report = score(&Rules::builtin(), &dir).unwrap();
    assert!(report.all.right >= RIGHT, "\n{report}");
    assert_eq!(report.all.false_alarms, 0, "\n{report}");
    assert!(report.all.places_named >= PLACES, "\n{report}");
    let by_runtime: usize = report.runtimes.values().map(|counts| counts.cases).sum();
    assert_eq!((report.all.cases, by_runtime), (28, 28));
}

const LABELS: &str = "name\tkind\taccept\tpartly\talarm\tplace\tnever\tshare\n";

/// The grade of a profile with one function of this name that holds half of it, and whether its place is named.
fn graded(function: &str, labels: &str) -> (Grade, Option<bool>) {
    let dir = tempfile::tempdir().unwrap();
    let stacks = format!("main;shop.Cart.price {}\nmain;shop.Cart.price;{function} 500\n", 500);
    std::fs::write(dir.path().join("shop.folded"), stacks).unwrap();
    std::fs::write(dir.path().join("cases.tsv"), format!("{LABELS}shop\tcpu\t{labels}\n")).unwrap();
    let report = score(&Rules::builtin(), dir.path()).unwrap();
    (report.cases[0].grade, report.cases[0].names_place)
}

const REGEX: &str = "java.util.regex.Pattern$Loop.match";
const OWN: &str = "shop.Cart.tax";

#[rstest]
#[case::right(REGEX, "regex\t-\t*\tCart\t-\t40-60", Grade::Right, Some(true))]
#[case::without_its_place(REGEX, "regex\t-\t*\tBasket\t-\t40-60", Grade::Right, Some(false))]
#[case::share_out_of_range(REGEX, "regex\t-\t*\tCart\t-\t10-20", Grade::Partly, Some(true))]
#[case::names_what_explains_nothing(REGEX, "regex\t-\t*\t-\tCart\t-", Grade::Partly, None)]
#[case::by_a_worse_name(REGEX, "serialization\tregex\t*\t-\t-\t-", Grade::Partly, None)]
#[case::false_alarm(REGEX, "own\t-\t*\tCart\t-\t-", Grade::FalseAlarm, None)]
#[case::another_problem(REGEX, "serialization\t-\tallocation\t-\t-\t-", Grade::Wrong, None)]
#[case::own_code(OWN, "own\t-\t*\tCart\t-\t-", Grade::Right, Some(true))]
#[case::own_code_elsewhere(OWN, "own\t-\t*\tBasket\t-\t-", Grade::Partly, Some(false))]
#[case::nothing_to_do(OWN, "quiet\t-\t*\tBasket\t-\t-", Grade::Right, None)]
#[case::silent(OWN, "regex\t-\t*\tCart\t-\t-", Grade::Silent, None)]
fn grades_an_answer_by_its_labels(
    #[case] function: &str,
    #[case] labels: &str,
    #[case] grade: Grade,
    #[case] place: Option<bool>,
) {
    assert_eq!(graded(function, labels), (grade, place));
}

#[test]
fn says_which_profile_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cases.tsv"), format!("{LABELS}shop\tcpu\town\t-\t*\t-\t-\t-\n")).unwrap();
    let error = score(&Rules::builtin(), dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("has no shop.pb.gz, shop.pb, shop.folded.gz or shop.folded"), "{error}");
}

//! What is usual: a window compared with the same one earlier.

use super::*;

const WHEN: &str = "yesterday at this hour";

fn sentence(now: &[(&str, i64)], then: &[(&str, i64)]) -> Option<String> {
    let (now, then) = (cpu(now), cpu(then));
    compared_sentence(&now, Some(&then), WHEN)
}

const GC: &str = "runtime.collector";
const LOCK: &str = "main.main;main.serve;sync.Lock";
const WORK: &str = "main.main;main.serve;main.a";
const MORE: &str = "main.main;main.pay;main.b";

#[rstest]
#[case::usual(&[(GC, 4_000), (WORK, 3_000), (MORE, 3_000)], Change::Usual, Some(40.0))]
#[case::a_little_more(&[(GC, 3_600), (WORK, 3_400), (MORE, 3_000)], Change::Usual, Some(36.0))]
#[case::grown(&[(GC, 2_500), (WORK, 4_500), (MORE, 3_000)], Change::Grown, Some(25.0))]
#[case::shrunk(&[(GC, 6_000), (WORK, 2_000), (MORE, 2_000)], Change::Shrunk, Some(60.0))]
#[case::new(&[(WORK, 5_000), (MORE, 5_000)], Change::New, None)]
#[case::too_few(&[(GC, 9), (WORK, 15), (MORE, 16)], Change::Unknown, Some(22.5))]
#[case::no_data(&[], Change::Unknown, None)]
fn a_finding_is_compared_with_what_it_was(
    #[case] then: &[(&str, i64)],
    #[case] expected: Change,
    #[case] percent: Option<f64>,
) {
    let (now, then) = (cpu(&[(GC, 4_000), (WORK, 3_000), (MORE, 3_000)]), cpu(then));
    let finding = now.finding(Category::GcPressure).unwrap();
    let (change, was) = change(&now, finding, Some(&then));
    assert_eq!((change, was.map(|was| was.share.percent)), (expected, percent));
    assert_eq!(super::change(&now, finding, None), (Change::Unknown, None));
}

#[test]
fn where_all_is_usual_the_headline_says_so() {
    let stacks = [(GC, 4_000), (LOCK, 1_000), (WORK, 3_000), (MORE, 2_000)];
    let said = sentence(&stacks, &stacks);
    assert_eq!(said.as_deref(), Some(" Nothing here differs from yesterday at this hour; look elsewhere."));
}

#[rstest]
#[case::as_then(&[(GC, 4_000), (WORK, 6_000)], " That is as yesterday at this hour.")]
#[case::new(&[(WORK, 5_000), (MORE, 5_000)], " That is new: it was under 1 % yesterday at this hour.")]
#[case::grown(&[(GC, 2_000), (WORK, 8_000)], " That has grown: it was 20 % yesterday at this hour.")]
#[case::shrunk(&[(GC, 8_000), (WORK, 2_000)], " That has shrunk: it was 80 % yesterday at this hour.")]
#[case::more_cores(&[(GC, 8_000), (WORK, 12_000)], " That is as yesterday at this hour. It used 2.0 cores yesterday at this hour.")]
fn the_headline_says_what_became_of_the_diagnosis(#[case] then: &[(&str, i64)], #[case] expected: &str) {
    // Something else differs too.
    let now = [(GC, 4_000), (LOCK, 600), (WORK, 2_900), (MORE, 2_500)];
    assert_eq!(sentence(&now, then).as_deref(), Some(expected));
}

#[test]
fn what_is_not_there_any_more_is_told() {
    let (now, then) = (cpu(&[(WORK, 5_000), (MORE, 5_000)]), cpu(&[(GC, 2_000), (LOCK, 150), (WORK, 7_850)]));
    let gone: Vec<_> = gone(&now, &then).into_iter().map(|(category, share)| (category, share.percent)).collect();
    assert_eq!(gone, [(Category::GcPressure, 20.0), (Category::LockContention, 1.5)]);
}

#[test]
fn without_an_earlier_profile_the_headline_says_that_nothing_is_known() {
    let now = cpu(&[(GC, 4_000), (WORK, 6_000)]);
    let said = compared_sentence(&now, None, WHEN);
    assert_eq!(
        said.as_deref(),
        Some(" What is usual is not known: there is no such profile of yesterday at this hour.")
    );
    assert_eq!(compared_sentence(&cpu(&[]), None, WHEN), None);
}

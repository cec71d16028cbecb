use proptest::prelude::*;

use super::*;

/// Stacks of a small program, some of whose functions share a class or a caller.
fn stacks() -> impl Strategy<Value = Vec<(Vec<u8>, i64)>> {
    prop::collection::vec((prop::collection::vec(0..12_u8, 0..5), -3..4_000_i64), 0..40)
}

fn profile(stacks: &[(Vec<u8>, i64)], scale: i64) -> Profile {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    for (frames, samples) in stacks {
        let name = |f: &u8| format!("p.Class{}.method{f}", f % 3);
        let frames: Vec<_> = frames.iter().map(|f| builder.function(&name(f), "")).collect();
        builder.add(frames, &[samples * 10_000_000 * scale]);
    }
    builder.build()
}

#[test]
fn a_function_with_negative_values_is_no_heir() {
    let before = [(vec![9, 8], -1), (vec![9], 9), (vec![], 44)];
    let comparison = compare(&profile(&before, 1), &profile(&[(vec![0, 8], 101)], 1));
    assert!(comparison.rows.iter().all(|row| row.verdict != ChangeVerdict::Inlined), "{:?}", comparison.rows);
}

proptest! {
    #[test]
    fn a_window_does_not_differ_from_itself_whatever_the_load(stacks in stacks(), scale in 1..9_i64) {
        let comparison = compare(&profile(&stacks, 1), &profile(&stacks, scale));
        prop_assert!(comparison.rows.is_empty(), "{:?}", comparison.rows);
        prop_assert_ne!(comparison.verdict, DiffVerdict::Regressions);
        if let Some(load) = comparison.load {
            prop_assert!((load.factor - scale as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn the_order_of_stacks_changes_nothing(before in stacks(), now in stacks()) {
        let one = compare(&profile(&before, 1), &profile(&now, 1));
        let turned = |stacks: &[(Vec<u8>, i64)]| stacks.iter().rev().cloned().collect::<Vec<_>>();
        let other = compare(&profile(&turned(&before), 1), &profile(&turned(&now), 1));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn rows_are_sorted_finite_and_explained(before in stacks(), now in stacks()) {
        let comparison = compare(&profile(&before, 1), &profile(&now, 1));
        prop_assert!(comparison.rows.is_sorted_by(|a, b| a.delta.abs() >= b.delta.abs()));
        for row in &comparison.rows {
            prop_assert!(row.delta.is_finite() && row.adjusted_delta.is_finite() && row.delta.abs() > 0.1);
            let kin = matches!(row.verdict, ChangeVerdict::Moved | ChangeVerdict::Renamed | ChangeVerdict::Inlined);
            prop_assert_eq!(kin, row.partner.is_some(), "{:?}", row);
            if matches!(row.verdict, ChangeVerdict::Regressed | ChangeVerdict::Improved) {
                prop_assert_eq!(row.verdict == ChangeVerdict::Regressed, row.adjusted_delta > 0.0);
            }
        }
        let regressed = comparison.significant_regressions().count();
        prop_assert_eq!(regressed > 0, comparison.verdict == DiffVerdict::Regressions);
    }
}

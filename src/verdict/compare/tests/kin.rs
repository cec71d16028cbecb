use super::*;
use ChangeVerdict::{Improved, Moved, Regressed, Renamed};

#[test]
fn work_that_a_callee_took_over_has_moved() {
    let before = cpu(&busy("main;serve;encode 2000\nmain;serve;encode;write 200"));
    let now = cpu(&busy("main;serve;encode 200\nmain;serve;encode;write 2000"));
    assert_eq!(verdicts(&compare(&before, &now)), [("encode", Moved, Some("write")), ("write", Moved, Some("encode"))]);
    assert_eq!(compare(&before, &now).verdict, DiffVerdict::NoRegressions);
}

#[test]
fn work_that_moved_within_a_class_has_moved() {
    let before = cpu(&busy("main;a.b.Cart.all;a.b.Cart.old 2000\nmain;a.b.Cart.all;a.b.Cart.young 500"));
    let now = cpu(&busy("main;a.b.Cart.all;a.b.Cart.old 500\nmain;a.b.Cart.all;a.b.Cart.young 2000"));
    assert_eq!(significant(&compare(&before, &now)), [("a.b.Cart.old", Moved), ("a.b.Cart.young", Moved)]);
}

#[test]
fn functions_that_have_nothing_to_do_with_each_other_did_not_move() {
    let before = cpu(&busy("main;parse 2000\nmain;render 500"));
    let now = cpu(&busy("main;parse 500\nmain;render 2000"));
    assert_eq!(significant(&compare(&before, &now)), [("parse", Improved), ("render", Regressed)]);
}

#[test]
fn work_that_grew_while_it_moved_is_a_regression() {
    // 1,500 left the caller, 4,000 came to the callee.
    let before = cpu(&busy("main;serve;encode 2000\nmain;serve;encode;write 200"));
    let now = cpu(&busy("main;serve;encode 500\nmain;serve;encode;write 4200"));
    let comparison = compare(&before, &now);
    assert!(significant(&comparison).contains(&("write", Regressed)), "{:?}", verdicts(&comparison));
}

#[test]
fn an_offset_beneath_an_ancestor_that_does_more_is_a_regression() {
    let before = cpu(&busy("main;serve;encode 2000\nmain;serve;encode;write 200\nmain;serve;encode;log 100"));
    let now = cpu(&busy("main;serve;encode 200\nmain;serve;encode;write 2000\nmain;serve;encode;log 3000"));
    let comparison = compare(&before, &now);
    let told = significant(&comparison);
    assert!(told.contains(&("log", Regressed)), "{told:?}");
}

#[test]
fn a_decrease_is_spent_once() {
    let before = cpu(&busy("main;serve 2000\nmain;serve;a 100\nmain;serve;b 100"));
    let now = cpu(&busy("main;serve 200\nmain;serve;a 1900\nmain;serve;b 1900"));
    let comparison = compare(&before, &now);
    assert!(significant(&comparison).iter().any(|(_, verdict)| *verdict == Regressed), "{:?}", verdicts(&comparison));
}

#[test]
fn a_renamed_function_is_found_and_keeps_its_limit() {
    let before = cpu(&busy("main;serve;oldName 2000"));
    let now = cpu(&busy("main;serve;newName 2100"));
    let comparison = compare_with(&before, &now, &[limit("oldName", 15.0)]);
    assert_eq!(
        verdicts(&comparison)[..2],
        [("newName", Renamed, Some("oldName")), ("oldName", Renamed, Some("newName"))]
    );
    assert_eq!(comparison.verdict, DiffVerdict::NoRegressions);
    assert_eq!((comparison.rows[0].limit, comparison.breaches[0].function.as_str()), (Some(15.0), "newName"));
    assert!(comparison.limits_not_seen.is_empty());
}

#[test]
fn a_renamed_package_is_found_frame_by_frame() {
    let stacks = |package: &str| {
        busy(&format!(
            "main;serve;{package}.Cart.all;{package}.Cart.price 2000\nmain;serve;{package}.Cart.all;{package}.Cart.tax 1900"
        ))
    };
    let comparison = compare(&cpu(&stacks("org.old")), &cpu(&stacks("com.young")));
    let partners: Vec<_> = verdicts(&comparison).into_iter().filter(|(name, ..)| name.starts_with("com")).collect();
    assert_eq!(
        partners,
        [
            ("com.young.Cart.price", Renamed, Some("org.old.Cart.price")),
            ("com.young.Cart.tax", Renamed, Some("org.old.Cart.tax"))
        ]
    );
}

#[test]
fn another_parent_or_another_share_is_no_rename() {
    let before = cpu(&busy("main;serve;oldName 2000"));
    let elsewhere = compare(&before, &cpu(&busy("main;other;newName 2000")));
    assert_eq!(significant(&elsewhere), [("newName", Regressed), ("oldName", Improved)]);
    let larger = compare(&before, &cpu(&busy("main;serve;newName 2900")));
    assert_eq!(significant(&larger), [("newName", Regressed), ("oldName", Improved)]);
}

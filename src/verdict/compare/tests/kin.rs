use super::*;
use ChangeVerdict::{Improved, Inlined, Moved, Regressed, Renamed};

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
    let beside = |more: &str| cpu(&busy(&format!("main;serve;a 500\nmain;other;b 500\n{more}")));
    let before = beside("main;serve;oldName 2000");
    let elsewhere = compare(&before, &beside("main;other;newName 2000"));
    assert_eq!(significant(&elsewhere), [("newName", Regressed), ("oldName", Improved)]);
    let larger = compare(&before, &beside("main;serve;newName 2900"));
    assert_eq!(significant(&larger), [("newName", Regressed), ("oldName", Improved)]);
}

#[test]
fn a_chain_of_renamed_callers_is_found_whatever_their_names() {
    let before = cpu(&busy("main;yard;b;c 2000"));
    let comparison = compare(&before, &cpu(&busy("main;x;y;a 2000")));
    assert_eq!(verdicts(&comparison), [("a", Renamed, Some("c")), ("c", Renamed, Some("a"))]);
}

#[test]
fn a_renamed_function_beneath_a_long_chain_of_renamed_callers_is_found() {
    let chain = |name: &str| {
        let callers: String = (0..200).rev().map(|i| format!("{name}{i:03};")).collect();
        cpu(&busy(&format!("main;{callers}{name}Leaf 2000")))
    };
    let comparison = compare(&chain("old"), &chain("new"));
    assert_eq!(verdicts(&comparison), [("newLeaf", Renamed, Some("oldLeaf")), ("oldLeaf", Renamed, Some("newLeaf"))]);
}

#[test]
fn a_function_renamed_beneath_an_inlined_caller_is_renamed() {
    let before = cpu(&busy("main;serve;wrap 600\nmain;serve;wrap;oldName 2000\nmain;serve 100"));
    let comparison = compare(&before, &cpu(&busy("main;serve 700\nmain;serve;newName 2000")));
    let (renamed, inlined): (Vec<_>, Vec<_>) =
        verdicts(&comparison).into_iter().partition(|(_, verdict, _)| *verdict == Renamed);
    assert_eq!(renamed, [("newName", Renamed, Some("oldName")), ("oldName", Renamed, Some("newName"))]);
    assert_eq!(inlined, [("serve", Inlined, Some("wrap")), ("wrap", Inlined, Some("serve"))]);
}

#[test]
fn a_rename_of_few_samples_may_differ_by_chance() {
    let (before, now) = (cpu(&busy("main;serve;oldName 40")), cpu(&busy("main;serve;newName 57")));
    let comparison = compare(&before, &now);
    assert_eq!(verdicts(&comparison)[0], ("newName", Renamed, Some("oldName")));
}

#[test]
fn a_function_that_its_callers_took_in_is_inlined() {
    let before = cpu(&busy("main;a 300\nmain;a;hot 900\nmain;b 300\nmain;b;hot 500\nmain;c 300\nmain;c;hot 300"));
    let now = cpu(&busy("main;a 1200\nmain;b 800\nmain;c 600"));
    let comparison = compare(&before, &now);
    assert_eq!(
        verdicts(&comparison),
        [
            ("hot", Inlined, Some("a")),
            ("a", Inlined, Some("hot")),
            ("b", Inlined, Some("hot")),
            ("c", Inlined, Some("hot"))
        ]
    );
    assert_eq!(comparison.verdict, DiffVerdict::NoRegressions);
}

#[test]
fn a_function_inlined_into_a_renamed_caller_is_inlined() {
    let before = cpu(&busy("main;a;old 2000\nmain;a;old;hot 500\nmain;a;old;read 4000\nmain;a 200"));
    let comparison = compare(&before, &cpu(&busy("main;a;new 2500\nmain;a;new;read 4000\nmain;a 200")));
    assert!(verdicts(&comparison).contains(&("hot", Inlined, Some("new"))), "{:?}", verdicts(&comparison));
    assert_eq!(comparison.verdict, DiffVerdict::NoRegressions);
}

#[test]
fn a_caller_that_grew_beyond_what_it_took_in_is_a_regression() {
    let before = cpu(&busy("main;a 300\nmain;a;hot 900"));
    let comparison = compare(&before, &cpu(&busy("main;a 2400")));
    assert!(significant(&comparison).contains(&("a", Regressed)), "{:?}", verdicts(&comparison));
}

#[test]
fn a_function_whose_callers_do_not_grow_has_improved() {
    let before = cpu(&busy("main;a 300\nmain;a;hot 900"));
    assert_eq!(significant(&compare(&before, &cpu(&busy("main;a 320")))), [("hot", Improved)]);
}

#[test]
fn one_function_that_became_several_in_its_place_has_moved() {
    let before = cpu(&busy("main;read;enter 3000\nmain;write;enter 1000"));
    let now = cpu(&busy("main;read;enter6 2900\nmain;write;enter6 400\nmain;write;enter3 700"));
    let comparison = compare(&before, &now);
    assert!(significant(&comparison).iter().all(|(_, verdict)| matches!(verdict, Moved | Renamed)), "{comparison:?}");
    assert_eq!(comparison.verdict, DiffVerdict::NoRegressions);
}

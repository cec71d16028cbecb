//! Who is found responsible, and that it does not hang on the order of stacks.

use proptest::collection::vec;
use proptest::prelude::*;
use rstest::rstest;

use super::cpu;
use super::saying::judged_profile;
use crate::profile::{ReadLimits, SampleType, read_folded};
use crate::verdict::category::Category;
use crate::verdict::findings::ProfileAssessment;

#[test]
fn names_two_sites_where_no_frame_is_on_most_paths() {
    let a = cpu(&[
        ("main.main;main.x;sync.Lock", 500),
        ("main.main;main.y;sync.Lock", 400),
        ("main.main;main.z;sync.Lock", 100),
    ]);
    let sites: Vec<_> = a.diagnosis.responsible.iter().map(|r| (r.function.as_str(), r.percent)).collect();
    assert_eq!(sites, [("main.x", 50.0), ("main.y", 40.0)]);
}

#[rstest]
#[case::four_fifths(20, &[("main.cart", 80.0)])]
#[case::less(21, &[])]
fn finds_the_frame_on_most_paths_however_late_it_comes(#[case] before: usize, #[case] expected: &[(&str, f64)]) {
    let stacks: Vec<_> = (0..100)
        .map(|i| format!("main.main;{}main.f{i};sync.Lock", if i < before { "" } else { "main.cart;" }))
        .collect();
    let stacks: Vec<_> = stacks.iter().map(|stack| (stack.as_str(), 100)).collect();
    let a = cpu(&stacks);
    let responsible: Vec<_> = a.diagnosis.responsible.iter().map(|r| (r.function.as_str(), r.percent)).collect();
    assert_eq!(responsible, expected);
}

#[test]
fn the_applications_own_frame_goes_before_a_library_above_it() {
    let a = cpu(&[
        ("main.main;lib.Router;main.cart;sync.Lock", 500),
        ("main.main;lib.Router;main.pay;sync.Lock", 400),
        ("main.main;lib.Router;main.log;sync.Lock", 100),
    ]);
    let named: Vec<_> = a.diagnosis.responsible.iter().map(|r| r.function.as_str()).collect();
    assert_eq!(named, ["main.cart", "main.pay"]);
    let b = cpu(&[("main.main;lib.Router;lib.Handler;sync.Lock", 1_000)]);
    assert_eq!(b.diagnosis.responsible[0].function, "lib.Handler");
}

#[rstest]
#[case::below_others_of_the_application("main.main;main.serve;main.cart;sync.Lock", "main.cart")]
#[case::above_the_standard_library("main.main;main.serve;main.cart;net.Serve;sync.Lock", "main.cart")]
#[case::above_the_runtime("main.main;main.serve;main.cart;runtime.call;sync.Lock", "main.cart")]
#[case::above_a_library("main.main;main.serve;main.cart;lib.Once;sync.Lock", "main.cart")]
#[case::above_an_address("main.main;main.serve;main.cart;0x7f001122;sync.Lock", "main.cart")]
fn the_deepest_frame_of_the_application_is_responsible_and_never_one_of_the_platform(
    #[case] stack: &str,
    #[case] named: &str,
) {
    let a = cpu(&[(stack, 600), ("main.main;main.work", 400)]);
    let responsible: Vec<_> = a.diagnosis.responsible.iter().map(|r| r.function.as_str()).collect();
    assert_eq!((a.diagnosis.name, responsible), ("lock_contention", vec![named]));
}

#[test]
fn a_frame_that_everything_runs_beneath_is_no_place_to_start_at() {
    let a = cpu(&[
        ("main.main;main.run;main.cart;sync.Lock", 400),
        ("main.main;main.run;main.pay;sync.Lock", 350),
        ("main.main;main.run;main.c;sync.Lock", 150),
        ("main.main;main.run;main.d;sync.Lock", 100),
        ("main.main;main.run;main.e", 100),
    ]);
    let named: Vec<_> = a.diagnosis.responsible.iter().map(|r| r.function.as_str()).collect();
    assert_eq!(named, ["main.cart", "main.pay"]);
}

proptest! {
    /// Few names and fewer weights, so that much is equally heavy.
    #[test]
    fn answers_the_same_whatever_order_and_pieces_stacks_come_in(
        mut stacks in vec((vec(0..CALLERS.len(), 1..5), 0..LEAVES.len(), 1_i64..3), 1..30),
        seed in any::<prop::sample::Index>(),
    ) {
        let named: Vec<(String, i64)> = stacks
            .drain(..)
            .map(|(callers, leaf, ticks)| {
                let callers: Vec<_> = callers.into_iter().map(|at| CALLERS[at]).collect();
                (format!("main.main;{};{}", callers.join(";"), LEAVES[leaf]), ticks * 500)
            })
            .collect();
        let mut stacks: Vec<(&str, i64)> = named.iter().map(|(stack, ticks)| (stack.as_str(), *ticks)).collect();
        let first = cpu(&stacks);
        stacks.rotate_left(seed.index(named.len()));
        prop_assert_eq!(&first, &cpu(&stacks));
        stacks.reverse();
        prop_assert_eq!(&first, &cpu(&stacks));
        let in_pieces: Vec<_> = stacks.iter().flat_map(|(stack, ticks)| [(*stack, 200), (*stack, ticks - 200)]).collect();
        prop_assert_eq!(&first, &cpu(&in_pieces));
    }
}

const CALLERS: [&str; 6] =
    ["main.a", "main.b", "main.c", "github.com/x/y.D", "encoding/json.Encode", "database/sql.Query"];
const LEAVES: [&str; 6] = ["sync.Lock", "runtime.concat", "runtime.alloc", "net.Read", "main.leaf", "runtime.assist"];

/// What is said of these folded stacks: their names carry their files.
fn folded(text: &str) -> ProfileAssessment {
    let cpu = SampleType::new("cpu", "nanoseconds");
    judged_profile(&read_folded(text.as_bytes(), cpu, &ReadLimits::default()).unwrap())
}

#[test]
fn a_library_that_the_categorys_own_code_calls_is_its_inside_and_no_place() {
    let (orm, client) = ("node_modules/sequelize/lib/model.js:findAll", "node_modules/pg/lib/client.js:query");
    let stack = format!("runMicrotasks;(anonymous);{orm};node_modules/lodash/lodash.js:forEach;{client}");
    let a = folded(&format!("{stack} 60000000000\nsrc/cart.js:total 40000000000\n"));
    let finding = a.finding(Category::Database).unwrap();
    assert_eq!(finding.responsible, []);
    let said =
        "the code that waits for node_modules/sequelize/lib/model.js:findAll (60 %; the stacks do not show which)";
    assert!(finding.recommendation.contains(said), "{}", finding.recommendation);
}

#[test]
fn who_waits_for_a_promise_is_named_where_some_stacks_show_it() {
    let query = "node_modules/pg/lib/client.js:query";
    let a = folded(&format!("src/order.js:load;{query} 10000000000\nrunMicrotasks;(anonymous);{query} 90000000000\n"));
    let said = "src/order.js:load (10 % of it; the other stacks do not show who waits)";
    let text = &a.finding(Category::Database).unwrap().recommendation;
    assert!(text.contains(said), "{text}");
}

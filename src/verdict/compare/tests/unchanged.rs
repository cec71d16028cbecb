//! Services that did not change, and services of which one function did: resampled from real profiles.

use rstest::rstest;

use super::resampled::{Dice, Drawn, altered, draw};
use super::*;
use crate::kernel::testing::shared;
use crate::profile::{FunctionTable, read_pprof};

/// A real profile under one of its sample types; `None`, with a note, where they are absent.
fn service(name: &str, sample_type: usize) -> Option<Profile> {
    let bytes = std::fs::read(shared(&format!("profiles/{name}.pb.gz"))?).unwrap();
    Some(read_pprof(&bytes, &ReadLimits::default()).unwrap().profile.only(sample_type))
}

const SERVICES: [(&str, usize); 5] =
    [("go-cpu", 1), ("go-heap", 1), ("java-cpu", 0), ("java-kafka-cpu.expected.process_cpu", 0), ("dotnet-3", 0)];

/// At the drift that the standard error allows for, and at loads that differ.
#[test]
fn an_unchanged_service_shows_at_most_one_row_in_a_thousand() {
    let mut dice = Dice::new(1);
    let (mut rows, mut functions) = (0, 0);
    for (name, sample_type) in SERVICES {
        let Some(service) = service(name, sample_type) else { return };
        for round in 0..40 {
            let samples = [1_000.0, 5_000.0, 20_000.0, 50_000.0][round % 4];
            let drawn = Drawn { samples, drift: 0.03, changed: None };
            let before = draw(&service, &mut dice, drawn);
            let load = 0.5 + 1.5 * dice.uniform();
            let now = draw(&service, &mut dice, Drawn { samples: samples * load, ..drawn });
            let comparison = compare(&before, &now);
            rows += significant(&comparison).len();
            functions += comparison.functions;
        }
    }
    println!("{rows} significant rows of {functions} functions");
    assert!(functions > 10_000 && rows * 1_000 <= functions, "{rows} of {functions}");
}

/// The nth function by self among those with so much of all ticks.
fn nth(service: &Profile, n: usize, at_least: f64) -> Option<String> {
    let table = FunctionTable::of(service, 0);
    let share = |ticks: i64| ticks as f64 / table.total() as f64;
    table.rows().iter().filter(|row| share(row.self_ticks) >= at_least).nth(n).map(|row| row.name.to_owned())
}

/// The profile of .NET is left out: one function is all of it, and nothing tells its work from load.
#[rstest]
#[case::more(0.2, 0.0, ChangeVerdict::Regressed)]
#[case::less(-0.2, 0.5, ChangeVerdict::Improved)]
fn one_function_by_a_fifth_of_all_cpu_is_found_alone(
    #[case] share: f64,
    #[case] enlarged_by: f64,
    #[case] verdict: ChangeVerdict,
) {
    let mut dice = Dice::new(2);
    let (mut tried, mut others, mut functions) = (0, 0, 0);
    for (name, sample_type) in SERVICES.into_iter().filter(|(name, _)| *name != "dotnet-3") {
        let Some(service) = service(name, sample_type) else { return };
        for n in 0..10 {
            let Some(function) = nth(&service, n, 0.001) else { continue };
            // No real function of these takes a fifth of all: what shrinks is made large first.
            let large = Drawn { samples: 10_000.0, drift: 0.02, changed: Some((&function, enlarged_by)) };
            let before = draw(&service, &mut dice, large);
            let comparison = compare(&before, &altered(&before, &function, share));
            assert_eq!(significant(&comparison), [(function.as_str(), verdict)], "{name}");
            // Whatever else is reported is chance, which must be as rare as in an unchanged service.
            let changed = Some((function.as_str(), enlarged_by + share * (1.0 + enlarged_by)));
            let again = draw(&service, &mut dice, Drawn { changed, ..large });
            let comparison = compare(&before, &again);
            let told = significant(&comparison);
            assert!(told.contains(&(function.as_str(), verdict)), "{name}: {function}: {told:?}");
            others += told.len() - 1;
            functions += comparison.functions;
            tried += 1;
        }
    }
    println!("{tried} changes, {others} other rows of {functions} functions");
    assert!(tried > 1 && others * 1_000 <= functions, "{tried}, {others} of {functions}");
}

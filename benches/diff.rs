//! Measures diffs: rows reported for a service that did not change, changes that are found, and time.
//!
//! `SHARED_DIR` is a directory with real profiles, from which windows are drawn. Without it only time is measured.

#[path = "../src/verdict/compare/tests/resampled.rs"]
mod resampled;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use flamewarden::kernel::ProfileType;
use flamewarden::profile::{
    FunctionId, FunctionTable, Profile, ProfileBuilder, ReadLimits, SampleType, Stack, read_pprof,
};
use flamewarden::verdict::{ChangeVerdict, Compared, Comparison, Rules, Side, SourceFacts};
use resampled::{Dice, Drawn, altered, draw};

const SERVICES: [(&str, usize); 4] =
    [("go-cpu", 1), ("go-heap", 1), ("java-cpu", 0), ("java-kafka-cpu.expected.process_cpu", 0)];

fn main() {
    unchanged();
    one_function(0.2, 0.0);
    one_function(-0.2, 0.5);
    smallest();
    time();
}

fn services() -> Vec<(&'static str, Profile)> {
    let root = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let read = |(name, sample_type)| {
        let bytes = std::fs::read(root.join(format!("profiles/{name}.pb.gz"))).ok()?;
        Some((name, read_pprof(&bytes, &ReadLimits::default()).ok()?.profile.only(sample_type)))
    };
    SERVICES.into_iter().filter_map(read).collect()
}

fn compare(before: &Profile, now: &Profile) -> Comparison {
    let side = |profile| Side { profile, seconds: Some(3_600.0), facts: SourceFacts::default() };
    let (baseline, current) = (side(before), side(now));
    static RULES: LazyLock<Arc<Rules>> = LazyLock::new(Rules::builtin);
    let (rules, kind) = (&**RULES, ProfileType::Cpu);
    Comparison::of(&Compared { rules, kind, baseline, current, limits: &[], first_half: None })
}

fn told(comparison: &Comparison) -> Vec<(&str, ChangeVerdict)> {
    let told =
        comparison.rows.iter().filter(|row| !matches!(row.verdict, ChangeVerdict::Noise | ChangeVerdict::Insufficient));
    told.map(|row| (row.function.as_str(), row.verdict)).collect()
}

fn unchanged() {
    println!("\nAn unchanged service, 200 diffs for each number of samples, load ×0.5 to ×2:");
    println!(
        "{:>8} {:>6}  {:>10} {:>6} {:>10} {:>14}",
        "samples", "drift", "functions", "rows", "per 1,000", "diffs with any"
    );
    let mut dice = Dice::new(1);
    for drift in [0.0, 0.03] {
        for samples in [1_000.0, 10_000.0, 100_000.0] {
            let (mut functions, mut rows, mut diffs) = (0, 0, 0);
            for (_, service) in &services() {
                for _ in 0..50 {
                    let drawn = Drawn { samples, drift, changed: None };
                    let before = draw(service, &mut dice, drawn);
                    let load = 0.5 + 1.5 * dice.uniform();
                    let now = draw(service, &mut dice, Drawn { samples: samples * load, ..drawn });
                    let comparison = compare(&before, &now);
                    functions += comparison.functions;
                    let n = told(&comparison).len();
                    rows += n;
                    diffs += usize::from(n > 0);
                }
            }
            let per_thousand = rows as f64 * 1_000.0 / functions.max(1) as f64;
            println!("{samples:>8} {drift:>6}  {functions:>10} {rows:>6} {per_thousand:>10.2} {diffs:>14}");
        }
    }
}

/// Changes one function by a share of all CPU, for each of the ten heaviest functions of each service in turn: in a
/// window that is otherwise the same, and in one that is sampled again.
fn one_function(share: f64, enlarged_by: f64) {
    let (mut diffs, mut alone, mut found, mut others, mut functions) = (0, 0, 0, 0, 0);
    let mut dice = Dice::new(2);
    for (_, service) in &services() {
        let names: Vec<_> = FunctionTable::of(service, 0).rows().iter().take(10).map(|r| r.name.to_owned()).collect();
        for name in names.iter().cycle().take(50) {
            let large = Drawn { samples: 10_000.0, drift: 0.02, changed: Some((name, enlarged_by)) };
            let before = draw(service, &mut dice, large);
            let changed = Some((name.as_str(), enlarged_by + share * (1.0 + enlarged_by)));
            let comparison = compare(&before, &draw(service, &mut dice, Drawn { changed, ..large }));
            let rows = told(&comparison);
            let its = rows.iter().filter(|(function, _)| function == name).count();
            found += its;
            others += rows.len() - its;
            functions += comparison.functions;
            let comparison = compare(&before, &altered(&before, name, share));
            alone += usize::from(matches!(told(&comparison).as_slice(), [(function, _)] if function == name));
            diffs += 1;
        }
    }
    println!(
        "\nOne function by {:+.0} % of all CPU: it and no other in {alone} of {diffs} diffs of a window that is the same but \
         for it; watched again, found in {found}, beside {others} other rows of {functions} functions",
        share * 100.0
    );
}

/// The smallest change of a function of 1 % that is reported in nine diffs of ten.
fn smallest() {
    println!("\nThe smallest change of a 1 % function that is told in 90 of 100 diffs:");
    let mut dice = Dice::new(3);
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let root = builder.function("main", "");
    for i in 0..99 {
        let function = builder.function(&format!("steady{i}"), "");
        builder.add([function, root], &[10_000_000]);
    }
    let one = builder.function("one", "");
    builder.add([one, root], &[10_000_000]);
    let service = builder.build();
    for samples in [1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0, 300_000.0, 1_000_000.0] {
        let mut found_at = None;
        for points in [0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0] {
            let found = (0..100).filter(|_| {
                let drawn = Drawn { samples, drift: 0.0, changed: None };
                let before = draw(&service, &mut dice, drawn);
                let now = draw(&service, &mut dice, Drawn { changed: Some(("one", points / 100.0)), ..drawn });
                told(&compare(&before, &now)).contains(&("one", ChangeVerdict::Regressed))
            });
            if found.count() >= 90 {
                found_at = Some(points);
                break;
            }
        }
        match found_at {
            Some(points) => println!("{samples:>9} samples: 1 % → {:.2} %", 1.0 + points),
            None => println!("{samples:>9} samples: none up to 1 % → 6 %"),
        }
    }
}

/// A profile with this many functions, each the leaf of a stack of ten frames, spelled as in several languages.
fn made_up(functions: u32, change: i64) -> Profile {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let name = |i: u32| match i % 4 {
        0 => format!("com/example/service/module{}/Handler{i}.process", i % 97),
        1 => format!("github.com/example/service/module{}.(*Handler{i}).Process", i % 97),
        2 => format!("service::module{}::handler{i}::process::h{i:016x}", i % 97),
        _ => format!("process_{i}"),
    };
    let ids: Vec<_> = (0..functions).map(|i| builder.function(&name(i), "")).collect();
    let mut state = 0x9e37_79b9_u32;
    for i in 0..functions {
        let frames: Vec<_> = (0..10)
            .filter_map(|depth| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                ids.get(if depth == 0 { i } else { state % functions } as usize).copied()
            })
            .collect();
        let more = if i % 1_000 == 7 { change } else { 1 };
        builder.add(frames, &[10_000_000 * i64::from(i % 50 + 1) * more]);
    }
    builder.build()
}

fn time() {
    println!("\nA diff of two profiles of so many functions (goal: 50,000 in 50 ms):");
    for functions in [1_000, 10_000, 50_000] {
        let before = made_up(functions, 1);
        for (what, change) in [("unchanged", 1), ("one in 1,000 grew", 20)] {
            let now = made_up(functions, change);
            let mut times: Vec<_> = (0..15)
                .map(|_| {
                    let start = Instant::now();
                    std::hint::black_box(compare(&before, &now));
                    start.elapsed()
                })
                .collect();
            times.sort();
            let median = times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3);
            println!("{functions:>7} functions, {what}: {median:.1} ms");
        }
    }
}

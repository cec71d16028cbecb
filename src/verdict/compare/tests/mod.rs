//! Tests of the comparison: cases of the specification, properties, and services watched twice.

mod cases;
mod injected;
mod kin;
mod properties;
mod resampled;
mod unchanged;

use std::sync::{Arc, LazyLock};

use super::*;
use crate::kernel::LimitSeverity;
use crate::profile::{FunctionId, Profile, ProfileBuilder, ReadLimits, SampleType, Stack, merge, read_folded};
use crate::verdict::catalogue::Rules;
use crate::verdict::limits::Limit;
use crate::verdict::reliability::SourceFacts;

/// Folded stacks, root first, in samples of 10 ms of CPU.
fn cpu(folded: &str) -> Profile {
    let lines = folded.lines().filter_map(|line| line.trim().rsplit_once(' '));
    let text: String =
        lines.map(|(stack, n)| format!("{stack} {}\n", n.parse::<i64>().unwrap() * 10_000_000)).collect();
    read_folded(text.as_bytes(), SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap()
}

/// A window with these halves, the first kept apart.
fn of_halves(first: &str, second: &str) -> Profile {
    let types = ["cpu", "first"].map(|name| SampleType::new(name, "nanoseconds"));
    let half = |folded, told| cpu(folded).under(types.clone(), |values| [values[0], values[0] * told]);
    merge(&[half(first, 1), half(second, 0)]).unwrap()
}

/// Twenty functions of 500 samples each that do not change, beside what is given.
fn busy(more: &str) -> String {
    let steady: String = (0..20).map(|i| format!("main;steady{i} 500\n")).collect();
    format!("{steady}{more}")
}

fn side(profile: &Profile) -> Side<'_> {
    Side { profile, seconds: Some(3_600.0), facts: SourceFacts::default() }
}

fn compare(before: &Profile, now: &Profile) -> Comparison {
    compare_with(before, now, &[])
}

fn compare_with(before: &Profile, now: &Profile, limits: &[Limit<'_>]) -> Comparison {
    let (baseline, current) = (side(before), side(now));
    Comparison::of(&Compared { limits, ..of_sides(baseline, current) })
}

/// Two sides of cpu, without limits.
fn of_sides<'a>(baseline: Side<'a>, current: Side<'a>) -> Compared<'a> {
    static RULES: LazyLock<Arc<Rules>> = LazyLock::new(Rules::builtin);
    Compared { rules: &RULES, kind: ProfileType::Cpu, baseline, current, limits: &[], first_half: None }
}

fn limit(function: &str, max_self_percent: f64) -> Limit<'_> {
    Limit { function, max_self_percent, severity: LimitSeverity::Warning }
}

/// Each row's function, verdict and partner.
fn verdicts(comparison: &Comparison) -> Vec<(&str, ChangeVerdict, Option<&str>)> {
    comparison.rows.iter().map(|row| (row.function.as_str(), row.verdict, row.partner.as_deref())).collect()
}

/// The functions that changed beyond load and chance.
fn significant(comparison: &Comparison) -> Vec<(&str, ChangeVerdict)> {
    let is_told = |verdict| !matches!(verdict, ChangeVerdict::Noise | ChangeVerdict::Insufficient);
    let rows = comparison.rows.iter().filter(|row| is_told(row.verdict));
    rows.map(|row| (row.function.as_str(), row.verdict)).collect()
}

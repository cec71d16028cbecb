//! Real profiles of which the true difference is known: each is split at random into two windows, which differ by chance
//! alone; then one thing is done to the second.

use std::collections::BTreeMap;

use super::resampled::Dice;
use super::*;
use crate::kernel::testing::shared;
use crate::profile::inflate;

type Stacks = Vec<(Vec<String>, i64)>;

const PROFILES: [&str; 4] = ["mysqld", "qemu", "nushell", "tar"];
/// The functions to change are those nearest to these self shares, percent.
const SHARES: [f64; 4] = [5.0, 3.0, 1.5, 0.7];

/// What is done to a function.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Injected {
    Nothing,
    Inlined,
    Renamed,
    Doubled,
    Gone,
}

fn stacks_of(name: &str) -> Option<Stacks> {
    let bytes = std::fs::read(shared(&format!("verdict-cases/{name}.folded.gz"))?).unwrap();
    let text = String::from_utf8(inflate(&bytes, &ReadLimits::default()).unwrap().into_owned()).unwrap();
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    Some(lines.map(|(s, n)| (s.split(';').map(str::to_owned).collect(), n.parse().unwrap())).collect())
}

fn chosen(stacks: &Stacks) -> Vec<String> {
    let total: i64 = stacks.iter().map(|(_, n)| n).sum();
    let mut own: BTreeMap<&String, i64> = BTreeMap::new();
    for (stack, n) in stacks {
        *own.entry(stack.last().unwrap()).or_default() += n;
    }
    own.retain(|leaf, _| !leaf.starts_with(['(', '[']));
    let mut nearest_to = |share: f64| {
        let apart = |ticks: i64| (ticks as f64 / total as f64 * 100.0 - share).abs();
        let nearest = own.iter().min_by(|a, b| apart(*a.1).total_cmp(&apart(*b.1))).map(|(leaf, _)| *leaf).unwrap();
        own.remove(nearest);
        nearest.clone()
    };
    SHARES.map(&mut nearest_to).to_vec()
}

/// How many of `n`, each with chance `p`: exact below 200, else by the normal approximation.
fn part_of(n: i64, p: f64, dice: &mut Dice) -> i64 {
    if n < 200 {
        return (0..n).filter(|_| dice.uniform() < p).count() as i64;
    }
    let (mean, spread) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
    ((mean + spread * dice.normal()).round() as i64).clamp(0, n)
}

/// Both windows, so many of all samples in the first.
fn split(stacks: &Stacks, first: f64, dice: &mut Dice) -> [Stacks; 2] {
    let of_first: Vec<_> = stacks.iter().map(|(_, n)| part_of(*n, first, dice)).collect();
    let part = |count: &dyn Fn(i64, i64) -> i64| {
        stacks.iter().zip(&of_first).map(|((stack, n), first)| (stack.clone(), count(*n, *first))).collect()
    };
    [part(&|_, first| first), part(&|n, first| n - first)]
}

fn inject(injected: Injected, function: &str, stacks: Stacks) -> Stacks {
    let change = |(mut stack, n): (Vec<String>, i64)| {
        let is_leaf = stack.last().is_some_and(|leaf| leaf == function);
        match injected {
            Injected::Doubled if is_leaf => (stack, n * 2),
            Injected::Gone if is_leaf => (stack, 0),
            Injected::Inlined => {
                stack.retain(|frame| frame != function);
                (stack, n)
            }
            Injected::Renamed => {
                let renamed = |frame: String| if frame == function { frame + "V2" } else { frame };
                (stack.into_iter().map(renamed).collect(), n)
            }
            _ => (stack, n),
        }
    };
    stacks.into_iter().map(change).collect()
}

fn profile(stacks: &Stacks) -> Profile {
    let text: String = stacks.iter().map(|(stack, n)| format!("{} {n}\n", stack.join(";"))).collect();
    cpu(&text)
}

/// Whether what is said of the change is right; `None` where nothing is said, for want of samples.
fn is_right(injected: Injected, function: &str, comparison: &Comparison) -> Option<bool> {
    let significant = significant(comparison);
    let changed: Vec<_> = significant
        .iter()
        .filter(|(_, verdict)| matches!(verdict, ChangeVerdict::Regressed | ChangeVerdict::Improved))
        .copied()
        .collect();
    match injected {
        Injected::Nothing => Some(changed.is_empty()),
        _ if significant.is_empty() => None,
        Injected::Doubled => Some(changed == [(function, ChangeVerdict::Regressed)]),
        Injected::Gone => Some(changed == [(function, ChangeVerdict::Improved)]),
        Injected::Inlined | Injected::Renamed => Some(changed.is_empty()),
    }
}

/// Right and wrong, of all pairs of profiles with that change; the rest have too few samples for it.
fn score(injected: Injected, first: f64) -> Option<(usize, usize)> {
    let mut dice = Dice::new(7);
    let (mut right, mut wrong) = (0, 0);
    for name in PROFILES {
        let stacks = stacks_of(name)?;
        for function in chosen(&stacks) {
            let [before, now] = split(&stacks, first, &mut dice);
            let comparison = compare(&profile(&before), &profile(&inject(injected, &function, now)));
            match is_right(injected, &function, &comparison) {
                Some(true) => right += 1,
                Some(false) => {
                    wrong += 1;
                    println!("{injected:?} {name} {function}: {:?}", significant(&comparison));
                }
                None => {}
            }
        }
    }
    println!("{injected:?}: {right} right, {wrong} wrong, of 16");
    Some((right, wrong))
}

#[test]
fn windows_of_one_profile_differ_in_nothing_at_any_load() {
    for first in [0.5, 0.25] {
        let Some(score) = score(Injected::Nothing, first) else { return };
        assert_eq!(score, (16, 0));
    }
}

#[test]
fn inlined_and_renamed_functions_are_no_changes() {
    let (Some(inlined), Some(renamed)) = (score(Injected::Inlined, 0.5), score(Injected::Renamed, 0.5)) else { return };
    assert!(inlined.0 + renamed.0 >= 24 && inlined.1 + renamed.1 <= 1, "{inlined:?}, {renamed:?}");
}

#[test]
fn a_function_that_doubled_or_is_gone_is_found_alone() {
    let (Some(doubled), Some(gone)) = (score(Injected::Doubled, 0.5), score(Injected::Gone, 0.5)) else { return };
    assert!(doubled.0 >= 8 && gone.0 >= 12 && doubled.1 + gone.1 <= 1, "{doubled:?}, {gone:?}");
}

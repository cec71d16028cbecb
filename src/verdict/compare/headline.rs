//! A diff in one sentence.

use std::fmt::Write;

use super::comparison::{ChangedFunction, Comparison, Group};
use super::verdicts::{ChangeVerdict, DiffVerdict};
use crate::kernel::ProfileType;
use crate::verdict::findings::rate_text;
use crate::verdict::names::short_name;
use crate::verdict::reliability::Confidence;

/// The sentence of a comparison whose other fields are there.
pub(super) fn of(kind: ProfileType, comparison: &Comparison) -> String {
    match comparison.verdict {
        DiffVerdict::NoData => without_data(comparison),
        DiffVerdict::Insufficient => insufficient(kind, comparison),
        DiffVerdict::Regressions | DiffVerdict::NoRegressions => changes(kind, comparison),
    }
}

fn without_data(comparison: &Comparison) -> String {
    match comparison.missing {
        [true, true] => "No profile arrived in either window: nothing can be compared.",
        [true, false] => "No profile arrived in the baseline window: nothing can be compared.",
        [false, true] => "No profile arrived in the current window: nothing can be compared.",
        [false, false] => "The windows have no sample type in common: nothing can be compared.",
    }
    .to_owned()
}

/// Nothing can be told from chance, or too little to say that nothing changed.
fn insufficient(kind: ProfileType, comparison: &Comparison) -> String {
    let windows = || comparison.samples.iter().zip(["baseline", "current"]);
    let fewest = windows().filter_map(|(n, window)| Some(((*n)?, window))).min_by_key(|(n, _)| *n);
    if comparison.samples.contains(&None) {
        return "How many samples were seen is not known: what changed cannot be told from chance.".to_owned();
    }
    match (fewest, comparison.smallest_visible) {
        (Some((n, window)), _) if Confidence::of(n) == Confidence::Insufficient => {
            format!("Only {n} samples were seen in the {window} window, too few to say what changed.")
        }
        (Some((n, window)), Some(points))
            if comparison.rows.iter().all(|row| row.verdict != ChangeVerdict::Insufficient) =>
        {
            format!(
                "{}. No change is more than chance, but one under {points:.0} points would not have shown: the {window} \
                 window has {n} samples, too few to say that nothing changed.",
                totals(kind, comparison)
            )
        }
        _ => "The values count since the process began, not within a window: what changed cannot be said.".to_owned(),
    }
}

/// `1.2 → 1.9 cores, load ×1.6`
fn totals(kind: ProfileType, comparison: &Comparison) -> String {
    let factor = rounded(comparison.load_per_second.unwrap_or(1.0));
    let is_load = comparison.load.is_some_and(|load| load.normalised);
    let what = match (kind.is_snapshot(), is_load) {
        (true, _) => "size",
        (false, true) => "load",
        (false, false) => "in all",
    };
    match comparison.rates {
        Some([before, now]) => format!("{}, {what} ×{factor}", from_to(&rate_text(before), &rate_text(now))),
        None => format!("{} ×{factor}", upper_first(what)),
    }
}

/// `1.2 → 1.9 cores`, `900 kB/s → 1.2 MB/s`
fn from_to(before: &str, now: &str) -> String {
    match (before.split_once(' '), now.split_once(' ')) {
        (Some((figure, unit)), Some((_, same))) if unit == same => format!("{figure} → {now}"),
        _ => format!("{before} → {now}"),
    }
}

/// The application's own functions first; what runtimes and libraries changed stands behind them, group by group.
fn changes(kind: ProfileType, comparison: &Comparison) -> String {
    let mut text = format!("{}; beyond that, ", totals(kind, comparison));
    let significant = || comparison.rows.iter().filter(|row| row.is_significant());
    let seen: Vec<_> = significant().filter(|row| comparison.stands_out(row)).collect();
    let own = |verdict| -> Vec<_> {
        seen.iter().copied().filter(|row| row.verdict == verdict && row.group.is_none()).collect()
    };
    let (grown, shrunk) = (own(ChangeVerdict::Regressed), own(ChangeVerdict::Improved));
    match (grown.as_slice(), shrunk.as_slice()) {
        ([], []) if seen.is_empty() && significant().next().is_some() => {
            text.push_str("nothing changed by more than this app's own noise");
        }
        ([], []) if seen.is_empty() => text.push_str("nothing changed"),
        ([], []) => text.push_str("no function of the application changed"),
        ([], _) => say(&mut text, &shrunk, "shrank"),
        (_, []) => say(&mut text, &grown, "grew"),
        _ => {
            say(&mut text, &grown, "grew");
            let _ = write!(text, ", and {} shrank", number(shrunk.len()));
        }
    }
    if seen.iter().any(|row| row.group.is_some()) {
        say_groups(&mut text, &comparison.groups);
    }
    text.push('.');
    text
}

/// `one function grew: Cart.toJson from 2.1 to 8.7 % at the baseline's load (+6.6 points)`
fn say(text: &mut String, rows: &[&ChangedFunction], verb: &str) {
    let Some(first) = rows.iter().max_by(|a, b| a.adjusted_delta.abs().total_cmp(&b.adjusted_delta.abs())) else {
        return;
    };
    let noun = if rows.len() == 1 { "function" } else { "functions" };
    let most = if rows.len() == 1 { "" } else { "most of all " };
    // Rounded first, so that the figures of the sentence add up.
    let [before, now] = [first.percent[0], first.percent[0] + first.adjusted_delta].map(round1);
    let _ = write!(
        text,
        "{} {noun} {verb}: {most}{} from {before:.1} to {now:.1} % at the baseline's load ({:+.1} points)",
        number(rows.len()),
        short_name(&first.function),
        now - before
    );
}

/// `; Go runtime: 8 functions, +2.1 points, and 3 others: 5 functions, -0.7 points`
fn say_groups(text: &mut String, groups: &[Group]) {
    let Some((first, rest)) = groups.split_first() else { return };
    let functions = |n: usize| format!("{n} function{}", if n == 1 { "" } else { "s" });
    let _ = write!(text, "; {}: {}, {:+.1} points", first.of.name, functions(first.functions), first.adjusted_delta);
    let (count, points) =
        rest.iter().fold((0, 0.0), |(n, sum), group| (n + group.functions, sum + group.adjusted_delta));
    match rest {
        [] => {}
        [only] => drop(write!(text, ", and {}: {}, {points:+.1} points", only.of.name, functions(count))),
        _ => drop(write!(text, ", and {} others: {}, {points:+.1} points", rest.len(), functions(count))),
    }
}

fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

fn number(n: usize) -> String {
    if n == 1 { "one".to_owned() } else { n.to_string() }
}

fn round1(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Two decimals below 10, without trailing zeros; `1.0` stays so.
fn rounded(factor: f64) -> String {
    let text = if factor < 0.1 {
        format!("{factor:.3}")
    } else if factor < 10.0 {
        format!("{factor:.2}")
    } else {
        format!("{factor:.0}")
    };
    match text.split_once('.') {
        Some((whole, decimals)) => {
            let kept = decimals.trim_end_matches('0');
            format!("{whole}.{}", if kept.is_empty() { "0" } else { kept })
        }
        None => text,
    }
}

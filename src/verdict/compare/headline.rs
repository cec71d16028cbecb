//! A diff in one sentence.

use std::fmt::Write;

use super::comparison::{ChangedFunction, Comparison};
use super::verdicts::DiffVerdict;
use crate::kernel::ProfileType;
use crate::verdict::names::short_name;

/// The sentence of a comparison whose other fields are there.
pub(super) fn of(kind: ProfileType, comparison: &Comparison) -> String {
    match comparison.verdict {
        DiffVerdict::NoData => without_data(comparison),
        DiffVerdict::Inconclusive => inconclusive(comparison),
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

fn inconclusive(comparison: &Comparison) -> String {
    let fewest = comparison.samples.iter().zip(["baseline", "current"]).min_by_key(|(n, _)| n.unwrap_or(0));
    match fewest {
        Some((Some(n), window)) if *n < 20 => {
            format!("Only {n} samples were seen in the {window} window, too few to say what changed.")
        }
        Some((None, _)) => {
            "How many samples were seen is not known: what changed cannot be told from chance.".to_owned()
        }
        _ => "The values count since the process began, not within a window: what changed cannot be said.".to_owned(),
    }
}

fn changes(kind: ProfileType, comparison: &Comparison) -> String {
    let what = if kind.is_snapshot() { "Size" } else { "Load" };
    let factor = comparison.load_per_second.unwrap_or(1.0);
    let mut text = format!("{what} ×{}; beyond that, ", rounded(factor));
    let seen = |row: &&ChangedFunction| comparison.stands_out(row);
    let grown: Vec<_> = comparison.significant_regressions().filter(seen).collect();
    let shrunk: Vec<_> = comparison.significant_improvements().filter(seen).collect();
    let quiet = comparison.significant_regressions().count() - grown.len();
    match (grown.len(), shrunk.len()) {
        (0, 0) if quiet > 0 => text.push_str("nothing changed by more than this app's own noise"),
        (0, 0) => text.push_str("nothing changed"),
        (0, _) => say(&mut text, &shrunk, "shrank"),
        (_, 0) => say(&mut text, &grown, "grew"),
        _ => {
            say(&mut text, &grown, "grew");
            let _ = write!(text, ", and {} shrank", number(shrunk.len()));
        }
    }
    text.push('.');
    text
}

/// `one function grew: Cart.toJson from 2.1 to 8.7 % (+6.6 points)`
fn say(text: &mut String, rows: &[&ChangedFunction], verb: &str) {
    let Some(first) = rows.iter().max_by(|a, b| a.adjusted_delta.abs().total_cmp(&b.adjusted_delta.abs())) else {
        return;
    };
    let noun = if rows.len() == 1 { "function" } else { "functions" };
    let most = if rows.len() == 1 { "" } else { "most of all " };
    let (name, [before, now]) = (short_name(&first.function), first.percent);
    let _ = write!(
        text,
        "{} {noun} {verb}: {most}{name} from {before:.1} to {now:.1} % ({:+.1} points)",
        number(rows.len()),
        first.adjusted_delta
    );
}

fn number(n: usize) -> String {
    if n == 1 { "one".to_owned() } else { n.to_string() }
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

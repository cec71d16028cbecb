//! A diff as a person reads it in a terminal.

use std::fmt::Write;

use crate::bor::Absence;
use crate::bor::diff::{CallerBody, ChangeBody, ChangeGroupBody, DiffBody};
use crate::verdict::{ChangeVerdict, DiffVerdict, short_name};

/// The answer of a server as text that ends with a line break.
pub(super) fn of(body: &DiffBody, server: &str) -> String {
    let summary = &body.summary;
    let verdict = match summary.verdict {
        DiffVerdict::Regressions => "REGRESSIONS",
        DiffVerdict::NoRegressions => "NO REGRESSIONS",
        DiffVerdict::Insufficient => "TOO FEW SAMPLES",
        DiffVerdict::NoData => "NO DATA",
    };
    let mut text = format!("{} {}\n\n{verdict}\n{}\n", body.app_name, body.profile_type, summary.headline);
    let all = body.regressions.iter().chain(&body.improvements);
    let (told, other): (Vec<_>, Vec<_>) =
        all.partition(|row| matches!(row.verdict, ChangeVerdict::Regressed | ChangeVerdict::Improved));
    let (grouped, own): (Vec<_>, Vec<_>) = told.into_iter().partition(|row| row.group.is_some());
    rows(&mut text, "beyond load and chance", &own);
    for group in &body.groups {
        let of_group = grouped.iter().copied().filter(|row| row.group.as_ref() == Some(&group.name));
        rows(&mut text, &group_title(group), &of_group.collect::<Vec<_>>());
    }
    rows(&mut text, "by share only", &other);
    for breach in body.breaches.iter().flatten() {
        let (name, percent) = (&breach.function, breach.current_percent);
        let sure = if breach.confirmed { "" } else { ", not confirmed" };
        let limit = breach.threshold;
        let _ =
            writeln!(text, "\nover its limit ({}{sure}): {name} {percent:.2} % > {limit} %", breach.severity.as_str());
    }
    for name in body.baselines_not_seen.iter().flatten() {
        let _ = writeln!(text, "\nnote: {name} has a limit and was not seen");
    }
    for note in &body.data_quality {
        let _ = writeln!(text, "\nnote: {}", note.detail);
    }
    for (name, absence) in
        [("baselines", body.baselines), ("history", body.history), ("labels of the registry", body.labels)]
    {
        if absence == Some(Absence::Unavailable) {
            let _ = writeln!(text, "\nnote: {name} could not be reached");
        }
    }
    if let Some(links) = &body.links {
        let _ = writeln!(text, "\nflame graph: {server}{}", links.flamegraph);
        if let Some(grafana) = &links.grafana {
            let _ = writeln!(text, "grafana: {grafana}");
        }
    }
    text
}

fn rows(text: &mut String, title: &str, rows: &[&ChangeBody]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n  {:>8}  {:>8}  {:>8}  {:<12} {title}", "baseline", "current", "change", "verdict");
    for row in rows {
        let (before, now, delta) = (row.baseline_percent, row.current_percent, row.delta_percent);
        let _ = write!(
            text,
            "  {before:>7.2}%  {now:>7.2}%  {delta:>+7.2}%  {:<12} {}",
            row.verdict.as_str(),
            row.function
        );
        if let Some(partner) = &row.partner {
            let _ = write!(text, " ({partner})");
        }
        if !row.callers.is_empty() {
            let caller = |of: &CallerBody| format!("{} {:.0} %", short_name(&of.function), of.percent);
            let _ = write!(text, ", called by {}", row.callers.iter().map(caller).collect::<Vec<_>>().join(" and "));
        }
        text.push('\n');
    }
}

/// `Go runtime: 8 functions, +2.10 points at the baseline's load`
fn group_title(group: &ChangeGroupBody) -> String {
    let versions = match (&group.baseline_version, &group.current_version) {
        (Some(before), Some(now)) if before != now => format!(" ({before} → {now})"),
        _ => String::new(),
    };
    let functions = if group.functions == 1 { "function" } else { "functions" };
    let (name, n, points) = (&group.name, group.functions, group.adjusted_delta);
    format!("{name}{versions}: {n} {functions}, {points:+.2} points at the baseline's load")
}

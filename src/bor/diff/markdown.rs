//! A diff as Markdown, for a pull request.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::wire::{ChangeBody, DiffBody, DiffWindowBody};
use crate::bor::Absence;
use crate::verdict::{ChangeVerdict, DiffVerdict};

/// The report: one line with the verdict, then the rows that are more than load and chance, then the others folded. At
/// its end stand the command that makes it again and a link with the server's address, if that is known.
///
/// `body` has all rows; at most `limit` of each list are shown, 0 shows all.
pub fn markdown(body: &DiffBody, limit: usize, command: &str, server: Option<&str>) -> String {
    let standing = standing_breaches(body);
    let mut body = body.clone();
    body.cut(limit);
    let body = &body;
    let mut text = format!("# Diff Report: {}", escaped(&body.app_name));
    let summary = &body.summary;
    if summary.verdict == DiffVerdict::NoData {
        let which = if summary.missing.is_empty() { "common".to_owned() } else { summary.missing.join(" and ") };
        let _ = write!(text, " (no {which} data)");
    }
    let _ = writeln!(text, "\n\n**{}** {}", verdict_line(body), escaped(&summary.headline));
    let _ = writeln!(text, "\n- Profile: {}{}", body.profile_type, counted(body));
    let _ = writeln!(text, "- Baseline: {}", window(&body.baseline));
    let _ = writeln!(text, "- Current: {}", window(&body.current));
    let limited = body.breaches.is_some();
    section(&mut text, "Regressions", ChangeVerdict::Regressed, &body.regressions, &body.improvements, limited);
    section(&mut text, "Improvements", ChangeVerdict::Improved, &body.improvements, &body.regressions, false);
    groups(&mut text, body, limited);
    folded(&mut text, body, limited);
    text.push_str(&standing);
    summary_list(&mut text, body);
    let _ = writeln!(text, "\n```sh\n{command}\n```");
    if let Some(links) = &body.links {
        let _ = writeln!(text, "\n[Differential flame graph]({}{})", server.unwrap_or(""), links.flamegraph);
        if let Some(grafana) = &links.grafana {
            let _ = writeln!(text, "[Grafana]({grafana})");
        }
    }
    text
}

/// The command that asks a server for the same report.
pub fn command(body: &DiffBody) -> String {
    let (before, now) = (&body.baseline, &body.current);
    let mut command = format!(
        "flamewarden diff {} --type {} --baseline-from {} --baseline-to {} --from {} --to {}",
        shell_word(&body.app_name),
        body.profile_type,
        before.from,
        before.to,
        now.from,
        now.to
    );
    if let Some(selector) = &now.selector {
        let _ = write!(command, " --selector {}", shell_word(selector));
    }
    if before.selector != now.selector {
        let _ = write!(command, " --baseline-selector {}", shell_word(before.selector.as_deref().unwrap_or("")));
    }
    command
}

/// A text as one word of a shell's command.
pub fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn verdict_line(body: &DiffBody) -> String {
    let n = body.summary.significant_regressions;
    match body.summary.verdict {
        DiffVerdict::NoData => "No data.".to_owned(),
        DiffVerdict::Insufficient => "Too few samples.".to_owned(),
        DiffVerdict::NoRegressions => "No regressions.".to_owned(),
        DiffVerdict::Regressions if n == 1 => "1 regression.".to_owned(),
        DiffVerdict::Regressions => format!("{n} regressions."),
    }
}

fn counted(body: &DiffBody) -> String {
    match (&body.sample_type, &body.unit) {
        (Some(name), Some(unit)) => format!(" ({}, {})", escaped(name), escaped(unit)),
        _ => String::new(),
    }
}

fn window(window: &DiffWindowBody) -> String {
    let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).filter(|_| window.to > 0);
    let mut text = match (at(window.from), at(window.to)) {
        (Some(from), Some(to)) => {
            format!("{} to {} UTC", from.format("%Y-%m-%d %H:%M:%S"), to.format("%Y-%m-%d %H:%M:%S"))
        }
        _ => "a file without times".to_owned(),
    };
    if let Some(selector) = &window.selector {
        let _ = write!(text, ", {}", code(selector));
    }
    if let Some(n) = window.sample_count {
        let _ = write!(text, ", {n} samples");
    }
    text
}

/// The rows of a verdict, whether their shares grew or shrank.
fn section(
    text: &mut String,
    title: &str,
    verdict: ChangeVerdict,
    first: &[ChangeBody],
    second: &[ChangeBody],
    limited: bool,
) {
    let _ = writeln!(text, "\n## {title}\n");
    let rows = first.iter().chain(second).filter(|row| row.verdict == verdict);
    let (own, grouped): (Vec<_>, Vec<_>) = rows.partition(|row| row.group.is_none());
    match (own.as_slice(), grouped.as_slice()) {
        ([], []) => text.push_str("None beyond load and chance.\n"),
        ([], _) => text.push_str("None of the application's own functions.\n"),
        _ => table(text, &own, limited, false),
    }
}

/// The significant rows of runtimes and libraries, folded beneath one line for each.
fn groups(text: &mut String, body: &DiffBody, limited: bool) {
    if body.groups.is_empty() {
        return;
    }
    text.push_str("\n## Runtimes and libraries\n");
    for group in &body.groups {
        let versions = match (&group.baseline_version, &group.current_version) {
            (Some(before), Some(now)) if before != now => format!(" ({} → {})", escaped(before), escaped(now)),
            _ => String::new(),
        };
        let functions = if group.functions == 1 { "function" } else { "functions" };
        let _ = writeln!(
            text,
            "\n<details><summary>{}{versions}: {} {functions}, {:+.2} points</summary>\n",
            escaped(&group.name),
            group.functions,
            group.adjusted_delta
        );
        let rows = body.regressions.iter().chain(&body.improvements);
        let rows: Vec<_> = rows.filter(|row| row.group.as_deref() == Some(group.name.as_str())).collect();
        table(text, &rows, limited, true);
        text.push_str("\n</details>\n");
    }
}

/// Rows that changed by share but are not reported as changes.
fn folded(text: &mut String, body: &DiffBody, limited: bool) {
    let told = |row: &&ChangeBody| !matches!(row.verdict, ChangeVerdict::Regressed | ChangeVerdict::Improved);
    let rows: Vec<_> = body.regressions.iter().chain(&body.improvements).filter(told).collect();
    if rows.is_empty() {
        return;
    }
    let noun = if rows.len() == 1 { "row" } else { "rows" };
    let _ =
        writeln!(text, "\n<details><summary>{} more {noun}: moved, renamed, inlined or noise</summary>\n", rows.len());
    table(text, &rows, limited, true);
    text.push_str("\n</details>\n");
}

fn table(text: &mut String, rows: &[&ChangeBody], limited: bool, verdicts: bool) {
    let (threshold, rule) = if limited { (" Threshold |", "---|") } else { ("", "") };
    let (verdict, verdict_rule) = if verdicts { (" Verdict |", "---|") } else { ("", "") };
    let _ = writeln!(text, "| Function | Baseline | Current | Change |{threshold}{verdict}");
    let _ = writeln!(text, "|---|---:|---:|---:|{rule}{verdict_rule}");
    for row in rows {
        let _ = write!(
            text,
            "| {} | {:.2}% | {:.2}% | {:+.2}% |",
            code(&row.function),
            row.baseline_percent,
            row.current_percent,
            row.delta_percent
        );
        if limited {
            match (row.approved_threshold, row.exceeds_threshold) {
                (Some(limit), Some(true)) => drop(write!(text, " {limit}% BREACH |")),
                (Some(limit), _) => drop(write!(text, " {limit}% |")),
                _ => text.push_str(" |"),
            }
        }
        if verdicts {
            let _ = write!(text, " {}", row.verdict.as_str());
            if let Some(partner) = &row.partner {
                let _ = write!(text, ": {}", code(partner));
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
}

/// Functions over their limit that did not grow.
fn standing_breaches(body: &DiffBody) -> String {
    let grew = |name: &str| body.regressions.iter().any(|row| row.function == name);
    let rows: Vec<_> = body.breaches.iter().flatten().filter(|breach| !grew(&breach.function)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## Over their limit without having grown\n\n| Function | Current | Threshold |\n|---|---:|---|\n",
    );
    for breach in rows {
        let (name, percent) = (code(&breach.function), breach.current_percent);
        let _ = writeln!(text, "| {name} | {percent:.2}% | {}% BREACH |", breach.threshold);
    }
    text
}

fn summary_list(text: &mut String, body: &DiffBody) {
    let summary = &body.summary;
    text.push_str("\n## Summary\n\n");
    let by_share = |significant: usize, all: usize| format!("{significant} beyond load and chance, {all} by share");
    let _ = writeln!(text, "- Regressions: {}", by_share(summary.significant_regressions, summary.regressions_count));
    let _ =
        writeln!(text, "- Improvements: {}", by_share(summary.significant_improvements, summary.improvements_count));
    if let Some(n) = summary.threshold_breaches {
        let _ = writeln!(text, "- Threshold breaches: {n}");
    }
    if let Some(top) = &summary.top_regression {
        let _ = writeln!(text, "- Top regression by share: {}", code(top));
    }
    if let Some(factor) = body.load_factor {
        let _ = writeln!(text, "- Load factor: {factor}");
    }
    if let Some(noise) = body.own_noise {
        let rows = if noise.rows == 1 { "row" } else { "rows" };
        let _ =
            writeln!(text, "- This app's own noise: {} {rows}, largest {} points", noise.rows, noise.largest_points);
    }
    for note in &body.data_quality {
        let _ = writeln!(text, "- Data: {}", escaped(&note.detail));
    }
    for name in body.baselines_not_seen.iter().flatten() {
        let _ = writeln!(text, "- Limit of a function that was not seen: {}", code(name));
    }
    for (name, absence) in [("Baselines", body.baselines), ("History", body.history)] {
        match absence {
            Some(Absence::Off) => drop(writeln!(text, "- {name}: off")),
            Some(Absence::Unavailable) => drop(writeln!(text, "- {name}: unavailable")),
            None => {}
        }
    }
}

/// A name as code that stays in its cell, whatever it holds: pipes escaped, line breaks as spaces, and a fence longer
/// than any backticks within.
fn code(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let name = name.replace('|', "\\|");
    let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if name.starts_with('`') || name.ends_with('`') || name.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{name}{pad}{fence}")
}

/// A text in which nothing is markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a.b.C.run", "`a.b.C.run`")]
    #[case("a|b", "`a\\|b`")]
    #[case("a`b", "``a`b``")]
    #[case("``", "``` `` ```")]
    #[case("a\nb", "`a b`")]
    #[case("<init>", "`<init>`")]
    fn names_stay_in_their_cell(#[case] name: &str, #[case] shown: &str) {
        assert_eq!(code(name), shown);
    }

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(escaped("a_b <c>|`d`\n"), "a\\_b &lt;c&gt;\\|\\`d\\` ");
    }
}

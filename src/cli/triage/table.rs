//! A triage as a person reads it.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::bor::Absence;
use crate::bor::triage::{Block, FindingBody, JudgedBlock, TriageBody};
use crate::verdict::{Change, Verdict, cores_text, short_name};

/// Fewer cores than this are shown as this: "at most under 0.01" is no bound.
const LEAST_CORES: f64 = 0.01;

/// The answer of a server as text that ends with a line break.
pub(super) fn of(body: &TriageBody, server: &str) -> String {
    let mut text = String::new();
    let summary = &body.summary;
    let _ = write!(text, "{}", body.app_name);
    if let Some(window) = window(body) {
        let _ = write!(text, "  {window}");
    }
    let _ =
        writeln!(text, "\n\n{}: {} ({})", verdict(summary.verdict), summary.primary_issue, summary.severity.as_str());
    let _ = writeln!(text, "{}\n{}", summary.headline, summary.recommendation);
    for (kind, block) in &body.profiles.0 {
        match block {
            Block::Unavailable(block) => {
                let _ = writeln!(text, "\n{kind}: could not be read: {}", block.error);
            }
            Block::Judged(block) => {
                kind_block(&mut text, kind, block);
                let why = no_data(body, kind, block).filter(|why| *why != summary.headline);
                why.map(|why| writeln!(text, "  {why}"));
            }
        }
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

/// Why a kind has no data.
fn no_data(body: &TriageBody, kind: &str, block: &JudgedBlock) -> Option<String> {
    Some(block.no_data.as_ref()?.sentence(&body.app_name, &[kind.parse().ok()?]))
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Problem => "PROBLEM",
        Verdict::OwnCode => "OWN CODE",
        Verdict::Quiet => "QUIET",
        Verdict::NothingStandsOut => "NOTHING STANDS OUT",
        Verdict::Insufficient => "NOT SURE",
        Verdict::NoData => "NO DATA",
        Verdict::Unavailable => "UNAVAILABLE",
    }
}

fn window(body: &TriageBody) -> Option<String> {
    let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).filter(|_| seconds > 0);
    let (from, to) = (at(body.from)?, at(body.to)?);
    Some(format!("{} – {} UTC", from.format("%Y-%m-%d %H:%M:%S"), to.format("%Y-%m-%d %H:%M:%S")))
}

fn kind_block(text: &mut String, kind: &str, block: &JudgedBlock) {
    let _ = write!(text, "\n{kind}: {}, {}", block.diagnosis, block.severity.as_str());
    if block.total_samples > 0 {
        let _ = write!(text, ", {}", share(block.percent, block.low, block.high));
    }
    if let Some(n) = block.sample_count {
        let _ = write!(text, ", {n} samples");
    }
    if let Some(confidence) = block.confidence {
        let _ = write!(text, ", confidence {}", confidence.as_str());
    }
    text.push('\n');
    let seen: Vec<_> = block.findings.iter().filter(|f| f.observable).collect();
    if !seen.is_empty() {
        let _ = writeln!(text, "  {:<20} {:>7}  {:<13} {:<8} where", "category", "percent", "95 %", "severity");
        for finding in seen {
            finding_row(text, finding);
        }
    }
    let unseen: Vec<_> = block.findings.iter().filter(|f| !f.observable).map(|f| f.category.as_str()).collect();
    if !unseen.is_empty() {
        let _ = writeln!(text, "  not observable here: {}", unseen.join(", "));
    }
    if !block.top_functions.is_empty() {
        let _ = writeln!(text, "  top functions by self");
        for function in &block.top_functions {
            let _ = writeln!(text, "  {:>7.2} %  {}", function.self_percent, function.name);
        }
    }
    for violation in block.baseline_violations.iter().flatten() {
        let _ = writeln!(
            text,
            "  over its limit ({}): {} {:.2} % > {:.2} %",
            violation.severity.as_str(),
            violation.function,
            violation.current_percent,
            violation.threshold
        );
    }
    if let Some(compared) = &block.compared {
        for gone in &compared.gone {
            let _ = writeln!(text, "  gone: {} (was {:.2})", gone.category.as_str(), gone.percent);
        }
        if let Some(reason) = &compared.reason {
            let _ = writeln!(text, "  note: nothing to compare with: {reason}");
        }
    }
    for note in &block.data_quality {
        let _ = writeln!(text, "  note: {}", note.detail);
    }
}

fn finding_row(text: &mut String, finding: &FindingBody) {
    let range = finding.low.zip(finding.high).map_or_else(String::new, |(low, high)| format!("{low:.1}–{high:.1}"));
    let place = match (finding.responsible.first(), finding.evidence.first()) {
        (Some(responsible), _) => responsible.path.join(" → "),
        (None, Some(evidence)) => short_name(&evidence.function).into_owned(),
        (None, None) => String::new(),
    };
    let severity = finding.severity.as_str();
    let row =
        format!("  {:<20} {:>7.2}  {range:<13} {severity:<8} {place}", finding.category.as_str(), finding.percent);
    let _ = writeln!(text, "{}{}{}", row.trim_end(), at_most(finding), earlier(finding));
}

/// What the finding could save, where cores are known.
fn at_most(finding: &FindingBody) -> String {
    let Some((at_most, cores)) = finding.at_most.as_ref().and_then(|at_most| Some((at_most, at_most.cores?))) else {
        return String::new();
    };
    let cores = cores_text(cores.max(LEAST_CORES));
    match at_most.per_month {
        Some(per_month) => format!("  (at most {cores}, {per_month:.2} a month)"),
        None => format!("  (at most {cores})"),
    }
}

/// What the finding was in the earlier window, if that was asked for, and since when it costs more.
fn earlier(finding: &FindingBody) -> String {
    let since = finding.since.as_ref().map_or_else(String::new, |since| {
        let version = since.label.as_ref().zip(since.value.as_ref());
        let version = version.map_or_else(String::new, |(label, value)| format!(", {label} {value:?}"));
        format!("  (more since {}{version})", since.at.format("%Y-%m-%d %H:%M UTC"))
    });
    was(finding) + &since
}

fn was(finding: &FindingBody) -> String {
    match (finding.change, &finding.was) {
        (Some(Change::New), _) => "  (new)".to_owned(),
        (Some(change), Some(was)) => {
            let change = if change == Change::Usual { "usual, " } else { "" };
            format!("  ({change}was {:.2})", was.percent)
        }
        _ => String::new(),
    }
}

fn share(percent: f64, low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{percent:.1} % ({low:.1}–{high:.1})"),
        _ => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_says_what_the_finding_could_save() {
        let row = |at_most: serde_json::Value| {
            let finding = json!({"category": "crypto", "percent": 31.0, "inclusivePercent": 31.0, "threshold": 15.0,
                "severity": "high", "confirmed": true, "observable": true, "atMost": at_most, "mechanisms": [],
                "responsible": [], "evidence": [], "recommendation": "", "steps": []});
            let mut text = String::new();
            finding_row(&mut text, &serde_json::from_value(finding).unwrap());
            text.split_once("high").unwrap().1.trim().to_owned()
        };
        assert_eq!(row(json!({"percentOfApp": 31.0, "cores": 0.412})), "(at most 0.41 cores)");
        assert_eq!(row(json!({"percentOfApp": 31.0, "cores": 0.0004})), "(at most 0.01 cores)");
        assert_eq!(
            row(json!({"percentOfApp": 31.0, "cores": 1.5, "perMonth": 43.8})),
            "(at most 1.5 cores, 43.80 a month)"
        );
        assert_eq!(row(json!({"percentOfApp": 31.0})), "");
    }
}

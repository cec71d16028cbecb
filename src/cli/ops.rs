//! `flamewarden ops`: which operation took how long, and where its time went.

mod figures;

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::lists::{AfterPage, Column, Shown, list, table};
use super::server;
use super::{Common, Exit};
use crate::kernel::Text255;

#[derive(Debug, clap::Subcommand)]
pub(super) enum OpsCommand {
    /// List the operations of a server, the most frequent first, with their limits.
    Top(figures::TopArgs),
    /// Show how an operation changed, by days or hours.
    Trend(figures::TrendArgs),
    /// List what is over a limit, newest first.
    Alerts(figures::AlertsArgs),
    /// List limits, or learn one.
    Baseline(figures::BaselineArgs),
    /// List the traces of a server, newest first, by their roots.
    Traces(TracesArgs),
    /// Show the spans of a trace, and how much of each was its own time.
    Trace(TraceArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct TracesArgs {
    #[command(flatten)]
    shown: Shown,
    /// Only traces whose root is of this type.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only traces whose root belongs to this.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Only traces whose root stands so.
    #[arg(long, value_name = "STATUS", value_parser = ["pending", "running", "success", "failed"])]
    status: Option<String>,
    /// Only traces whose root took at least this many milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32))]
    min_ms: Option<u32>,
    /// Only traces that ended at or after this time, or run: epoch seconds, RFC 3339, now-90m [default: an hour ago].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only traces that began before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most this many traces.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    after: AfterPage,
}

#[derive(Debug, clap::Args)]
pub(super) struct TraceArgs {
    /// The trace: 32 hexadecimal digits, a UUID, or the text that was given.
    #[arg(value_name = "ID")]
    id: Text255,
    #[command(flatten)]
    shown: Shown,
}

const TRACES: &[Column] = &[
    ("trace", "traceId"),
    ("began", "startedAt"),
    ("µs", "durationUs"),
    ("status", "status"),
    ("type", "operationType"),
    ("operation", "spanName"),
    ("scope", "scope"),
];
const SPANS: &[Column] =
    &[("ms", "ms"), ("own ms", "own"), ("status", "status"), ("operation", "operation"), ("error", "error")];

pub(super) async fn run(command: &OpsCommand, common: &Common) -> anyhow::Result<Exit> {
    match command {
        OpsCommand::Top(args) => figures::top(args, common).await,
        OpsCommand::Trend(args) => figures::trend(args, common).await,
        OpsCommand::Alerts(args) => figures::alerts(args, common).await,
        OpsCommand::Baseline(args) => figures::baseline(args, common).await,
        OpsCommand::Traces(args) => traces(args, common).await,
        OpsCommand::Trace(args) => trace(args, common).await,
    }
}

async fn traces(args: &TracesArgs, common: &Common) -> anyhow::Result<Exit> {
    let parameters = [
        ("operationType", args.kind.clone()),
        ("scope", args.scope.clone()),
        ("status", args.status.clone()),
        ("minDurationUs", args.min_ms.map(|ms| (u64::from(ms) * 1_000).to_string())),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.after.cursor.clone()),
    ];
    list(&args.shown, common, &["performance", "traces"], &parameters, ("traces", TRACES)).await
}

async fn trace(args: &TraceArgs, common: &Common) -> anyhow::Result<Exit> {
    let path = ["performance", "traces", args.id.as_str()];
    let text = match server::ask(&args.shown.server.url, path, &[]).await? {
        Ok(text) => text,
        Err(exit) => return Ok(exit),
    };
    if args.shown.json {
        common.show(&(text + "\n"))?;
    } else {
        let trace: Trace = serde_json::from_str(&text)
            .with_context(|| format!("{} gave an answer that is no trace", args.shown.server.url))?;
        common.show(&trace.drawn())?;
    }
    Ok(Exit::Fine)
}

/// What is shown of a trace.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    #[serde(rename = "traceId")]
    id: String,
    started_at: String,
    duration_us: Option<i64>,
    truncated: bool,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    operation_type: String,
    #[serde(rename = "spanName")]
    name: String,
    status: String,
    duration_us: Option<i64>,
    self_us: Option<i64>,
    depth: usize,
    orphan: bool,
    error: Option<Value>,
}

impl Trace {
    /// A line about it, and a table of its spans, in which children are indented.
    fn drawn(&self) -> String {
        let took = self.duration_us.map_or_else(|| "runs".to_owned(), |us| format!("{} ms", millis(us)));
        let rows: Vec<_> = self.spans.iter().map(Span::row).collect();
        let mut text = format!("{}: {took}, began {}\n\n{}", self.id, self.started_at, table(&rows, SPANS));
        if self.truncated {
            let _ = writeln!(text, "\nnote: there are more spans; the earliest {} are shown", self.spans.len());
        }
        text
    }
}

impl Span {
    fn row(&self) -> Value {
        let indent = "  ".repeat(self.depth.min(20));
        let kind = if self.name == self.operation_type { String::new() } else { format!(" ({})", self.operation_type) };
        let orphan = if self.orphan { ", its parent is missing" } else { "" };
        json!({
            "ms": self.duration_us.map(millis),
            "own": self.self_us.map(millis),
            "status": self.status,
            "operation": format!("{indent}{}{kind}{orphan}", self.name),
            "error": self.error.as_ref().map(said),
        })
    }
}

/// Milliseconds with three decimals.
fn millis(us: i64) -> String {
    format!("{}.{:03}", us / 1_000, us % 1_000)
}

/// What is said of an error: its message and its code, or else all of it.
fn said(error: &Value) -> String {
    let member = |name: &str| error.get(name).and_then(Value::as_str);
    match (member("message"), member("code")) {
        (Some(message), Some(code)) => format!("{message} ({code})"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_drawn_as_a_tree() {
        let span = |name: &str, depth: usize, us: i64| {
            json!({"operationType": "reindex", "spanName": name, "status": "success", "durationUs": us, "selfUs": us / 2,
                "depth": depth, "orphan": false, "error": null})
        };
        let mut failed = span("load", 1, 42_014);
        failed["error"] = json!({"message": "disk full", "code": "ENOSPC"});
        let mut alone = span("reindex", 0, 7);
        (alone["orphan"], alone["durationUs"], alone["selfUs"]) = (json!(true), json!(null), json!(null));
        let trace = json!({"traceId": "67dc", "startedAt": "2024-01-23T08:53:20Z", "durationUs": 57_212, "truncated": true,
            "spans": [span("nightly", 0, 57_212), failed, alone]});
        let trace: Trace = serde_json::from_value(trace).unwrap();
        let expected = "\
67dc: 57.212 ms, began 2024-01-23T08:53:20Z

ms      own ms  status   operation                       error
57.212  28.606  success  nightly (reindex)
42.014  21.007  success    load (reindex)                disk full (ENOSPC)
                success  reindex, its parent is missing

note: there are more spans; the earliest 3 are shown
";
        assert_eq!(trace.drawn(), expected);
    }
}

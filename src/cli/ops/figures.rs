//! `flamewarden ops top`, `trend`, `alerts` and `baseline`: how operations went, and how they stand to their limits.

use serde_json::{Value, json};

use super::millis;
use crate::cli::lists::{AfterPage, Column, Shown, list, table};
use crate::cli::server::{self, Server};
use crate::cli::{Common, Exit};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TopArgs {
    #[command(flatten)]
    shown: Shown,
    /// Only what belongs to this.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// From this time on, down to the hour: epoch seconds, RFC 3339, now-7d [default: 24 hours ago].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until this time, up to the hour.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most this many operations.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TrendArgs {
    /// The type of operation.
    #[arg(value_name = "TYPE")]
    kind: String,
    #[command(flatten)]
    shown: Shown,
    /// Only what belongs to this.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// How many calendar days (UTC), today included.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=395))]
    days: u32,
    /// By the hour, for at most 35 days.
    #[arg(long)]
    hours: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AlertsArgs {
    #[command(flatten)]
    shown: Shown,
    /// Also those that are over.
    #[arg(long)]
    all: bool,
    /// Only those of this type of operation.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// At most this many alerts.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    after: AfterPage,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BaselineArgs {
    #[command(flatten)]
    shown: Shown,
    /// Learn the limit of this type of operation from its past, in place of the one in force.
    #[arg(long, value_name = "TYPE")]
    learn: Option<String>,
    /// Only limits for this; with --learn, learn it for this alone.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Calendar days (UTC) to learn from [default: 7].
    #[arg(long, value_name = "N", requires = "learn", value_parser = clap::value_parser!(u8).range(1..=35))]
    days: Option<u8>,
    /// The limit in 99th percentiles [default: 2].
    #[arg(long, value_name = "TIMES", requires = "learn")]
    times: Option<f64>,
    /// At most this many limits.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    after: AfterPage,
}

const OPERATIONS: &[Column] = &[
    ("operation", "operationType"),
    ("count", "count"),
    ("failed", "failed"),
    ("over", "over"),
    ("p50 ms", "p50Ms"),
    ("p95 ms", "p95Ms"),
    ("p99 ms", "p99Ms"),
    ("limit ms", "limitMs"),
    ("status", "status"),
];
const TREND: &[Column] = &[
    ("from", "start"),
    ("count", "count"),
    ("failed", "failed"),
    ("p50 ms", "p50Ms"),
    ("p95 ms", "p95Ms"),
    ("p99 ms", "p99Ms"),
    ("max ms", "maxMs"),
];
const ALERTS: &[Column] = &[
    ("id", "id"),
    ("severity", "severity"),
    ("operation", "operationType"),
    ("scope", "scope"),
    ("worst ms", "actualDurationMs"),
    ("p99 ms", "baselineP99Ms"),
    ("times", "occurrences"),
    ("first", "firstSeen"),
    ("last", "lastSeen"),
    ("sustained", "sustainedAt"),
    ("over since", "resolvedAt"),
    ("acknowledged", "acknowledgedBy"),
];
const LIMITS: &[Column] = &[
    ("id", "id"),
    ("operation", "operation"),
    ("scope", "scope"),
    ("p99 ms", "p99"),
    ("limit ms", "limit"),
    ("critical ms", "critical"),
    ("learnt from", "samples"),
    ("in force", "active"),
];

pub(super) async fn top(args: &TopArgs, common: &Common) -> anyhow::Result<Exit> {
    let parameters = [
        ("scope", args.scope.clone()),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("limit", Some(args.limit.to_string())),
    ];
    list(&args.shown, common, &["performance", "operations"], &parameters, ("operations", OPERATIONS)).await
}

pub(super) async fn trend(args: &TrendArgs, common: &Common) -> anyhow::Result<Exit> {
    let bucket = if args.hours { "hour" } else { "day" };
    let parameters =
        [("scope", args.scope.clone()), ("days", Some(args.days.to_string())), ("bucket", Some(bucket.to_owned()))];
    let path = ["performance", "operations", &args.kind, "trend"];
    list(&args.shown, common, &path, &parameters, ("trend", TREND)).await
}

pub(super) async fn alerts(args: &AlertsArgs, common: &Common) -> anyhow::Result<Exit> {
    let parameters = [
        ("resolved", (!args.all).then(|| "false".to_owned())),
        ("operationType", args.kind.clone()),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.after.cursor.clone()),
    ];
    list(&args.shown, common, &["performance", "alerts"], &parameters, ("alerts", ALERTS)).await
}

pub(super) async fn baseline(args: &BaselineArgs, common: &Common) -> anyhow::Result<Exit> {
    let url = &args.shown.server.url;
    let path = ["performance", "baselines"];
    let answer = if let Some(kind) = &args.learn {
        server::accepted(url, Server::at(url)?.post(&path, &[], &new_limit(kind, args)).await)?
    } else {
        let parameters = [
            ("scope", args.scope.clone()),
            ("limit", Some(args.limit.to_string())),
            ("cursor", args.after.cursor.clone()),
        ];
        server::ask(url, path, &parameters).await?
    };
    let text = match answer {
        Ok(text) => text,
        Err(exit) => return Ok(exit),
    };
    let body: Value = serde_json::from_str(&text)?;
    let limits = body.get("baselines").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![body.clone()]);
    if args.shown.json {
        common.show(&(text + "\n"))?;
    } else {
        common.show(&table(&limits.iter().map(row).collect::<Vec<_>>(), LIMITS))?;
        if let Some(cursor) = body.get("nextCursor").and_then(Value::as_str) {
            common.show(&format!("\nnote: there are more: --cursor {cursor}\n"))?;
        }
    }
    Ok(if limits.is_empty() { Exit::NoData } else { Exit::Fine })
}

/// What is to be learnt. What was not given is left to the server.
fn new_limit(kind: &str, args: &BaselineArgs) -> Value {
    let given = [
        ("operationType", Some(json!(kind))),
        ("scope", args.scope.as_ref().map(|scope| json!(scope))),
        ("lookbackDays", args.days.map(|days| json!(days))),
        ("alertThresholdMultiplier", args.times.map(|times| json!(times))),
    ];
    let members = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect())
}

/// A limit as it is shown.
fn row(limit: &Value) -> Value {
    let ms = |member: &str| limit.get(member).and_then(Value::as_i64).map(millis);
    json!({"id": limit.get("id"), "operation": limit.get("operationType"), "scope": limit.get("scope"), "p99": ms("p99Us"),
        "limit": ms("limitUs"), "critical": ms("criticalUs"), "samples": limit.get("sampleCount"), "active": limit.get("active")})
}

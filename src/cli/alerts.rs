//! `flamewarden alerts`: what is wrong on a server, and what people do about it.

mod trial;

use serde_json::{Map, Value, json};

use super::lists::{AfterPage, Column, Shown, list};
use super::server::{self, Server, ServerAddress};
use super::{Common, Exit};
use crate::kernel::AppName;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    #[command(flatten)]
    listed: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum AlertsCommand {
    /// Say that somebody looks after an alert that fires: it is not told again, unless it gets worse.
    Ack(AckArgs),
    /// Tell nobody of an alert for some minutes.
    Snooze(SnoozeArgs),
    /// Tell nobody of alerts of an app, a source or a rule for some minutes.
    Silence(SilenceArgs),
    /// Say when a rule would have fired: one that is stored, or one that is described here. Exits with 1 if it would have
    /// fired, with 3 if there is no data.
    Test(trial::TestArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    shown: Shown,
    /// Alerts in this state: firing, pending, resolved, all [default: firing].
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only alerts of this app.
    #[arg(long, value_name = "APP")]
    app: Option<AppName>,
    /// Only alerts from there: rule, baseline, system.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Only alerts of this severity: info, warning, critical.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// Only alerts of this rule.
    #[arg(long, value_name = "ID")]
    rule: Option<u32>,
    /// Only alerts that were not over before this time: epoch seconds, RFC 3339, now-90m.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only alerts that began before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most this many alerts, the newest first.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    after: AfterPage,
}

#[derive(Debug, clap::Args)]
struct AckArgs {
    /// The alert's id; `flamewarden alerts` shows it.
    id: u32,
    #[command(flatten)]
    server: ServerAddress,
    /// What to tell others.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who looks after it [default: whose token it is].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
struct SnoozeArgs {
    /// The alert's id; `flamewarden alerts` shows it.
    id: u32,
    #[command(flatten)]
    server: ServerAddress,
    #[command(flatten)]
    quiet: QuietArgs,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["app", "source", "rule"]).required(true).multiple(true)))]
struct SilenceArgs {
    #[command(flatten)]
    server: ServerAddress,
    /// Alerts of this app.
    #[arg(long, value_name = "APP")]
    app: Option<AppName>,
    /// Alerts from there: rule, baseline, system.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Alerts of this rule.
    #[arg(long, value_name = "ID")]
    rule: Option<u32>,
    #[command(flatten)]
    quiet: QuietArgs,
}

/// For how long, and why.
#[derive(Debug, clap::Args)]
struct QuietArgs {
    /// For how many minutes from now on, at most 43200 (30 days).
    #[arg(long, value_name = "N")]
    minutes: u32,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

const ALERTS: &[Column] = &[
    ("id", "id"),
    ("state", "state"),
    ("severity", "severity"),
    ("app", "appName"),
    ("what", "title"),
    ("value", "value"),
    ("limit", "threshold"),
    ("since", "activeSince"),
    ("acknowledged", "acknowledgedBy"),
    ("silence", "silencedBy"),
];

pub(super) async fn run(args: &AlertsArgs, common: &Common) -> anyhow::Result<Exit> {
    match &args.command {
        None => alerts(&args.listed, common).await,
        Some(AlertsCommand::Test(args)) => trial::run(args, common).await,
        Some(AlertsCommand::Ack(AckArgs { id, server, note, by })) => {
            let body = given([("note", json!(note)), ("by", json!(by))]);
            let done = format!("alert {id} is acknowledged");
            post(server, &["alerts", &id.to_string(), "acknowledge"], body, common, done).await
        }
        Some(AlertsCommand::Snooze(SnoozeArgs { id, server, quiet })) => {
            let QuietArgs { minutes, reason } = quiet;
            let body = given([("minutes", json!(minutes)), ("reason", json!(reason))]);
            let done = format!("nobody is told of alert {id} for {minutes} min");
            post(server, &["alerts", &id.to_string(), "snooze"], body, common, done).await
        }
        Some(AlertsCommand::Silence(SilenceArgs { server, app, source, rule, quiet })) => {
            let QuietArgs { minutes, reason } = quiet;
            let body = given([
                ("appName", json!(app)),
                ("source", json!(source)),
                ("ruleId", json!(rule)),
                ("minutes", json!(minutes)),
                ("reason", json!(reason)),
            ]);
            let done = format!("nobody is told of such alerts for {minutes} min");
            post(server, &["silences"], body, common, done).await
        }
    }
}

async fn alerts(args: &ListArgs, common: &Common) -> anyhow::Result<Exit> {
    let parameters = [
        ("state", args.state.clone()),
        ("appName", args.app.as_ref().map(ToString::to_string)),
        ("source", args.source.clone()),
        ("severity", args.severity.clone()),
        ("ruleId", args.rule.map(|id| id.to_string())),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.after.cursor.clone()),
    ];
    list(&args.shown, common, &["alerts"], &parameters, ("alerts", ALERTS)).await
}

/// The members that have a value.
fn given<const N: usize>(members: [(&str, Value); N]) -> Value {
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// Does something on the server and says that it is done.
async fn post(
    server: &ServerAddress,
    path: &[&str],
    body: Value,
    common: &Common,
    done: String,
) -> anyhow::Result<Exit> {
    let answer = Server::at(&server.url)?.post(path, &[], &body).await;
    if let Err(exit) = server::accepted(&server.url, answer)? {
        return Ok(exit);
    }
    common.show(&(done + "\n"))?;
    Ok(Exit::Fine)
}

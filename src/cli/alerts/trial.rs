//! `flamewarden alerts test`: when would this rule have fired?

use std::fmt::Write as _;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::bor::alert::{FiringBody, TrialBody};
use crate::cli::server::{self, Server, ServerAddress};
use crate::cli::{Common, Exit};
use crate::kernel::{AppName, ProfileType};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").args(["rule", "kind"]).required(true)))]
pub(super) struct TestArgs {
    #[command(flatten)]
    server: ServerAddress,
    /// Try the stored rule of this id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["threshold", "function", "category", "measure", "window", "hold", "keep_firing"])]
    rule: Option<u32>,
    /// The app; a stored rule for every app needs it too.
    #[arg(long, value_name = "APP", required_unless_present = "rule")]
    app: Option<AppName>,
    /// The kind of profile.
    #[arg(long = "type", value_name = "KIND", requires = "threshold")]
    kind: Option<ProfileType>,
    /// The largest share without an alert, percent.
    #[arg(long, value_name = "PERCENT")]
    threshold: Option<f64>,
    /// Only functions whose names match this regular expression.
    #[arg(long, value_name = "PATTERN")]
    function: Option<String>,
    /// A category instead of functions, such as `gc_pressure`.
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// How the shares of functions make one: self, sum or total.
    #[arg(long, value_name = "HOW")]
    measure: Option<String>,
    /// The window looked at, in seconds: 300, 900 or 3600.
    #[arg(long, value_name = "SECONDS")]
    window: Option<u32>,
    /// How long the share must be over, in seconds [default: the window].
    #[arg(long = "for", value_name = "SECONDS")]
    hold: Option<u32>,
    /// How long the share must be under, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS")]
    keep_firing: Option<u32>,
    /// When evaluation begins: epoch seconds, RFC 3339, now-90m [default: a day before now].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// When it ends, at most 7 days later [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &TestArgs, common: &Common) -> anyhow::Result<Exit> {
    let url = &args.server.url;
    let body = match args.rule {
        Some(id) => {
            let row = match server::ask(url, ["rules", &id.to_string()], &[]).await? {
                Ok(row) => row,
                Err(exit) => return Ok(exit),
            };
            stored(serde_json::from_str(&row).with_context(|| format!("{url} answered no rule"))?, args)
        }
        None => given(args),
    };
    let parameters = [("from", args.from.clone()), ("to", args.to.clone())];
    let answer = Server::at(url)?.post(&["rules", "test"], &parameters, &Value::Object(body)).await;
    let text = match server::accepted(url, answer)? {
        Ok(text) => text,
        Err(exit) => return Ok(exit),
    };
    let trial: TrialBody = serde_json::from_str(&text).with_context(|| format!("{url} answered no trial of a rule"))?;
    common.show(&if args.json { text + "\n" } else { table(&trial) })?;
    Ok(match trial.summary.fired {
        _ if !trial.has_data() => Exit::NoData,
        0 => Exit::Fine,
        _ => Exit::CheckFailed,
    })
}

/// The members of a rule that is described by options.
fn given(args: &TestArgs) -> Map<String, Value> {
    let members = [
        ("appName", json!(args.app)),
        ("profileType", json!(args.kind.map(ProfileType::as_str))),
        ("thresholdPercent", json!(args.threshold)),
        ("functionPattern", json!(args.function)),
        ("category", json!(args.category)),
        ("measure", json!(args.measure)),
        ("windowSeconds", json!(args.window)),
        ("forSeconds", json!(args.hold)),
        ("keepFiringSeconds", json!(args.keep_firing)),
    ];
    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What a trial asks of a stored rule; it is for the app of the options, if they name one.
fn stored(mut row: Map<String, Value>, args: &TestArgs) -> Map<String, Value> {
    for member in ["id", "createdAt", "updatedAt"] {
        row.remove(member);
    }
    if let Some(app) = &args.app {
        row.insert("appName".to_owned(), json!(app));
        row.remove("services");
    }
    row
}

/// The answer as text that ends with a line break.
fn table(trial: &TrialBody) -> String {
    let mut text = format!("{}\n", trial.summary.headline);
    if !trial.firings.is_empty() {
        let _ = writeln!(text, "\n  {:<20}  {:<20}  {:<20}  {:>7}  functions", "pending", "fired", "resolved", "worst");
    }
    for FiringBody { pending_at, fired_at, resolved_at, worst_percent, functions } in &trial.firings {
        let resolved = resolved_at.map_or_else(|| "still firing".to_owned(), time);
        let names: Vec<_> = functions.iter().take(3).map(|function| function.name.as_str()).collect();
        let more = functions.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (pending, fired, names) = (time(*pending_at), time(*fired_at), names.join(", "));
        let _ = writeln!(text, "  {pending:<20}  {fired:<20}  {resolved:<20}  {worst_percent:>6.2}%  {names}{more}");
    }
    if let Some(to) = trial.evaluated_to {
        let (evaluations, step) = (trial.evaluations.len(), trial.step_seconds);
        let _ = writeln!(text, "\nnote: {evaluations} evaluations, one each {step} s, up to {}", time(to));
    }
    text
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

//! `flamewarden audit`: what was changed on a server, and whether that list was changed.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::lists::{AfterPage, Column, Shown, list};
use super::{Common, Exit, server};
use crate::kernel::AppName;

/// Links that one request verifies; each takes far less than the server's limit.
const LINKS_AT_ONCE: u32 = 20_000;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    #[command(flatten)]
    listed: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    /// Verify that no entry was changed or removed since it was written. Exits with 1 where one was.
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    shown: Shown,
    /// Only what this user did: `method:name`, such as token:ci.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only this action, such as baseline.update.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what was done to this kind: baseline, service, rule, history, route.
    #[arg(long, value_name = "KIND")]
    resource_type: Option<String>,
    /// Only what was done to this one.
    #[arg(long, value_name = "ID")]
    resource_id: Option<String>,
    /// Only what belongs to this app.
    #[arg(long, value_name = "APP")]
    app: Option<AppName>,
    /// Only what belongs to this project.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only what ended so: success, denied, error.
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// Only entries from this time on: epoch seconds, RFC 3339, now-90m.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most this many entries, the newest first.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    after: AfterPage,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    shown: Shown,
    /// The first link to verify; without it, all are.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    from_seq: Option<i64>,
}

const ENTRIES: &[Column] = &[
    ("id", "id"),
    ("time", "at"),
    ("user", "userId"),
    ("action", "action"),
    ("resource", "resourceId"),
    ("app", "appName"),
    ("result", "result"),
    ("times", "times"),
    ("client", "clientIp"),
    ("request", "requestId"),
];

/// The server's answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    checked_rows: u64,
    first_broken_id: Option<i64>,
    unchained: u64,
    head: Option<Value>,
    next_seq: Option<i64>,
}

pub(super) async fn run(args: &AuditArgs, common: &Common) -> anyhow::Result<Exit> {
    if let Some(AuditCommand::Verify(args)) = &args.command {
        return verify(args, common).await;
    }
    let args = &args.listed;
    let parameters = [
        ("userId", args.user.clone()),
        ("action", args.action.clone()),
        ("resourceType", args.resource_type.clone()),
        ("resourceId", args.resource_id.clone()),
        ("appName", args.app.as_ref().map(ToString::to_string)),
        ("project", args.project.clone()),
        ("result", args.result.clone()),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.after.cursor.clone()),
    ];
    list(&args.shown, common, &["audit"], &parameters, ("entries", ENTRIES)).await
}

/// Verifies part after part, until nothing is left.
async fn verify(args: &VerifyArgs, common: &Common) -> anyhow::Result<Exit> {
    let url = &args.shown.server.url;
    let (mut next, mut checked, mut broken) = (args.from_seq, 0, None);
    let last = loop {
        let parameters = [("fromSeq", next.map(|seq| seq.to_string())), ("limit", Some(LINKS_AT_ONCE.to_string()))];
        let text = match server::ask(url, ["audit", "verify"], &parameters).await? {
            Ok(text) => text,
            Err(exit) => return Ok(exit),
        };
        let part: Verified =
            serde_json::from_str(&text).with_context(|| format!("{url} gave an answer that says nothing of a log"))?;
        checked += part.checked_rows;
        broken = broken.or(part.first_broken_id);
        next = part.next_seq;
        if next.is_none() {
            break part;
        }
    };
    let head = last.head.unwrap_or_default();
    if args.shown.json {
        let whole = json!({"ok": broken.is_none(), "checkedRows": checked, "firstBrokenId": broken,
            "unchained": last.unchained, "head": head});
        common.show(&format!("{whole}\n"))?;
    } else {
        let verdict = match broken {
            Some(id) => format!("PROBLEM: entry {id} was changed or removed since it was written"),
            None => "OK: no entry was changed or removed since it was written".to_owned(),
        };
        let member = |name| head.get(name).map_or_else(|| "-".to_owned(), |value| value.to_string().replace('"', ""));
        common.show(&format!(
            "{verdict}\nchecked {checked}, not chained yet {}\nnewest link {} {}\n",
            last.unchained,
            member("seq"),
            member("hash"),
        ))?;
    }
    Ok(if broken.is_some() { Exit::CheckFailed } else { Exit::Fine })
}

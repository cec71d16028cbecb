//! `flamewarden apps`, `services`, `baselines`, `history` and `schedule`: what a server has, as tables.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use super::server::{self, ServerAddress};
use super::{Common, Exit};
use crate::kernel::{AppName, ProfileType};

#[derive(Debug, clap::Args)]
pub(super) struct AppsArgs {
    #[command(flatten)]
    shown: Shown,
    /// The window's start: epoch seconds, RFC 3339, now-90m [default: an hour before its end].
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The window's end [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ServicesArgs {
    #[command(flatten)]
    shown: Shown,
    /// Only services of this tier.
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct BaselinesArgs {
    /// The app.
    app: AppName,
    #[command(flatten)]
    shown: Shown,
    /// Only limits of this kind of profile.
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<ProfileType>,
}

#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// The app.
    app: AppName,
    #[command(flatten)]
    shown: Shown,
    /// Only entries from this time on: epoch seconds, RFC 3339, now-90m.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most this many entries, the newest first.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    after: AfterPage,
}

#[derive(Debug, clap::Args)]
pub(super) struct ScheduleArgs {
    #[command(flatten)]
    shown: Shown,
}

/// The server to ask, and how to print the answer.
#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    #[command(flatten)]
    pub(super) server: ServerAddress,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// Where a list that was printed in part continues.
#[derive(Debug, clap::Args)]
pub(super) struct AfterPage {
    /// Continue a list: the cursor that was printed below its last page.
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
}

/// A column: its title, and the member of a row that it shows.
pub(super) type Column = (&'static str, &'static str);

const SERVICES: &[Column] = &[
    ("app", "appName"),
    ("owner", "teamOwner"),
    ("tier", "tier"),
    ("environment", "environment"),
    ("channel", "notificationChannel"),
];
const BASELINES: &[Column] = &[
    ("id", "id"),
    ("type", "profileType"),
    ("limit %", "maxSelfPercent"),
    ("severity", "severity"),
    ("function", "functionName"),
];
const HISTORY: &[Column] = &[
    ("id", "id"),
    ("time", "createdAt"),
    ("types", "profileTypes"),
    ("severity", "severity"),
    ("diagnosis", "diagnosis"),
    ("recommendation", "recommendation"),
];

const JOBS: &[Column] = &[
    ("job", "name"),
    ("group", "group"),
    ("last due", "lastDueAt"),
    ("outcome", "outcome"),
    ("ms", "durationMs"),
    ("runs", "runs"),
    ("failures", "failures"),
    ("next due", "nextDueAt"),
    ("error", "error"),
];

pub(super) async fn apps(args: &AppsArgs, common: &Common) -> anyhow::Result<Exit> {
    let parameters = [("from", args.from.clone()), ("to", args.to.clone())];
    // Apps are plain names, not objects.
    list(&args.shown, common, &["profiles", "apps"], &parameters, ("apps", &[("app", "")])).await
}

pub(super) async fn services(args: &ServicesArgs, common: &Common) -> anyhow::Result<Exit> {
    list(&args.shown, common, &["services"], &[("tier", args.tier.clone())], ("services", SERVICES)).await
}

pub(super) async fn baselines(args: &BaselinesArgs, common: &Common) -> anyhow::Result<Exit> {
    let mut path = vec!["baselines", args.app.as_str()];
    path.extend(args.kind.map(ProfileType::as_str));
    list(&args.shown, common, &path, &[], ("baselines", BASELINES)).await
}

pub(super) async fn history(args: &HistoryArgs, common: &Common) -> anyhow::Result<Exit> {
    let parameters = [
        ("from", args.from.clone()),
        ("to", args.to.clone()),
        ("limit", Some(args.limit.to_string())),
        ("cursor", args.after.cursor.clone()),
    ];
    list(&args.shown, common, &["history", args.app.as_str()], &parameters, ("history", HISTORY)).await
}

pub(super) async fn schedule(args: &ScheduleArgs, common: &Common) -> anyhow::Result<Exit> {
    list(&args.shown, common, &["schedule"], &[], ("jobs", JOBS)).await
}

/// Asks for a list and prints it. An empty list exits with 3, as every command does that finds no data.
pub(super) async fn list(
    shown: &Shown,
    common: &Common,
    path: &[&str],
    parameters: &[(&str, Option<String>)],
    (member, columns): (&str, &[Column]),
) -> anyhow::Result<Exit> {
    let text = match server::ask(&shown.server.url, path.iter().copied(), parameters).await? {
        Ok(text) => text,
        Err(exit) => return Ok(exit),
    };
    let body: Value =
        serde_json::from_str(&text).with_context(|| format!("{} gave an answer that is no list", shown.server.url))?;
    let rows = body.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if shown.json {
        common.show(&(text + "\n"))?;
    } else {
        let mut table = table(rows, columns);
        if let Some(cursor) = body.get("nextCursor").and_then(Value::as_str) {
            let _ = writeln!(table, "\nnote: there are more: --cursor {cursor}");
        }
        common.show(&table)?;
    }
    Ok(if rows.is_empty() { Exit::NoData } else { Exit::Fine })
}

/// Rows as a table under a line of titles. Each column is as wide as its longest text.
pub(super) fn table(rows: &[Value], columns: &[Column]) -> String {
    let texts: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|(_, member)| text_of(row, member)).collect()).collect();
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let lines: Vec<_> = std::iter::once(titles).chain(texts).collect::<Vec<Vec<String>>>();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|text| text.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut table = String::new();
    for line in &lines {
        let padded: Vec<_> = line.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        let _ = writeln!(table, "{}", padded.join("  ").trim_end());
    }
    table
}

/// A member of a row as text on one line. Without a name: the row itself.
fn text_of(row: &Value, member: &str) -> String {
    let value = if member.is_empty() { Some(row) } else { row.get(member) };
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_their_texts_and_what_is_null_is_blank() {
        let rows = [
            json!({"appName": "größe", "teamOwner": "fire", "tier": "critical", "environment": null}),
            json!({"appName": "a", "teamOwner": null, "tier": "standard", "notificationChannel": "#a\nb"}),
        ];
        let expected = "\
            app    owner  tier      environment  channel\n\
            größe  fire   critical\n\
            a             standard               #a b\n";
        assert_eq!(table(&rows, SERVICES), expected);
        assert_eq!(table(&[json!("shop")], &[("app", "")]), "app\nshop\n");
    }
}

//! `flamewarden search`: which apps run this function? Asks a server about all apps.

use std::fmt::Write as _;

use super::fleet::{self, FleetArgs};
use super::{Common, Exit};
use crate::bor::fleet::SearchBody;
use crate::kernel::FunctionName;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A part of the function's name, in any case.
    function: FunctionName,
    #[command(flatten)]
    fleet: FleetArgs,
    /// Print at most this many matches.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let more = [("function", Some(args.function.to_string())), ("limit", Some(args.limit.to_string()))];
    args.fleet.print(common, &["search"], &more, table, |body| body.apps_with_data).await
}

/// The answer as text that ends with a line break.
fn table(body: &SearchBody) -> String {
    let mut text = fleet::head(&body.profile_type, (body.from, body.to), body.app_count, body.apps_with_data);
    let plural = if body.match_count == 1 { "" } else { "es" };
    let _ = writeln!(text, "{} match{plural} of {:?}", body.match_count, body.query);
    if !body.matches.is_empty() {
        let _ = writeln!(text, "\n  {:>8}  {:>8}  {:<24} function", "self", "total", "app");
    }
    for row in &body.matches {
        let app = format!("{}{}", row.app, fleet::marks(row.low_samples, row.read_as.as_deref()));
        let _ = write!(text, "  {:>7.2}%  {:>7.2}%  {app:<24} {}", row.self_percent, row.total_percent, row.function);
        let owner = row.team_owner.as_ref().and_then(Option::as_deref);
        let channel = row.notification_channel.as_ref().and_then(Option::as_deref);
        let owner = [owner, row.tier.as_deref(), channel].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let _ = if owner.is_empty() { writeln!(text) } else { writeln!(text, " ({owner})") };
    }
    let more = body.match_count.saturating_sub(body.matches.len());
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    fleet::notes(&mut text, &body.errors, body.owners, body.matches.iter().any(|row| row.low_samples));
    text
}

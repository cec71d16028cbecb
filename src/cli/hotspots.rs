//! `flamewarden hotspots`: where would optimisation pay most? Asks a server which functions cost most over all apps.

use std::fmt::Write as _;

use super::fleet::{self, FleetArgs};
use super::{Common, Exit};
use crate::bor::fleet::{HotspotBody, HotspotServiceBody, HotspotsBody};

/// How many services are named for a function. The number of the others is printed.
const NAMED: usize = 3;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    fleet: FleetArgs,
    /// Print at most this many functions.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Leave out functions of these categories, comma-separated; empty for none.
    #[arg(long, value_name = "LIST", default_value = "idle,profiler_overhead,unresolved")]
    exclude: String,
    /// Rank functions by impact (services × largest share) or by cores.
    #[arg(long, value_name = "WHAT", default_value = "impact")]
    sort: String,
}

pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let more = [
        ("limit", Some(args.limit.to_string())),
        ("exclude", Some(args.exclude.clone())),
        ("sort", Some(args.sort.clone())),
    ];
    args.fleet.print(common, &["fleet", "hotspots"], &more, table, |body| body.apps_with_data).await
}

/// The answer as text that ends with a line break.
fn table(body: &HotspotsBody) -> String {
    let mut text = fleet::head(&body.profile_type, (body.from, body.to), body.app_count, body.apps_with_data);
    if !body.hotspots.is_empty() {
        let _ = writeln!(
            text,
            "\n  {:>8}  {:>8}  {:>7}  {:>8}  {:<20} function and services",
            "impact", "services", "largest", "cores", "category"
        );
    }
    for hotspot in &body.hotspots {
        row(&mut text, hotspot);
    }
    let few_samples = body.hotspots.iter().flat_map(|h| h.services.iter().take(NAMED)).any(|s| s.low_samples);
    fleet::notes(&mut text, &body.errors, body.owners, few_samples);
    text
}

fn row(text: &mut String, hotspot: &HotspotBody) {
    let cores = hotspot.cores.map_or_else(String::new, |cores| format!("{cores:.3}"));
    let _ = writeln!(
        text,
        "  {:>8.2}  {:>8}  {:>6.2}%  {cores:>8}  {:<20} {}",
        hotspot.impact_score,
        hotspot.service_count,
        hotspot.max_self_percent,
        hotspot.category.map_or("", |category| category.as_str()),
        hotspot.function
    );
    let named: Vec<_> = hotspot.services.iter().take(NAMED).map(service).collect();
    let more = hotspot.services.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let _ = writeln!(text, "  {:61}{}{more}", "", named.join(", "));
}

fn service(service: &HotspotServiceBody) -> String {
    let owner = service.team_owner.as_ref().and_then(Option::as_deref);
    let owner = [owner, service.tier.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let owner = if owner.is_empty() { String::new() } else { format!(" ({owner})") };
    format!(
        "{} {:.2}%{}{owner}",
        service.app,
        service.self_percent,
        fleet::marks(service.low_samples, service.read_as.as_deref())
    )
}

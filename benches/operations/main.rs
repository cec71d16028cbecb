//! Operations of thirty days: what recording and reading them costs, each figure beside what it is compared with in the
//! same run.
//!
//! A private PostgreSQL of the usual durability holds 10 million operations of 10 types and 10 scopes, with trace ids. Pairs
//! alternate five times, and medians are shown with the goal. Then a server records itself and another one does not, while
//! both answer 50 triages a second.
//!
//! `cargo bench --bench operations` (or `just bench-perf`), about twelve minutes; `OPERATIONS` (10000000) rows,
//! `OPERATIONS_SECONDS` (4) of each run of writers, `TRIAGE_SECONDS` (20) of each run of triages, `OPERATIONS_PARTS`
//! (`write,read,upkeep,triage`).

#[path = "../load/canned.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod canned;
#[path = "../load/cluster.rs"]
mod cluster;
mod data;
#[path = "../load/process.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod process;
mod reading;
mod triages;
mod upkeep;
mod writing;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use data::Filled;
use flamewarden::storage::{Embedded, EmbeddedSettings};
use process::{median, setting};

/// Pairs of runs that are compared.
pub(crate) const RUNS: usize = 5;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("canned") => actix_web::rt::System::new().block_on(triages::canned()),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(measure()),
    }
}

async fn measure() -> Result<()> {
    let parts = std::env::var("OPERATIONS_PARTS").unwrap_or_else(|_| "write,read,upkeep,triage".to_owned());
    let wanted = |part: &str| parts.split(',').any(|wanted| wanted == part);
    if wanted("write") || wanted("read") || wanted("upkeep") {
        let directory = tempfile::tempdir()?;
        readable(directory.path())?;
        let cluster = Embedded::start(EmbeddedSettings::new(directory.path())).await?;
        let filled = Filled::of(&cluster, setting("OPERATIONS", 10_000_000)).await?;
        let run = Duration::from_secs(setting("OPERATIONS_SECONDS", 4));
        if wanted("read") {
            reading::measure(&filled).await?;
        }
        if wanted("write") {
            writing::measure(&filled, run).await?;
        }
        if wanted("upkeep") {
            upkeep::measure(&filled).await?;
        }
        cluster.stop().await;
    }
    if wanted("triage") {
        triages::measure(Duration::from_secs(setting("TRIAGE_SECONDS", 20))).await?;
    }
    Ok(())
}

/// PostgreSQL runs as another user where this program is root.
pub(crate) fn readable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
}

/// Prints a figure.
pub(crate) fn show(what: &str, figure: f64, goal: &str, detail: &str) {
    println!("{what:<46} {figure:>9.2}   goal {goal:<14} {detail}");
}

/// The median of pairs' ratios, and the medians of both sides.
pub(crate) fn ratio(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    let of = |part: fn(&(f64, f64)) -> f64| median(pairs.iter().map(part));
    (of(|(one, other)| one / other), of(|(one, _)| *one), of(|(_, other)| *other))
}

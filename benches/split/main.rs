//! The cost of splitting: the latency of each decision in one process, and in one process per function.
//!
//! A Pyroscope with fixed answers serves both. The monolith has the database that the split's systems of record share
//! with it.
//!
//! `cargo bench --bench split`; `LOAD_SECONDS` per run (5), `LOAD_RUNS` (5).

#[path = "../load/canned.rs"]
#[expect(dead_code, reason = "the bench of load needs the rest")]
mod canned;
#[path = "../load/measure.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod measure;
#[path = "../load/process.rs"]
mod process;

use std::time::Duration;

use anyhow::{Context, Result};
use canned::{Made, Source};
use flamewarden::storage::Embedded;
use measure::{Figures, Target};
use process::{median, role, server, setting, start};
use sqlx::ConnectOptions;

const CANNED: &str = "127.0.0.1:19070";
const MONOLITH: &str = "127.0.0.1:19071";
/// The systems of record of the split: what the others know each by, what it serves and where.
const SORS: [(&str, &str, &str); 4] = [
    ("PROFILE_DATA_URL", "ReadPyroscopeProfile.sor.v1", "127.0.0.1:19072"),
    ("BASELINE_URL", "ReadPyroscopeBaseline.sor.v1", "127.0.0.1:19073"),
    ("HISTORY_URL", "CreatePyroscopeTriageHistory.sor.v1", "127.0.0.1:19074"),
    ("REGISTRY_URL", "ReadPyroscopeServiceRegistry.sor.v1", "127.0.0.1:19075"),
];
/// Its decisions: what each is called here, its function, where, and what is asked.
const BORS: [(&str, &str, &str, &str); 3] = [
    ("triage", "ReadPyroscopeTriageAssessment.v2", "127.0.0.1:19076", "/triage/small?types=cpu"),
    ("diff", "ReadPyroscopeDiffReport.v2", "127.0.0.1:19077", "/diff/small"),
    ("fleet", "ReadPyroscopeFleetSearch.v2", "127.0.0.1:19078", "/fleet/hotspots"),
];

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("canned") => actix_web::rt::System::new().block_on(canned()),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(compare()),
    }
}

async fn canned() -> Result<()> {
    let mut source = Source::taking(Duration::ZERO);
    let made = Made { functions: 170, stacks: 240, depth: 18, leaves: 24, own: None };
    source.add("small", (0..64).map(|variant| made.profile(variant)).collect::<Result<_>>()?);
    source.serve(CANNED).await
}

async fn compare() -> Result<()> {
    let data = tempfile::tempdir()?;
    let path = |of: &str| data.path().join(of).to_str().map(str::to_owned).context("a plain temporary directory");
    let source = format!("http://{CANNED}");
    let _canned = role(&["canned"])?;
    let (whole, home) = (path("monolith")?, path("split")?);
    let monolith = server(MONOLITH, CANNED, "all", &[("DATA_DIR", &whole)])?;
    Target::new("", monolith.id(), &format!("http://{MONOLITH}/ready")).ready().await?;
    let database = Embedded::options_of_running(whole.as_ref()).context("the monolith's database")?;
    let database = database.to_url_lossy().to_string();
    let mut sors = Vec::new();
    let mut remote = vec![("DATA_DIR", home)];
    for (variable, function, address) in SORS {
        let own = match variable {
            "PROFILE_DATA_URL" => ("PYROSCOPE_URL", source.as_str()),
            _ => ("DATABASE_URL", database.as_str()),
        };
        sors.push(start(address, function, &[own])?);
        remote.push((variable, format!("http://{address}")));
    }
    let remote: Vec<_> = remote.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (run, runs) = (Duration::from_secs(setting("LOAD_SECONDS", 5)), setting("LOAD_RUNS", 5));
    println!("{:<8} {:>12} {:>16} {:>16} {:>16}", "", "concurrency", "one process ms", "split ms", "added ms");
    for (name, function, address, query) in BORS {
        let bor = start(address, function, &remote)?;
        let targets = [
            Target::new("", monolith.id(), &format!("http://{MONOLITH}{query}")),
            Target::new("", bor.id(), &format!("http://{address}{query}")),
        ];
        for target in &targets {
            target.ready().await?;
        }
        for concurrency in [1, 4] {
            let mut all: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
            for _ in 0..runs {
                for (target, figures) in targets.iter().zip(&mut all) {
                    let figure = target.run(concurrency, run).await?;
                    anyhow::ensure!(figure.errors == 0, "{name}: {} errors", figure.errors);
                    figures.push(figure);
                }
            }
            for (what, of) in [("p50", (|f| f.p50_ms) as fn(&Figures) -> f64), ("p99", |f| f.p99_ms)] {
                let [whole, split] = all.each_ref().map(|figures| median(figures.iter().map(of)));
                let added = split - whole;
                println!(
                    "{name:<8} {concurrency:>12} {:>16} {:>16} {:>16}",
                    format!("{what} {whole:.2}"),
                    format!("{split:.2}"),
                    format!("{added:+.2}")
                );
            }
        }
    }
    Ok(())
}

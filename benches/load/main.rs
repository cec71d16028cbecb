//! Triage under load, compared with a bare proxy of the same stack in the same run.
//!
//! Three processes of this binary and one of the server: a Pyroscope with fixed answers that differ per request, a bare
//! proxy (actix-web and reqwest fetch the same bytes and discard them), and the load itself. Reported for each target:
//! requests per second, p50 and p99, CPU time per request (user and system, as the operating system reports it),
//! resident memory. Identical requests at the same time share one read of the source; with windows of their own,
//! requests share nothing. Runs alternate, so that changes of the machine affect both; medians are shown.
//!
//! Beside made-up profiles, two answers that a real Pyroscope gave are served where `SHARED_DIR` (default `../shared`)
//! holds them, each request with a window of its own.
//!
//! `cargo bench --bench load` (or `just load`); `LOAD_SECONDS` per run (5), `LOAD_RUNS` (5).

mod canned;
mod measure;
mod process;
mod proxy;

use std::time::Duration;

use anyhow::{Context, Result};
use canned::{Made, Source};
use measure::{Figures, Target};
use process::{median, role, server, setting};

const CANNED: &str = "127.0.0.1:19040";
const PROXY: &str = "127.0.0.1:19041";
const V1: &str = "127.0.0.1:19042";
const V2: &str = "127.0.0.1:19043";

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("canned") => actix_web::rt::System::new().block_on(canned()),
        Some("proxy") => actix_web::rt::System::new().block_on(proxy::serve(PROXY, CANNED)),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(load()),
    }
}

/// Two apps, `small` (20 to 25 kB per profile) and `large` (1 MB), each with so many answers that no two in a row are
/// equal.
async fn canned() -> Result<()> {
    let mut source = Source::taking(Duration::ZERO);
    let made = |functions, stacks, depth| Made { functions, stacks, depth, leaves: 24, own: None };
    for (app, made) in [("small", made(170, 240, 18)), ("large", made(4_000, 10_910, 30))] {
        source.add(app, (0..64).map(|variant| made.profile(variant)).collect::<Result<_>>()?);
    }
    for (app, answer) in recorded()? {
        source.add(app, vec![answer]);
    }
    source.serve(CANNED).await
}

/// What a real Pyroscope answered for two apps, a Go service and Kafka; none where the shared data are absent.
fn recorded() -> Result<Vec<(&'static str, bytes::Bytes)>> {
    let shared = std::env::var("SHARED_DIR").unwrap_or_else(|_| "../shared".to_owned());
    let folder = std::path::Path::new(&shared).join("recorded/pyroscope-v2");
    if !folder.is_dir() {
        eprintln!("{} is absent: no rows of recorded answers", folder.display());
        return Ok(Vec::new());
    }
    let read = |file: &str| std::fs::read(folder.join(file)).with_context(|| file.to_owned()).map(bytes::Bytes::from);
    Ok(vec![("recorded-go", read("merge-checkout-cpu.bin")?), ("recorded-kafka", read("merge-kafka-cpu.bin")?)])
}

async fn load() -> Result<()> {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().context("a temporary directory with a plain name")?;
    let _canned = role(&["canned"])?;
    let proxy = role(&["proxy"])?;
    let v1 = server(V1, CANNED, "ReadPyroscopeTriageAssessment.v1", &[])?;
    let v2 = server(V2, CANNED, "all", &[("DATA_DIR", data_dir)])?;
    let query = "types=cpu";
    let targets = [
        Target::new("bare proxy", proxy.id(), &format!("http://{PROXY}/triage/small?{query}")),
        Target::new("triage v1", v1.id(), &format!("http://{V1}/triage/small?{query}")),
        Target::new("v1, own windows", v1.id(), &format!("http://{V1}/triage/small?{query}")).with_windows()?,
        Target::new("triage v1, gzip", v1.id(), &format!("http://{V1}/triage/small?{query}")).taking_gzip(),
        Target::new("triage v2", v2.id(), &format!("http://{V2}/triage/small?{query}")),
    ];
    let large = [
        Target::new("bare proxy, 1 MB", proxy.id(), &format!("http://{PROXY}/triage/large?{query}")),
        Target::new("triage v1, 1 MB", v1.id(), &format!("http://{V1}/triage/large?{query}")),
    ];
    let mut real = Vec::new();
    for (app, _) in recorded()? {
        let name = app.trim_start_matches("recorded-");
        real.push(Target::new(
            &format!("bare proxy, {name}"),
            proxy.id(),
            &format!("http://{PROXY}/triage/{app}?{query}"),
        ));
        let triage = Target::new(&format!("v1, {name}"), v1.id(), &format!("http://{V1}/triage/{app}?{query}"));
        real.push(triage.with_windows()?);
    }
    let (go, kafka) = real.split_at(real.len() / 2);
    for target in targets.iter().chain(&large).chain(&real) {
        target.ready().await?;
        println!("{:<18} resident after start {:>6.1} MiB", target.name, target.resident_mib()?);
    }
    let run = Duration::from_secs(setting("LOAD_SECONDS", 5));
    let runs = setting("LOAD_RUNS", 5);
    for (group, concurrency) in [(&targets[..], 16), (&targets[..], 64), (&large[..], 1), (go, 16), (kafka, 16)] {
        if group.is_empty() {
            continue;
        }
        println!("\nconcurrency {concurrency}, median of {runs} runs of {} s", run.as_secs());
        println!(
            "{:<18} {:>9} {:>9} {:>9} {:>12} {:>7} {:>9} {:>7}",
            "", "req/s", "p50 ms", "p99 ms", "CPU µs/req", "ratio", "MiB", "errors"
        );
        let mut all: Vec<Vec<Figures>> = group.iter().map(|_| Vec::new()).collect();
        for _ in 0..runs {
            for (target, figures) in group.iter().zip(&mut all) {
                figures.push(target.run(concurrency, run).await?);
            }
        }
        let base: Vec<f64> = all.first().map(|f| f.iter().map(|f| f.cpu_us).collect()).unwrap_or_default();
        for (target, figures) in group.iter().zip(&all) {
            let ratio = median(figures.iter().zip(&base).map(|(f, base)| f.cpu_us / base));
            let middle = |of: fn(&Figures) -> f64| median(figures.iter().map(of));
            println!(
                "{:<18} {:>9.0} {:>9.2} {:>9.2} {:>12.1} {:>6.2}x {:>9.1} {:>7}",
                target.name,
                middle(|f| f.per_second),
                middle(|f| f.p50_ms),
                middle(|f| f.p99_ms),
                middle(|f| f.cpu_us),
                ratio,
                target.resident_mib()?,
                figures.iter().map(|f| f.errors).sum::<u64>(),
            );
        }
    }
    Ok(())
}

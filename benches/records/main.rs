//! Approved limits read and written under load: requests per second of a relational system of record, and the part of
//! the CPU that PostgreSQL uses.
//!
//! One process of the server with an embedded cluster of the usual durability, and the load. Each `GET` reads the ten
//! limits of one of twenty apps; each `POST` sets one of a thousand limits, so that most replace a threshold. Runs
//! alternate; medians are shown.
//!
//! `cargo bench --bench records`; `LOAD_SECONDS` per run (5), `LOAD_RUNS` (5); `DB_POOL_SIZE` as for the server.

#[path = "../load/cluster.rs"]
mod cluster;
#[path = "../load/measure.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod measure;
#[path = "../load/process.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod process;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use measure::{Figures, Target};
use process::{median, setting, start};
use serde_json::{Value, json};

const ADDRESS: &str = "127.0.0.1:19055";
const APPS: u64 = 20;
/// Approved limits of each app that are read.
const READ: u64 = 10;
/// Approved limits that are written in turn.
const WRITTEN: u64 = 1_000;

fn limit(app: &str, n: u64) -> Value {
    let function = format!("com.example.shop.Handler{n}.process");
    json!({"appName": app, "profileType": "cpu", "functionName": function, "maxSelfPercent": n % 100})
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<()> {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().context("a temporary directory with a plain name")?;
    let server = start(ADDRESS, "ReadPyroscopeBaseline.sor.v1", &[("DATA_DIR", data_dir)])?;
    let url = format!("http://{ADDRESS}/baselines");
    Target::new("", server.id(), &format!("{url}/any")).ready().await?;
    let client = reqwest::Client::new();
    for n in 0..APPS * READ {
        let answer = client.post(&url).json(&limit(&format!("app{}", n % APPS), n)).send().await?;
        ensure!(answer.status() == 201, "a limit was answered {}", answer.status());
    }
    let database = Cluster::of(data.path())?;
    let (read, written) = (url.clone(), url.clone());
    let targets = [
        Target::new("GET", server.id(), &url).asking(move |client, n| client.get(format!("{read}/app{}", n % APPS))),
        Target::new("POST", server.id(), &url)
            .asking(move |client, n| client.post(&written).json(&limit("written", n % WRITTEN))),
    ];
    let (run, runs) = (Duration::from_secs(setting("LOAD_SECONDS", 5)), setting("LOAD_RUNS", 5));
    for concurrency in [16, 64] {
        println!("\nconcurrency {concurrency}, median of {runs} runs of {} s", run.as_secs());
        println!(
            "{:<5} {:>8} {:>8} {:>8} {:>14} {:>14} {:>12} {:>7}",
            "", "req/s", "p50 ms", "p99 ms", "server µs/req", "postgres µs", "postgres %", "errors"
        );
        let mut all: Vec<Vec<(Figures, f64)>> = targets.iter().map(|_| Vec::new()).collect();
        for _ in 0..runs {
            for (target, figures) in targets.iter().zip(&mut all) {
                let before = database.cpu_us()?;
                let figure = target.run(concurrency, run).await?;
                let requests = figure.per_second * run.as_secs_f64();
                figures.push((figure, (database.cpu_us()? - before) / requests));
            }
        }
        for (target, figures) in targets.iter().zip(&all) {
            let median = |of: fn(&(Figures, f64)) -> f64| median(figures.iter().map(of));
            println!(
                "{:<5} {:>8.0} {:>8.2} {:>8.2} {:>14.0} {:>14.0} {:>12.0} {:>7}",
                target.name,
                median(|(f, _)| f.per_second),
                median(|(f, _)| f.p50_ms),
                median(|(f, _)| f.p99_ms),
                median(|(f, _)| f.cpu_us),
                median(|(_, database_us)| *database_us),
                median(|(f, database_us)| database_us * 100.0 / (f.cpu_us + database_us)),
                figures.iter().map(|(f, _)| f.errors).sum::<u64>(),
            );
        }
    }
    Ok(())
}

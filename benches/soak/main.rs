//! Runs the expected volumes for a while, with the embedded database and the embedded profile store: no request fails,
//! nothing is lost, memory does not grow.
//!
//! Fifteen apps with two hours of profiles push another one every 15 s. Every second ten triages, five diffs and five
//! fleet searches are requested, whether or not earlier ones were answered. Reported: p50 and p99 per route, the CPU of
//! the server and of PostgreSQL, resident memory over time, bytes per row of history. It fails if a request failed, if
//! an assessment is not in the history, or if memory grew by more than a quarter after the first third.
//!
//! `cargo bench --bench soak`; `SOAK_SECONDS` (600). With few seconds it is a test: `just soak-short`. With
//! `HISTORY_REPEATS_EVERY`, which the server reads, assessments that repeat the last one count as kept.

#[path = "../load/canned.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod canned;
#[path = "../load/cluster.rs"]
mod cluster;
#[path = "../load/process.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod process;
mod routes;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use canned::Made;
use cluster::Cluster;
use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::storage::Embedded;
use process::{cpu_us, memory_mib, setting, start};
use reqwest::Client;
use routes::{APPS, Answers, ROUTES, Route, app};
use serde_json::json;
use sqlx::{Connection, PgConnection};

const ADDRESS: &str = "127.0.0.1:19060";
const BASE: &str = "http://127.0.0.1:19060";
/// Minutes of profiles at the start: as much as a diff of two hours reads.
const BEFORE: i64 = 125;
/// How much memory may grow after the first third: caches and pools of another day.
const GROWTH: f64 = 1.25;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<()> {
    let seconds = setting("SOAK_SECONDS", 600);
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().context("a temporary directory with a plain name")?;
    let server = start(ADDRESS, "all", &[("DATA_DIR", data_dir)])?;
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    ready(&client).await?;
    prepare(&client, if seconds < 60 { 15 } else { 1 }).await?;
    let database = Cluster::of(data.path())?;
    let answers = Arc::new(Answers::default());
    // Memory grows when something is read for the first time.
    for route in ROUTES {
        Arc::clone(&answers).ask(&client, BASE, route, 0).await;
    }
    ensure!(answers.errors().is_empty(), "before the start: {:?}", answers.errors());
    println!("{APPS} apps, {seconds} s: {}", ROUTES.map(|r| format!("{} {}/s", r.name, r.per_second)).join(", "));
    let (begun, cpu) = (Instant::now(), (cpu_us(server.id())?, database.cpu_us()?));
    let end = Duration::from_secs(seconds);
    let rates = ROUTES.map(|route| tokio::spawn(ask_steadily(client.clone(), route, Arc::clone(&answers), end)));
    let pushing = tokio::spawn(push_steadily(client.clone(), end));
    let mut memory = Vec::new();
    let pause = Duration::from_secs((seconds / 30).clamp(1, 20));
    while begun.elapsed() < end {
        tokio::time::sleep(pause.min(end.saturating_sub(begun.elapsed()))).await;
        memory.push((begun.elapsed(), memory_mib(server.id(), "VmRSS:")?));
    }
    for rate in rates {
        rate.await?;
    }
    let pushed = pushing.await??;
    let wall = begun.elapsed().as_secs_f64();
    let share = |us: f64| us / 1e4 / wall;
    println!("{}", answers.table());
    println!("{pushed} profiles pushed meanwhile");
    println!(
        "CPU: server {:.1} % of one core, PostgreSQL {:.1} %",
        share(cpu_us(server.id())? - cpu.0),
        share(database.cpu_us()? - cpu.1)
    );
    let grown = grown(&memory);
    let repeated = counter(&client, "history_repeats_total").await?;
    history(data.path(), answers.assessments().saturating_sub(repeated)).await?;
    if repeated > 0 {
        println!("{repeated} assessments more said the same as the last one, and were not recorded");
    }
    ensure!(answers.errors().is_empty(), "{} errors: {:?}", answers.errors().len(), answers.errors().first());
    ensure!(grown <= GROWTH, "memory grew to {grown:.2} of what it was");
    Ok(())
}

async fn ready(client: &Client) -> Result<()> {
    for _ in 0..600 {
        if client.get(format!("{BASE}/ready")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the server is not ready after a minute")
}

/// A counter of the server; 0 if it has not counted yet.
async fn counter(client: &Client, name: &str) -> Result<usize> {
    let text = client.get(format!("{BASE}/metrics")).send().await?.text().await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map_or(Ok(0), str::parse)?)
}

/// Registers owners and limits, and pushes a profile of each app every so many minutes.
async fn prepare(client: &Client, every: i64) -> Result<()> {
    let post = async |path: &str, body: serde_json::Value| {
        let answer = client.post(format!("{BASE}/{path}")).json(&body).send().await?;
        ensure!(answer.status() == 201, "{path} was answered {}", answer.status());
        Ok(())
    };
    for n in 0..APPS {
        let tier = if n % 5 == 0 { "critical" } else { "standard" };
        post("services", json!({"appName": app(n), "teamOwner": format!("team{}", n % 4), "tier": tier})).await?;
        for function in ["runtime.mallocgc", "runtime.memmove", "regexp.(*Regexp).doExecute"] {
            let limit = json!({"appName": app(n), "profileType": "cpu", "functionName": function, "maxSelfPercent": 4});
            post("baselines", limit).await?;
        }
    }
    let now = SystemClock.now().timestamp();
    for minute in (1..=BEFORE).rev().filter(|minute| minute % every == 0) {
        for n in 0..APPS {
            push(client, n, now - minute * 60, usize::try_from(minute)?).await?;
        }
    }
    Ok(())
}

async fn push(client: &Client, n: u64, at: i64, variant: usize) -> Result<()> {
    let query =
        [("name", app(n)), ("format", "pprof".into()), ("from", at.to_string()), ("until", (at + 10).to_string())];
    let made = Made { functions: 170, stacks: 240, depth: 18, leaves: 24, own: Some(usize::try_from(n)?) };
    let body = made.profile(variant)?;
    let answer = client.post(format!("{BASE}/ingest")).query(&query).body(body).send().await?;
    ensure!(answer.status() == 200, "a push was answered {}: {}", answer.status(), answer.text().await?);
    Ok(())
}

/// Pushes one profile of each app every 15 s.
async fn push_steadily(client: Client, end: Duration) -> Result<u64> {
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(15) / u32::try_from(APPS)?);
    let mut n = 0;
    while begun.elapsed() < end {
        ticks.tick().await;
        push(&client, n % APPS, SystemClock.now().timestamp() - 10, usize::try_from(n)?).await?;
        n += 1;
    }
    Ok(n)
}

/// Sends this many requests per second, however long the answers take, and waits for all of them.
async fn ask_steadily(client: Client, route: Route, answers: Arc<Answers>, end: Duration) {
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / route.per_second);
    let mut asked = Vec::new();
    while begun.elapsed() < end {
        ticks.tick().await;
        let (client, answers, n) = (client.clone(), Arc::clone(&answers), asked.len());
        asked.push(tokio::spawn(async move { answers.ask(&client, BASE, route, n).await }));
    }
    for answer in asked {
        let _ = answer.await;
    }
}

/// Shows the memory over time. Returns by how much the last third exceeds the second.
fn grown(memory: &[(Duration, f64)]) -> f64 {
    let mean = |part: &[(Duration, f64)]| part.iter().map(|(_, mib)| mib).sum::<f64>() / part.len().max(1) as f64;
    let at = |thirds: usize| memory.get(memory.len() * thirds / 3..memory.len() * (thirds + 1) / 3).unwrap_or(&[]);
    let most = memory.iter().map(|(_, mib)| *mib).fold(0.0, f64::max);
    let ends = memory.first().zip(memory.last()).map_or((0.0, 0.0), |(first, last)| (first.1, last.1));
    println!(
        "resident: {:.0} MiB at the start, {:.0} at the end, {most:.0} at most; by thirds {:.0}, {:.0}, {:.0}",
        ends.0,
        ends.1,
        mean(at(0)),
        mean(at(1)),
        mean(at(2)),
    );
    if memory.len() < 9 { 1.0 } else { mean(at(2)) / mean(at(1)) }
}

/// Checks that every answered assessment is in the history. Returns the size of a row.
async fn history(data_dir: &Path, assessments: usize) -> Result<()> {
    let options = Embedded::options_of_running(data_dir).context("the cluster of the server")?;
    let mut connection = PgConnection::connect_with(&options).await?;
    let mut rows = 0_i64;
    for _ in 0..100 {
        rows = sqlx::query_scalar("SELECT count(*) FROM public.triage_history").fetch_one(&mut connection).await?;
        if usize::try_from(rows)? >= assessments {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(
        usize::try_from(rows)? == assessments,
        "{assessments} assessments were answered, {rows} are in the history"
    );
    let bytes: i64 =
        sqlx::query_scalar("SELECT pg_total_relation_size('public.triage_history')").fetch_one(&mut connection).await?;
    let of_row = bytes as f64 / rows as f64;
    println!(
        "history: {rows} rows of {of_row:.0} bytes with their indexes; 1 GB holds {:.0} of them a day for a year",
        1e9 / of_row / 365.0
    );
    Ok(())
}

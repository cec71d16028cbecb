//! Alert rounds over a fleet, and what they cost those who ask meanwhile.
//!
//! A Pyroscope with fixed answers has 100 apps, each with a profile of 200 kB, and answers after 20 ms. A server of this
//! build with its own database holds 1,000 rules, ten for each app, all of one type and window: a round reads each app
//! once. Of each round: reads of the source, duration, CPU time of the server (its database is another process). Then
//! triages of one app are asked for 20 s in which a round begins, and for 20 s in which none does, in turn; p99 of both
//! and their ratio. Rounds are a minute apart. Linux only.
//!
//! `cargo bench --bench alerts` (or `just alerts`); `ALERT_RUNS` (5), each two minutes.

#[path = "../load/canned.rs"]
#[expect(dead_code, reason = "other benchmarks use the rest")]
mod canned;
#[path = "../load/measure.rs"]
#[expect(dead_code, reason = "other benchmarks use the rest")]
mod measure;
#[path = "../load/process.rs"]
mod process;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use canned::{Made, Source};
use chrono::{DateTime, Utc};
use flamewarden::kernel::{Clock, SystemClock};
use measure::Target;
use process::{cpu_us, median, memory_mib, role, server, setting};
use reqwest::Client;
use serde_json::{Value, json};

const CANNED: &str = "127.0.0.1:19060";
const SERVER: &str = "127.0.0.1:19061";
const APPS: usize = 100;
const RULES_OF_AN_APP: usize = 10;
const DELAY: Duration = Duration::from_millis(20);
/// Rounds begin half a minute after each minute.
const ROUND_AT: i64 = 30;
/// How long triages are asked for, in seconds; a round begins a quarter into it.
const ASKING: i64 = 20;

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("canned") => actix_web::rt::System::new().block_on(canned()),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(alerts()),
    }
}

async fn canned() -> Result<()> {
    let mut source = Source::taking(DELAY);
    for app in 0..APPS {
        let made = Made { functions: 1_200, stacks: 2_150, depth: 24, leaves: 500, own: Some(app) };
        source.add(&format!("app{app}"), vec![made.profile(app)?]);
    }
    source.serve(CANNED).await
}

async fn alerts() -> Result<()> {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_string_lossy().into_owned();
    let _canned = role(&["canned"])?;
    let server = server(SERVER, CANNED, "", &[("DATA_DIR", &data_dir), ("HISTORY_REPEATS_EVERY", "1h")])?;
    let triage =
        Target::new("triage", server.id(), &format!("http://{SERVER}/triage/app0?types=cpu")).with_windows()?;
    // The database is ready a little later than the source.
    Target::new("rules", server.id(), &format!("http://{SERVER}/rules")).ready().await?;
    triage.ready().await?;
    let client = Client::new();
    for rule in (0..APPS).flat_map(|app| (0..RULES_OF_AN_APP).map(move |n| rule(app, n))) {
        let made = client.post(format!("http://{SERVER}/rules")).json(&rule).send().await?;
        ensure!(made.status().is_success(), "a rule is refused: {}", made.text().await?);
    }
    let (mut fetches, mut seconds, mut cpu, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting("ALERT_RUNS", 5) {
        let (read, used) = (merges(&client).await?, cpu_us(server.id())?);
        let round = Round::next(&client).await?;
        fetches.push(merges(&client).await? - read);
        cpu.push((cpu_us(server.id())? - used) / 1e6);
        seconds.push(round.seconds());
        sleep_until(60 - ASKING / 2).await;
        let quiet = triage.run(1, Duration::from_secs(ASKING.unsigned_abs())).await?;
        sleep_until(ROUND_AT - ASKING / 4).await;
        let busy = triage.run(1, Duration::from_secs(ASKING.unsigned_abs())).await?;
        ensure!(quiet.errors + busy.errors == 0, "a triage failed");
        println!(
            "triage p99 {:.1} ms beside a round, {:.1} ms without; p50 {:.1} and {:.1} ms",
            busy.p99_ms, quiet.p99_ms, busy.p50_ms, quiet.p50_ms
        );
        ratios.push(busy.p99_ms / quiet.p99_ms);
    }
    println!(
        "a round: {} reads, {:.1} s, {:.1} s of CPU; peak {:.0} MiB; triage p99 beside it {:.2} x",
        median(fetches.into_iter()),
        median(seconds.into_iter()),
        median(cpu.into_iter()),
        memory_mib(server.id(), "VmHWM:")?,
        median(ratios.into_iter()),
    );
    Ok(())
}

/// A rule on some functions of an app that is rarely over.
fn rule(app: usize, n: usize) -> Value {
    json!({"appName": format!("app{app}"), "profileType": "cpu", "thresholdPercent": 30,
        "functionPattern": format!("Handler{}\\)\\.Step{n}", n % 5), "measure": "sum"})
}

/// Reads of profiles that the source has answered.
async fn merges(client: &Client) -> Result<f64> {
    Ok(client.get(format!("http://{CANNED}/merges")).send().await?.text().await?.parse()?)
}

/// When a round ran.
struct Round {
    started: DateTime<Utc>,
    finished: DateTime<Utc>,
}

impl Round {
    /// The next round that begins; returns once it has ended.
    async fn next(client: &Client) -> Result<Self> {
        let asked = SystemClock.now();
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let schedule: Value = client.get(format!("http://{SERVER}/schedule")).send().await?.json().await?;
            let jobs = schedule.get("jobs").and_then(Value::as_array).context("jobs")?;
            let member = |job: &Value, name: &str| job.get(name).and_then(Value::as_str).map(str::to_owned);
            let job = jobs
                .iter()
                .find(|job| member(job, "name").as_deref() == Some("alert_rules"))
                .context("no alert rounds")?;
            let time = |name: &str| member(job, name).and_then(|text| text.parse::<DateTime<Utc>>().ok());
            if let (Some(started), Some(finished)) = (time("startedAt"), time("finishedAt"))
                && started > asked
            {
                ensure!(member(job, "outcome").as_deref() == Some("ok"), "a round failed: {job}");
                return Ok(Self { started, finished });
            }
        }
    }

    fn seconds(&self) -> f64 {
        (self.finished - self.started).num_milliseconds() as f64 / 1e3
    }
}

/// Waits for that second of a minute.
async fn sleep_until(second: i64) {
    let now = SystemClock.now().timestamp_millis();
    let left = (second * 1_000 - now).rem_euclid(60_000);
    tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
}

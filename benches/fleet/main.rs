//! Hotspots of a fleet, compared with a bare client in the same run.
//!
//! A Pyroscope with fixed answers has 100 and then 1,000 apps, each with a profile of 200 kB. Half of its functions are
//! in no other app. It answers after 20 ms. A server of this build ranks their functions. A bare reqwest client in this
//! process fetches the same profiles, 16 at once, as many as a search grows to, and discards them. Runs alternate, so
//! that changes of the machine affect both; medians are shown. The first search is shown separately: it begins with 2
//! apps at once and has no connections yet. Linux only.
//!
//! `cargo bench --bench fleet`; `FLEET_RUNS` (7).

#[path = "../load/canned.rs"]
mod canned;
#[path = "../load/process.rs"]
mod process;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use canned::{Made, Source};
use futures::{StreamExt, TryStreamExt};
use process::{cpu_us, median, memory_mib, role, server, setting};
use serde_json::Value;

const CANNED: &str = "127.0.0.1:19050";
const SERVER: &str = "127.0.0.1:19051";
const AT_ONCE: usize = 16;
const DELAY: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["canned", apps] => actix_web::rt::System::new().block_on(canned(apps.parse()?)),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(fleet()),
    }
}

async fn canned(apps: usize) -> Result<()> {
    let mut source = Source::taking(DELAY);
    for app in 0..apps {
        let made = Made { functions: 1_200, stacks: 2_150, depth: 24, leaves: 500, own: Some(app) };
        source.add(&format!("app{app}"), vec![made.profile(app)?]);
    }
    source.serve(CANNED).await
}

async fn fleet() -> Result<()> {
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>7} {:>12} {:>10} {:>12}",
        "apps", "first ms", "search ms", "bare ms", "ratio", "CPU ms/app", "peak MiB", "resident MiB"
    );
    let mut times = Vec::new();
    for apps in [100, 1_000] {
        times.push(measure(apps).await?);
    }
    if let [hundred, thousand] = times.as_slice() {
        println!("\nten times the apps take {:.1} times as long", thousand / hundred);
    }
    Ok(())
}

/// The median duration of searches over this many apps, in milliseconds.
async fn measure(apps: usize) -> Result<f64> {
    let _canned = role(&["canned", &apps.to_string()])?;
    let server = server(SERVER, CANNED, "ReadPyroscopeFleetSearch.v1", &[])?;
    let client = reqwest::Client::builder().no_gzip().build()?;
    answers(&client, &format!("http://{SERVER}/ready"), reqwest::Method::GET).await?;
    answers(&client, &format!("http://{CANNED}/querier.v1.QuerierService/Series"), reqwest::Method::POST).await?;
    let first = search(&client, apps).await?;
    let (mut searches, mut bare, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting("FLEET_RUNS", 7) {
        bare.push(fetch(&client, apps).await?);
        let before = cpu_us(server.id())?;
        searches.push(search(&client, apps).await?);
        cpu.push((cpu_us(server.id())? - before) / 1e3 / apps as f64);
    }
    let ratio = median(searches.iter().zip(&bare).map(|(search, bare)| search / bare));
    let (searched, fetched) = (median(searches.into_iter()), median(bare.into_iter()));
    println!(
        "{apps:>6} {first:>10.0} {searched:>10.0} {fetched:>10.0} {ratio:>6.2}x {:>12.2} {:>10.1} {:>12.1}",
        median(cpu.into_iter()),
        memory_mib(server.id(), "VmHWM:")?,
        memory_mib(server.id(), "VmRSS:")?,
    );
    Ok(searched)
}

/// Waits until the server answers.
async fn answers(client: &reqwest::Client, url: &str, method: reqwest::Method) -> Result<()> {
    for _ in 0..1_200 {
        if client.request(method.clone(), url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("nobody answers at {url}")
}

/// The duration of a search that finds every app, in milliseconds.
async fn search(client: &reqwest::Client, apps: usize) -> Result<f64> {
    let start = Instant::now();
    let answer = client.get(format!("http://{SERVER}/fleet/hotspots")).send().await?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    let took = start.elapsed();
    let body: Value = serde_json::from_slice(&body)?;
    let read = body.get("appsWithData").and_then(Value::as_u64).with_context(|| format!("{status}: {body}"))?;
    ensure!(read == apps as u64, "{read} of {apps} apps were read: {body}");
    Ok(took.as_secs_f64() * 1e3)
}

/// The time in which a bare client fetches every profile, in milliseconds.
async fn fetch(client: &reqwest::Client, apps: usize) -> Result<f64> {
    let start = Instant::now();
    let calls = (0..apps).map(|app| async move {
        let request = client.post(format!("http://{CANNED}/querier.v1.QuerierService/SelectMergeProfile"));
        let request = request.header("content-type", "application/proto");
        let answer = request.body(canned::merge_request(&format!("app{app}"))).send().await?.error_for_status()?;
        Ok::<_, reqwest::Error>(answer.bytes().await?.len())
    });
    let sizes: Vec<usize> = futures::stream::iter(calls).buffer_unordered(AT_ONCE).try_collect().await?;
    ensure!(sizes.iter().all(|size| *size > 100_000), "an answer holds less than a profile");
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

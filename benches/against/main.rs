//! The embedded store and a real Pyroscope: the same bytes in, the same questions, in one run.
//!
//! Requests that SDKs sent (`SHARED_DIR/captures`) are repeated for fifty apps over an hour, and for the first of each
//! SDK over a day. Both servers get the same ones, in turns, so that changes of the machine affect both; medians are
//! shown. Reported: profiles per second and CPU per profile, bytes on disk per profile once the other server has
//! compacted its files, the time of merging an hour and a day of one app, of the hottest functions of all apps (which a
//! Pyroscope has no question for: a client would merge each), resident memory, and how long `/profiles` takes behind
//! the other server compared with its own query. Linux only.
//!
//! `cargo bench --bench against` measures this build's server alone. `AGAINST=http://127.0.0.1:4040` names the other
//! server, `AGAINST_PID` its process, `AGAINST_DATA` the directory of its blocks. It should be empty, without limits of
//! rate and age. `AGAINST_FROM=profiles` takes whole services' profiles in place of the captures. `AGAINST_SENDERS`
//! (64) are in flight; `AGAINST_COMPACTION` (300) is for how many seconds compaction is waited for; `AGAINST_RUNS` (7).

#[path = "../load/canned.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod canned;
#[path = "../load/cluster.rs"]
mod cluster;
#[path = "../load/process.rs"]
#[expect(dead_code, reason = "other benches need the rest")]
mod process;
mod questions;
mod side;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use flamewarden::kernel::{Clock, SystemClock};
use process::{median, setting};
use questions::Questions;
use side::Side;
use workload::{Capture, EVERY_S, Occasion, Upload};

const OWN: &str = "127.0.0.1:19070";
const BEHIND: &str = "127.0.0.1:19071";
const APPS: u32 = 50;
const HOUR_S: i64 = 3_600;
/// The uploads of the hour are sent in so many parts, to each server in turn.
const PARTS: usize = 6;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(against())
}

fn app(n: u32) -> String {
    format!("against-{n}")
}

async fn against() -> Result<()> {
    let shared = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let captures = match std::env::var("AGAINST_FROM").as_deref() {
        Ok("profiles") => Capture::of_profiles(&shared)?,
        _ => Capture::of_sdks(&shared)?,
    };
    let mut sides = vec![Side::own(OWN).await?];
    sides.extend(Side::other().await?);
    // The last whole hour, and the day that ends with it.
    let end = SystemClock.now().timestamp() / HOUR_S * HOUR_S;
    let hour = uploads(&captures, 0..APPS, end - HOUR_S, end)?;
    let sources = u32::try_from(captures.len())?;
    let day = uploads(&captures, 0..sources, end - 24 * HOUR_S, end - HOUR_S)?;
    let stored = hour.iter().chain(&day).map(|upload| upload.profiles).sum::<usize>() as f64;
    ingest(&sides, &hour, &day).await?;
    let waited = settle(&sides).await?;
    for side in &sides {
        println!(
            "{:<8} {:>9.0} B on disk a profile (of {stored}) after {waited} s",
            side.name,
            side.bytes().await? / stored
        );
    }
    let questions = Questions { sides: &sides, runs: setting("AGAINST_RUNS", 7), end };
    questions.merges(sources).await?;
    questions.hotspots(APPS).await?;
    for side in &sides {
        let (all, database) = side.resident_mib()?;
        println!("{:<8} {all:>9.0} MiB resident, of which the database has {database:.0}", side.name);
    }
    questions.behind(BEHIND).await
}

/// The uploads of these apps between two times, in the order of time. Apps take the sources in turn.
fn uploads(captures: &[Vec<Capture>], apps: std::ops::Range<u32>, from: i64, to: i64) -> Result<Vec<Upload>> {
    let mut uploads = Vec::new();
    for n in 0..(to - from) / EVERY_S {
        for number in apps.clone() {
            let source = captures.get(number as usize % captures.len()).context("no captures")?;
            let capture = source.get(usize::try_from(n)? % source.len()).context("a source without captures")?;
            // Apps do not send at the same moment.
            let at = from + n * EVERY_S + i64::from(number) % EVERY_S;
            uploads.push(capture.on(Occasion { app: number, name: &app(number), at })?);
        }
    }
    Ok(uploads)
}

async fn ingest(sides: &[Side], hour: &[Upload], day: &[Upload]) -> Result<()> {
    let senders = usize::try_from(setting("AGAINST_SENDERS", 64))?;
    let mut rates = vec![(Vec::new(), Vec::new()); sides.len()];
    for part in hour.chunks(hour.len().div_ceil(PARTS)) {
        let profiles = part.iter().map(|upload| upload.profiles).sum::<usize>() as f64;
        for (side, (rates, costs)) in sides.iter().zip(&mut rates) {
            let cpu = side.cpu_s()?;
            rates.push(profiles / side.push(part, senders).await?);
            costs.push((side.cpu_s()? - cpu) * 1_000.0 / profiles);
        }
    }
    for (side, (rates, costs)) in sides.iter().zip(rates) {
        println!(
            "{:<8} {:>9.0} profiles/s over {senders} connections, {:.2} ms of CPU each; median of {PARTS}",
            side.name,
            median(rates.into_iter()),
            median(costs.into_iter()),
        );
    }
    for side in sides {
        side.push(day, senders).await?;
    }
    Ok(())
}

/// Waits until the other server's files have not changed for a minute. Returns for how many seconds.
async fn settle(sides: &[Side]) -> Result<u64> {
    const LOOK_EVERY: u64 = 20;
    let Some(other) = sides.get(1) else { return Ok(0) };
    let (mut last, mut same, mut waited) = (0.0, 0, 0);
    while same < 60 && waited < setting("AGAINST_COMPACTION", 300) {
        tokio::time::sleep(Duration::from_secs(LOOK_EVERY)).await;
        let bytes = other.bytes().await?;
        same = if bytes.to_bits() == f64::to_bits(last) { same + LOOK_EVERY } else { 0 };
        (last, waited) = (bytes, waited + LOOK_EVERY);
    }
    Ok(waited)
}

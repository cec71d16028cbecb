//! What both servers are asked, and how long they take.

use std::time::Instant;

use anyhow::{Result, ensure};
use flamewarden::kernel::{Clock, SystemClock};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;

use crate::canned::Made;
use crate::process::{median, server};
use crate::side::Side;
use crate::{HOUR_S, app};

/// Apps that a client of many merges at once.
const AT_ONCE: usize = 16;

#[derive(Clone, PartialEq, Message)]
struct Merge {
    #[prost(string, tag = "1")]
    profile_type: String,
    #[prost(string, tag = "2")]
    selector: String,
    #[prost(int64, tag = "3")]
    start_ms: i64,
    #[prost(int64, tag = "4")]
    end_ms: i64,
}

/// The types that the uploads have, most common first.
const TYPES: [&str; 5] = [
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    "wall:wall:nanoseconds:wall:nanoseconds",
    "memory:inuse_space:bytes:space:bytes",
    "memory:inuse_space:bytes:inuse_space:bytes",
    "memory:objects:count:space:bytes",
];

/// The type of made-up profiles, which say nothing of their period.
const MADE: &str = "process_cpu:cpu:nanoseconds::";

pub(crate) struct Questions<'s> {
    pub(crate) sides: &'s [Side],
    pub(crate) runs: u64,
    /// The end of all windows.
    pub(crate) end: i64,
}

/// Merges an app between two times. Returns milliseconds and bytes.
async fn merge(side: &Side, app: &str, kind: &str, [from, to]: [i64; 2]) -> Result<(f64, usize)> {
    let asked = Merge {
        profile_type: kind.to_owned(),
        selector: format!("{{service_name=\"{app}\"}}"),
        start_ms: from * 1_000,
        end_ms: to * 1_000,
    };
    let url = format!("{}/querier.v1.QuerierService/SelectMergeProfile", side.base);
    let request = side.client.post(url).header("content-type", "application/proto").body(asked.encode_to_vec());
    let begun = Instant::now();
    let answer = request.send().await?.error_for_status()?.bytes().await?;
    Ok((begun.elapsed().as_secs_f64() * 1_000.0, answer.len()))
}

/// Asks with GET. Returns milliseconds and bytes.
async fn get(side: &Side, path: &str) -> Result<(f64, usize)> {
    let begun = Instant::now();
    let answer = side.client.get(format!("{}{path}", side.base)).send().await?.error_for_status()?.bytes().await?;
    Ok((begun.elapsed().as_secs_f64() * 1_000.0, answer.len()))
}

impl Questions<'_> {
    fn other(&self) -> Option<&Side> {
        self.sides.get(1)
    }

    /// An hour and a day of the first app of each source. Windows differ by seconds, so that no answer is used again.
    pub(crate) async fn merges(&self, apps: u32) -> Result<()> {
        for number in 0..apps {
            let name = app(number);
            let kind = self.kind(&name).await?;
            for hours in [1, 24] {
                let mut all = vec![(Vec::new(), 0); self.sides.len()];
                for run in 0..self.runs.cast_signed() {
                    for (side, (times, size)) in self.sides.iter().zip(&mut all) {
                        let (ms, bytes) = merge(side, &name, kind, [self.end - hours * HOUR_S + run, self.end]).await?;
                        times.push(ms);
                        *size = bytes;
                    }
                }
                for (side, (times, size)) in self.sides.iter().zip(all) {
                    println!(
                        "{:<8} {:>9.1} ms to merge {hours} h of {name} ({kind}, {size} B); first {:.1}",
                        side.name,
                        median(times.iter().copied()),
                        times.first().copied().unwrap_or(0.0),
                    );
                }
            }
        }
        Ok(())
    }

    /// The first type that an app has profiles of, at every server.
    async fn kind(&self, app: &str) -> Result<&'static str> {
        for kind in TYPES {
            let mut sizes = Vec::new();
            for side in self.sides {
                sizes.push(merge(side, app, kind, [self.end - HOUR_S, self.end]).await?.1);
            }
            // No data is up to six bytes.
            if sizes.iter().all(|size| *size > 6) {
                return Ok(kind);
            }
        }
        anyhow::bail!("no type of {app} is known to all servers")
    }

    /// The hottest functions of all apps in an hour, and the merges a client needs for the same.
    pub(crate) async fn hotspots(&self, apps: u32) -> Result<()> {
        let mut all = vec![Vec::new(); self.sides.len()];
        let mut hotspots = Vec::new();
        for run in 0..self.runs.cast_signed() {
            let [from, to] = [self.end - HOUR_S + run, self.end];
            for (side, times) in self.sides.iter().zip(&mut all) {
                let begun = Instant::now();
                stream::iter(0..apps)
                    .map(|number| async move { merge(side, &app(number), TYPES[0], [from, to]).await })
                    .buffer_unordered(AT_ONCE)
                    .try_for_each(|_| async { Ok(()) })
                    .await?;
                times.push(begun.elapsed().as_secs_f64() * 1_000.0);
            }
            let Some(own) = self.sides.first() else { break };
            hotspots.push(get(own, &format!("/fleet/hotspots?type=cpu&from={from}&to={to}")).await?.0);
        }
        println!("{:<8} {:>9.1} ms for /fleet/hotspots of {apps} apps", "ours", median(hotspots.into_iter()));
        for (side, times) in self.sides.iter().zip(all) {
            println!("{:<8} {:>9.1} ms for {apps} merges, {AT_ONCE} at once", side.name, median(times.into_iter()));
        }
        Ok(())
    }

    /// `/profiles` of a server of ours that reads from the other one, and the other one's own query.
    pub(crate) async fn behind(&self, address: &str) -> Result<()> {
        let Some(other) = self.other() else { return Ok(()) };
        let source = other.base.trim_start_matches("http://").trim_end_matches('/');
        let behind = Side::behind(address, server(address, source, "ReadPyroscopeProfile.sor.v1", &[])?).await?;
        for (name, functions, stacks, depth) in [("against-small", 170, 240, 18), ("against-large", 2_500, 5_000, 30)] {
            let made = Made { functions, stacks, depth, leaves: 24, own: None };
            let at = SystemClock.now().timestamp() - 600;
            let url =
                format!("{}/ingest?format=pprof&name={name}&from={at}&until={}&spyName=gospy", other.base, at + 15);
            let answer = other.client.post(url).body(made.profile(0)?).send().await?;
            ensure!(answer.status().is_success(), "a push was answered {}: {}", answer.status(), answer.text().await?);
            let (mut theirs, mut ours, mut size, mut shown) = (Vec::new(), Vec::new(), 0, 0);
            for run in 0..(self.runs * 5).cast_signed() {
                let (from, to) = (at - 60 - run, at + 60);
                let (ms, bytes) = merge(other, name, MADE, [from, to]).await?;
                theirs.push(ms);
                size = bytes;
                let (ms, bytes) = get(&behind, &format!("/profiles/{name}?type=cpu&from={from}&to={to}")).await?;
                ours.push(ms);
                shown = bytes;
            }
            let (ours, theirs) = (median(ours.into_iter()), median(theirs.into_iter()));
            println!(
                "/profiles behind it, of {size} B: {ours:.2} ms ({shown} B), its own query {theirs:.2} ms: {:.2}x",
                ours / theirs
            );
        }
        Ok(())
    }
}

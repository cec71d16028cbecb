//! What a server pays for recording itself while it answers 50 triages a second.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flamewarden::kernel::{Clock, SystemClock};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::canned::{Made, Source};
use crate::cluster::Cluster;
use crate::process::{Process, cpu_us, role, server};
use crate::{RUNS, ratio, show};

const CANNED: &str = "127.0.0.1:19055";
const RECORDED: &str = "127.0.0.1:19056";
const NOT_RECORDED: &str = "127.0.0.1:19057";
const PER_SECOND: u64 = 50;

/// Serves profiles of 20 to 25 kB.
pub(crate) async fn canned() -> Result<()> {
    let mut source = Source::taking(Duration::ZERO);
    let made = Made { functions: 170, stacks: 240, depth: 18, leaves: 24, own: None };
    source.add("small", (0..64).map(|variant| made.profile(variant)).collect::<Result<_>>()?);
    source.serve(CANNED).await
}

struct Measured {
    server: Process,
    data: TempDir,
    address: &'static str,
}

impl Measured {
    async fn start(address: &'static str, self_record: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        super::readable(data.path())?;
        let data_dir = data.path().to_str().context("a temporary directory with a plain name")?;
        let server = server(address, CANNED, "", &[("DATA_DIR", data_dir), ("SELF_RECORD", self_record)])?;
        let measured = Self { server, data, address };
        for _ in 0..600 {
            if reqwest::get(measured.url(0)).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(measured);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("no triage is answered at {address}")
    }

    /// A triage with a window of its own.
    fn url(&self, place: u64) -> String {
        let hour_ago = SystemClock.now().timestamp().unsigned_abs() - 3_600;
        format!("http://{}/triage/small?types=cpu&from={}", self.address, hour_ago - place % 40)
    }

    /// CPU time of the server, and of it with its database, that a triage takes at a steady rate, in microseconds.
    async fn run(&self, length: Duration) -> Result<(f64, f64)> {
        let cluster = Cluster::of(self.data.path())?;
        let (own, database) = (cpu_us(self.server.id())?, cluster.cpu_us()?);
        let client = reqwest::Client::new();
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(PER_SECOND)?);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let triages = length.as_secs() * PER_SECOND;
        let mut asked = JoinSet::new();
        for place in 0..triages {
            ticks.tick().await;
            let request = client.get(self.url(place)).send();
            asked.spawn(async move { request.await.is_ok_and(|answer| answer.status().is_success()) });
        }
        let answered = asked.join_all().await.into_iter().filter(|ok| *ok).count() as u64;
        ensure!(answered == triages, "{answered} of {triages} triages were answered");
        let own = cpu_us(self.server.id())? - own;
        let all = own + cluster.cpu_us()? - database;
        Ok((own / triages as f64, all / triages as f64))
    }
}

/// Prints the figures.
pub(crate) async fn measure(length: Duration) -> Result<()> {
    let _canned = role(&["canned"])?;
    let recorded = Measured::start(RECORDED, "true").await?;
    let not_recorded = Measured::start(NOT_RECORDED, "false").await?;
    let (mut own, mut all) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (with, without) = (recorded.run(length).await?, not_recorded.run(length).await?);
        own.push((with.0, without.0));
        all.push((with.1, without.1));
    }
    let (of_own, with, without) = ratio(&own);
    let detail = format!("{with:.0} ÷ {without:.0} µs a triage");
    show("CPU of 50 triages/s, recorded ÷ not: server", of_own, "≤ 1.05 (1.1)", &detail);
    let (of_all, with, without) = ratio(&all);
    show("with its database", of_all, "", &format!("{with:.0} ÷ {without:.0} µs a triage"));
    Ok(())
}

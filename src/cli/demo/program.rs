//! A program of the demo in a process of its own, since a profiler sees a whole process. This file has both sides: the
//! command that starts the process, and the process.
//!
//! A line with a version starts its profiler; the process answers once that works. A second line runs the version; the
//! process answers once its last profile was sent.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use url::Url;

use super::workload::{Version, Workload};
use crate::app::{Profiler, ProfilerTarget};
use crate::cli::Exit;
use crate::cli::server::token;
use crate::config::{Credentials, LogFormat, LogSettings};
use crate::telemetry;

/// How long the profiler may take to resolve names and send the profile. A debug build is slow at it.
const SEND_WITHIN: Duration = Duration::from_mins(1);

const READY: &str = "ready";
const RUN: &str = "run";
const SENT: &str = "sent";

/// The command's side.
#[derive(Debug)]
pub(super) struct Program {
    workload: Workload,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Program {
    /// Starts the process, which then waits for a line.
    pub(super) fn start(workload: Workload, server: &Url, seconds: u64) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut process = Command::new(program)
            .args(["demo", "--workload", workload.name(), "--server", server.as_str(), "--seconds"])
            .arg(seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be run", workload.app()))?;
        let orders = process.stdin.take().context("no pipe to it")?;
        let answers = BufReader::new(process.stdout.take().context("no pipe from it")?).lines();
        Ok(Self { workload, orders, answers, process })
    }

    /// Returns once its profiler is at work.
    pub(super) async fn prepare(&mut self, version: Version) -> anyhow::Result<()> {
        self.ask(version.label(), READY).await
    }

    /// Runs the version. Returns once the server has its profiles.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        self.ask(RUN, SENT).await
    }

    /// Lets the process end.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        drop(self.orders);
        self.process.wait().await?;
        Ok(())
    }

    async fn ask(&mut self, order: &str, expected: &str) -> anyhow::Result<()> {
        // Writing to a process that has ended fails. Its answer, or how it ended, says more than that error.
        let _ = self.orders.write_all(format!("{order}\n").as_bytes()).await;
        if self.answers.next_line().await?.as_deref() == Some(expected) {
            return Ok(());
        }
        anyhow::bail!("{} ended with {}", self.workload.app(), self.process.wait().await?)
    }
}

/// The process's side: runs the version that it reads.
pub(super) async fn serve(workload: Workload, server: &Url, seconds: u64) -> anyhow::Result<Exit> {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned());
    telemetry::init_logging(&LogSettings { level, format: Some(LogFormat::Text) })?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let Some(order) = orders.next_line().await? else { return Ok(Exit::Fine) };
    let version = Version::of_label(&order).with_context(|| format!("no version {order:?}"))?;
    let mut profiler = Profiler::start(target(workload, version, server))?;
    anyhow::ensure!(profiler.started().await, "the profiler cannot start");
    println!("{READY}");
    if orders.next_line().await?.is_none() {
        return Ok(Exit::Fine);
    }
    let time = Duration::from_secs(seconds);
    tokio::task::spawn_blocking(move || workload.run(version, time)).await?;
    let sent = profiler.stop_within(SEND_WITHIN).await;
    anyhow::ensure!(sent, "the profile could not be sent within {} s", SEND_WITHIN.as_secs());
    println!("{SENT}");
    Ok(Exit::Fine)
}

fn target(workload: Workload, version: Version, server: &Url) -> ProfilerTarget {
    ProfilerTarget {
        url: server.as_str().trim_end_matches('/').to_owned(),
        app: workload.app().to_owned(),
        labels: vec![("demo", workload.name().to_owned()), ("version", version.label().to_owned())],
        tenant: None,
        credentials: token().map(Credentials::Token),
    }
}

//! `flamewarden demo`: four small programs, each really run under the profiler and pushed as an app of its own. Nothing is
//! canned: what triage says of them is what it saw.

mod workload;

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use url::Url;

use self::workload::Workload;
use super::Exit;
use crate::app::{Profiler, ProfilerTarget};
use crate::config::{LogFormat, LogSettings};
use crate::http::{Outward, OutwardSettings};
use crate::telemetry;

/// How long the server may take over one answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the profiler may take to name what it saw and send it. A build for development is slow at it.
const SEND_WITHIN: Duration = Duration::from_mins(1);

/// What the command takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The server to push to.
    #[arg(long, value_name = "URL", env = "FLAMEWARDEN_URL", default_value = "http://127.0.0.1:8080")]
    server: Url,
    /// How long each program runs. The profiler sends every ten seconds, and once more at the end.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Runs one of the programs in this process.
    #[arg(long, hide = true)]
    workload: Option<Workload>,
}

/// Runs the programs, then asks the server what it makes of them.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(workload) = arguments.workload {
        return run_workload(workload, arguments).await;
    }
    let server = Outward::new(OutwardSettings {
        base: arguments.server.clone(),
        timeout: PATIENCE,
        max_answer_bytes: 8 << 20,
        authorization: None,
    })?;
    let ready = server.send(server.request(reqwest::Method::GET, server.url(["ready"]))).await;
    if !ready.is_ok_and(|answer| answer.status.is_success()) {
        eprintln!(
            "error: no server is ready at {}: start one with `flamewarden`, or name it with --server",
            arguments.server
        );
        return Ok(Exit::NoData);
    }
    println!("Running {} programs for {} s under the profiler:", Workload::ALL.len(), arguments.seconds);
    for workload in Workload::ALL {
        println!("  {:<18} {}", workload.app(), workload.about());
    }
    // Side by side, in a process each: the profiler's clock is a process's own.
    let children = Workload::ALL.into_iter().map(|workload| spawn(workload, arguments));
    for ended in futures::future::join_all(children).await {
        ended?;
    }
    println!("\nWhat the server makes of them:");
    let mut exit = Exit::Fine;
    for workload in Workload::ALL {
        match triage(&server, workload).await {
            Ok(said) => println!("  {:<18} {said}", workload.app()),
            Err(error) => {
                println!("  {:<18} no answer: {error:#}", workload.app());
                exit = Exit::NoData;
            }
        }
    }
    println!("\nAsk it yourself:");
    let base = arguments.server.as_str().trim_end_matches('/');
    for workload in Workload::ALL {
        println!("  curl '{base}/triage/{}?from=now-15m&to=now'", workload.app());
    }
    println!(
        "  flamewarden triage {} --server {base}",
        Workload::ALL.map(Workload::app).first().copied().unwrap_or("")
    );
    Ok(exit)
}

/// Runs one program in a process of its own.
async fn spawn(workload: Workload, arguments: &Arguments) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let ended = tokio::process::Command::new(program)
        .args(["demo", "--workload", workload.name(), "--server", arguments.server.as_str(), "--seconds"])
        .arg(arguments.seconds.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("{} cannot be run", workload.app()))?;
    anyhow::ensure!(ended.success(), "{} ended with {ended}", workload.app());
    Ok(())
}

async fn run_workload(workload: Workload, arguments: &Arguments) -> anyhow::Result<Exit> {
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned());
    telemetry::init_logging(&LogSettings { level, format: Some(LogFormat::Text) })?;
    let target = ProfilerTarget {
        url: arguments.server.as_str().trim_end_matches('/').to_owned(),
        app: workload.app().to_owned(),
        labels: vec![("demo", workload.name().to_owned())],
        tenant: None,
        credentials: None,
    };
    let mut profiler = Profiler::start(target)?;
    anyhow::ensure!(profiler.started().await, "the profiler cannot start");
    let time = Duration::from_secs(arguments.seconds);
    tokio::task::spawn_blocking(move || workload.run(time)).await?;
    let sent = profiler.stop_within(SEND_WITHIN).await;
    anyhow::ensure!(sent, "the profile could not be sent within {} s", SEND_WITHIN.as_secs());
    Ok(Exit::Fine)
}

/// The parts of a triage that are printed.
#[derive(Deserialize)]
struct Triage {
    profiles: std::collections::BTreeMap<String, Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    diagnosis: String,
    #[serde(default)]
    findings: Vec<Finding>,
    #[serde(default)]
    top_functions: Vec<TopFunction>,
}

#[derive(Deserialize)]
struct Finding {
    category: String,
    percent: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopFunction {
    name: String,
    self_percent: f64,
}

async fn triage(server: &Outward, workload: Workload) -> anyhow::Result<String> {
    let mut url = server.url(["triage", workload.app()]);
    url.set_query(Some("types=cpu&from=now-15m&to=now"));
    let answer = server.send(server.request(reqwest::Method::GET, url)).await?;
    anyhow::ensure!(answer.status.is_success(), "status {}", answer.status);
    let triage: Triage = serde_json::from_slice(&answer.body)?;
    let block = triage.profiles.get("cpu").context("no cpu profile")?;
    let share = block.findings.iter().find(|finding| finding.category == block.diagnosis);
    let top = block.top_functions.first();
    let mut said = block.diagnosis.clone();
    if let Some(finding) = share {
        write!(said, ", {:.1} %", finding.percent)?;
    }
    if let Some(function) = top {
        write!(said, " (hottest: {}, {:.1} %)", function.name, function.self_percent)?;
    }
    Ok(said)
}

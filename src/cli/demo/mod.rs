//! `flamewarden demo`: runs four small programs under the profiler, first in a version from before a deploy, then in
//! one from after it. Each pushes its profiles as an app of its own. No output is prepared: the server judges what it
//! received. With `--alert` one more program makes an alert fire, which is told and resolved.

mod alert;
mod program;
mod receiver;
mod report;
mod workload;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use futures::future::try_join_all;

use self::alert::AlertDemo;
use self::program::Program;
use self::report::{Report, RunWindow};
use self::workload::{Version, Workload};
use super::server::{Server, ServerAddress, accepted};
use super::{Common, Exit};
use crate::kernel::{Clock as _, SystemClock};

/// How long each version runs.
const SECONDS: u64 = 20;

/// How long the single version of --quick runs.
const QUICK_SECONDS: u64 = 10;

/// The options of the command.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    server: ServerAddress,
    /// Run only the later version of each program, for ten seconds, and register no owners and limits.
    #[arg(long)]
    quick: bool,
    /// Show an alert in place of this, in two to three minutes: a program gets slow, a rule fires and is told, the program
    /// is rolled back, and the alert is resolved.
    #[arg(long, conflicts_with_all = ["quick", "seconds"])]
    alert: bool,
    /// Where --alert receives what the server tells: name it to the server as SLACK_WEBHOOK_URL=http://ADDRESS/hook.
    #[arg(long, value_name = "ADDRESS", requires = "alert", default_value = "127.0.0.1:9097")]
    receiver: SocketAddr,
    /// How long each version of a program runs [default: 20, with --quick 10]. The profiler sends every ten seconds,
    /// and at the end.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: Option<u64>,
    /// Run one of the programs in this process, as standard input says.
    #[arg(long, hide = true)]
    workload: Option<Workload>,
}

/// Runs the programs, then asks the server for its verdicts.
pub(super) async fn run(arguments: &Arguments, common: &Common) -> anyhow::Result<Exit> {
    let seconds = arguments.seconds.unwrap_or(if arguments.quick { QUICK_SECONDS } else { SECONDS });
    if let Some(workload) = arguments.workload {
        return program::serve(workload, &arguments.server.url, seconds).await;
    }
    let server = Server::at(&arguments.server.url)?;
    if !server.get(["ready"], &[]).await.is_ok_and(|answer| answer.status.is_success()) {
        eprintln!(
            "error: no server is ready at {}: start one with `flamewarden`, or name it with --server",
            arguments.server.url
        );
        return Ok(Exit::NoData);
    }
    // A push of nothing stores nothing.
    let taken = server.push(&[("name", "demo".to_owned())], None, Vec::new()).await;
    if let Err(exit) = accepted(&arguments.server.url, taken)? {
        return Ok(exit);
    }
    if arguments.alert {
        let (url, receiver) = (arguments.server.url.clone(), arguments.receiver);
        return AlertDemo { server, url, receiver }.run(common).await;
    }
    let versions: &[Version] = if arguments.quick { &[Version::After] } else { &[Version::Before, Version::After] };
    common.show(&introduction(versions))?;
    let mut windows = Vec::new();
    for version in versions {
        // New processes for each version: the profiler sees nothing while it reads debug information for the first time,
        // and a version that runs later in the same process would seem to do more.
        let mut programs = Workload::ALL
            .into_iter()
            .map(|workload| Program::start(workload, &arguments.server.url, seconds))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let ready = try_join_all(programs.iter_mut().map(|program| program.prepare(*version)));
        with_dots(&format!("Version {}: its profilers start", version.label()), ready).await?;
        let window = RunWindow::of_run(now(), seconds);
        sleep_until(window.start()).await;
        let ran = try_join_all(programs.iter_mut().map(Program::run));
        with_dots(&format!("Version {}: runs for {seconds} s, is sent", version.label()), ran).await?;
        try_join_all(programs.into_iter().map(Program::end)).await?;
        // The next version must not run in the same window. Questions about a window count the part of it that is over.
        sleep_until(window.to).await;
        windows.push(window);
    }
    let report = Report { server, quick: arguments.quick, windows };
    report.tell(common).await
}

/// What runs, and what the versions do.
fn introduction(versions: &[Version]) -> String {
    let mut text = "Four programs run side by side under the profiler, each as an app of its own:\n\n".to_owned();
    for workload in Workload::ALL {
        for (number, version) in versions.iter().enumerate() {
            let app = if number == 0 { workload.app() } else { "" };
            let _ = writeln!(text, "  {app:<17} version {}: {}", version.label(), workload.about(*version));
        }
    }
    text.push('\n');
    text
}

/// Prints a dot each second until the work is done.
async fn with_dots<T>(text: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut out = std::io::stdout();
    write!(out, "{text} ")?;
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let done = loop {
        out.flush()?;
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => write!(out, ".")?,
        }
    };
    writeln!(out)?;
    done
}

async fn sleep_until(second: i64) {
    let left = second.saturating_mul(1_000) - SystemClock.now().timestamp_millis();
    tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
}

/// Epoch seconds.
fn now() -> i64 {
    SystemClock.now().timestamp()
}

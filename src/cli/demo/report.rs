//! Tells the server the owners and limits of the programs, then prints its verdicts.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::workload::{Version, Workload};
use crate::bor::diff::{DiffBody, shell_word};
use crate::bor::triage::{Block, JudgedBlock, TriageBody};
use crate::cli::server::{Server, refusal};
use crate::cli::{Common, Exit};
use crate::verdict::{Verdict, short_name};

/// The profiler sends every ten seconds; the time of a profile is the start of such a step.
const STEP: i64 = 10;

/// How many hotspots are printed.
const HOTSPOTS: usize = 3;

/// The window that holds the profiles of one version, epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunWindow {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl RunWindow {
    /// The window of a run of so many seconds from [`RunWindow::start`]. All windows are equally long: a longer one
    /// would seem to have less load.
    pub(super) fn of_run(now: i64, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / 2);
        let from = now - now.rem_euclid(STEP) + STEP;
        // The time of the last profile is the step in which the run ends.
        Self { from, to: from + ((STEP / 2 + seconds) / STEP + 1) * STEP }
    }

    /// When to start: in the middle of a step, so that the first and the last step contain about as much.
    pub(super) fn start(self) -> i64 {
        self.from + STEP / 2
    }

    fn parameters(self) -> [(&'static str, Option<String>); 2] {
        [("from", Some(self.from.to_string())), ("to", Some(self.to.to_string()))]
    }
}

/// Printed where a program, all of which compute without a pause, seems to be idle.
const STARVED: &str = "
Note: some of these programs got so little of the processor that they seem idle, since this machine is busy with something
else. Verdicts and diffs then say less than they should: stop it, and run `flamewarden demo` again.
";

/// What is said of one program.
struct About {
    text: String,
    /// Whether it got too little of the processor for a verdict.
    is_starved: bool,
}

/// What was run, and the server to ask.
pub(super) struct Report {
    pub(super) server: Server,
    /// Whether owners and limits are not registered.
    pub(super) quick: bool,
    /// The windows of the versions that ran. The later version is the last.
    pub(super) windows: Vec<RunWindow>,
}

impl Report {
    /// Asks the server and prints its verdicts.
    pub(super) async fn tell(&self, common: &Common) -> anyhow::Result<Exit> {
        let Some(now) = self.windows.last().copied() else { return Ok(Exit::NoData) };
        let before = if self.windows.len() > 1 { self.windows.first().copied() } else { None };
        if !self.quick {
            self.register().await?;
        }
        common.show("\nWhat the server makes of them:\n")?;
        let mut exit = Exit::Fine;
        let mut is_starved = false;
        for workload in Workload::ALL {
            match self.about(workload, before, now).await {
                Ok(about) => {
                    common.show(&about.text)?;
                    is_starved |= about.is_starved;
                }
                Err(error) => {
                    common.show(&format!("\n  {}: no answer: {error:#}\n", workload.app()))?;
                    exit = Exit::NoData;
                }
            }
        }
        if before.is_some() {
            common.show(&self.shared_hotspots(now).await?)?;
        }
        if is_starved {
            common.show(STARVED)?;
        }
        // These are to be copied, each as one line.
        println!("\nTry next:\n{}", commands(self.server.base(), before, now));
        Ok(exit)
    }

    /// Registers the owners of the programs and the approved limits.
    async fn register(&self) -> anyhow::Result<()> {
        for workload in Workload::ALL {
            let [team, tier, channel] = workload.owner();
            let owner = json!({
                "appName": workload.app(), "teamOwner": team, "tier": tier, "notificationChannel": channel,
                "environment": "demo",
            });
            self.post("services", &owner).await?;
            if let Some((function, percent)) = workload.limit() {
                let limit = json!({
                    "appName": workload.app(), "profileType": "cpu", "functionName": function,
                    "maxSelfPercent": percent, "createdBy": "flamewarden demo",
                });
                self.post("baselines", &limit).await?;
            }
        }
        Ok(())
    }

    /// A server with only some functions may not take them. Its answers then lack them, and say so.
    async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let answer = self.server.post(&[path], &[], body).await?;
        if !answer.status.is_success() {
            eprintln!("warning: /{path} did not take {}: {}", body["appName"], refusal(&answer));
        }
        Ok(())
    }

    /// The diagnosis of each version of a program, and what changed between them.
    async fn about(&self, workload: Workload, before: Option<RunWindow>, now: RunWindow) -> anyhow::Result<About> {
        let mut text = format!("\n  {}\n", workload.app());
        let mut is_starved = false;
        for (version, window) in
            before.map(|window| (Version::Before, window)).into_iter().chain([(Version::After, now)])
        {
            let mut parameters = vec![("types", Some("cpu".to_owned()))];
            parameters.extend(window.parameters());
            let triage: TriageBody = self.ask(["triage", workload.app()], &parameters).await?;
            let block = triage.profiles.0.first();
            let said = block.map(|(_, block)| block).map_or_else(|| triage.summary.headline.clone(), diagnosis);
            writeln!(text, "    version {}: {said}", version.label())?;
            is_starved |= matches!(triage.summary.verdict, Verdict::Quiet | Verdict::Insufficient);
        }
        if let Some(before) = before {
            let diff: DiffBody = self.ask(["diff", workload.app()], &diff_parameters(before, now)).await?;
            writeln!(text, "    changed: {}", diff.summary.headline)?;
            for breach in diff.breaches.iter().flatten() {
                // In the words of `flamewarden diff`.
                let word = if breach.confirmed { "BREACH" } else { "perhaps over its limit" };
                let (function, percent) = (short_name(&breach.function), breach.current_percent);
                writeln!(text, "    {word}: {function} has {percent:.1} %, approved are {:.1} %", breach.threshold)?;
            }
        }
        Ok(About { text, is_starved })
    }

    /// Functions that are hot in several of the programs, with their owners.
    async fn shared_hotspots(&self, now: RunWindow) -> anyhow::Result<String> {
        let mut parameters = vec![("apps", Some(apps())), ("limit", Some("200".to_owned()))];
        parameters.extend(now.parameters());
        let answer = self.server.get(["fleet", "hotspots"], &parameters).await?;
        if !answer.status.is_success() {
            return Ok(String::new());
        }
        let found: Hotspots = serde_json::from_slice(&answer.body)?;
        let mut text = "\nWhat several of them share:\n".to_owned();
        let shared = found.hotspots.iter().filter(|hotspot| hotspot.hot_in().count() > 1);
        for hotspot in shared.filter(|hotspot| hotspot.kind == "app").take(HOTSPOTS) {
            writeln!(text, "  {}: {}", short_name(&hotspot.function), hotspot.services())?;
        }
        Ok(text)
    }

    async fn ask<'a, T: DeserializeOwned>(
        &self,
        path: impl IntoIterator<Item = &'a str>,
        parameters: &[(&str, Option<String>)],
    ) -> anyhow::Result<T> {
        let answer = self.server.get(path, parameters).await?;
        anyhow::ensure!(answer.status.is_success(), "{}", refusal(&answer));
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

fn apps() -> String {
    Workload::ALL.map(Workload::app).join(",")
}

fn diff_parameters(before: RunWindow, now: RunWindow) -> Vec<(&'static str, Option<String>)> {
    let mut parameters =
        vec![("baselineFrom", Some(before.from.to_string())), ("baselineTo", Some(before.to.to_string()))];
    parameters.extend(now.parameters());
    parameters
}

/// `lock_contention, 81.8 % of 1,200 samples (hottest: Mutex::lock, 21.2 %)`.
fn diagnosis(block: &Block) -> String {
    let block: &JudgedBlock = match block {
        Block::Judged(block) => block,
        Block::Unavailable(block) => return format!("{}: {}", block.diagnosis, block.error),
    };
    let mut said = block.diagnosis.clone();
    // For a fallback diagnosis the percentage is that of the hottest function.
    if block.confirmed {
        let _ = write!(said, ", {:.1} %", block.percent);
    }
    if let Some(samples) = block.sample_count {
        let _ = write!(said, " of {samples} samples");
    }
    if let Some(function) = block.top_functions.first() {
        let _ = write!(said, " (hottest: {}, {:.1} %)", short_name(&function.name), function.self_percent);
    }
    said
}

/// The three commands to try next, for the windows of this run.
fn commands(base: &str, before: Option<RunWindow>, now: RunWindow) -> String {
    let server = format!("--server {}", shell_word(base));
    let app = Workload::Json.app();
    let window = format!("--from {} --to {}", now.from, now.to);
    let mut text = format!("  flamewarden triage {app} {window} {server}\n");
    if let Some(before) = before {
        let baseline = format!("--baseline-from {} --baseline-to {}", before.from, before.to);
        let _ = writeln!(text, "  flamewarden diff {app} {baseline} {window} --format markdown {server}");
    }
    let _ = write!(text, "  flamewarden hotspots --apps {} {window} --limit 5 {server}", apps());
    text
}

/// The members of the fleet's hotspots that are printed.
#[derive(Debug, Deserialize)]
struct Hotspots {
    hotspots: Vec<Hotspot>,
}

#[derive(Debug, Deserialize)]
struct Hotspot {
    function: String,
    kind: String,
    services: Vec<HotIn>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HotIn {
    app: String,
    self_percent: f64,
    team_owner: Option<String>,
    tier: Option<String>,
}

impl Hotspot {
    /// The services in which it takes a share worth mentioning.
    fn hot_in(&self) -> impl Iterator<Item = &HotIn> {
        self.services.iter().filter(|service| service.self_percent >= 1.0)
    }

    fn services(&self) -> String {
        let one = |service: &HotIn| {
            let owner: Vec<_> =
                [&service.team_owner, &service.tier].into_iter().flatten().map(String::as_str).collect();
            let owner = if owner.is_empty() { String::new() } else { format!(" ({})", owner.join(", ")) };
            format!("{} {:.1} %{owner}", service.app, service.self_percent)
        };
        self.hot_in().map(one).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(100, 20, RunWindow { from: 110, to: 140 })]
    #[case(109, 20, RunWindow { from: 110, to: 140 })]
    #[case(101, 4, RunWindow { from: 110, to: 120 })]
    #[case(101, 15, RunWindow { from: 110, to: 140 })]
    fn a_window_holds_the_steps_that_profiles_are_dated_by(
        #[case] now: i64,
        #[case] seconds: u64,
        #[case] window: RunWindow,
    ) {
        assert_eq!(RunWindow::of_run(now, seconds), window);
    }

    #[test]
    fn the_commands_name_the_windows_of_the_run() {
        let (before, now) = (RunWindow { from: 0, to: 30 }, RunWindow { from: 30, to: 60 });
        let text = commands("http://h:1", Some(before), now);
        let expected = "  flamewarden triage demo-json --from 30 --to 60 --server http://h:1\n  flamewarden diff demo-json \
                        --baseline-from 0 --baseline-to 30 --from 30 --to 60 --format markdown --server http://h:1\n";
        assert!(text.starts_with(expected) && text.lines().count() == 3, "{text}");
        assert!(!commands("http://h:1", None, now).contains("diff"));
    }
}

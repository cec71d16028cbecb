//! What the server makes of the programs: owners and limits are told to it, then it is asked.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::workload::{Version, Workload};
use crate::bor::diff::DiffBody;
use crate::bor::triage::{Block, JudgedBlock, TriageBody};
use crate::cli::Exit;
use crate::cli::server::{Server, refusal};
use crate::verdict::short_name;

/// The profiler dates what it saw by the ten seconds it was seen in.
const STEP: i64 = 10;

/// Hotspots told of.
const HOTSPOTS: usize = 3;

/// The window that holds the profiles of one version, epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    /// The whole steps around what was seen between these seconds.
    pub(super) fn around(from: i64, to: i64) -> Self {
        Self { from: from - from.rem_euclid(STEP), to: to - to.rem_euclid(STEP) + STEP }
    }

    fn parameters(self) -> [(&'static str, Option<String>); 2] {
        [("from", Some(self.from.to_string())), ("to", Some(self.to.to_string()))]
    }
}

/// What was run, and where to ask about it.
pub(super) struct Report {
    pub(super) server: Server,
    /// Whether owners and limits are left alone.
    pub(super) quick: bool,
    /// The windows of the versions run, the later version last.
    pub(super) spans: Vec<Span>,
}

impl Report {
    /// Asks and tells.
    pub(super) async fn tell(&self) -> anyhow::Result<Exit> {
        let Some(now) = self.spans.last().copied() else { return Ok(Exit::NoData) };
        let before = if self.spans.len() > 1 { self.spans.first().copied() } else { None };
        if !self.quick {
            self.register().await?;
        }
        println!("\nWhat the server makes of them:");
        let mut exit = Exit::Fine;
        for workload in Workload::ALL {
            match self.about(workload, before, now).await {
                Ok(text) => print!("{text}"),
                Err(error) => {
                    println!("\n  {}: no answer: {error:#}", workload.app());
                    exit = Exit::NoData;
                }
            }
        }
        if before.is_some() {
            self.tell_hotspots(now).await?;
        }
        println!("\nAsk it yourself:\n{}", commands(self.server.base(), before, now));
        Ok(exit)
    }

    /// Tells the server who owns the programs, and what is approved.
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

    /// A server of some functions only may have no place for it; its answers then lack it, and say so.
    async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let answer = self.server.post(path, body).await?;
        if !answer.status.is_success() {
            eprintln!("warning: /{path} did not take {}: {}", body["appName"], refusal(&answer));
        }
        Ok(())
    }

    /// The diagnosis of each version of a program, and what changed between them.
    async fn about(&self, workload: Workload, before: Option<Span>, now: Span) -> anyhow::Result<String> {
        let mut text = format!("\n  {}\n", workload.app());
        for (version, span) in before.map(|span| (Version::Before, span)).into_iter().chain([(Version::After, now)]) {
            let mut parameters = vec![("types", Some("cpu".to_owned()))];
            parameters.extend(span.parameters());
            let triage: TriageBody = self.ask(["triage", workload.app()], &parameters).await?;
            let block = triage.profiles.0.first();
            let said = block.map(|(_, block)| block).map_or_else(|| triage.summary.headline.clone(), diagnosis);
            writeln!(text, "    version {}: {said}", version.label())?;
        }
        if let Some(before) = before {
            let diff: DiffBody = self.ask(["diff", workload.app()], &diff_parameters(before, now)).await?;
            writeln!(text, "    changed: {}", diff.summary.headline)?;
            for breach in diff.breaches.iter().flatten() {
                writeln!(
                    text,
                    "    BREACH: {} has {:.1} %, approved are {:.1} %",
                    short_name(&breach.function),
                    breach.current_percent,
                    breach.threshold
                )?;
            }
        }
        Ok(text)
    }

    /// Functions that are hot in several of the programs, with the owners of these.
    async fn tell_hotspots(&self, now: Span) -> anyhow::Result<()> {
        let mut parameters = vec![("apps", Some(apps())), ("limit", Some("200".to_owned()))];
        parameters.extend(now.parameters());
        let answer = self.server.get(["fleet", "hotspots"], &parameters).await?;
        if !answer.status.is_success() {
            return Ok(());
        }
        let found: Hotspots = serde_json::from_slice(&answer.body)?;
        println!("\nWhat several of them share:");
        let shared = found.hotspots.iter().filter(|hotspot| hotspot.hot_in().count() > 1);
        for hotspot in shared.filter(|hotspot| hotspot.kind == "app").take(HOTSPOTS) {
            println!("  {}: {}", short_name(&hotspot.function), hotspot.services());
        }
        Ok(())
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

fn diff_parameters(before: Span, now: Span) -> Vec<(&'static str, Option<String>)> {
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
    // Of a fallback the percentage is the hottest function's.
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

/// What a reader may try next, with the windows of this very run.
fn commands(base: &str, before: Option<Span>, now: Span) -> String {
    let mut text = String::new();
    let window = format!("from={}&to={}", now.from, now.to);
    for workload in Workload::ALL {
        let _ = writeln!(text, "  curl '{base}/triage/{}?{window}'", workload.app());
    }
    if let Some(before) = before {
        let windows = format!("baselineFrom={}&baselineTo={}&{window}", before.from, before.to);
        let app = Workload::Json.app();
        let _ = writeln!(text, "  curl '{base}/diff/{app}?{windows}&format=markdown'");
        let _ = writeln!(text, "  curl '{base}/profiles/{app}/flamegraph?{windows}' > {app}.svg");
        let _ = writeln!(text, "  curl '{base}/fleet/hotspots?{window}&apps={}&limit=5'", apps());
        let _ = writeln!(text, "  curl '{base}/baselines/{app}'");
        let _ = writeln!(text, "  curl '{base}/services/{app}'");
        let _ = writeln!(text, "  curl '{base}/history/{app}?limit=3'");
    }
    text.trim_end().to_owned()
}

/// The parts of the fleet's hotspots that are told.
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
    /// The services that it costs something to speak of.
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
    #[case(100, 120, Span { from: 100, to: 130 })]
    #[case(109, 131, Span { from: 100, to: 140 })]
    #[case(-5, 5, Span { from: -10, to: 10 })]
    fn a_window_holds_the_steps_that_profiles_are_dated_by(#[case] from: i64, #[case] to: i64, #[case] span: Span) {
        assert_eq!(Span::around(from, to), span);
    }

    #[test]
    fn the_commands_name_the_windows_of_the_run() {
        let (before, now) = (Span { from: 0, to: 30 }, Span { from: 30, to: 60 });
        let text = commands("http://h:1", Some(before), now);
        assert!(text.contains("curl 'http://h:1/triage/demo-locks?from=30&to=60'"), "{text}");
        assert!(text.contains("/diff/demo-json?baselineFrom=0&baselineTo=30&from=30&to=60&format=markdown'"), "{text}");
        assert!(!commands("http://h:1", None, now).contains("diff"));
    }
}

//! `flamewarden demo` as a newcomer runs it, but shorter, with real programs in processes of their own. Then the rest
//! of the README's tour, word for word.

use std::path::Path;

use serde_json::Value;

use crate::cli::flamewarden;
use crate::harness::{Flamewarden, Setup};
use crate::processes::until;

/// What the demo must show for an app: the diagnosis of its second version, and whether it exceeds an approved limit.
struct Shown {
    app: &'static str,
    diagnosis: &'static str,
    breach: bool,
}

const SHOWN: [Shown; 4] = [
    Shown { app: "demo-locks", diagnosis: "lock_contention, ", breach: false },
    Shown { app: "demo-json", diagnosis: "serialization, ", breach: true },
    Shown { app: "demo-collections", diagnosis: "collection_resizing, ", breach: false },
    Shown { app: "demo-arithmetic", diagnosis: "cpu_bound of ", breach: true },
];

#[actix_web::test]
async fn the_demo_runs_both_versions_and_all_that_it_and_the_readme_propose_works() {
    let server = Flamewarden::start().await;
    if !std::ptr::eq(server.receiver(), &server) {
        return; // One server takes profiles and judges them: the demo is not for a split.
    }
    let told = demo_that_saw_enough(server.base()).await;
    for app in SHOWN.map(|shown| shown.app) {
        let (_, service): (_, Value) = server.json(&format!("/services/{app}")).await;
        assert_eq!((&service["appName"], &service["environment"]), (&app.into(), &"demo".into()), "{service}");
    }
    let (_, proposed) = told.split_once("\nTry next:\n").unwrap();
    assert_eq!(proposed.lines().count(), 3, "{told}");
    for command in proposed.lines() {
        let words: Vec<_> = command.split_whitespace().collect();
        assert_eq!(words[0], "flamewarden");
        let (exit, printed, errors) = flamewarden(&words[1..], "http://127.0.0.1:9").await;
        // Programs that ran for seconds may be too short for a diff to say that nothing changed.
        let expected = if printed.contains("Too few samples.") { 3 } else { 0 };
        assert_eq!((exit, errors.as_str()), (expected, ""), "{command}: {printed}");
    }
    // A window up to now ends with the last complete quarter of a minute.
    for Shown { app, .. } in SHOWN {
        let recent = format!("/triage/{app}?types=cpu&from=now-15m&selector=version%3D%222%22");
        let is_there = || async { server.json(&recent).await.1["profiles"]["cpu"]["diagnosis"] != "no_data" };
        until("what ran last to be in the tour's windows", is_there).await;
    }
    follow_the_tour(server.base()).await;
}

/// The output of the demo: four diagnoses, two regressions with breaches, and the hotspot that two apps share. On a
/// machine that is busy with other tests a program may see too few samples of itself in a few seconds, so it gets more
/// time. An upload may also take longer there than the profiler waits; the profiler then prints an error, and the demo
/// continues.
async fn demo_that_saw_enough(server: &str) -> String {
    let mut missing = Vec::new();
    for seconds in ["4", "15", "60"] {
        let (exit, told, errors) = flamewarden(&["demo", "--seconds", seconds], server).await;
        assert_eq!(exit, 0, "{told}\n{errors}");
        assert!(errors.lines().all(|line| line.contains("Failed to send session")), "{told}\n{errors}");
        missing = SHOWN.iter().filter_map(|shown| shown.is_missing_in(&told)).collect();
        let shared = told.split_once("\nWhat several of them share:\n").map_or("", |(_, rest)| rest);
        let shared = shared.lines().find(|line| line.contains("workload::checksum: "));
        if shared.is_none_or(|line| !line.contains("demo-arithmetic") || !line.contains("demo-json")) {
            missing.push(format!("the shared hotspot is missing in\n{told}"));
        }
        if missing.is_empty() {
            return told;
        }
    }
    panic!("{}", missing.join("\n\n"));
}

impl Shown {
    /// What is missing for this app, if anything.
    fn is_missing_in(&self, told: &str) -> Option<String> {
        let Self { app, diagnosis, breach } = self;
        let of_app = told.split_once(&format!("\n  {app}\n    version 1: ")).map_or("", |(_, rest)| rest);
        let of_app = of_app.split("\n\n").next().unwrap_or_default();
        let shown = of_app.contains(&format!("\n    version 2: {diagnosis}"))
            && of_app.contains("\n    changed: ")
            && of_app.contains("BREACH: workload::checksum has ") == *breach;
        (!shown).then(|| format!("{app}, {diagnosis}breach {breach}:\n{of_app}"))
    }
}

/// Runs every step of the README's tour after the demo.
async fn follow_the_tour(base: &str) {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, tour) = readme.split_once("\n## A tour in five minutes\n").unwrap();
    let steps = tour.split("\n## ").next().unwrap().split("```sh\n").skip(1);
    let steps: Vec<_> = steps.map(|step| step.split("```").next().unwrap()).collect();
    assert!(steps[0].starts_with("cargo run ") && steps[1].contains("\nflamewarden demo "), "{steps:?}");
    let programs = Path::new(env!("CARGO_BIN_EXE_flamewarden")).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    for step in &steps[2..] {
        let script = step
            .replace("localhost:8080", base.strip_prefix("http://").unwrap())
            .replace("curl ", "curl --silent --show-error --fail ");
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-euc", &script]).env("PATH", &path).env("FLAMEWARDEN_URL", base);
        let output = shell.output().await.unwrap();
        // After so short a run there may be too little to compare.
        let fine = output.status.success() || step.contains("flamewarden diff") && output.status.code() == Some(3);
        assert!(fine && !output.stdout.is_empty(), "{script}\n{output:?}");
    }
    assert!(steps.len() >= 7, "{steps:?}");
}

#[actix_web::test]
async fn the_quick_form_leaves_owners_and_limits_alone() {
    let server = Flamewarden::start().await;
    if !std::ptr::eq(server.receiver(), &server) {
        return;
    }
    let (exit, told, _) = flamewarden(&["demo", "--quick", "--seconds", "1"], server.base()).await;
    assert!(exit == 0 && !told.contains("version 1: ") && told.contains("version 2: "), "{told}");
    let (_, services) = server.json("/services").await;
    assert_eq!(services["count"], 0, "{services}");
}

#[actix_web::test]
async fn the_alert_of_the_demo_fires_is_told_to_its_receiver_and_is_resolved() {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let hook = format!("http://{receiver}/hook");
    let server = Flamewarden::start_whole(Setup::of(&[("SLACK_WEBHOOK_URL", &hook)])).await;
    if !std::ptr::eq(server.receiver(), &server) {
        return;
    }
    let words = ["demo", "--alert", "--receiver", &receiver];
    let (exit, printed, errors) = flamewarden(&words, server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{printed}");
    let told =
        ["alert 1 is firing", "    FIRING critical · demo-alert", "is resolved", "    RESOLVED critical · demo-alert"];
    let places: Vec<_> = told.iter().map(|words| printed.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{printed}");
    assert_eq!(server.json("/rules").await.1["count"], 0, "the rule is removed");
    let (exit, _, errors) = flamewarden(&words, server.base()).await;
    assert_eq!(exit, 3);
    assert!(errors.contains("within the last 5 minutes"), "{errors}");
}

#[actix_web::test]
async fn a_server_that_takes_no_profiles_is_no_place_for_the_demo() {
    let server = Flamewarden::start_whole(Setup::of(&[("PYROSCOPE_URL", "http://127.0.0.1:9")])).await;
    let (exit, told, errors) = flamewarden(&["demo", "--quick"], server.base()).await;
    assert_eq!((exit, told.as_str()), (3, ""));
    assert!(errors.contains("reads profiles from PYROSCOPE_URL and takes none itself"), "{errors}");
}

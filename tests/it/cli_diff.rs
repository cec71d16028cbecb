//! `flamewarden diff` as a pipeline runs it: whole processes, files and a live server, and their exit codes.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::api::diff::deployed;
use crate::cli::flamewarden;

/// No server listens here: files need none.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Folded stacks of twelve functions that do not change, and of one with this many samples.
fn folded(samples: u32) -> String {
    let steady: String = (0..12).map(|i| format!("main;steady{i} 500\n")).collect();
    format!("{steady}main;Cart.toJson {samples}\n")
}

/// Two profiles, two with too few samples, and limits.
fn files(dir: &Path) {
    let limit = |percent: f64| {
        json!({"appName": "shop", "baselines": [
            {"id": 1, "appName": "shop", "profileType": "cpu", "functionName": "Cart.toJson", "maxSelfPercent": percent,
             "severity": "critical", "createdBy": null, "createdAt": "2026-01-23T08:53:20Z", "updatedAt": "2026-01-23T08:53:20Z"},
            {"profileType": "alloc", "functionName": "Cart.toJson", "maxSelfPercent": 0.5}]})
    };
    for (name, text) in [
        ("before", folded(400)),
        ("after", folded(1_500)),
        ("few", "main;a 9\nmain;b 9\n".to_owned()),
        ("empty", String::new()),
        ("strict.json", limit(15.0).to_string()),
        ("loose.json", limit(50.0).to_string()),
        ("broken.json", "{}".to_owned()),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

/// Runs it in a directory of files. `@name` stands for the path of a file there.
async fn compared(arguments: &str) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path());
    let arguments: Vec<_> = arguments
        .split_whitespace()
        .map(|word| match word.strip_prefix('@') {
            Some(file) => dir.path().join(file).display().to_string(),
            None => word.to_owned(),
        })
        .collect();
    let words: Vec<_> = ["diff"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    flamewarden(&words, NOWHERE).await
}

#[rstest]
#[case::told("--files @before @after", 0, "REGRESSIONS")]
#[case::regressed("--files @before @after --fail-on regression", 1, "REGRESSIONS")]
#[case::regressed_by_less("--files @before @after --fail-on regression --min-delta 30", 0, "REGRESSIONS")]
#[case::improved("--files @after @before --fail-on regression", 0, "NO REGRESSIONS")]
#[case::same(
    "--type cpu --files @before @before --fail-on regression,breach --baselines @strict.json",
    0,
    "nothing changed"
)]
#[case::breached(
    "--type cpu --files @before @after --fail-on breach --baselines @strict.json",
    1,
    "over its limit (critical)"
)]
#[case::not_shown(
    "--type cpu --files @before @after --fail-on breach --baselines @strict.json --limit 1",
    1,
    "over its limit"
)]
#[case::standing_breach(
    "--type cpu --files @after @after --fail-on breach --baselines @strict.json",
    1,
    "over its limit"
)]
#[case::within("--type cpu --files @before @after --fail-on breach --baselines @loose.json", 0, "Cart.toJson")]
#[case::no_kind_for_limits("--files @before @after --fail-on breach --baselines @strict.json", 2, "such as --type cpu")]
#[case::no_limits("--files @before @after --fail-on breach", 2, "--baselines FILE")]
#[case::broken_limits("--files @before @after --baselines @broken.json", 2, "GET /baselines")]
#[case::no_limits_file("--files @before @after --baselines @nothing", 2, "nothing")]
#[case::few("--files @few @after --fail-on regression", 3, "TOO FEW SAMPLES")]
#[case::few_pass("--files @few @after --fail-on regression --insufficient=pass", 0, "TOO FEW SAMPLES")]
#[case::few_fail("--files @few @after --fail-on regression --inconclusive=fail", 1, "TOO FEW SAMPLES")]
#[case::no_file("--files @before @nothing", 3, "nothing")]
#[case::no_profile("--files @empty @after", 3, "empty")]
#[case::one_file("--files @before", 2, "2 values")]
#[case::app_and_files("shop --files @before @after", 2, "cannot be used with")]
#[case::nothing("", 2, "<APP>")]
#[case::window_of_files("--files @before @after --from now-1h", 2, "--from selects a window of an app")]
#[case::two_files("@before @after --fail-on regression", 1, "REGRESSIONS")]
#[case::window_of_two_files("@before @after --selector a=b", 2, "--selector selects a window of an app")]
#[case::three_files("@before @after @few", 2, "unexpected")]
#[case::limits_of_files_for_an_app("shop --baselines @strict.json", 2, "--baselines is for two files")]
#[case::one_file_alone("@before", 2, "is a file: give two, the baseline and the current one")]
#[case::nobody_listens("shop", 3, "http://127.0.0.1:9")]
#[actix_web::test]
async fn the_exit_code_says_what_became_of_it(#[case] arguments: &str, #[case] code: i32, #[case] says: &str) {
    let (exit, text, errors) = compared(arguments).await;
    assert_eq!(exit, code, "{text}{errors}");
    assert!(format!("{text}{errors}").contains(says), "{text}{errors}");
}

#[actix_web::test]
async fn markdown_is_for_a_pull_request_and_json_for_programs() {
    let (exit, text, _) =
        compared("--type cpu --files @before @after --format markdown --baselines @strict.json").await;
    assert_eq!(exit, 0);
    assert!(
        text.starts_with("# Diff Report: after\n\n**1 regression.** Load ×1.0; beyond that, one function grew"),
        "{text}"
    );
    assert!(text.contains("| `Cart.toJson` | 6.25% | 20.00% | +13.75% | 15% BREACH |"), "{text}");
    assert!(text.contains("```sh\nflamewarden diff /"), "{text}");
    let (_, text, _) = compared("--files @before @after --json --limit 1").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&body["summary"]["improvementsCount"], body["improvements"].as_array().unwrap().len()),
        (&json!(12), 1)
    );
}

#[actix_web::test]
async fn a_server_is_asked_and_its_verdict_is_the_code() {
    let server = deployed().await;
    let apart = ["--baseline-from", "now-3h", "--baseline-to", "now-2h", "--from", "now-1h", "--to", "now"];
    let run = |more: &'static [&'static str]| {
        let words = [&["diff", "shop"], &apart[..], more].concat();
        let base = server.base().to_owned();
        async move { flamewarden(&words, &base).await }
    };
    let (exit, text, _) = run(&["--fail-on", "regression"]).await;
    assert!(
        exit == 1
            && text.contains("shop.Cart.toJson")
            && text.contains(&format!("flame graph: {}/profiles/shop", server.base())),
        "{text}"
    );
    let (exit, text, _) = run(&["--format", "markdown", "--limit", "1"]).await;
    assert!(exit == 0 && text.contains(&format!("--server {}/", server.base())), "{text}");
    let link = format!("]({}/profiles/shop/flamegraph?", server.base());
    assert!(text.contains(&link), "{text}");
    let (exit, _, errors) = flamewarden(&["diff", "nobody"], server.base()).await;
    assert!(exit == 3 && errors.contains("nobody"), "{errors}");
    let (exit, _, errors) = flamewarden(&["diff", "shop", "--settle", "5m"], server.base()).await;
    assert!(exit == 2 && errors.contains("settle"), "{errors}");
    let (exit, _, errors) = flamewarden(&["diff", "shop", "--at", "now-1m"], server.base()).await;
    let too_recent = "error: at is too recent: the current window begins 5m (settle) after it, at ";
    assert!(exit == 2 && errors.starts_with(too_recent) && errors.contains("--settle"), "{errors}");
    let (exit, _, errors) = flamewarden(&["diff", "shop", "--from", "now-1h", "--to", "now-2h"], server.base()).await;
    assert!(exit == 2 && errors.contains("before"), "{errors}");
}

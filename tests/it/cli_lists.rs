//! `flamewarden apps`, `services`, `baselines`, `history`, `schedule` and the other small commands: whole processes and a live
//! server.

use flamewarden::kernel::{Clock as _, SystemClock};
use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::api::pushing::collecting;
use crate::cli::flamewarden;
use crate::harness::{Flamewarden, Setup};
use crate::processes::{free_port, until};

async fn post(server: &Flamewarden, path: &str, body: serde_json::Value) {
    let answer = server.request(Method::POST, path).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
}

/// A server that knows one app: its profiles, owner, limit and history.
async fn stocked() -> Flamewarden {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    post(&server, "/services", json!({"appName": "shop", "teamOwner": "cart", "tier": "critical"})).await;
    let limit =
        json!({"appName": "shop", "profileType": "cpu", "functionName": "shop.Price.sum", "maxSelfPercent": 5.5});
    post(&server, "/baselines", limit).await;
    for diagnosis in ["gc_pressure", "cpu_bound"] {
        let entry = json!({"appName": "shop", "diagnosis": diagnosis, "severity": "high", "profileTypes": "cpu",
            "recommendation": "look\nhere"});
        post(&server, "/history", entry).await;
    }
    let ended = SystemClock.now();
    let span = |name: &str, us: i64, parent: Option<&str>| {
        json!({"operationType": name, "durationUs": us, "endedAt": ended, "scope": "shop", "traceId": "nightly-1",
            "spanId": name, "parentSpanId": parent})
    };
    let spans = [span("load", 42_014, Some("nightly")), span("nightly", 57_212, None)];
    post(&server, "/performance/metrics/batch", json!({"metrics": spans})).await;
    let often = vec![json!({"operationType": "often", "durationUs": 5_000}); 10];
    post(&server, "/performance/metrics/batch", json!({"metrics": often})).await;
    until("a job", || async { server.json("/schedule").await.1.to_string().contains("schedule_upkeep") }).await;
    server
}

#[rstest]
#[case::apps(&["apps"], "app\nshop\n")]
#[case::services(&["services"], "app   owner  tier      environment  channel\nshop  cart   critical\n")]
#[case::of_a_tier(&["services", "--tier", "critical"], "shop  cart   critical\n")]
#[case::baselines(&["baselines", "shop"], "  cpu   5.5      warning   shop.Price.sum\n")]
#[case::of_a_kind(&["baselines", "shop", "--type", "cpu"], "shop.Price.sum\n")]
#[case::history(&["history", "shop"], "  cpu    high      cpu_bound    look here\n")]
#[case::audit(&["audit", "--app", "shop", "--action", "baseline.create"], "  open:local  baseline.create  1         shop  success  1      127.0.0.1  ")]
#[case::traces(&["ops", "traces", "--type", "nightly", "--min-ms", "57"], "  57212  success  nightly  nightly    shop\n")]
#[case::top(&["ops", "top"], "load       1      0       0     42.014  42.014  42.014            no_baseline\n")]
#[case::trend(&["ops", "trend", "load", "--hours"], "  1      0       42.014  42.014  42.014  42.014\n")]
#[case::limits(&["ops", "baseline", "--learn", "often"], "often             5.000   10.000    25.000       10           true\n")]
#[case::trace(&["ops", "trace", "nightly-1"], "57.212  15.198  success  nightly\n42.014  42.014  success    load\n")]
#[case::schedule(&["schedule"], "schedule_upkeep        core         ")]
#[actix_web::test]
async fn a_list_is_a_table(#[case] arguments: &[&str], #[case] expected: &str) {
    let server = stocked().await;
    let (exit, table, errors) = flamewarden(arguments, server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{table}");
    assert!(table.contains(expected), "{table}");
    let (exit, text, _) = flamewarden(&[arguments, &["--json"]].concat(), server.base()).await;
    assert!(exit == 0 && serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object(), "{text}");
}

#[rstest]
#[case(&["services", "--tier", "nobody"])]
#[case(&["baselines", "nobody"])]
#[case(&["history", "nobody"])]
#[case(&["audit", "--user", "nobody"])]
#[case(&["channels"])]
#[case(&["apps", "--from", "now-5h", "--to", "now-4h"])]
#[actix_web::test]
async fn an_empty_list_ends_with_three(#[case] arguments: &[&str]) {
    let server = stocked().await;
    let (exit, table, errors) = flamewarden(arguments, server.base()).await;
    assert_eq!((exit, errors.as_str(), table.lines().count()), (3, "", 1), "{table}");
}

#[actix_web::test]
async fn a_long_history_is_read_page_by_page() {
    let server = stocked().await;
    let (_, first, _) = flamewarden(&["history", "shop", "--limit", "1"], server.base()).await;
    let (_, cursor) = first.split_once("note: there are more: --cursor ").unwrap();
    let next = ["history", "shop", "--limit", "1", "--cursor", cursor.trim()];
    let (exit, second, _) = flamewarden(&next, server.base()).await;
    assert!(exit == 0 && first.contains("cpu_bound") && second.contains("gc_pressure"), "{first}{second}");
    assert!(!second.contains("there are more"), "{second}");
}

#[rstest]
#[case::problem(&["--fail-on", "problem"], 1)]
#[case::breach(&["--fail-on", "breach"], 1)]
#[case::breach_of_another_kind(&["--fail-on", "breach", "--types", "alloc"], 3)]
#[case::nothing(&[], 0)]
#[actix_web::test]
async fn a_pipeline_can_act_on_a_triage(#[case] more: &[&str], #[case] code: i32) {
    let server = stocked().await;
    let (exit, text, errors) = flamewarden(&[&["triage", "shop"], more].concat(), server.base()).await;
    assert_eq!((exit, errors.as_str()), (code, ""), "{text}");
}

#[actix_web::test]
async fn a_profile_is_no_list_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("profile.pb.gz");
    std::fs::write(&profile, [0x1f, 0x8b, 8, 0, b'\n']).unwrap();
    let (exit, text, errors) =
        flamewarden(&["rules", "explain", profile.to_str().unwrap()], "http://127.0.0.1:9").await;
    assert_eq!((exit, text.as_str()), (2, ""));
    assert!(errors.contains("is not text: it must hold one name per line"), "{errors}");
}

#[actix_web::test]
async fn an_address_needs_no_scheme_and_a_silent_one_is_explained() {
    let server = stocked().await;
    let bare = server.base().strip_prefix("http://").unwrap();
    let (exit, ..) = flamewarden(&["apps", "--server", bare], "http://127.0.0.1:9").await;
    assert_eq!(exit, 0);
    let silent = format!("localhost:{}", free_port());
    for command in ["apps", "hotspots", "services"] {
        let (exit, _, errors) = flamewarden(&[command, "--server", &silent], server.base()).await;
        assert_eq!(exit, 3);
        let expected = format!("error: no answer from http://{silent}/: check that a server runs there");
        assert!(errors.starts_with(&expected), "{errors}");
    }
}

#[actix_web::test]
async fn colour_is_for_terminals_and_for_who_asks() {
    let server = stocked().await;
    let (_, plain, _) = flamewarden(&["triage", "shop"], server.base()).await;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let (_, colored, _) = flamewarden(&["triage", "shop", "--color", "always"], server.base()).await;
    assert!(colored.contains("\u{1b}[31mPROBLEM: gc_pressure (high)\u{1b}[0m\n"), "{colored:?}");
}

#[rstest]
#[case("bash", "complete -F _flamewarden")]
#[case("zsh", "#compdef flamewarden")]
#[case("fish", "complete -c flamewarden")]
#[actix_web::test]
async fn shells_complete_commands(#[case] shell: &str, #[case] expected: &str) {
    let (exit, script, errors) = flamewarden(&["completions", shell], "").await;
    assert_eq!((exit, errors.as_str()), (0, ""));
    assert!(script.contains(expected) && script.contains("--fail-on") && script.contains("hotspots"), "{script}");
}

#[rstest]
#[case(&["triage", "--help"], &["flamewarden triage [OPTIONS] --file <FILE> [APP]", "[default: cpu,alloc"])]
#[case(&["diff", "--help"], &["--files <BASELINE> <CURRENT>", "[default: 5m]"])]
#[case(&["hotspots", "--help"], &["[default: idle,profiler_overhead,unresolved]", "[default: cpu]"])]
#[actix_web::test]
async fn help_shows_usage_and_defaults(#[case] arguments: &[&str], #[case] expected: &[&str]) {
    let (exit, help, _) = flamewarden(arguments, "").await;
    assert_eq!(exit, 0);
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in expected {
        assert!(words.contains(text), "{text:?} is not in\n{help}");
    }
}

#[actix_web::test]
async fn a_channel_is_listed_and_tried() {
    let receiver = wiremock::MockServer::start().await;
    let once =
        wiremock::Mock::given(wiremock::matchers::path("/hunter2")).respond_with(wiremock::ResponseTemplate::new(200));
    once.up_to_n_times(1).mount(&receiver).await;
    let url = format!("{}/hunter2", receiver.uri());
    let server = Flamewarden::start_whole(Setup::of(&[("SLACK_WEBHOOK_URL", &url)])).await;
    let (exit, table, _) = flamewarden(&["channels"], server.base()).await;
    assert!(exit == 0 && table.contains("slack    slack  unused  0"), "{table}");
    assert!(!table.contains("hunter2"), "{table}");
    let (exit, text, _) = flamewarden(&["channels", "test", "slack"], server.base()).await;
    assert_eq!((exit, text.as_str()), (0, "OK: slack took the message\n"));
    let (exit, text, _) = flamewarden(&["channels", "test", "slack"], server.base()).await;
    let expected = "PROBLEM: slack did not take the message: the receiver answered 404 Not Found\n";
    assert_eq!((exit, text.as_str()), (1, expected));
    let (exit, _, errors) = flamewarden(&["channels", "test", "nobody"], server.base()).await;
    assert!(exit == 3 && errors.contains("no channel of this name is defined"), "{errors}");
}

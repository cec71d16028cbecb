//! The same binary as one process and as several, over real HTTP, also when one of them is killed.

mod examples;
mod replicas;
mod upgrade;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use flamewarden::kernel::{Clock, SystemClock};
use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use serde_json::Value;

use crate::processes::{Node, free_port, until};
use crate::testing;

const APP: &str = "shop";
const BORS: &str = "ReadPyroscopeTriageAssessment.v2,ReadPyroscopeDiffReport.v2,ReadPyroscopeFleetSearch.v2";

/// A profile whose verdict depends on stacks: the meaning of `memmove` depends on its caller.
fn profile() -> Vec<u8> {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let mut stack = |names: &[&str], ticks: i64| {
        let frames: Vec<_> = names.iter().map(|name| builder.function(name, "")).collect();
        builder.add(frames, &[ticks * 10_000_000]);
    };
    let root = ["main.handle", "main.main", "runtime.main"];
    let under = |leaf: &[&'static str]| [leaf, &root].concat();
    stack(
        &under(&[
            "runtime.memmove",
            "encoding/json.(*encodeState).marshal",
            "encoding/json.Marshal",
            "shop.Cart.ToJson",
        ]),
        700,
    );
    stack(&under(&["runtime.mallocgc", "encoding/json.(*decodeState).object", "shop.Cart.FromJson"]), 900);
    stack(&under(&["shop.Price.sum"]), 400);
    stack(&["runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"], 300);
    write_pprof(
        &builder.build(),
        &PprofHeader {
            period_type: Some(SampleType::new("cpu", "nanoseconds")),
            period: 10_000_000,
            ..PprofHeader::default()
        },
    )
}

/// Pushes three profiles of the last minutes, and a heavier one of another series. Returns a window with them that is
/// over: rates in a window that is not over change between requests.
async fn push(to: &Node) -> (i64, i64) {
    let now = SystemClock.now().timestamp();
    for minutes in 1..=3 {
        let from = now - minutes * 60;
        let answer = to
            .client()
            .post(format!("{}/ingest?name={APP}%7Benv%3Dprod%7D&format=pprof&from={from}&until={}", to.url, from + 10))
            .body(profile())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }
    let other = format!("{}/ingest?name={APP}%7Benv%3Dtest%7D&from={}&until={}", to.url, now - 90, now - 80);
    let answer = to.client().post(other).body("main.main;shop.Spin 100000").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    (now - 600, now - 30)
}

/// Triage, diff and fleet search in five processes on one database: profile data, baselines, history, registry, and the
/// BORs with a spool of their own.
struct Split {
    nodes: Vec<Node>,
}

impl Split {
    async fn start(database: &str, data: &Path) -> Self {
        let parts = [
            ("profile-data", "ReadPyroscopeProfile.sor.v1", "PROFILE_DATA_URL"),
            ("baseline", "ReadPyroscopeBaseline.sor.v1", "BASELINE_URL"),
            ("history", "CreatePyroscopeTriageHistory.sor.v1", "HISTORY_URL"),
            ("registry", "ReadPyroscopeServiceRegistry.sor.v1", "REGISTRY_URL"),
        ];
        let mut nodes = Vec::new();
        let mut urls = Vec::new();
        for (name, function, url) in parts {
            let node =
                Node::start(free_port(), &data.join(name), &[("FUNCTION", function), ("DATABASE_URL", database)]);
            urls.push((url, node.url.clone()));
            nodes.push(node);
        }
        let mut settings = vec![("FUNCTION", BORS)];
        settings.extend(urls.iter().map(|(key, url)| (*key, url.as_str())));
        nodes.push(Node::start(free_port(), &data.join("triage"), &settings));
        for node in &nodes {
            node.ready().await;
        }
        Self { nodes }
    }

    fn triage(&self) -> &Node {
        &self.nodes[4]
    }

    fn history(&self) -> &Node {
        &self.nodes[2]
    }
}

/// The callers of the stored assessments.
async fn recorded(history: &Node) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let url = format!("{}/history/{APP}?limit=500{cursor}", history.url);
        let Ok(answer) = history.client().get(url).send().await else { return names };
        let Ok(page) = answer.json::<Value>().await else { return names };
        let entries = page["history"].as_array().cloned().unwrap_or_default();
        names.extend(entries.iter().filter_map(|e| e["requestedBy"].as_str().map(str::to_owned)));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_processes_answer_the_same_json_as_one() {
    let database = testing::database().await;
    let data = tempfile::tempdir().unwrap();
    let whole = Node::start(free_port(), &data.path().join("whole"), &[("DATABASE_URL", &database.url())]);
    whole.ready().await;
    let (from, to) = push(&whole).await;
    let limit = serde_json::json!({ "appName": APP, "profileType": "cpu", "functionName": "runtime.mallocgc", "maxSelfPercent": 5.0 });
    let set = whole.client().post(format!("{}/baselines", whole.url)).json(&limit).send().await.unwrap();
    assert_eq!(set.status(), 201);
    let service = serde_json::json!({ "appName": APP, "pyroscopeLabels": { "env": "prod" } });
    let known = whole.client().post(format!("{}/services", whole.url)).json(&service).send().await.unwrap();
    assert_eq!(known.status(), 201);
    let split = Split::start(&database.url(), data.path()).await;
    let path = format!("/triage/{APP}?types=cpu&from={from}&to={to}");
    let (one, five) = (whole.get(&path).await, split.triage().get(&path).await);
    let answer: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(answer["profiles"]["cpu"]["diagnosis"], "serialization", "{one}");
    assert_eq!(answer["summary"]["baselineViolations"], 1, "{one}");
    assert_eq!(answer.get("labels"), None, "{one}");
    assert_eq!(one, five);
    let middle = (from + to) / 2 - 60;
    let path = format!("/diff/{APP}?baselineFrom={from}&baselineTo={middle}&from={middle}&to={to}");
    let (one, five) = (whole.get(&path).await, split.triage().get(&path).await);
    let answer: Value = serde_json::from_str(&one).unwrap();
    assert_ne!(answer["summary"]["verdict"], "insufficient", "{one}");
    assert_eq!((&answer["sampleType"], answer.get("labels")), (&Value::from("cpu"), None), "{one}");
    assert_eq!(one, five);
    for asked in ["/search?function=marshal", "/fleet/hotspots?sort=cores"] {
        let path = format!("{asked}{}from={from}&to={to}", if asked.contains('?') { "&" } else { "?" });
        let (one, five) = (whole.get(&path).await, split.triage().get(&path).await);
        let answer: Value = serde_json::from_str(&one).unwrap();
        assert_eq!((answer["appsWithData"].as_u64(), answer.get("owners")), (Some(1), None), "{one}");
        assert_eq!(one, five);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_no_assessment_that_was_answered() {
    let database = testing::database().await;
    let data = tempfile::tempdir().unwrap();
    let mut split = Split::start(&database.url(), data.path()).await;
    let (from, to) = push(&split.nodes[0]).await;
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    for victim in 0..split.nodes.len() {
        let before = answered.lock().unwrap().len();
        let url = format!("{}/triage/{APP}?types=cpu&from={from}&to={to}", split.triage().url);
        let stop = tokio_util::sync::CancellationToken::new();
        let callers: Vec<_> = (0..3)
            .map(|caller| {
                let (answered, stop, url) = (Arc::clone(&answered), stop.clone(), url.clone());
                let client = split.triage().client().clone();
                tokio::spawn(async move {
                    for n in 0.. {
                        if stop.is_cancelled() {
                            return;
                        }
                        let name = format!("{victim}-{caller}-{n}");
                        let Ok(answer) = client.get(&url).header("x-requested-by", &name).send().await else {
                            tokio::task::yield_now().await;
                            continue;
                        };
                        if answer.status() != 200 {
                            continue;
                        }
                        let Ok(answer) = answer.json::<Value>().await else { continue };
                        assert!(answer.get("history").is_none(), "{answer}");
                        answered.lock().unwrap().insert(name);
                    }
                })
            })
            .collect();
        let count = || answered.lock().unwrap().len();
        until("answers before the kill", || async { count() >= before + 20 }).await;
        split.nodes[victim].kill_nine();
        let at_kill = count();
        split.nodes[victim].restart();
        split.nodes[victim].ready().await;
        until("answers after the restart", || async { count() >= at_kill + 20 }).await;
        stop.cancel();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let expected = answered.lock().unwrap().clone();
    until("every answered assessment to be kept", || async { recorded(split.history()).await.is_superset(&expected) })
        .await;
    assert!(expected.len() >= 160, "{}", expected.len());
}

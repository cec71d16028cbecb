//! The split of `config/examples`: one process for each file, next to a monolith with the same data.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::processes::{Node, free_port, until};
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing;

/// The files of `config/examples`, with free ports and the address of the test's Pyroscope.
pub(super) struct Examples {
    files: BTreeMap<String, String>,
    ports: BTreeMap<u16, u16>,
    data: PathBuf,
    database: String,
    pyroscope: String,
}

impl Examples {
    pub(super) fn new(data: &Path, database: &str, pyroscope: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
        let files: BTreeMap<_, _> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
            .collect();
        let ports = files.values().map(|text| (port(text), free_port())).collect();
        let (data, database, pyroscope) = (data.to_owned(), database.to_owned(), pyroscope.to_owned());
        Self { files, ports, data, database, pyroscope }
    }

    /// The log lines of a file's process so far.
    fn log(&self, name: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.data.join(format!("data-{}", port(&self.files[name]))).join("log")).unwrap();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The names of the files with this prefix.
    pub(super) fn names(&self, prefix: &str) -> Vec<&str> {
        self.files.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect()
    }

    /// Starts the process of a file. Files with the same port replace each other and use the same data directory.
    pub(super) fn start(&self, name: &str) -> Node {
        let text = &self.files[name];
        let mut own = text.clone();
        for (theirs, ours) in &self.ports {
            own = own.replace(&format!("127.0.0.1:{theirs}"), &format!("127.0.0.1:{ours}"));
        }
        let port = port(text);
        let own =
            own.replace("http://127.0.0.1:4040", &self.pyroscope).replace("http://pyroscope:4040", &self.pyroscope);
        let file = self.data.join(format!("{name}.toml"));
        fs::write(&file, own).unwrap();
        let mut settings = vec![("FLAMEWARDEN_CONFIG", file.to_str().unwrap()), ("HOST", "127.0.0.1")];
        // A process without tables is not given a database.
        if text.contains("DATABASE_URL") {
            settings.push(("DATABASE_URL", &self.database));
        }
        Node::start(self.ports[&port], &self.data.join(format!("data-{port}")), &settings)
    }
}

/// The port in a file.
fn port(text: &str) -> u16 {
    text.lines().find_map(|line| line.strip_prefix("port = ")).unwrap().trim().parse().unwrap()
}

/// The documented paths of a process, without those that every process has.
async fn paths(node: &Node) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&node.get("/api-docs/openapi.json").await).unwrap();
    let is_health = |item: &Value| item["get"]["tags"] == json!(["health"]);
    let all = document["paths"].as_object().unwrap().iter();
    all.filter(|(_, item)| !is_health(item)).map(|(path, _)| path.clone()).collect()
}

/// Writes to the process that serves the path. Returns the row.
pub(super) async fn write(nodes: &[Node], method: Method, path: &str, body: &Value) -> Value {
    let node = serving(nodes, path).await;
    let answer = node.client().request(method, format!("{}{path}", node.url)).json(body).send().await.unwrap();
    let (status, row) = (answer.status(), answer.json::<Value>().await.unwrap());
    assert!(status.is_success(), "{path}: {row}");
    row
}

/// The one process that serves a path.
async fn serving<'a>(nodes: &'a [Node], path: &str) -> &'a Node {
    let asked: Vec<_> = path.split('?').next().unwrap().split('/').collect();
    let takes = |own: &String| {
        let own: Vec<_> = own.split('/').collect();
        own.len() == asked.len() && own.iter().zip(&asked).all(|(own, asked)| own == asked || own.starts_with('{'))
    };
    for node in nodes {
        if paths(node).await.iter().any(takes) {
            return node;
        }
    }
    panic!("nobody serves {path}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_split_of_the_examples_serves_what_the_monolith_serves_and_answers_alike() {
    let database = testing::database().await;
    let data = tempfile::tempdir().unwrap();
    let pyroscope = Canned::start().await;
    let examples = Examples::new(data.path(), &database.url(), &pyroscope.url());
    let whole = examples.start("monolith");
    let nodes: Vec<_> = examples.names("split-").into_iter().map(|name| examples.start(name)).collect();
    for node in nodes.iter().chain([&whole]) {
        node.ready().await;
    }
    let mut left = paths(&whole).await;
    for node in &nodes {
        for path in paths(node).await {
            assert!(left.remove(&path), "{path} of {} is served twice or by the split alone", node.url);
        }
    }
    assert!(left.is_empty(), "the split lacks {left:?}");

    let limit =
        json!({"appName": "shop", "profileType": "cpu", "functionName": "runtime.scanobject", "maxSelfPercent": 5.0});
    write(&nodes, Method::POST, "/baselines", &limit).await;
    let service = json!({"appName": "shop", "teamOwner": "cart", "tier": "critical"});
    write(&nodes, Method::POST, "/services", &service).await;
    let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20, "functionPattern": "^shop"});
    let rule = write(&nodes, Method::POST, "/rules", &rule).await["id"].clone();
    let off = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 30, "enabled": false});
    write(&nodes, Method::POST, "/rules", &off).await;
    write(&nodes, Method::PUT, &format!("/rules/{rule}"), &json!({"thresholdPercent": 25})).await;

    let asked = [
        format!("/triage/shop?types=cpu&{AFTER}"),
        format!("/diff/shop?{BOTH}"),
        format!("/profiles/shop?{AFTER}"),
        format!("/profiles/apps?{AFTER}"),
        "/baselines/shop".to_owned(),
        "/services/shop".to_owned(),
        "/rules?appName=shop".to_owned(),
        "/rules/active/shop".to_owned(),
        format!("/rules/{rule}"),
        format!("/search?function=shop&{AFTER}"),
        format!("/fleet/hotspots?{AFTER}"),
    ];
    for path in &asked {
        let (one, many) = (whole.get(path).await, serving(&nodes, path).await.get(path).await);
        assert_eq!(one, many, "{path}");
    }
    let of = |path: usize| serving(&nodes, &asked[path]);
    let triage: Value = serde_json::from_str(&of(0).await.get(&asked[0]).await).unwrap();
    assert_eq!(triage["summary"]["baselineViolations"], 1, "{triage}");
    let diff: Value = serde_json::from_str(&of(1).await.get(&asked[1]).await).unwrap();
    assert_eq!(diff["regressions"][0]["function"], "shop.Cart.toJson", "{diff}");
    for answer in [&triage, &diff] {
        let missing: Vec<_> =
            ["baselines", "history", "labels"].into_iter().filter(|m| answer.get(m).is_some()).collect();
        assert!(missing.is_empty(), "{answer}");
    }
    // A window that was not read yet, requested with a deadline of three seconds.
    let hotspots = format!("{}/fleet/hotspots?from=1795176000&to=1795179000", of(10).await.url);
    let asked_for = of(10).await.client().get(hotspots).header("x-flamewarden-deadline-ms", "3000").send().await;
    assert_eq!(asked_for.unwrap().status(), 200);
    let exports: Vec<_> = examples
        .log("split-profile-data")
        .into_iter()
        .filter(|line| line["route"] == "/profiles/{appName}/export")
        .map(|line| (line["scan"] == true, line["deadline_ms"].as_u64().unwrap()))
        .collect();
    let within =
        |scan: bool, from: u64, to: u64| exports.iter().any(|(is, ms)| *is == scan && (from..=to).contains(ms));
    assert!(within(true, 1, 3_000), "hotspots is a scan with the caller's deadline: {exports:?}");
    assert!(within(true, 3_001, 10_000), "a search is a scan, each app with ten seconds: {exports:?}");
    assert!(within(false, 10_001, 40_000), "a triage is none: {exports:?}");
    let hotspots: Value = serde_json::from_str(&of(10).await.get(&asked[10]).await).unwrap();
    assert_eq!(hotspots["hotspots"][0]["criticalServiceCount"], 1, "{hotspots}");
    let active: Value = serde_json::from_str(&of(7).await.get("/rules/active/shop").await).unwrap();
    assert_eq!((&active["count"], &active["rules"][0]["thresholdPercent"]), (&json!(1), &json!(25.0)), "{active}");
    // The monolith made two decisions, the split made four.
    until("every decision in the history", || async {
        let kept: Value = serde_json::from_str(&whole.get("/history/shop").await).unwrap();
        kept["count"] == 6
    })
    .await;
}

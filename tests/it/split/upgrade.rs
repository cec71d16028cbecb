//! From v1 to v2, one system of record at a time: the steps of `config/examples/upgrade-*`.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::examples::{Examples, write};
use crate::json::Differences;
use crate::processes::{Node, until};
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing;

/// The requests at each step, and the members that their answers have in addition to those of v1: once there are
/// baselines, and once there is the registry.
const DECISIONS: [(&str, &[&str], &[&str]); 4] = [
    ("/triage/shop?types=cpu&", &["baselineViolations", "baselinesNotSeen"], &[]),
    (
        "/diff/shop?",
        &["approvedThreshold", "baselinesNotSeen", "breaches", "exceedsThreshold", "thresholdBreaches"],
        &[],
    ),
    ("/search?function=cart&apps=shop&", &[], &["notificationChannel", "teamOwner", "tier"]),
    ("/fleet/hotspots?apps=shop&", &[], &["criticalServiceCount", "teamOwner", "tier"]),
];

/// Each step, and what decisions still report as off: a triage or a diff, and a fleet search.
const STEPS: [(&str, &[&str], &[&str]); 3] = [
    ("upgrade-1-baselines", &["history", "labels"], &["owners"]),
    ("upgrade-2-history", &["labels"], &["owners"]),
    ("upgrade-3-registry", &[], &[]),
];

async fn decisions(node: &Node) -> Vec<Value> {
    let mut answers = Vec::new();
    for (path, ..) in DECISIONS {
        let window = if path.starts_with("/diff") { BOTH } else { AFTER };
        answers.push(serde_json::from_str(&node.get(&format!("{path}{window}")).await).unwrap());
    }
    answers
}

/// The columns of the table of regressions.
async fn columns(node: &Node) -> Vec<String> {
    let report = node.get(&format!("/diff/shop?{BOTH}&format=markdown")).await;
    let head = report.lines().find(|line| line.starts_with("| Function")).unwrap();
    head.split('|').map(str::trim).filter(|column| !column.is_empty()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_an_upgrade_adds_to_what_version_one_said_and_changes_none_of_it() {
    let (canned, database) = (Canned::start().await, testing::database().await);
    let data = tempfile::tempdir().unwrap();
    let examples = Examples::new(data.path(), &database.url(), &canned.url());
    let sors = ["profile-data", "baseline", "history", "registry"].map(|sor| examples.start(&format!("split-{sor}")));
    for node in &sors {
        node.ready().await;
    }
    for (function, percent) in [("shop.Cart.toJson", 5.0), ("shop.Gone.away", 1.0)] {
        let limit =
            json!({"appName": "shop", "profileType": "cpu", "functionName": function, "maxSelfPercent": percent});
        write(&sors, Method::POST, "/baselines", &limit).await;
    }
    let service = json!({"appName": "shop", "teamOwner": "cart", "tier": "critical", "notificationChannel": "#cart"});
    write(&sors, Method::POST, "/services", &service).await;
    let kept = async || serde_json::from_str::<Value>(&sors[2].get("/history/shop").await).unwrap()["count"].clone();
    let first = examples.start("upgrade-0-v1");
    first.ready().await;
    let (said, plain) = (decisions(&first).await, columns(&first).await);
    assert!(!plain.contains(&"Threshold".to_owned()), "{plain:?}");
    drop(first);
    for (step, off, off_of_fleet) in STEPS {
        let node = examples.start(step);
        node.ready().await;
        let now = decisions(&node).await;
        for ((before, now), (path, of_baselines, of_registry)) in said.iter().zip(&now).zip(DECISIONS) {
            let off = if path.starts_with("/diff") || path.starts_with("/triage") { off } else { off_of_fleet };
            let of_registry = if off_of_fleet.is_empty() { of_registry } else { &[] };
            let Differences { lost, added } = Differences::between(before, now);
            assert!(lost.is_empty(), "{step} {path}: {lost:?}");
            let added: BTreeSet<_> = added.iter().map(|at| at.rsplit('/').next().unwrap()).collect();
            let expected = [of_baselines, of_registry, off].concat();
            assert_eq!(added, expected.into_iter().collect(), "{step} {path}");
            assert!(off.iter().all(|member| now[member] == "off"), "{step}: {now}");
        }
        let added: Vec<_> = columns(&node).await.into_iter().filter(|column| !plain.contains(column)).collect();
        assert_eq!(added, ["Threshold"], "{step}");
        if off.contains(&"history") {
            assert_eq!(kept().await, 0, "{step}");
        }
    }
    // A triage and two reports for each step with a history.
    until("every decision in the history", async || kept().await == 6).await;
    assert_eq!(Value::from(examples.names("upgrade-").len()), STEPS.len() + 1, "every file is a step");
}

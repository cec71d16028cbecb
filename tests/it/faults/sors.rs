//! Systems of record behind a network that fails in every way, and what BORs and forwarded routes answer then.

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};

use super::proxy::{Fault, Proxy};
use super::{Said, ask};
use crate::harness::{Flamewarden, SORS, Setup};
use crate::json::Differences;
use crate::processes::until;
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing;

/// Five minutes after the deploy, in which a rule is tried.
const MINUTES: &str = "from=1795176300&to=1795176600";

/// The answer of a route during a fault.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// An error of this status and code.
    Problem(u16, &'static str),
    /// 200 with `"member": "unavailable"` and without these members. All else is as without the fault.
    Without(&'static str, &'static [&'static str]),
    /// The same as without the fault.
    Same,
}

use Expected::{Problem, Same, Without};

/// Faults that make a server unreachable.
const BROKEN: &[Fault] =
    &[Fault::Down, Fault::Garbage, Fault::Nonsense, Fault::Blank, Fault::Stranger, Fault::Cut, Fault::Astray];
const SLOW: &[Fault] = &[Fault::Stalled, Fault::Frozen];
const BUSY: &[Fault] = &[Fault::Busy];
const EACH: &[&[Fault]] = &[BROKEN, SLOW, BUSY];

/// Queries that have to be read again. A window that is over was read before and is cached.
const OF_PROFILES: &[&str] = &[
    "/triage/shop?types=cpu&from=now",
    // The list of apps is read each time.
    "/search",
    "/fleet/hotspots?apps=shop,billing&from=now",
    "/profiles/shop?from=now",
    "/profiles/apps",
    "/profiles/shop/diff",
    "/diff",
];

/// The members of an answer that come from baselines.
const LIMITS: &[&str] = &[
    "baselineViolations",
    "baselinesNotSeen",
    "approvedThreshold",
    "exceedsThreshold",
    "thresholdBreaches",
    "breaches",
];

/// The members of an answer that come from the registry.
const OWNERS: &[&str] = &["teamOwner", "tier", "notificationChannel", "criticalServiceCount"];

/// The routes of the core.
const OF_THE_CORE: &[&str] = &[
    "/schedule",
    "/audit",
    "/alerts",
    "/silences",
    "/channels",
    "/notifications",
    "/core",
    // What the last evaluation found is kept there.
    "/rules/2/state",
    "/rules/999/state",
];

const PROFILES: &str = "PROFILE_DATA_URL";
const BASELINES: &str = "BASELINE_URL";
const HISTORY: &str = "HISTORY_URL";
const REGISTRY: &str = "REGISTRY_URL";
const RULES: &str = "ALERT_RULE_URL";
const CORE: &str = "CORE_URL";
const PERFORMANCE: &str = "PERFORMANCE_URL";

/// The system of record, how it fails, the routes that this affects, and what they answer.
type Row = (&'static str, &'static [&'static [Fault]], &'static [&'static str], Expected);

/// All routes that are not listed here answer as before.
const TABLE: &[Row] = &[
    (PROFILES, &[BROKEN], OF_PROFILES, Problem(502, "profile_source_failed")),
    (PROFILES, &[SLOW], OF_PROFILES, Problem(504, "timeout")),
    (PROFILES, &[BUSY], OF_PROFILES, Problem(503, "profile_source_busy")),
    (BASELINES, EACH, &["/triage", "/diff"], Without("baselines", LIMITS)),
    (BASELINES, &[BROKEN], &["/baselines"], Problem(503, "database_unavailable")),
    (BASELINES, &[SLOW], &["/baselines"], Problem(504, "timeout")),
    (BASELINES, &[BUSY], &["/baselines"], Problem(503, "overloaded")),
    // The spool keeps assessments until the history takes them.
    (HISTORY, EACH, &["/triage", "/diff"], Same),
    (HISTORY, &[BROKEN], &["/history"], Problem(503, "database_unavailable")),
    (HISTORY, &[SLOW], &["/history"], Problem(504, "timeout")),
    (HISTORY, &[BUSY], &["/history"], Problem(503, "overloaded")),
    (REGISTRY, EACH, &["/triage", "/diff"], Without("labels", &[])),
    (REGISTRY, EACH, &["/search", "/fleet"], Without("owners", OWNERS)),
    (REGISTRY, &[BROKEN], &["/services"], Problem(503, "database_unavailable")),
    (REGISTRY, &[SLOW], &["/services"], Problem(504, "timeout")),
    (REGISTRY, &[BUSY], &["/services"], Problem(503, "overloaded")),
    // A trial brings its rule with it.
    (RULES, EACH, &["/rules/test"], Same),
    (RULES, &[BROKEN], &["/rules"], Problem(503, "database_unavailable")),
    (RULES, &[SLOW], &["/rules"], Problem(504, "timeout")),
    (RULES, &[BUSY], &["/rules"], Problem(503, "overloaded")),
    (CORE, &[BROKEN], OF_THE_CORE, Problem(503, "database_unavailable")),
    (CORE, &[SLOW], OF_THE_CORE, Problem(504, "timeout")),
    (CORE, &[BUSY], OF_THE_CORE, Problem(503, "overloaded")),
    (PERFORMANCE, &[BROKEN], &["/performance"], Problem(503, "database_unavailable")),
    (PERFORMANCE, &[SLOW], &["/performance"], Problem(504, "timeout")),
    (PERFORMANCE, &[BUSY], &["/performance"], Problem(503, "overloaded")),
];

fn expected(sor: &str, fault: Fault, path: &str) -> Expected {
    let rows = TABLE.iter().filter(|(of, faults, ..)| *of == sor && faults.concat().contains(&fault));
    let row = rows.clone().find(|(_, _, routes, _)| routes.iter().any(|route| path.starts_with(route)));
    row.map_or(Same, |(.., expected)| *expected)
}

/// A request: a path, and a body if it writes. What it writes concerns an app that no other request reads.
fn questions() -> Vec<(Method, String, Option<Value>)> {
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let post = |path: &str, body: Value| (Method::POST, path.to_owned(), Some(body));
    let put = |path: &str, body: Value| (Method::PUT, path.to_owned(), Some(body));
    // An app without profiles, which is not the same as a failed read.
    let delete = |path: &str| (Method::DELETE, path.to_owned(), None);
    let limit = json!({"appName": "else", "profileType": "cpu", "functionName": "main", "maxSelfPercent": 5.0});
    let rule = json!({"appName": "else", "profileType": "cpu", "thresholdPercent": 20});
    let trial = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20});
    let assessment = json!({"appName": "else", "diagnosis": "cpu_bound", "severity": "low"});
    vec![
        get(&format!("/triage/shop?types=cpu&{AFTER}")),
        get("/triage/shop?types=cpu&from=now-1h"),
        get(&format!("/diff/shop?{BOTH}")),
        get(&format!("/search?function=cart&{AFTER}")),
        get("/search?function=cart&from=now-1h"),
        get(&format!("/fleet/hotspots?apps=shop,billing&{AFTER}")),
        get("/fleet/hotspots?apps=shop,billing&from=now-1h"),
        get(&format!("/profiles/shop?{AFTER}")),
        get("/profiles/shop?from=now-1h"),
        get(&format!("/profiles/shop/diff?{BOTH}")),
        get(&format!("/profiles/apps?{AFTER}")),
        get("/baselines/shop"),
        post("/baselines", limit),
        delete("/baselines/999"),
        get("/history/nobody"),
        get("/history/nobody/latest"),
        post("/history", assessment),
        delete("/history/999"),
        get("/services/shop"),
        get("/services/nobody"),
        get("/services?tier=critical"),
        post("/services", json!({"appName": "else"})),
        delete("/services/nobody"),
        get("/rules/active/shop"),
        post("/rules", rule),
        delete("/rules/999"),
        // A disabled one, which no round evaluates meanwhile.
        get("/rules/2/state"),
        get("/rules/999/state"),
        post(&format!("/rules/test?{MINUTES}"), trial),
        get("/audit?userId=nobody"),
        get("/alerts?appName=nobody"),
        get("/alerts/999"),
        post("/alerts/999/acknowledge", json!({})),
        post("/alerts/999/snooze", json!({"minutes": 5, "reason": "a test"})),
        delete("/alerts/999/snooze"),
        get("/channels"),
        post("/channels/nobody/test", json!({})),
        get("/notifications"),
        post("/notifications/999/retry", json!({})),
        get("/performance/metrics/999"),
        get("/performance/traces?operationType=nobody"),
        get("/performance/traces/nobody"),
        get("/performance/operations"),
        get("/performance/operations/nobody/trend"),
        get("/performance/series"),
        get("/performance/slowest"),
        get("/performance/scopes"),
        get("/performance/users"),
        get("/performance/baselines"),
        get("/performance/alerts"),
        get("/performance/alerts/999"),
        get("/performance/operation-types"),
        put("/performance/spans/nobody/end", json!({"status": "success"})),
        get("/silences"),
        delete("/silences/999"),
        // The schedule itself moves on.
        post("/schedule/nobody/run", json!({})),
        post("/core/schedule/resign", json!({"group": "else", "holder": "018d3f3e-7c1a-7000-8000-000000000002"})),
    ]
}

/// A server with every function whose systems of record are all other processes. One of them is behind a proxy.
struct Ring {
    front: Flamewarden,
    proxy: Proxy,
    history: String,
    _others: Vec<Flamewarden>,
    _canned: Canned,
    _database: testing::TestDatabase,
}

impl Ring {
    async fn before(sor: &str) -> Self {
        let (canned, database) = (Canned::start().await, testing::database().await);
        let relational: Vec<_> = SORS.iter().map(|(_, function)| *function).skip(1).collect();
        let profiles = Setup::of(&[("FUNCTION", SORS[0].1), ("PYROSCOPE_URL", &canned.url())]).start().await;
        let relational = Setup::of(&[("FUNCTION", &relational.join(",")), ("DATABASE_URL", &database.url())]);
        let relational = relational.with("SELF_RECORD", "false");
        // The tests share one cluster and its connections.
        let relational = relational.with("DB_POOL_SIZE", "5").start().await;
        relational.ready().await;
        let place = |variable: &str| if variable == PROFILES { profiles.base() } else { relational.base() };
        let proxy = Proxy::before(place(sor));
        // Short enough for a test to wait, and long enough for a busy machine.
        let deadlines = [("SOR_TIMEOUT", "4s"), ("FLAMEWARDEN__SOR__RELATIONAL_TIMEOUT", "4s")];
        // What the servers do themselves would be among the operations.
        let mut front = Setup::of(&deadlines).with("SELF_RECORD", "false");
        for (variable, _) in SORS {
            let url = if variable == sor { proxy.url() } else { place(variable).to_owned() };
            front = front.with(variable, &url);
        }
        let front = front.start().await;
        let history = relational.base().to_owned();
        let _others = vec![profiles, relational];
        Self { front, proxy, history, _others, _canned: canned, _database: database }
    }

    /// An approved limit that is exceeded and one that is not, an owner, and a rule.
    async fn fill(&self) {
        let limit = |function: &str, percent: f64| json!({"appName": "shop", "profileType": "cpu", "functionName": function, "maxSelfPercent": percent});
        let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20});
        let disabled = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20, "enabled": false});
        for (path, body) in [
            ("/baselines", limit("shop.Cart.toJson", 5.0)),
            ("/baselines", limit("gone", 5.0)),
            ("/services", json!({"appName": "shop", "tier": "critical"})),
            ("/rules", rule),
            ("/rules", disabled),
        ] {
            let said = Said::of(ask(&self.front, path, Some(&body))).await;
            assert_eq!(said.status, 201, "{}", said.body);
        }
    }

    async fn ask_all(&self) -> Vec<Said> {
        let questions = questions();
        let requests = questions.into_iter().map(|(method, path, body)| {
            let request = self.front.request(method, &path);
            Said::of(body.iter().fold(request, RequestBuilder::json))
        });
        join_all(requests).await
    }
}

/// How many of these answers are decisions, which are recorded in the history.
fn decisions(answers: &[Said], questions: &[(Method, String, Option<Value>)]) -> usize {
    let of_a_decision = |path: &str| path.starts_with("/triage") || path.starts_with("/diff");
    answers.iter().zip(questions).filter(|(said, (_, path, _))| said.status == 200 && of_a_decision(path)).count()
}

fn check(path: &str, expected: Expected, said: &Said, healthy: &Said) {
    // A window that ends now is another window a second later.
    let moves = path.contains("now");
    match expected {
        Problem(status, code) => assert_eq!(said.problem(), (status, code), "{path}: {}", said.body),
        Same if healthy.status == 200 && !moves => {
            assert_eq!((said.status, &said.body), (200, &healthy.body), "{path}")
        }
        // A new row has its own times and id, and a problem document its own id.
        Same => assert_eq!((said.status, &said.body["code"]), (healthy.status, &healthy.body["code"]), "{path}"),
        Without(member, missing) => {
            assert_eq!((said.status, &said.body[member]), (200, &json!("unavailable")), "{path}: {}", said.body);
            if moves {
                return;
            }
            let Differences { lost, added } = Differences::between(&healthy.body, &said.body);
            assert_eq!(added, [format!("/{member}")], "{path}");
            let lost: BTreeSet<_> = lost.iter().map(|at| at.rsplit('/').next().unwrap()).collect();
            assert!(lost.iter().all(|name| missing.contains(name)), "{path} lost {lost:?}");
            assert_eq!(lost.is_empty(), missing.is_empty(), "{path}: {}", said.body);
        }
    }
}

#[rstest]
#[case::profile_data(PROFILES)]
#[case::baselines(BASELINES)]
#[case::history(HISTORY)]
#[case::registry(REGISTRY)]
#[case::alert_rules(RULES)]
#[case::core(CORE)]
#[actix_web::test]
async fn each_failure_of_a_system_of_record_has_its_answer_and_leaves_nothing_behind(#[case] sor: &str) {
    let ring = Ring::before(sor).await;
    ring.fill().await;
    let questions = questions();
    let healthy = ring.ask_all().await;
    for (said, (method, path, _)) in healthy.iter().zip(&questions) {
        let unknown =
            said.body["code"].as_str().is_some_and(|code| code.ends_with("_unknown") && code != "route_unknown");
        assert!(said.status < 300 || (said.status == 404 && unknown), "{method} {path}: {}", said.body);
    }
    let mut decided = decisions(&healthy, &questions);
    for fault in EACH.concat() {
        for fault in [fault, Fault::None] {
            ring.proxy.set(fault).await;
            let answers = ring.ask_all().await;
            for ((said, healthy), (method, path, _)) in answers.iter().zip(&healthy).zip(&questions) {
                let expected = if fault == Fault::None { Same } else { expected(sor, fault, path) };
                println!("{sor} {fault:?} {method} {path}: {expected:?}");
                check(path, expected, said, healthy);
            }
            decided += decisions(&answers, &questions);
            assert_eq!(ring.front.get("/ready").send().await.unwrap().status(), 200, "others' faults are theirs");
        }
    }
    // Each decision is there once, even if its answer was lost.
    let kept = || async {
        let answer = reqwest::get(format!("{}/history/shop?limit=500", ring.history)).await.unwrap();
        usize::try_from(answer.json::<Value>().await.unwrap()["count"].as_u64().unwrap()).unwrap()
    };
    until("every decision in the history", || async { kept().await >= decided }).await;
    assert_eq!(kept().await, decided);
}

#[actix_web::test]
async fn a_trial_of_a_rule_says_how_the_source_of_profiles_fails_and_answers_when_it_is_back() {
    let ring = Ring::before(PROFILES).await;
    let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20});
    for (n, fault) in EACH.concat().into_iter().enumerate() {
        // Each asks for other windows: those that were read once are not read again.
        let from = 1_795_176_000 + 600 * n;
        let path = format!("/rules/test?from={from}&to={}", from + 300);
        ring.proxy.set(fault).await;
        let said = Said::of(ask(&ring.front, &path, Some(&rule))).await;
        let Problem(status, code) = expected(PROFILES, fault, "/search") else { panic!("{fault:?} is in the table") };
        assert_eq!(said.problem(), (status, code), "{fault:?}: {}", said.body);
        ring.proxy.set(Fault::None).await;
        let said = Said::of(ask(&ring.front, &path, Some(&rule))).await;
        assert_eq!((said.status, said.body["evaluations"].as_array().map(Vec::len)), (200, Some(6)), "{}", said.body);
    }
}

//! A database that is stopped and started under load, and one whose connections are all in use.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flamewarden::storage::Embedded;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::proxy::{Fault, Proxy};
use super::{Said, ask};
use crate::harness::{Flamewarden, Setup, led_elsewhere};
use crate::processes::until;
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing::{self, PrivateCluster};

/// The groups whose jobs need connections that a test counts on.
const GROUPS: &[&str] = &["alert", "core", "performance"];

/// How long the database is away; `FAULT_OUTAGE_SECONDS` sets another.
const OUTAGE: Duration = Duration::from_secs(3);

pub(super) fn outage() -> Duration {
    let given = std::env::var("FAULT_OUTAGE_SECONDS").ok();
    given.map_or(OUTAGE, |seconds| Duration::from_secs(seconds.parse().unwrap()))
}

pub(super) fn address(options: &PgConnectOptions) -> std::net::SocketAddr {
    ([127, 0, 0, 1], options.get_port()).into()
}

/// The answers under load.
#[derive(Default)]
struct Tally {
    /// The names of the callers whose decision was answered.
    decided: BTreeSet<String>,
    /// The functions whose limit was stored.
    approved: BTreeSet<String>,
    /// The rules that were stored, and those whose answer was lost.
    rules: (usize, usize),
    /// The answers that the database is unavailable.
    refused: usize,
    /// The decisions that said so.
    degraded: usize,
}

/// One round of requests: a decision, a read and two writes.
async fn round(server: &Flamewarden, name: &str, tally: &Mutex<Tally>) {
    let limit = json!({"appName": "load", "profileType": "cpu", "functionName": name, "maxSelfPercent": 5.0});
    let rule = json!({"appName": "load", "profileType": "cpu", "thresholdPercent": 20});
    let path =
        if name.ends_with('0') { format!("/diff/shop?{BOTH}") } else { format!("/triage/shop?types=cpu&{AFTER}") };
    let (decision, read, limit, rule) = futures::join!(
        Said::of(server.get(&path).header("x-requested-by", name)),
        Said::of(server.get("/services/shop")),
        Said::of(ask(server, "/baselines", Some(&limit))),
        Said::of(ask(server, "/rules", Some(&rule))),
    );
    let mut tally = tally.lock().unwrap();
    assert_eq!((decision.status, decision.body.get("history")), (200, None), "{}", decision.body);
    tally.decided.insert(name.to_owned());
    tally.degraded += usize::from(decision.body["baselines"] == "unavailable");
    for (said, fine) in [(&read, 200), (&limit, 201), (&rule, 201)] {
        if said.status != fine {
            let (status, code) = said.problem();
            let known = [(503, "database_unavailable"), (503, "overloaded"), (504, "timeout")];
            assert!(known.contains(&(status, code)), "{}", said.body);
            tally.refused += 1;
        }
    }
    if limit.status == 201 {
        tally.approved.insert(name.to_owned());
    }
    if rule.status == 201 { tally.rules.0 += 1 } else { tally.rules.1 += 1 }
}

#[actix_web::test]
async fn a_database_stopped_under_load_is_told_loses_nothing_and_is_used_again_when_it_is_back() {
    let canned = Canned::start().await;
    let mut cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.take().unwrap();
    let proxy = Proxy::before_address(address(&embedded.connect_options()));
    let url = sqlx::ConnectOptions::to_url_lossy(&embedded.connect_options().port(proxy.port())).to_string();
    let setup = Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &url), ("DB_CONNECT_TIMEOUT", "2s")]);
    let server = Arc::new(setup.start().await);
    server.ready().await;
    let service = server.request(Method::POST, "/services").json(&json!({"appName": "shop"})).send().await.unwrap();
    assert_eq!(service.status(), 201);

    let (tally, stop) = (Arc::new(Mutex::new(Tally::default())), CancellationToken::new());
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (server, tally, stop) = (Arc::clone(&server), Arc::clone(&tally), stop.clone());
            actix_web::rt::spawn(async move {
                for n in 0.. {
                    if stop.is_cancelled() {
                        return;
                    }
                    round(&server, &format!("{caller}-{n}"), &tally).await;
                }
            })
        })
        .collect();
    let decided = || tally.lock().unwrap().decided.len();
    until("decisions before the stop", || async { decided() >= 10 }).await;
    assert_eq!(tally.lock().unwrap().refused, 0);
    embedded.stop().await;
    tokio::time::sleep(outage()).await;
    let at_start = decided();
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 503);
    assert_eq!(server.get("/live").send().await.unwrap().status(), 200);
    {
        let tally = tally.lock().unwrap();
        assert!(tally.refused > 0 && tally.degraded > 0, "{} and {}", tally.refused, tally.degraded);
    }
    let embedded = Embedded::start(cluster.settings()).await.unwrap();
    proxy.moved(address(&embedded.connect_options()));
    until("a database that is ready", || async { server.get("/ready").send().await.unwrap().status() == 200 }).await;
    until("decisions after it", || async { decided() >= at_start + 10 }).await;
    stop.cancel();
    for caller in callers {
        caller.await.unwrap();
    }

    let refused = tally.lock().unwrap().refused;
    round(&server, "last", &tally).await;
    let tally = std::mem::take(&mut *tally.lock().unwrap());
    assert_eq!(tally.refused, refused, "all is well again");
    let names = async |path: &str, list: &str, member: &str| {
        let rows = server.json(path).await.1[list].as_array().unwrap().clone();
        rows.iter().map(|row| row[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let approved = names("/baselines/load", "baselines", "functionName").await;
    assert!(tally.approved.iter().all(|name| approved.contains(name)), "a limit that was taken is gone");
    let rules = server.json("/rules?appName=load").await.1["count"].as_u64().unwrap();
    let rules = usize::try_from(rules).unwrap();
    assert!((tally.rules.0..=tally.rules.0 + tally.rules.1).contains(&rules), "{rules} of {:?}", tally.rules);
    let kept = || async { all_names(&server).await };
    until("every decision in the history", || async { kept().await.len() >= tally.decided.len() }).await;
    let kept = kept().await;
    assert_eq!(kept.len(), tally.decided.len(), "each once");
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), tally.decided);
    embedded.stop().await;
}

/// The caller of each stored assessment.
async fn all_names(server: &Flamewarden) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.json(&format!("/history/shop?limit=500{cursor}")).await;
        let rows = page["history"].as_array().unwrap();
        names.extend(rows.iter().map(|row| row["requestedBy"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

/// Four ways in which a database cannot be used: it refuses, does not answer, disappears, or is another server.
#[actix_web::test]
async fn a_database_that_cannot_be_reached_is_told_and_decisions_answer_without() {
    join_all([Fault::Down, Fault::Slow, Fault::Frozen, Fault::Stranger].map(cannot_be_reached)).await;
}

async fn cannot_be_reached(fault: Fault) {
    let (canned, database) = (Canned::start().await, testing::database().await);
    led_elsewhere(&database, GROUPS).await;
    let proxy = Proxy::before_address(address(&database.connect_options()));
    let url = sqlx::ConnectOptions::to_url_lossy(&database.connect_options().port(proxy.port())).to_string();
    let setup = Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &url), ("DB_CONNECT_TIMEOUT", "2s")]);
    // What the server does by itself waits for the frozen database, too, each with a connection.
    let server = setup.with("DB_POOL_SIZE", "15").with("DB_QUERY_TIMEOUT", "2s").start().await;
    server.ready().await;
    let path = format!("/triage/shop?types=cpu&{AFTER}");
    let healthy = server.json(&path).await.1;
    until("the first in the history", || async { server.json("/history/shop").await.1["count"] == 1 }).await;

    proxy.set(fault).await;
    let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20});
    let (limits, services, rule, decision) = futures::join!(
        Said::of(server.get("/baselines/shop")),
        Said::of(server.get("/services")),
        Said::of(ask(&server, "/rules", Some(&rule))),
        Said::of(server.get(&path)),
    );
    for said in [limits, services, rule] {
        let problem = said.problem();
        // A recently used connection has carried a statement since.
        let sent = fault == Fault::Frozen && problem == (504, "timeout");
        assert!(sent || problem == (503, "database_unavailable"), "{fault:?}: {}", said.body);
    }
    assert_eq!((decision.status, &decision.body["baselines"]), (200, &json!("unavailable")), "{}", decision.body);
    assert_eq!((&decision.body["labels"], decision.body.get("history")), (&json!("unavailable"), None::<&Value>));
    assert_eq!(server.get("/ready").send().await.unwrap().status(), 503);
    assert_eq!(server.get("/live").send().await.unwrap().status(), 200);

    proxy.set(Fault::None).await;
    until("a database that is ready", || async { server.get("/ready").send().await.unwrap().status() == 200 }).await;
    assert_eq!(server.json(&path).await.1, healthy);
    assert_eq!(server.json("/rules").await.1["count"], 0, "what was refused was not done");
    until("all three in the history", || async { server.json("/history/shop").await.1["count"] == 3 }).await;
}

/// Waits until this many of the server's statements wait for a lock.
async fn locked_out(beside: &mut PgConnection, count: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..600 {
        if sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *beside).await.unwrap() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody waits for the lock");
}

#[actix_web::test]
async fn while_all_connections_are_in_use_others_are_turned_away_and_decisions_answer_without() {
    let (canned, database) = (Canned::start().await, testing::database().await);
    led_elsewhere(&database, GROUPS).await;
    let setup = Setup::of(&[("PYROSCOPE_URL", &canned.url()), ("DATABASE_URL", &database.url())]);
    let setup = setup.with("DB_POOL_SIZE", "2").with("DB_CONNECT_TIMEOUT", "2s");
    let server = setup.start().await;
    server.ready().await;
    let path = format!("/triage/shop?types=cpu&{AFTER}");
    let healthy = server.json(&path).await.1;
    until("the first in the history", || async { server.json("/history/shop").await.1["count"] == 1 }).await;

    let mut holder = PgConnection::connect_with(&database.connect_options()).await.unwrap();
    let mut beside = PgConnection::connect_with(&database.connect_options()).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE performance_baseline").execute(&mut *lock).await.unwrap();
    let waiting = join_all((0..2).map(|_| Said::of(server.get("/baselines/shop"))));
    let turned_away = async {
        locked_out(&mut beside, 2).await;
        let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20});
        let (services, history, rule, decision) = futures::join!(
            Said::of(server.get("/services")),
            Said::of(server.get("/history/shop")),
            Said::of(ask(&server, "/rules", Some(&rule))),
            Said::of(server.get(&path)),
        );
        for said in [services, history, rule] {
            assert_eq!(said.problem(), (503, "overloaded"), "{}", said.body);
        }
        assert_eq!((decision.status, &decision.body["baselines"]), (200, &json!("unavailable")), "{}", decision.body);
        assert_eq!((&decision.body["labels"], decision.body.get("history")), (&json!("unavailable"), None::<&Value>));
        assert_eq!(server.get("/live").send().await.unwrap().status(), 200);
        lock.rollback().await.unwrap();
    };
    let (waited, ()) = futures::join!(waiting, turned_away);
    for said in waited {
        assert_eq!(said.status, 200, "{}", said.body);
    }
    assert_eq!(server.json(&path).await.1, healthy);
    until("all three in the history", || async { server.json("/history/shop").await.1["count"] == 3 }).await;
    assert_eq!(server.json("/rules").await.1["count"], 0, "what was turned away was not done");
}

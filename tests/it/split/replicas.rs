//! Identical servers on one PostgreSQL and one Pyroscope.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::recorded;
use crate::processes::{Node, free_port, until};
use crate::pyroscope::{AFTER, BOTH, Canned};
use crate::testing;

/// The callers whose decisions were answered, for each of two servers.
type Answered = Arc<Mutex<[BTreeSet<String>; 2]>>;

/// Requests decisions and writes until it is told to stop. For a server that may be killed, it also stops when an
/// answer is missing.
async fn call(
    url: String,
    (server, caller): (usize, usize),
    may_die: bool,
    answered: Answered,
    stop: CancellationToken,
) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for n in 0.. {
        if stop.is_cancelled() {
            return;
        }
        let name = format!("{server}-{caller}-{n}");
        let path = if n % 4 == 0 { format!("/diff/shop?{BOTH}") } else { format!("/triage/shop?types=cpu&{AFTER}") };
        // Both servers write the same keys.
        let limit = json!({"appName": "load", "profileType": "cpu", "functionName": format!("f{}", n % 5),
            "maxSelfPercent": 5.0});
        let decision = async {
            let answer = client.get(format!("{url}{path}")).header("x-requested-by", &name).send().await?;
            Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.json::<Value>().await?))
        };
        let written = client.post(format!("{url}/baselines")).json(&limit).send();
        let (decision, written) = tokio::join!(decision, written);
        match &decision {
            Ok((status, body)) => {
                assert_eq!((*status, body.get("history"), body.get("baselines")), (200, None, None), "{body}");
                answered.lock().unwrap()[server].insert(name);
            }
            Err(error) => assert!(may_die, "{error}"),
        }
        match &written {
            Ok(answer) => assert_eq!(answer.status(), 201),
            Err(error) => assert!(may_die, "{error}"),
        }
        if decision.is_err() || written.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_servers_answer_alike_and_one_that_is_killed_takes_nothing_with_it() {
    // The schema does not exist yet. The servers see to it that one of them makes it.
    let (canned, database) = (Canned::start().await, testing::empty_database().await);
    let data = tempfile::tempdir().unwrap();
    let settings = [("DATABASE_URL", database.url()), ("PYROSCOPE_URL", canned.url())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut servers = ["one", "two"].map(|name| Node::start(free_port(), &data.path().join(name), &settings));
    for server in &servers {
        server.ready().await;
    }
    let post = async |server: &Node, path: &str, body: Value| {
        let answer = server.client().post(format!("{}{path}", server.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    };
    let limit =
        json!({"appName": "shop", "profileType": "cpu", "functionName": "shop.Cart.toJson", "maxSelfPercent": 5.0});
    post(&servers[0], "/baselines", limit).await;
    post(&servers[1], "/services", json!({"appName": "shop", "tier": "critical"})).await;
    post(&servers[0], "/rules", json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20})).await;
    for path in [
        &format!("/triage/shop?types=cpu&{AFTER}"),
        &format!("/diff/shop?{BOTH}"),
        &format!("/profiles/shop?{AFTER}"),
        "/baselines/shop",
        "/services",
        "/rules/active/shop",
    ] {
        assert_eq!(servers[0].get(path).await, servers[1].get(path).await, "{path}");
    }

    let (answered, stop) = (Answered::default(), CancellationToken::new());
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let server = caller % 2;
            let url = servers[server].url.clone();
            tokio::spawn(call(url, (server, caller), server == 1, Arc::clone(&answered), stop.clone()))
        })
        .collect();
    let count = |server: usize| answered.lock().unwrap()[server].len();
    until("answers of both", || async { count(0) >= 20 && count(1) >= 20 }).await;
    servers[1].kill_nine();
    let at_kill = count(0);
    until("answers of the survivor", || async { count(0) >= at_kill + 20 }).await;
    // Assessments that were answered and not delivered are in the files of the killed server.
    servers[1].restart();
    servers[1].ready().await;
    stop.cancel();
    for caller in callers {
        caller.await.unwrap();
    }
    let expected: BTreeSet<_> = answered.lock().unwrap().iter().flatten().cloned().collect();
    until("every answered decision to be kept", || async { recorded(&servers[0]).await.is_superset(&expected) }).await;
    assert_eq!(servers[0].get("/baselines/load").await, servers[1].get("/baselines/load").await);
}

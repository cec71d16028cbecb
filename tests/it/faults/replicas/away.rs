//! The leader is stopped, or the database is away for a while.

use std::time::Duration;

use serde_json::json;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep, sleep_until};

use super::super::database::address;
use super::super::proxy::{Fault, Proxy};
use super::{Replicas, leads};
use crate::processes::{until, until_within};
use crate::testing;

/// A little longer than a lease. `FAULT_OUTAGE_SECONDS` sets another time.
fn outage() -> Duration {
    let given = std::env::var("FAULT_OUTAGE_SECONDS").ok();
    Duration::from_secs(given.map_or(18, |seconds| seconds.parse().unwrap()))
}

/// As long as a state of a minute, or a server that holds on to locks, may take.
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_while_it_writes_and_goes_on_later_doubles_nothing_and_the_other_leads_meanwhile() {
    let database = testing::database().await;
    let url = database.url();
    let mut replicas = Replicas::start(database, &url).await;
    replicas.led().await;
    replicas.push_app("shop").await;
    let mut holder = replicas.session().await;
    let mut lock = holder.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE core.rule_state IN EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    replicas.add_rules(3).await;
    replicas.ask_for_round().await;
    replicas.wait_for_lock(1, "INSERT INTO core.rule_state").await;
    replicas.nodes[0].signal("STOP");
    let stopped = Instant::now();
    // Its transaction has written incidents, and nobody says from now on how it ends.
    lock.rollback().await.unwrap();
    replicas.nodes.swap(0, 1);
    until_within(LIMIT, "the other to lead", || leads(&replicas.nodes[0])).await;
    replicas.add_rules(3).await;
    replicas.ask_for_round().await;
    replicas.all_told("firing", LIMIT).await;
    replicas.check("firing").await;
    sleep_until(stopped + outage()).await;
    replicas.nodes[1].signal("CONT");
    until_within(LIMIT, "the stopped one to notice", || async {
        replicas.nodes[1].log().contains("no longer leads") && !leads(&replicas.nodes[1]).await
    })
    .await;
    replicas.add_rules(1).await;
    replicas.ask_for_round().await;
    replicas.all_told("firing", LIMIT).await;
    replicas.check("firing").await;
    replicas.all_over(LIMIT).await;
    replicas.check("resolved").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_longer_than_a_lease_nothing_is_doubled_and_what_was_pending_fires_afterwards() {
    let database = testing::database().await;
    let proxy = Proxy::before_address(address(&database.connect_options()));
    let url = database.connect_options().port(proxy.port()).to_url_lossy().to_string();
    let mut replicas = Replicas::start(database, &url).await;
    replicas.led().await;
    replicas.push_app("shop").await;
    replicas.add_rules(2).await;
    let slow = replicas.add_rule(&json!({"thresholdPercent": 50, "forSeconds": 60})).await;
    replicas.ask_for_round().await;
    let stands = format!("SELECT count(*) FROM core.incident WHERE rule_id = {slow} AND state = ");
    let pending = format!("{stands}'pending'");
    until("one to be pending", || async { replicas.count(&pending).await == 1 }).await;

    proxy.set(Fault::Frozen).await;
    sleep(outage()).await;
    assert!(
        !leads(&replicas.nodes[0]).await && !leads(&replicas.nodes[1]).await,
        "nobody relies on a lease that ended"
    );
    assert_eq!(replicas.count(&pending).await, 1);
    proxy.set(Fault::None).await;
    replicas.led().await;
    replicas.all_told("firing", LIMIT).await;
    replicas.check("firing").await;
    replicas.add_rules(2).await;
    replicas.ask_for_round().await;
    replicas.all_told("firing", LIMIT).await;
    replicas.check("firing").await;
}

//! The leader is killed (-9).

use std::time::Duration;

use chrono::{DateTime, Utc};
use flamewarden::kernel::{Clock, SystemClock};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep_until};

use super::{CLAIMS_END, LEASES_END, Replicas};
use crate::processes::{until, until_within};
use crate::testing;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_killed_while_it_writes_a_round_or_notes_what_was_told_doubles_and_loses_nothing() {
    let database = testing::database().await;
    let url = database.url();
    let mut replicas = Replicas::start(database, &url).await;
    replicas.led().await;
    for app in ["shop", "billing"] {
        replicas.push_app(app).await;
    }

    // Killed while it writes what a round has decided: it has written incidents, and PostgreSQL does not know yet that it
    // is gone.
    let mut holder = replicas.session().await;
    let mut lock = holder.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE core.rule_state IN EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    replicas.add_rules(3).await;
    replicas.ask_for_round().await;
    replicas.wait_for_lock(1, "INSERT INTO core.rule_state").await;
    replicas.nodes[0].kill_nine();
    replicas.execute(LEASES_END).await;
    // The other one waits for the incidents that the dead one has written.
    replicas.wait_for_lock(1, "INSERT INTO core.incident").await;
    lock.rollback().await.unwrap();
    replicas.all_told("firing", MINUTE).await;
    replicas.check("firing").await;
    replicas.nodes[0].restart();
    replicas.nodes[0].ready().await;

    // Killed after it has handed in messages, which the receiver has, and before it has noted that.
    replicas.led().await;
    let silence = serde_json::json!({"source": "rule", "minutes": 60, "reason": "a test"});
    let (status, silence) = replicas.post("/silences", silence).await;
    assert_eq!(status, 201, "{silence}");
    replicas.add_rules(3).await;
    replicas.ask_for_round().await;
    let all = replicas.expected().len();
    until("all to fire", || async { replicas.incidents().await.len() == all }).await;
    assert_eq!(replicas.receiver.told("firing").len(), 6);
    let mut lock = holder.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM core.incident FOR UPDATE").execute(&mut *lock).await.unwrap();
    let id = silence["id"].as_i64().unwrap();
    replicas.execute(&format!("DELETE FROM core.silence WHERE id = {id}")).await;
    until("the receiver to have all", || async { replicas.receiver.told("firing").len() == all }).await;
    replicas.nodes[0].kill_nine();
    replicas.execute(LEASES_END).await;
    replicas.wait_for_lock(2, "SET told_state").await;
    lock.rollback().await.unwrap();
    until("all to be noted as told", || async {
        replicas.count("SELECT count(*) FROM core.incident WHERE told_state = 'firing'").await == all
    })
    .await;
    replicas.all_told("firing", MINUTE).await;
    replicas.check("firing").await;
    replicas.nodes[0].restart();
    replicas.nodes[0].ready().await;
    replicas.all_over(MINUTE).await;
    replicas.check("resolved").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_and_not_noted_when_both_were_killed_is_sent_again_under_the_same_ids() {
    let database = testing::database().await;
    let url = database.url();
    let mut replicas = Replicas::start(database, &url).await;
    replicas.receiver.is_silent(true);
    replicas.push_app("shop").await;
    replicas.add_rules(2).await;
    replicas.ask_for_round().await;
    until("the receiver to have both", || async { replicas.receiver.told("firing").len() == 2 }).await;
    for node in &mut replicas.nodes {
        node.kill_nine();
    }
    let before = replicas.receiver.requests();
    let settled = "SELECT count(*) FROM core.message WHERE state <> 'pending'";
    assert_eq!(replicas.count(settled).await, 0);
    replicas.execute(CLAIMS_END).await;
    replicas.execute(LEASES_END).await;
    replicas.receiver.is_silent(false);
    for node in &mut replicas.nodes {
        node.restart();
        node.ready().await;
    }
    replicas.all_told("firing", MINUTE).await;
    replicas.check("firing").await;
    let requests = replicas.receiver.requests();
    assert!(
        requests.len() > before.len() && requests[before.len()..].contains(&before[before.len() - 1]),
        "{requests:?}"
    );
}

/// How often and how the leader is killed.
#[derive(Clone, Copy)]
enum Length {
    /// So many times, each at another moment of a round.
    Times(usize),
    /// Every 20 seconds for so many minutes. Leases end by themselves.
    Minutes(u64),
}

/// For `REPLICA_MINUTES`, with 50 rules; or a few times.
fn length() -> Length {
    let given = std::env::var("REPLICA_MINUTES").ok();
    given.map_or(Length::Times(6), |minutes| Length::Minutes(minutes.parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_whose_leader_is_killed_again_and_again_double_and_lose_no_incident_and_no_message() {
    let database = testing::database().await;
    let url = database.url();
    let mut replicas = Replicas::start(database, &url).await;
    let watch = Watch::over(&replicas).await;
    let (limit, mut kills) = (Duration::from_secs(180), Vec::new());
    match length() {
        Length::Times(times) => {
            replicas.push_app("shop").await;
            replicas.push_app("billing").await;
            for kill in 0..times {
                replicas.led().await;
                replicas.add_rules(4).await;
                replicas.ask_for_round().await;
                moment(&replicas, kill).await;
                kills.push(SystemClock.now());
                replicas.nodes[0].kill_nine();
                replicas.execute(LEASES_END).await;
                replicas.execute(CLAIMS_END).await;
                replicas.nodes[0].restart();
            }
        }
        Length::Minutes(minutes) => {
            replicas.add_rules(50).await;
            let (begun, mut last_app, mut next_kill) = (Instant::now(), None, Instant::now());
            while begun.elapsed() < MINUTE * u32::try_from(minutes).unwrap() {
                // Each minute another app comes, and fires all rules in the next round.
                if last_app.is_none_or(|at: Instant| at.elapsed() >= MINUTE) {
                    last_app = Some(Instant::now());
                    replicas.push_app(&format!("app{}", replicas.apps.len())).await;
                }
                next_kill += Duration::from_secs(20);
                sleep_until(next_kill).await;
                replicas.led().await;
                next_kill = Instant::now();
                kills.push(SystemClock.now());
                replicas.nodes[0].kill_nine();
                replicas.nodes[0].restart();
                replicas.nodes[0].ready().await;
            }
        }
    }
    replicas.all_told("firing", limit).await;
    replicas.check("firing").await;
    watch.report(&replicas, &kills).await;
    replicas.all_over(limit).await;
    replicas.check("resolved").await;
}

/// Waits for another moment each time: a leader, a round that runs, its incidents, its messages, their arrival.
async fn moment(replicas: &Replicas, kill: usize) {
    let begun = "SELECT count(*) FROM core.job WHERE name = 'alert_rules' AND finished_at IS NULL";
    let count = async |sql: &'static str| replicas.count(sql).await;
    let messages = "SELECT count(*) FROM core.message";
    let incidents = "SELECT count(*) FROM core.incident";
    let (before, told) = ((count(incidents).await, count(messages).await), replicas.receiver.messages().len());
    until_within(MINUTE, "the moment to kill the leader", || async {
        match kill % 5 {
            0 => true,
            1 => count(begun).await > 0 || count(incidents).await > before.0,
            2 => count(incidents).await > before.0,
            3 => count(messages).await > before.1,
            _ => replicas.receiver.messages().len() > told,
        }
    })
    .await;
}

/// Looks on: when rounds have ended, and when incidents were first seen.
struct Watch {
    task: tokio::task::JoinHandle<()>,
    seen: std::sync::Arc<std::sync::Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    rounds: Vec<DateTime<Utc>>,
    /// By the ids of incidents.
    incidents: std::collections::BTreeMap<i32, DateTime<Utc>>,
}

impl Watch {
    async fn over(replicas: &Replicas) -> Self {
        let seen = std::sync::Arc::<std::sync::Mutex<Seen>>::default();
        let (into, options) = (seen.clone(), replicas.database.connect_options());
        let mut session = options.connect().await.unwrap();
        let task = tokio::spawn(async move {
            let ended = "SELECT finished_at FROM core.job WHERE name = 'alert_rules' AND outcome = 'ok'";
            loop {
                let ended: Option<Option<DateTime<Utc>>> =
                    sqlx::query_scalar(ended).fetch_optional(&mut session).await.unwrap();
                let ids: Vec<i32> =
                    sqlx::query_scalar("SELECT id FROM core.incident").fetch_all(&mut session).await.unwrap();
                {
                    let mut seen = into.lock().unwrap();
                    if let Some(ended) = ended.flatten().filter(|ended| seen.rounds.last() != Some(ended)) {
                        seen.rounds.push(ended);
                    }
                    let now = SystemClock.now();
                    for id in ids {
                        seen.incidents.entry(id).or_insert(now);
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { task, seen }
    }

    /// Prints the figures: from a kill to the end of the next round, and from an incident to its arrival.
    async fn report(self, replicas: &Replicas, kills: &[DateTime<Utc>]) {
        self.task.abort();
        let seen = self.seen.lock().unwrap();
        let next =
            |kill: &DateTime<Utc>| Some((*seen.rounds.iter().find(|round| *round > kill)? - *kill).as_seconds_f64());
        let arrived = replicas.receiver.messages();
        let told = arrived.values().filter_map(|one| {
            let decided = *seen.incidents.get(&i32::try_from(one.alert).unwrap())?;
            Some((one.at - decided).as_seconds_f64())
        });
        let sent = replicas.receiver.requests().len();
        println!("{} kills, {} rounds, {} incidents", kills.len(), seen.rounds.len(), seen.incidents.len());
        println!("{} messages in {sent} requests", arrived.len());
        println!("leader killed to the end of the next round: {}", spread(kills.iter().filter_map(next)));
        println!("incident to receiver: {}", spread(told));
    }
}

fn spread(seconds: impl Iterator<Item = f64>) -> String {
    let mut all: Vec<_> = seconds.collect();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| all.get(((all.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(f64::NAN);
    format!("p50 {:.1} s, p90 {:.1} s, p99 {:.1} s, most {:.1} s", at(0.5), at(0.9), at(0.99), at(1.0))
}

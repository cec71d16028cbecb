//! Two servers on one database that evaluate alert rules and tell a receiver, while the one that leads is killed, stopped,
//! or loses its database.

mod away;
mod killed;
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flamewarden::kernel::{Clock, SystemClock};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use self::receiver::Receiver;
use crate::processes::{Node, free_port, until, until_within};
use crate::testing::TestDatabase;

/// The two servers, their receiver, and what they are expected to find.
struct Replicas {
    /// The one that led last is the first.
    nodes: [Node; 2],
    receiver: Receiver,
    database: TestDatabase,
    apps: BTreeSet<String>,
    rules: BTreeSet<i64>,
    _data: tempfile::TempDir,
}

impl Replicas {
    /// Starts them on a database, which they reach at this address.
    async fn start(database: TestDatabase, url: &str) -> Self {
        let (data, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
        let channels = data.path().join("channels.toml");
        let channel =
            format!("default = \"robot\"\n[channel.robot]\nkind = \"webhook\"\nurl = \"{}\"\n", receiver.url());
        std::fs::write(&channels, channel).unwrap();
        let settings = [
            ("DATABASE_URL", url),
            ("CHANNELS_FILE", channels.to_str().unwrap()),
            ("DB_POOL_SIZE", "8"),
            ("DB_CONNECT_TIMEOUT", "2s"),
        ];
        let nodes = ["one", "two"].map(|name| Node::start(free_port(), &data.path().join(name), &settings));
        for node in &nodes {
            node.ready().await;
        }
        Self { nodes, receiver, database, apps: BTreeSet::new(), rules: BTreeSet::new(), _data: data }
    }

    async fn session(&self) -> PgConnection {
        self.database.connect_options().connect().await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.session().await).await.expect(sql);
    }

    /// What a statement counts.
    async fn count(&self, sql: &str) -> usize {
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.session().await).await.expect(sql);
        usize::try_from(count).unwrap()
    }

    /// Waits until so many statements with these words wait for a lock.
    async fn wait_for_lock(&self, count: usize, words: &str) {
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%{words}%'"
        );
        until(&format!("{count} times {words}"), || async { self.count(&waiting).await >= count }).await;
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        // Either may be starting.
        for _ in 0..600 {
            for node in &self.nodes {
                if let Ok(answer) = node.client().post(format!("{}{path}", node.url)).json(&body).send().await
                    && answer.status().as_u16() < 500
                {
                    return (answer.status().as_u16(), answer.json().await.unwrap_or_default());
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("neither answers {path}");
    }

    /// Pushes six minutes of one more app, which uses a core for one function.
    async fn push_app(&mut self, app: &str) {
        let end = SystemClock.now().timestamp().div_euclid(60) * 60;
        for ago in 1..=6 {
            let from = end - 60 * ago + 10;
            let path = format!("/ingest?name={app}&from={from}&until={}&format=folded", from + 40);
            let mut pushed = false;
            for node in &self.nodes {
                let push = node.client().post(format!("{}{path}", node.url)).body("main;serve 3600\nmain;other 400\n");
                pushed = push.send().await.is_ok_and(|answer| answer.status() == 200);
                if pushed {
                    break;
                }
            }
            assert!(pushed, "neither takes a profile of {app}");
        }
        self.apps.insert(app.to_owned());
    }

    /// Saves so many more rules for every app, which fire at once.
    async fn add_rules(&mut self, count: usize) {
        for _ in 0..count {
            let threshold = 10 + self.rules.len();
            self.add_rule(&json!({"thresholdPercent": threshold, "forSeconds": 0})).await;
        }
    }

    async fn add_rule(&mut self, more: &Value) -> i64 {
        let mut rule = json!({"appName": "*", "profileType": "cpu", "severity": "critical"});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, made) = self.post("/rules", rule).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_i64().unwrap();
        self.rules.insert(id);
        id
    }

    /// Asks for a round, which whoever leads runs at its next look.
    async fn ask_for_round(&self) {
        assert_eq!(self.post("/schedule/alert_rules/run", Value::Null).await.0, 202);
    }

    /// Waits until one evaluates rules, and makes that one the first.
    async fn led(&mut self) {
        until("a leader", || async { leads(&self.nodes[0]).await || leads(&self.nodes[1]).await }).await;
        if !leads(&self.nodes[0]).await {
            self.nodes.swap(0, 1);
        }
    }

    /// What is expected: an incident of each rule for each app.
    fn expected(&self) -> BTreeSet<String> {
        let of_rule = |rule: &i64| self.apps.iter().map(move |app| format!("rule/{rule}/{app}")).collect::<Vec<_>>();
        self.rules.iter().flat_map(of_rule).collect()
    }

    /// The ids of all incidents of rules by their fingerprints, with how each stands.
    async fn incidents(&self) -> BTreeMap<String, Vec<(i32, String)>> {
        let rows: Vec<(String, i32, String)> =
            sqlx::query_as("SELECT fingerprint, id, state FROM core.incident WHERE source = 'rule' ORDER BY id")
                .fetch_all(&mut self.session().await)
                .await
                .unwrap();
        let mut incidents = BTreeMap::<_, Vec<_>>::new();
        for (fingerprint, id, state) in rows {
            incidents.entry(fingerprint).or_default().push((id, state));
        }
        incidents
    }

    /// Waits until there is an incident of each rule for each app, and the receiver was told of each.
    async fn all_told(&self, event: &str, limit: Duration) {
        let expected = self.expected();
        until_within(limit, "an incident of each rule for each app", || async {
            self.incidents().await.len() >= expected.len()
        })
        .await;
        until_within(limit, &format!("the receiver to be told that each is {event}"), || async {
            self.receiver.told(event).len() >= expected.len()
        })
        .await;
        until_within(limit, "all messages to be settled", || async {
            self.count("SELECT count(*) FROM core.message WHERE state = 'pending'").await == 0
        })
        .await;
    }

    /// Nothing is missing and nothing is there twice: incidents, what happened to them, messages, and what arrived.
    async fn check(&self, event: &str) {
        let incidents = self.incidents().await;
        let state = if event == "resolved" { "resolved" } else { "firing" };
        for (fingerprint, of_it) in &incidents {
            assert!(matches!(&of_it[..], [(_, stands)] if stands == state), "{fingerprint}: {of_it:?}");
        }
        assert_eq!(incidents.into_keys().collect::<BTreeSet<_>>(), self.expected());
        let doubled = "SELECT count(*) FROM (
                           SELECT FROM core.incident_event GROUP BY incident_id, kind, detail HAVING count(*) > 1) AS e";
        assert_eq!(self.count(doubled).await, 0, "something happened twice to an incident");
        let doubled = "SELECT count(*) FROM (SELECT FROM core.message
                       GROUP BY incident_id, body -> 'notice' ->> 'event' HAVING count(*) > 1) AS m";
        assert_eq!(self.count(doubled).await, 0, "two messages say the same of an incident");
        assert_eq!(self.count("SELECT count(*) FROM core.message WHERE state <> 'delivered'").await, 0);
        let messages: Vec<i32> =
            sqlx::query_scalar("SELECT id FROM core.message").fetch_all(&mut self.session().await).await.unwrap();
        let arrived: BTreeSet<_> = self.receiver.messages().into_keys().collect();
        assert_eq!(arrived, messages.into_iter().map(i64::from).collect(), "each message arrived, and no other");
        assert_eq!(self.receiver.told(event).len(), self.expected().len());
        for node in &self.nodes {
            assert!(!node.log().contains("panicked"), "{}", node.log());
        }
    }

    /// Disables all rules: what fires is over, and the receiver is told so.
    async fn all_over(&self, limit: Duration) {
        for rule in &self.rules {
            let answer = self.nodes[0].client().put(format!("{}/rules/{rule}", self.nodes[0].url));
            assert_eq!(answer.json(&json!({"enabled": false})).send().await.unwrap().status(), 200);
        }
        self.ask_for_round().await;
        self.all_told("resolved", limit).await;
    }
}

/// Whether a server evaluates rules. One that does not answer does not.
async fn leads(node: &Node) -> bool {
    let request = node.client().get(format!("{}/metrics", node.url)).timeout(Duration::from_secs(2));
    let Ok(answer) = request.send().await else { return false };
    answer.text().await.is_ok_and(|text| text.contains("scheduler_leader{group=\"alert\"} 1\n"))
}

/// Lets leases end now, as if their time had passed.
const LEASES_END: &str = "UPDATE core.lease SET expires_at = clock_timestamp()";
/// Lets the minute end for which a process has claimed a channel.
const CLAIMS_END: &str = "UPDATE core.channel_state SET busy_until = clock_timestamp()";

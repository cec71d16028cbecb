//! Every change is one row of who made it: through the routes, through another process, past the server, and whatever is
//! killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::cli::flamewarden;
use crate::harness::{Flamewarden, Setup};
use crate::processes::{Node, free_port, until};
use crate::testing::{self, TestDatabase};

const BASELINE: &str = "ReadPyroscopeBaseline.sor.v1";
const LIMIT: &str = "/baselines/1";

fn limit(function: &str) -> Value {
    json!({"appName": "shop", "profileType": "cpu", "functionName": function, "maxSelfPercent": 5})
}

async fn send(server: &Flamewarden, method: Method, path: &str, body: Value) -> (u16, Value) {
    let answer = server.request(method, path).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn session(database: &TestDatabase) -> PgConnection {
    database.connect_options().connect().await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect(sql);
}

/// The log, the oldest first, as `action resource user`.
async fn said(server: &Flamewarden) -> Vec<String> {
    let (status, log) = server.json("/audit?limit=1000").await;
    assert_eq!(status, 200, "{log}");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let row = |row: &Value| format!("{} {} {}", text(&row["action"]), text(&row["resourceId"]), text(&row["userId"]));
    log["entries"].as_array().unwrap().iter().rev().map(row).collect()
}

/// Waits until every entry is chained. Returns what came of verifying them.
async fn chained(server: &Flamewarden) -> Value {
    until("all entries to be chained", || async {
        let found = server.json("/audit/verify").await.1;
        found["unchained"] == 0 && found["head"].is_object()
    })
    .await;
    server.json("/audit/verify").await.1
}

#[actix_web::test]
async fn a_change_through_another_process_is_one_row_of_who_asked_and_what_was_before_and_after() {
    let database = testing::database().await;
    let sor = Setup::of(&[("FUNCTION", BASELINE), ("DATABASE_URL", &database.url())]).start().await;
    sor.ready().await;
    let front = Setup::of(&[("FUNCTION", BASELINE), ("BASELINE_URL", sor.base())]).start().await;
    assert_eq!(send(&front, Method::POST, "/baselines", limit("f")).await.0, 201);
    let put = front.request(Method::PUT, LIMIT).header("user-agent", "curl/8.5").header("x-request-id", "r-7");
    let answer = put.json(&json!({"maxSelfPercent": 7.5})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-request-id"].to_str().unwrap()), (200, "r-7"));
    let row = "SELECT to_jsonb(l) || jsonb_build_object('user', u.name, 'count', count(*) OVER ())
               FROM core.audit_log AS l JOIN core.audit_user AS u ON u.id = user_ref WHERE action = 'baseline.update'";
    let row: Value = sqlx::query_scalar(row).fetch_one(&mut session(&database).await).await.unwrap();
    assert_eq!((&row["user"], &row["count"], &row["request_id"]), (&json!("open:local"), &json!(1), &json!("r-7")));
    assert_eq!((&row["user_agent"], &row["client_ip"]), (&json!("curl/8.5"), &json!("127.0.0.1")));
    assert_eq!(
        (&row["resource_id"], &row["app_name"], &row["result"]),
        (&json!("1"), &json!("shop"), &json!("success"))
    );
    let percent = |row: &Value| row["max_self_percent"].as_f64();
    assert_eq!((percent(&row["before"]), percent(&row["after"])), (Some(5.0), Some(7.5)));
}

#[actix_web::test]
async fn each_change_by_a_route_is_one_row_and_what_changes_nothing_is_none() {
    let server = Flamewarden::start().await;
    let rule = json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 20});
    let entry = json!({"appName": "shop", "diagnosis": "cpu_bound", "severity": "low"});
    for (method, path, body) in [
        (Method::POST, "/baselines", limit("f")),
        (Method::POST, "/baselines", limit("f")),
        (Method::PUT, LIMIT, json!({"severity": "critical"})),
        (Method::PUT, LIMIT, json!({"severity": "critical"})),
        (Method::PUT, "/baselines/99", json!({"severity": "critical"})),
        (Method::POST, "/baselines", json!({})),
        (Method::DELETE, LIMIT, Value::Null),
        (Method::DELETE, LIMIT, Value::Null),
        (Method::POST, "/services", json!({"appName": "shop", "tier": "critical"})),
        (Method::POST, "/services", json!({"appName": "shop", "teamOwner": "cart"})),
        (Method::PUT, "/services/shop", json!({"teamOwner": null})),
        (Method::DELETE, "/services/shop", Value::Null),
        (Method::POST, "/rules", rule),
        (Method::PUT, "/rules/1", json!({"enabled": false})),
        (Method::DELETE, "/rules/1", Value::Null),
        (Method::POST, "/history", entry.clone()),
        (Method::POST, "/history/batch", json!({"entries": [entry]})),
        (Method::DELETE, "/history/1", Value::Null),
    ] {
        send(&server, method, path, body).await;
    }
    let expected = [
        "baseline.create 1",
        "baseline.update 1",
        "baseline.delete 1",
        "service.create shop",
        "service.update shop",
        "service.update shop",
        "service.delete shop",
        "rule.create 1",
        "rule.update 1",
        "rule.delete 1",
        "history.delete 1",
    ];
    assert_eq!(said(&server).await, expected.map(|row| format!("{row} open:local")));
}

#[actix_web::test]
async fn acts_on_alerts_and_silences_are_rows_and_what_the_server_finds_or_what_is_refused_is_none() {
    let server = Flamewarden::start().await;
    let seen = json!({"fingerprint": "system/x", "source": "system", "severity": "info", "title": "x", "appName": "shop",
        "value": null, "threshold": null, "unit": null, "occurrences": 1, "detail": {}, "quietSeconds": 900});
    let silence = json!({"appName": "shop", "minutes": 60, "reason": "load test"});
    for (method, path, body) in [
        (Method::POST, "/core/incident/observe", seen),
        (Method::POST, "/silences", silence),
        (Method::POST, "/silences", json!({"minutes": 60, "reason": "load test"})),
        (Method::POST, "/alerts/1/snooze", json!({"minutes": 60, "reason": "deploying"})),
        (Method::DELETE, "/alerts/1/snooze", Value::Null),
        (Method::DELETE, "/alerts/1/snooze", Value::Null),
        (Method::POST, "/alerts/1/acknowledge", json!({"note": "on it"})),
        (Method::POST, "/alerts/1/acknowledge", json!({})),
        (Method::DELETE, "/silences/1", Value::Null),
    ] {
        send(&server, method, path, body).await;
    }
    let expected =
        ["silence.create 1", "alert.snooze 1", "alert.unsnooze 1", "alert.acknowledge 1", "silence.delete 1"];
    assert_eq!(said(&server).await, expected.map(|row| format!("{row} open:local")));
    let acknowledged = server.json("/audit?action=alert.acknowledge").await.1;
    let row = &acknowledged["entries"][0];
    let left = json!({"by": "open:local", "note": "on it"});
    assert_eq!((&row["appName"], &row["after"]), (&json!("shop"), &left));
}

#[actix_web::test]
async fn silences_that_ended_long_ago_go_with_one_row_for_all_of_them() {
    let database = testing::database().await;
    let server = Setup::of(&[("DATABASE_URL", &database.url())]).start().await;
    server.ready().await;
    let old = "INSERT INTO core.silence (app_name, starts_at, ends_at, reason, created_by)
               SELECT 'a', now() - interval '999 days', now() - make_interval(days => d), 'x', 'y'
               FROM unnest(ARRAY[80, 100, 200]) AS d";
    execute(&mut session(&database).await, old).await;
    let rows = || async { server.json("/audit?action=silence.expire").await.1 };
    until("the upkeep of incidents", || async {
        send(&server, Method::POST, "/schedule/incident_upkeep/run", Value::Null).await;
        rows().await["count"] == 1
    })
    .await;
    let row = &rows().await["entries"][0];
    assert_eq!((&row["userId"], &row["metadata"]), (&json!("system:incident_upkeep"), &json!({"rows": 2})));
    assert_eq!(server.json("/silences?active=false").await.1["count"], 1);
}

/// Tables whose changes have rows, and of which kinds.
const AUDITED: [(&str, &str); 7] = [
    ("public.performance_baseline", "INSERT OR DELETE OR UPDATE"),
    ("public.service_registry", "INSERT OR DELETE OR UPDATE"),
    ("public.alert_rule", "INSERT OR DELETE OR UPDATE"),
    ("public.triage_history", "DELETE"),
    ("core.silence", "INSERT OR DELETE OR UPDATE"),
    ("perf.performance_baselines", "INSERT OR DELETE OR UPDATE"),
    ("perf.performance_operation_types", "INSERT OR DELETE OR UPDATE"),
];

/// Tables whose changes have none, and why.
const NOT_AUDITED: [(&str, &str); 27] = [
    ("core.audit_log", "it is the log; nothing in it changes"),
    ("core.audit_user", "names of who acted; a name goes when a person is to be forgotten"),
    ("core.audit_chain", "follows from the log"),
    ("core.audit_anchor", "follows from the log"),
    ("core.lease", "the server's own work, renewed every 5 s"),
    ("core.job", "the server's own work, every second"),
    ("core.incident", "what the server finds; what people do to one is appended to the log"),
    ("core.incident_event", "the timeline of an incident"),
    ("core.rule_state", "what the last evaluation found"),
    ("core.message", "what the server tells people, and whether it arrived"),
    ("core.channel_state", "how deliveries to a channel go"),
    ("core.channel_unresolved", "follows from messages"),
    ("perf.operation", "what is recorded"),
    ("perf.open_span", "what is recorded"),
    ("perf.merge_performance_metrics", "what is recorded"),
    ("perf.late_hour", "follows from what is recorded"),
    ("perf.ingest_key", "what was answered to those who record"),
    ("perf.performance_alerts", "what the server finds; who acknowledges one is appended to the log"),
    ("perf.rollup_hour", "follows from what is recorded"),
    ("perf.rollup_day", "follows from what is recorded"),
    ("perf.rolled_hour", "follows from what is recorded"),
    ("perf.rollup_state", "the server's own work"),
    ("profile_store.app", "what profilers send"),
    ("profile_store.series", "what profilers send"),
    ("profile_store.block", "what profilers send"),
    ("profile_store.dict", "what profilers send"),
    ("profile_store.rollup", "follows from what profilers send"),
];

#[actix_web::test]
async fn every_table_is_audited_or_listed_with_the_reason_why_not() {
    let database = testing::database().await;
    let tables = "SELECT c.oid::regclass::text, pg_get_triggerdef(t.oid) FROM pg_class AS c
                  JOIN pg_namespace AS n ON n.oid = c.relnamespace
                  LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = 'audited'
                  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> '_sqlx_migrations'
                    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'";
    let rows: Vec<(String, Option<String>)> =
        sqlx::query_as(tables).fetch_all(&mut session(&database).await).await.unwrap();
    let mut found = BTreeMap::new();
    for (table, trigger) in rows {
        let name = if table.contains('.') { table } else { format!("public.{table}") };
        let events = trigger.map(|text| text.split(" AFTER ").nth(1).unwrap().split(" ON ").next().unwrap().to_owned());
        found.insert(name, events);
    }
    let audited = AUDITED.iter().map(|(name, events)| ((*name).to_owned(), Some((*events).to_owned())));
    let not = NOT_AUDITED.iter().map(|(name, _)| ((*name).to_owned(), None));
    assert_eq!(found, audited.chain(not).collect());
}

#[actix_web::test]
async fn without_the_log_nothing_audited_is_changed_and_all_is_read_as_before() {
    let database = testing::database().await;
    let setup = Setup::of(&[("DATABASE_URL", &database.url()), ("DB_QUERY_TIMEOUT", "700ms")]);
    let server = setup.start().await;
    server.ready().await;
    assert_eq!(send(&server, Method::POST, "/baselines", limit("f")).await.0, 201);
    let before = server.json("/baselines/shop").await;
    let change = || send(&server, Method::PUT, LIMIT, json!({"maxSelfPercent": 99}));
    let entry = || json!({"appName": "shop", "diagnosis": "cpu_bound", "severity": "low"});

    let mut connection = session(&database).await;
    let mut lock = connection.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE core.audit_log, core.audit_user IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let (status, problem) = change().await;
    assert_eq!((status, &problem["code"]), (504, &json!("timeout")));
    assert_eq!(server.json("/baselines/shop").await, before);
    assert_eq!(send(&server, Method::POST, "/history", entry()).await.0, 201);
    sqlx::raw_sql("DROP SCHEMA core CASCADE").execute(&mut *lock).await.unwrap();
    lock.commit().await.unwrap();

    let (status, problem) = change().await;
    assert_eq!((status, &problem["code"]), (503, &json!("database_unavailable")));
    assert_eq!(send(&server, Method::POST, "/baselines", limit("g")).await.0, 503);
    assert_eq!(send(&server, Method::DELETE, LIMIT, Value::Null).await.0, 503);
    assert_eq!(server.json("/baselines/shop").await, before);
    assert_eq!(send(&server, Method::POST, "/history", entry()).await.0, 201);
    assert_eq!(server.json("/history/shop").await.1["count"], 2);
    assert_eq!(server.json("/audit").await.0, 503);
    let health = server.json("/api/v1/health").await.1;
    assert_eq!((&health["status"], &health["checks"]["audit"]["status"]), (&json!("degraded"), &json!("warn")));
}

#[actix_web::test]
async fn entries_are_chained_by_themselves_and_health_and_metrics_tell_so() {
    let server = Flamewarden::start().await;
    assert_eq!(send(&server, Method::POST, "/baselines", limit("f")).await.0, 201);
    let verified = chained(&server).await;
    assert_eq!(
        (&verified["ok"], &verified["checkedRows"], &verified["head"]["seq"]),
        (&json!(true), &json!(1), &json!(1))
    );
    let process = server.process_of("CORE_URL");
    let health = process.json("/api/v1/health").await.1;
    let details = json!({"unchained": 0, "oldest_age_seconds": 0});
    assert_eq!(health["checks"]["audit"], json!({"status": "pass", "details": details}));
    let metrics = process.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line == "audit_unchained 0"), "{metrics}");
}

#[actix_web::test]
async fn the_command_line_verifies_and_names_the_entry_that_was_changed() {
    let server = Flamewarden::start().await;
    for function in ["f", "g", "h"] {
        assert_eq!(send(&server, Method::POST, "/baselines", limit(function)).await.0, 201);
    }
    chained(&server).await;
    let (exit, text, errors) = flamewarden(&["audit", "verify"], server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{text}");
    assert!(text.starts_with("OK: ") && text.contains("\nchecked 3, not chained yet 0\nnewest link 3 "), "{text}");
    let id = server.json("/audit?resourceId=2").await.1["entries"][0]["id"].clone();
    let mut connection = session(server.database().unwrap()).await;
    let edit =
        format!("SET session_replication_role = replica; UPDATE core.audit_log SET after = NULL WHERE id = {id}");
    execute(&mut connection, &edit).await;
    let (exit, text, _) = flamewarden(&["audit", "verify"], server.base()).await;
    assert!(exit == 1 && text.starts_with(&format!("PROBLEM: entry {id} was changed or removed")), "{text}");
    let (exit, text, _) = flamewarden(&["audit", "verify", "--json"], server.base()).await;
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, &found["ok"], &found["firstBrokenId"]), (1, &json!(false), &id));
    let (exit, ..) = flamewarden(&["audit", "verify", "--from-seq", "3"], server.base()).await;
    assert_eq!(exit, 0);
}

/// The output of a program of PostgreSQL. `None` where it is not installed or too old for the server.
fn output_of(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;
    let mut command = Command::new(program);
    let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("server version mismatch") {
        return None;
    }
    assert!(output.status.success(), "{program}: {errors}");
    Some(output.stdout)
}

fn address(database: &TestDatabase) -> String {
    let mut url = database.connect_options().to_url_lossy();
    url.set_query(None);
    url.to_string()
}

#[actix_web::test]
async fn a_log_that_was_dumped_and_restored_verifies() {
    let server = Flamewarden::start().await;
    for function in ["f", "größe \"x\"\n", "h"] {
        assert_eq!(send(&server, Method::POST, "/baselines", limit(function)).await.0, 201);
    }
    let head = chained(&server).await["head"].clone();
    let (Some(dump), restored) =
        (output_of("pg_dump", &[&address(server.database().unwrap())], b""), testing::empty_database().await)
    else {
        eprintln!("SKIPPED: pg_dump of this server's version is not installed");
        return;
    };
    let psql = ["-q", "-v", "ON_ERROR_STOP=1", "-d", &address(&restored)];
    assert!(output_of("psql", &psql, &dump).is_some(), "psql comes with pg_dump");
    let other = Setup::of(&[("DATABASE_URL", &restored.url())]).start().await;
    other.ready().await;
    let verified = other.json("/audit/verify").await.1;
    assert_eq!((&verified["ok"], &verified["checkedRows"], &verified["head"]), (&json!(true), &json!(3), &head));
    let refused = sqlx::raw_sql("DELETE FROM core.audit_log").execute(&mut session(&restored).await).await;
    assert!(refused.unwrap_err().to_string().contains("append-only"));
}

/// Writes before each kill.
const WRITES: usize = 20;

/// Kills the process that holds a table, again and again in the middle of writes: 5 times, or as often as
/// `FLAMEWARDEN_TEST_KILLS` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_that_was_answered_lacks_its_row_when_the_process_is_killed() {
    let kills = std::env::var("FLAMEWARDEN_TEST_KILLS").map_or(5, |kills| kills.parse().unwrap());
    let (database, data) = (testing::database().await, tempfile::tempdir().unwrap());
    let settings = [("FUNCTION", BASELINE), ("DATABASE_URL", &database.url())];
    let mut node = Node::start(free_port(), data.path(), &settings);
    let mut answered = BTreeSet::new();
    for round in 0..kills {
        node.ready().await;
        let (done, mut first) = tokio::sync::mpsc::unbounded_channel();
        let writes: Vec<_> = (0..WRITES)
            .map(|n| {
                let function = format!("f{round}.{n}");
                let post = node.client().post(format!("{}/baselines", node.url)).json(&limit(&function));
                let done = done.clone();
                tokio::spawn(async move {
                    let answer = post.send().await.ok().filter(|answer| answer.status() == 201)?;
                    let _ = done.send(());
                    let row: Value = answer.json().await.ok()?;
                    Some(row["functionName"].as_str()?.to_owned())
                })
            })
            .collect();
        drop(done);
        // Some are answered, and others are not.
        for _ in 0..=round % WRITES {
            first.recv().await;
        }
        node.kill_nine();
        answered.extend(join_all(writes).await.into_iter().filter_map(Result::unwrap));
        node.restart();
    }
    let mut connection = session(&database).await;
    let logged = "SELECT after ->> 'function_name' FROM core.audit_log WHERE action = 'baseline.create'";
    let logged: Vec<String> = sqlx::query_scalar(logged).fetch_all(&mut connection).await.unwrap();
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT function_name FROM performance_baseline").fetch_all(&mut connection).await.unwrap();
    let (rows, logged) = (logged.len(), logged.into_iter().collect::<BTreeSet<_>>());
    assert_eq!((logged.len(), &logged), (rows, &kept.into_iter().collect()), "a row for each change, and no other");
    assert!(answered.is_subset(&logged) && answered.len() >= kills, "{} of {rows} were answered", answered.len());
}

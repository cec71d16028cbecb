//! The routes of alerts and silences, and what time does to incidents.

use std::sync::Arc;

use actix_web::http::StatusCode;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use super::conformance::{Times, all, firing, get, open, resolved, serve};
use super::{
    Decided, IncidentLevel, IncidentPorts, IncidentState, IncidentUpkeep, IncidentWrite, MockAlertStateSor,
    MockIncidentSor, MockSilenceSor, ResolveReason, SilenceQuery,
};
use crate::http::testing::Served;
use crate::kernel::{CALL, Call};
use crate::sor::testing::{call, members};
use crate::storage::testing::{TestDatabase, database};

/// Whole rooms over a database of their own, and their routes.
struct Room {
    test: TestDatabase,
    ports: Arc<IncidentPorts>,
    served: Served,
}

impl Room {
    async fn open() -> Self {
        let test = database().await;
        let ports = Arc::new(super::local(test.db.clone()));
        Self { test, served: serve(Arc::clone(&ports)), ports }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        call(&self.served, method, path, body).await
    }

    /// A session past the server.
    async fn session(&self) -> PgConnection {
        self.test.connect_options().connect().await.unwrap()
    }

    async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.session().await).await.expect(sql);
    }
}

/// Routes whose ports are not to be called.
fn nobody() -> Served {
    serve(Arc::new(IncidentPorts {
        incidents: Arc::new(MockIncidentSor::new()),
        states: Arc::new(MockAlertStateSor::new()),
        silences: Arc::new(MockSilenceSor::new()),
    }))
}

#[actix_web::test]
async fn an_alert_is_listed_shown_acknowledged_and_snoozed() {
    let (room, times) = (Room::open().await, Times::of_now());
    let shop = open(&room.ports, firing("shop", times.ago(9), times.ago(4))).await;
    let over = resolved(firing("old", times.ago(90), times.ago(85)), times.ago(60));
    open(&room.ports, over).await;

    let (status, page) = room.ask(Method::GET, "/alerts?appName=shop&limit=1", None).await;
    assert_eq!((status, &page["count"], &page["nextCursor"]), (StatusCode::OK, &json!(1), &Value::Null));
    let columns = [
        "acknowledgedAt",
        "acknowledgedBy",
        "acknowledgedNote",
        "activeSince",
        "appName",
        "changedAt",
        "clearSince",
        "detail",
        "fingerprint",
        "firedAt",
        "flappingSince",
        "id",
        "lastSeenAt",
        "noDataSince",
        "occurrences",
        "reopenings",
        "resolveReason",
        "resolvedAt",
        "ruleId",
        "severity",
        "silencedBy",
        "snoozedBy",
        "snoozedReason",
        "snoozedUntil",
        "source",
        "state",
        "threshold",
        "title",
        "toldAt",
        "toldChannel",
        "toldSeverity",
        "toldState",
        "unit",
        "value",
        "version",
        "worstValue",
    ];
    assert_eq!(members(&page["alerts"][0]), columns);
    for (query, count) in [("", 1), ("?state=all", 2), ("?state=resolved", 1), ("?state=pending", 0)] {
        assert_eq!(room.ask(Method::GET, &format!("/alerts{query}"), None).await.1["count"], count, "{query}");
    }

    let path = format!("/alerts/{}", shop.id.get());
    let (status, answer) =
        room.ask(Method::POST, &format!("{path}/acknowledge"), Some(json!({"note": "on it", "by": "ana"}))).await;
    assert_eq!((status, &answer["acknowledgedBy"]), (StatusCode::OK, &json!("ana")));
    let (status, problem) = room.ask(Method::POST, &format!("{path}/acknowledge"), Some(json!({}))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    let snooze = json!({"minutes": 5, "reason": "deploying"});
    let (status, answer) = room.ask(Method::POST, &format!("{path}/snooze"), Some(snooze)).await;
    assert_eq!((status, &answer["snoozedReason"]), (StatusCode::OK, &json!("deploying")));
    let (status, answer) = room.ask(Method::DELETE, &format!("{path}/snooze"), None).await;
    assert_eq!((status, &answer["snoozedUntil"]), (StatusCode::OK, &Value::Null));
    let (_, shown) = room.ask(Method::GET, &path, None).await;
    let kinds: Vec<_> = shown["events"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["unsnoozed", "snoozed", "acknowledged", "firing"]);
    let said = json!({"by": "ana", "note": "on it"});
    assert_eq!(shown["events"][2]["detail"], said);
}

#[actix_web::test]
async fn a_silence_is_made_listed_and_removed() {
    let room = Room::open().await;
    let new = json!({"source": "rule", "startsAt": "2026-01-23T08:53:20+01:00", "minutes": 30, "reason": "load test"});
    let (status, made) = room.ask(Method::POST, "/silences", Some(new)).await;
    assert_eq!((status, &made["source"]), (StatusCode::CREATED, &json!("rule")));
    assert_eq!((&made["startsAt"], &made["endsAt"]), (&json!("2026-01-23T07:53:20Z"), &json!("2026-01-23T08:23:20Z")));
    assert_eq!(room.ask(Method::GET, "/silences", None).await.1["count"], 0, "it has ended");
    assert_eq!(room.ask(Method::GET, "/silences?active=false", None).await.1["silences"][0], made);
    let path = format!("/silences/{}", made["id"]);
    assert_eq!(room.ask(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    let (status, problem) = room.ask(Method::DELETE, &path, None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("silence_unknown")));
}

#[rstest]
#[case("/alerts?state=open", "parameter_invalid")]
#[case("/alerts?source=magic", "parameter_invalid")]
#[case("/alerts?severity=high", "parameter_invalid")]
#[case("/alerts?ruleId=0", "parameter_invalid")]
#[case("/alerts?acknowledged=perhaps", "parameter_invalid")]
#[case("/alerts?limit=1001", "parameter_invalid")]
#[case("/alerts?cursor=x", "parameter_invalid")]
#[case("/alerts?app=x", "parameter_unknown")]
#[case("/alerts?from=now&to=now-1h", "window_invalid")]
#[case("/alerts/x", "parameter_invalid")]
#[case("/silences?active=2", "parameter_invalid")]
#[case("/silences?limit=0", "parameter_invalid")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_port(#[case] path: &str, #[case] code: &str) {
    let (status, problem) = call(&nobody(), Method::GET, path, None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{problem}");
}

#[rstest]
#[case("/alerts/1/acknowledge", json!({"note": ""}), "/note: must not be empty")]
#[case("/alerts/1/acknowledge", json!({"note": "x".repeat(2_001)}), "/note: is 2001 bytes long, at most 2000")]
#[case("/alerts/1/acknowledge", json!({"who": "ana"}), "/who: is unknown")]
#[case("/alerts/1/snooze", json!({"minutes": 0, "reason": "x"}), "/minutes: is 0, must be from 1 to 43200 minutes")]
#[case("/alerts/1/snooze", json!({"minutes": 43_201, "reason": "x"}), "/minutes: is 43201, must be from 1 to 43200")]
#[case("/alerts/1/snooze", json!({"minutes": 1}), "/reason: is missing")]
#[case("/silences", json!({"minutes": 1, "reason": "x"}), "give at least one of appName, source, ruleId")]
#[case("/silences", json!({"appName": "a", "minutes": 1, "reason": "a\0"}), "/reason: must not hold U+0000")]
#[case("/silences", json!({"source": "magic", "minutes": 1, "reason": "x"}), "/source: ")]
#[case("/silences", json!({"ruleId": 0, "minutes": 1, "reason": "x"}), "/ruleId: must be an id from 1")]
#[case("/silences", json!({"ruleId": 1, "startsAt": "soon", "minutes": 1, "reason": "x"}), "/startsAt: must be an RFC")]
#[case("/core/incident/told", json!({"told": vec![told(); 501]}), "/told: must hold at most 500, and holds 501")]
#[case("/core/incident/apply", json!({"writes": [], "states": vec![state(); 1_001]}), "/states: must hold at most 1000")]
#[case("/core/incident/apply", json!({"writes": [], "states": [{"ruleId": 1, "evaluatedAt": "2026-01-23T08:53:20Z", "body": []}]}), "must be an object")]
#[case("/core/incident/apply", json!({"writes": [], "states": [{"ruleId": 1, "evaluatedAt": "2026-01-23T08:53:20Z", "body": {"a": "\0"}}]}), "must not hold U+0000")]
#[case("/core/incident/apply", json!({"writes": [{"kind": "open", "found": found("title", json!(""))}], "states": []}), "must not be empty")]
#[case("/core/incident/apply", json!({"writes": [{"kind": "open", "found": found("activeSince", json!("0000-01-01T00:00:00Z"))}], "states": []}), "must be an RFC 3339 time")]
#[actix_web::test]
async fn a_bad_body_never_reaches_the_port(#[case] path: &str, #[case] body: Value, #[case] why: &str) {
    let (status, problem) = call(&nobody(), Method::POST, path, Some(body)).await;
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == StatusCode::BAD_REQUEST && detail.contains(why), "{problem}");
}

fn told() -> Value {
    json!({"id": 1, "state": "firing", "severity": "info", "at": "2026-01-23T08:53:20Z", "channel": null,
        "lastToldAt": null})
}

fn state() -> Value {
    json!({"ruleId": 1, "evaluatedAt": "2026-01-23T08:53:20Z", "body": {}})
}

/// What is found of an app, with another value of one member.
fn found(member: &str, value: Value) -> Value {
    let times = Times::of_now();
    let mut found = serde_json::to_value(firing("shop", times.ago(9), times.ago(4))).unwrap();
    found[member] = value;
    found
}

#[rstest]
#[case("occurrences", json!(0), "core_incident_occurrences_check")]
#[case("firedAt", Value::Null, "core_incident_fired_check")]
#[case("state", json!("resolved"), "core_incident_resolved_check")]
#[actix_web::test]
async fn what_a_check_of_the_table_refuses_is_named(#[case] member: &str, #[case] value: Value, #[case] check: &str) {
    let room = Room::open().await;
    let body = json!({"writes": [{"kind": "open", "found": found(member, value)}], "states": []});
    let (status, problem) = room.ask(Method::POST, "/core/incident/apply", Some(body)).await;
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == StatusCode::BAD_REQUEST && detail.contains(check), "{problem}");
}

#[actix_web::test]
async fn what_is_not_seen_in_time_is_over_and_flapping_ends_after_six_hours() {
    let (room, times) = (Room::open().await, Times::of_now());
    let upkeep = IncidentUpkeep::new(room.test.db.clone(), 90);
    let call = Call::system("incident_upkeep");
    let (seen, unseen) = (
        open(&room.ports, firing("seen", times.ago(9), times.ago(4))).await,
        open(&room.ports, firing("unseen", times.ago(9), times.ago(4))).await,
    );
    let flapping = open(&room.ports, firing("flapping", times.ago(9), times.ago(4))).await;
    let steady = open(&room.ports, firing("steady", times.ago(9), times.ago(4))).await;
    room.run(&format!(
        "UPDATE core.incident SET quiet_at = now() + interval '1 minute' WHERE id = {};
         UPDATE core.incident SET quiet_at = now() - interval '1 minute' WHERE id = {};
         UPDATE core.incident SET flapping_since = now(), changed_at = now() - interval '5 hours 59 minutes' WHERE id = {};
         UPDATE core.incident SET flapping_since = now(), changed_at = now() - interval '6 hours' WHERE id = {};",
        seen.id.get(),
        unseen.id.get(),
        flapping.id.get(),
        steady.id.get(),
    ))
    .await;
    upkeep.run(&call).await.unwrap();
    let over = get(&room.ports, &unseen).await.found;
    assert_eq!((over.state, over.resolve_reason), (IncidentState::Resolved, Some(ResolveReason::Quiet)));
    assert!(over.resolved_at.unwrap() < times.ago(0), "when it was to be seen again");
    assert_eq!(get(&room.ports, &seen).await.found.state, IncidentState::Firing);
    assert_eq!(get(&room.ports, &flapping).await.level(), Some(IncidentLevel::Flapping));
    assert_eq!(get(&room.ports, &steady).await.level(), Some(IncidentLevel::Firing));
    let events = room.ports.incidents.get(&CALL, steady.id).await.unwrap().unwrap().events;
    assert_eq!(events[0].kind, "flapping_ended");
    assert!(events[0].at >= times.ago(0));
}

#[actix_web::test]
async fn what_ended_longer_ago_than_is_kept_is_removed() {
    let (room, times) = (Room::open().await, Times::of_now());
    let upkeep = IncidentUpkeep::new(room.test.db.clone(), 30);
    let days = |days: i64| times.ago(60 * 24 * days);
    let over = |app: &str, ended: i64| resolved(firing(app, days(ended + 1), days(ended + 1)), days(ended));
    open(&room.ports, over("old", 31)).await;
    open(&room.ports, over("kept", 29)).await;
    open(&room.ports, firing("fires", days(99), days(99))).await;
    room.run(
        "INSERT INTO core.silence (app_name, starts_at, ends_at, reason, created_by)
         SELECT 'a', now() - interval '99 days', now() - make_interval(days => d), 'x', 'y' FROM unnest(ARRAY[29, 31, 40]) AS d",
    )
    .await;
    let states =
        [(1, 31), (2, 29)].map(|(rule_id, age)| super::RuleState { rule_id, evaluated_at: days(age), body: json!({}) });
    let decided = Decided { writes: Vec::<IncidentWrite>::new(), states: states.to_vec() };
    room.ports.states.apply(&CALL, decided).await.unwrap();
    for _ in 0..2 {
        upkeep.run(&Call::system("incident_upkeep")).await.unwrap();
    }
    let apps: Vec<_> = all(&room.ports).await.into_iter().filter_map(|one| one.found.app_name).collect();
    assert_eq!(apps, ["fires", "kept"].map(|app| app.parse().unwrap()));
    let standing = room.ports.states.standing(&CALL).await.unwrap();
    assert_eq!(standing.evaluated.iter().map(|one| one.rule_id).collect::<Vec<_>>(), [2]);
    let query = SilenceQuery { active: false, limit: 10, after: None };
    assert_eq!(room.ports.silences.page(&CALL, query).await.unwrap().entries.len(), 1);
}

#[actix_web::test]
async fn other_rooms_see_incidents_and_acknowledge_them_by_sql() {
    let (room, times) = (Room::open().await, Times::of_now());
    let shop = open(&room.ports, firing("shop", times.ago(9), times.ago(4))).await;
    let id = shop.id.get();
    let mut session = room.session().await;
    let acknowledge = "SELECT core.incident_acknowledge($1, 'bob', 'seen there')";
    for expected in [Some(true), Some(false)] {
        let done: Option<bool> = sqlx::query_scalar(acknowledge).bind(id).fetch_one(&mut session).await.unwrap();
        assert_eq!(done, expected);
    }
    let unknown: Option<bool> = sqlx::query_scalar(acknowledge).bind(i32::MAX).fetch_one(&mut session).await.unwrap();
    assert_eq!(unknown, None);
    let silence = "SELECT (core.silence_create('shop', NULL, NULL, now(), now() + interval '1 hour', 'x', 'bob')).id";
    let silence: i32 = sqlx::query_scalar(silence).fetch_one(&mut session).await.unwrap();
    let seen: (String, Option<String>, Option<i32>) =
        sqlx::query_as("SELECT state, acknowledged_by, silenced_by FROM core.incident_v1 WHERE id = $1")
            .bind(id)
            .fetch_one(&mut session)
            .await
            .unwrap();
    assert_eq!(seen, ("firing".to_owned(), Some("bob".to_owned()), Some(silence)));
}

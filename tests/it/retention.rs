//! How long data is kept, by the settings of a server.

use flamewarden::kernel::{Clock, SystemClock};
use reqwest::Method;
use serde_json::json;
use sqlx::ConnectOptions;

use crate::harness::{Flamewarden, Setup};
use crate::processes::until;
use crate::testing;

#[actix_web::test]
async fn a_server_deletes_assessments_that_are_older_than_its_history_is_kept() {
    let database = testing::database().await;
    let mut connection = database.connect_options().connect().await.unwrap();
    let add = "INSERT INTO triage_history (app_name, diagnosis, severity, created_at)
               SELECT 'shop', 'day ' || day, 'low', now() - day * interval '1 day' FROM generate_series(0, 3) AS day";
    sqlx::query(add).execute(&mut connection).await.unwrap();
    let setup = Setup::of(&[("DATABASE_URL", &database.url())]);
    let keeps = setup.clone().start().await;
    keeps.ready().await;
    let count = async |server: &Flamewarden| server.json("/history/shop").await.1["count"].clone();
    assert_eq!(count(&keeps).await, 4);
    let deletes = setup.with("HISTORY_RETENTION_DAYS", "2").start().await;
    deletes.ready().await;
    until("the old ones to go", || async { count(&deletes).await == 2 }).await;
    let (_, list) = deletes.json("/history/shop").await;
    assert_eq!(
        (&list["history"][0]["diagnosis"], &list["history"][1]["diagnosis"]),
        (&json!("day 0"), &json!("day 1"))
    );
    // One row of the audit log for all of them.
    until("the row of the audit log", || async { deletes.json("/audit").await.1["count"] != 0 }).await;
    let (_, log) = deletes.json("/audit").await;
    let row = &log["entries"][0];
    assert_eq!(
        (&log["count"], &row["action"], &row["userId"]),
        (&json!(1), &json!("history.expire"), &json!("system:history"))
    );
    assert_eq!((&row["metadata"]["rows"], row["metadata"]["before"].is_string()), (&json!(2), true));
}

#[actix_web::test]
async fn a_server_takes_profiles_as_old_as_it_keeps_them() {
    let setup = Setup::of(&[("PROFILE_RETENTION_DAYS", "2"), ("PROFILE_ROLLUP_DAYS", "2")]);
    let server = Flamewarden::start_whole(setup).await;
    let mut answers = Vec::new();
    for hours in [47, 49] {
        let from = SystemClock.now().timestamp() - hours * 3_600;
        let path = format!("/ingest?name=shop&from={from}&until={}&format=folded", from + 10);
        let push = server.receiver().request(Method::POST, &path).body("main;work 3\n").send().await.unwrap();
        answers.push((push.status().as_u16(), push.text().await.unwrap()));
    }
    assert_eq!((answers[0].0, answers[1].0), (200, 400), "{answers:?}");
    assert!(answers[1].1.contains("profiles are kept 2 days"), "{answers:?}");
}

#[actix_web::test]
async fn a_server_records_what_stays_the_same_once_in_a_while() {
    let server = Flamewarden::start_whole(Setup::of(&[("HISTORY_REPEATS_EVERY", "1h")])).await;
    let from = SystemClock.now().timestamp() - 600;
    let path = format!("/ingest?name=shop&from={from}&until={}&format=folded", from + 10);
    let push = server.receiver().request(Method::POST, &path).body("main;work 3\n").send().await.unwrap();
    assert_eq!(push.status(), 200);
    for caller in ["ada", "ada", "ada", "bob"] {
        let triage = server.get("/triage/shop?types=cpu").header("x-requested-by", caller).send().await.unwrap();
        let body = triage.json::<serde_json::Value>().await.unwrap();
        assert_eq!(
            (&body["profiles"]["cpu"]["diagnosis"].is_string(), &body["history"]),
            (&true, &json!(null)),
            "{body}"
        );
    }
    // Assessments are delivered in order: once the last one is there, all are.
    let callers = async || {
        let (_, list) = server.json("/history/shop").await;
        let rows = list["history"].as_array().unwrap().clone();
        rows.iter().map(|row| row["requestedBy"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("the last one to be kept", || async { callers().await.contains(&"bob".to_owned()) }).await;
    assert_eq!(callers().await, ["bob", "ada"]);
    let metrics = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line == "history_repeats_total 2"), "{metrics}");
}

//! Several assessments at once.

use super::*;
use crate::http::BODY_LIMIT_BYTES;
use crate::kernel::PortError;
use crate::sor::history::conformance::{create_all, new, recorded};
use crate::sor::testing::Whole;

fn entry(key: u128) -> Value {
    let mut entry = body();
    entry["idempotencyKey"] = json!(uuid::Uuid::from_u128(key));
    entry
}

async fn post(served: &Served, body: Value) -> (StatusCode, Value) {
    call(served, Method::POST, "/history/batch", None, Some(body)).await
}

#[actix_web::test]
async fn each_entry_has_a_result_in_its_place() {
    let (served, _database) = served().await;
    let changed = |key, member: &str, value: Value| {
        let mut entry = entry(key);
        entry[member] = value;
        entry
    };
    let mut keyless = entry(5);
    keyless.as_object_mut().unwrap().remove("idempotencyKey");
    let entries = json!([
        entry(1),
        changed(2, "severity", json!("fatal")),
        keyless,
        changed(6, "idempotencyKey", json!("7")),
        changed(7, "id", json!(1)),
        changed(8, "assessedAt", json!("2024-01-23T08:54:21Z")),
        ["shop"],
        changed(9, "diagnosis", json!("cpu_bound")),
        entry(1),
    ]);
    let (status, answer) = post(&served, json!({ "entries": entries })).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let results = answer["results"].as_array().unwrap();
    let (_, list) = get(&served, "/history/shop").await;
    let id = |diagnosis: &str| {
        let rows = list["history"].as_array().unwrap();
        rows.iter().find(|row| row["diagnosis"] == diagnosis).unwrap()["id"].clone()
    };
    assert_eq!(list["count"], 2);
    assert_eq!(results.len(), 9);
    assert_eq!(results[0], json!({"status": 201, "id": id("gc_pressure")}));
    assert_eq!(results[7], json!({"status": 201, "id": id("cpu_bound")}));
    assert_eq!(results[8], results[0]);
    let refused: Vec<_> = results[1..7]
        .iter()
        .map(|result| {
            assert_eq!((&result["status"], result.get("id")), (&json!(400), None), "{result}");
            result["error"].as_str().unwrap().split(':').next().unwrap()
        })
        .collect();
    assert_eq!(refused, ["/severity", "/idempotencyKey", "/idempotencyKey", "/id", "/assessedAt", "the body"]);
}

#[actix_web::test]
async fn a_batch_without_a_valid_entry_asks_nobody() {
    let served = serve(Arc::new(MockHistorySor::new()));
    let (status, answer) = post(&served, json!({"entries": [{}, 7]})).await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!((status, results.len(), &results[1]["status"]), (StatusCode::OK, 2, &json!(400)), "{answer}");
}

#[rstest]
#[case(json!({}), "/entries")]
#[case(json!({"entries": []}), "/entries")]
#[case(json!({"entries": vec![entry(1); 501]}), "/entries")]
#[case(json!({"entries": {}}), "/entries")]
#[case(json!({"entries": [entry(1)], "more": 1}), "/more")]
#[actix_web::test]
async fn an_envelope_that_is_wrong_is_refused_as_a_whole(#[case] body: Value, #[case] pointer: &str) {
    let served = serve(Arc::new(MockHistorySor::new()));
    let (status, problem) = post(&served, body).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("body_invalid")), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused_as_a_whole() {
    let served = serve(Arc::new(MockHistorySor::new()));
    let (status, problem) = post(&served, json!({"entries": ["x".repeat(BODY_LIMIT_BYTES)]})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body_too_large")));
}

#[actix_web::test]
async fn a_batch_that_fails_as_a_whole_is_a_problem() {
    let mut port = MockHistorySor::new();
    port.expect_create_all().returning(|_, _| Err(PortError::Unavailable("down".into())));
    let (status, problem) = post(&serve(Arc::new(port)), json!({"entries": [entry(1)]})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("database_unavailable")));
}

#[rstest]
#[case(Method::GET)]
#[case(Method::DELETE)]
#[actix_web::test]
async fn batches_are_posted_only_and_an_app_of_that_name_has_its_newest_assessment(#[case] method: Method) {
    let (served, _database) = served().await;
    let (status, problem) = call(&served, method, "/history/batch", None, None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed")));
    let mut entry = body();
    entry["appName"] = json!("batch");
    let (_, row) = call(&served, Method::POST, "/history", None, Some(entry)).await;
    assert_eq!(get(&served, "/history/batch/latest").await, (StatusCode::OK, row));
}

/// Triggers that somebody added: one refuses a row, one fails.
const STRICT: &str = "
    ALTER TABLE triage_history ADD CONSTRAINT triage_history_diagnosis_check1 CHECK (diagnosis <> 'refused');
    CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.diagnosis = 'breaks' THEN RETURN 1 / 0; END IF; RETURN NEW; END $$;
    CREATE TRIGGER breaks BEFORE INSERT ON triage_history FOR EACH ROW EXECUTE FUNCTION breaks();";

#[actix_web::test]
async fn rows_that_the_table_refuses_keep_no_other_from_being_kept() {
    let (served, test) = served().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(STRICT)).execute(&mut connection).await.unwrap();
    let clock = Arc::new(FixedClock::at(now()));
    let ports = [super::super::local(test.db.clone(), clock), super::super::remote(served.client())];
    for (n, port) in (0..).zip(ports) {
        let diagnoses = ["a", "refused", "b", "breaks", "c"];
        let app = format!("shop{n}");
        let entries = (n * 10..).zip(diagnoses).map(|(key, diagnosis)| recorded(key, new(&app, diagnosis)));
        let mut results = create_all(&*port, entries.collect()).await;
        assert!(matches!(results.remove(3), Err(PortError::Internal(_))));
        let refused = PortError::Invalid("diagnosis_check1 is not what history keeps".to_owned());
        assert_eq!(results.remove(1), Err(refused));
        let mut page = port.list(&CALL, &HistoryQuery::newest(app.parse().unwrap(), 50)).await.unwrap().entries.whole();
        page.sort_by_key(|row| row.id);
        let kept: Vec<_> = page.iter().map(|row| Ok(row.id)).collect();
        assert_eq!(kept, results);
        assert_eq!(page.iter().map(|row| row.diagnosis.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}

//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    Assessment, AssessmentSeverity, Batch, HistoryQuery, HistorySor, MAX_BATCH, NewAssessment, Recommendation,
    Recorded, TopFunctions,
};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, Clock, FixedClock, PortError, PortResult, ProfileType, RowId};
use crate::sor::testing::{Fixture, Whole, suite};

pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_706_000_000, 0).unwrap()
}

pub(super) fn serve(port: Arc<dyn HistorySor>) -> Served {
    let port = web::Data::from(port);
    let clock: web::Data<dyn Clock> = web::Data::from(Arc::new(FixedClock::at(now())) as Arc<dyn Clock>);
    Served::with(move |app| {
        app.app_data(port.clone()).app_data(clock.clone()).configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<dyn HistorySor> {
    Fixture::local(|db| super::local(db, Arc::new(FixedClock::at(now())))).await
}

async fn http() -> Fixture<dyn HistorySor> {
    postgres().await.over_http(serve, super::remote)
}

pub(super) fn new(app: &str, diagnosis: &str) -> NewAssessment {
    NewAssessment {
        app_name: app.parse().unwrap(),
        diagnosis: diagnosis.parse().unwrap(),
        severity: AssessmentSeverity::High,
        profile_types: vec![ProfileType::Cpu],
        top_functions: None,
        recommendation: None,
        requested_by: None,
        assessed_at: None,
        idempotency_key: None,
    }
}

fn at(seconds: i64, diagnosis: &str) -> NewAssessment {
    NewAssessment { assessed_at: Some(now() - TimeDelta::seconds(seconds)), ..new("shop", diagnosis) }
}

fn diagnoses(rows: &[Assessment]) -> Vec<&str> {
    rows.iter().map(|row| row.diagnosis.as_str()).collect()
}

async fn answers_the_row_as_it_was_given(port: &dyn HistorySor) {
    for (n, severity) in AssessmentSeverity::ALL.into_iter().enumerate() {
        let given = NewAssessment {
            severity,
            profile_types: if n == 0 { Vec::new() } else { vec![ProfileType::Wall, ProfileType::Alloc] },
            top_functions: Some(
                TopFunctions::try_from(
                    json!({"cpu": [{"name": "größe\n\"", "selfPercent": 0.1 + 0.2, "selfSamples": i64::MAX}]}),
                )
                .unwrap(),
            ),
            recommendation: Some(Recommendation::fitting(&"do: ü\n".repeat(8_000))),
            requested_by: Some("ana".parse().unwrap()),
            assessed_at: Some(now() + TimeDelta::microseconds(59_123_456)),
            ..new("größe/🔥 {x}%2F\t?#", &"d".repeat(255))
        };
        let row = port.create(&CALL, given.clone()).await.unwrap();
        let expected = Assessment {
            id: row.id,
            app_name: given.app_name,
            diagnosis: given.diagnosis,
            severity: given.severity,
            profile_types: given.profile_types,
            top_functions: given.top_functions,
            recommendation: given.recommendation,
            requested_by: given.requested_by,
            created_at: given.assessed_at.unwrap(),
        };
        assert_eq!(row, expected);
        assert_eq!(port.latest(&CALL, &row.app_name).await.unwrap().whole(), Some(row));
    }
}

async fn a_bare_entry_is_stored_when_it_comes(port: &dyn HistorySor) {
    let row = port.create(&CALL, new("shop", "gc_pressure")).await.unwrap();
    let list = port.list(&CALL, &HistoryQuery::newest(row.app_name.clone(), 50)).await.unwrap();
    assert_eq!((list.entries.whole().as_slice(), list.next), ([row].as_slice(), None));
}

async fn the_same_key_is_the_same_assessment(port: &dyn HistorySor) {
    let key = Some(Uuid::from_u128(7));
    let first = port.create(&CALL, NewAssessment { idempotency_key: key, ..at(5, "first") }).await.unwrap();
    let again = port.create(&CALL, NewAssessment { idempotency_key: key, ..at(1, "second") }).await.unwrap();
    assert_eq!(again, first);
    port.record(&CALL, NewAssessment { idempotency_key: key, ..at(0, "third") }).await.unwrap();
    let list = port.list(&CALL, &HistoryQuery::newest(first.app_name.clone(), 50)).await.unwrap();
    assert_eq!(list.entries.whole(), [first]);
}

async fn lists_newest_first_within_the_window(port: &dyn HistorySor) {
    for (seconds, name) in [(3, "c"), (1, "a"), (2, "b"), (4, "d")] {
        port.create(&CALL, at(seconds, name)).await.unwrap();
    }
    port.create(&CALL, new("other", "x")).await.unwrap();
    let newest = HistoryQuery::newest("shop".parse().unwrap(), 50);
    assert_eq!(diagnoses(&port.list(&CALL, &newest).await.unwrap().entries.whole()), ["a", "b", "c", "d"]);
    let back = |us| Some(now() - TimeDelta::microseconds(us));
    // The first instant is inside, the last is not, to the microsecond.
    let window = HistoryQuery { from: back(3_000_000), to: back(1_000_000), ..newest.clone() };
    assert_eq!(diagnoses(&port.list(&CALL, &window).await.unwrap().entries.whole()), ["b", "c"]);
    let window = HistoryQuery { from: back(2_999_999), to: back(999_999), ..newest.clone() };
    assert_eq!(diagnoses(&port.list(&CALL, &window).await.unwrap().entries.whole()), ["a", "b"]);
    let open = HistoryQuery { from: back(2_000_000), ..newest };
    assert_eq!(diagnoses(&port.list(&CALL, &open).await.unwrap().entries.whole()), ["a", "b"]);
}

async fn pages_join_to_the_whole_list_where_times_are_equal(port: &dyn HistorySor) {
    for n in 0..7 {
        port.create(&CALL, at(n / 4, &format!("d{n}"))).await.unwrap();
    }
    let mut query = HistoryQuery::newest("shop".parse().unwrap(), 3);
    let whole = port.list(&CALL, &HistoryQuery { limit: 500, ..query.clone() }).await.unwrap();
    let mut joined = Vec::new();
    loop {
        let page = port.list(&CALL, &query).await.unwrap();
        joined.extend(page.entries.whole());
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(diagnoses(&joined), ["d3", "d2", "d1", "d0", "d6", "d5", "d4"]);
    assert_eq!((joined, None), (whole.entries.whole(), whole.next));
}

async fn nobodys_history_is_empty(port: &dyn HistorySor) {
    let nobody = "nobody".parse().unwrap();
    assert_eq!(port.latest(&CALL, &nobody).await.unwrap().whole(), None);
    let list = port.list(&CALL, &HistoryQuery::newest(nobody, 50)).await.unwrap();
    assert_eq!((list.entries.whole(), list.next), (Vec::new(), None));
}

async fn refuses_what_lies_more_than_a_minute_ahead(port: &dyn HistorySor) {
    let refused = port.create(&CALL, at(-61, "later")).await.unwrap_err();
    assert!(matches!(&refused, PortError::Invalid(why) if why.contains("60 seconds in the future")), "{refused:?}");
}

async fn removes_once(port: &dyn HistorySor) {
    let row = port.create(&CALL, new("shop", "gc_pressure")).await.unwrap();
    assert_eq!(port.remove(&CALL, row.id).await, Ok(true));
    assert_eq!(port.remove(&CALL, row.id).await, Ok(false));
    assert_eq!(port.latest(&CALL, &row.app_name).await.unwrap().whole(), None);
}

/// An entry under the key of this number.
pub(super) fn recorded(key: u128, entry: NewAssessment) -> Recorded {
    Recorded { key: Uuid::from_u128(key), trace: None, entry }
}

pub(super) async fn create_all(port: &dyn HistorySor, entries: Vec<Recorded>) -> Vec<PortResult<RowId>> {
    port.create_all(&CALL, Batch::try_from(entries).unwrap()).await.unwrap()
}

async fn keeps_the_largest_batch_in_its_order(port: &dyn HistorySor) {
    let keys = 1..=u128::try_from(MAX_BATCH).unwrap();
    // Neither keys nor times are in the order of the entries.
    let entry = |key| recorded(1_000 - key, at(i64::try_from(key * 7 % 11).unwrap(), &format!("d{key}")));
    let results = create_all(port, keys.clone().map(entry).collect()).await;
    let ids: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), MAX_BATCH);
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    let list = port.list(&CALL, &HistoryQuery::newest("shop".parse().unwrap(), 500)).await.unwrap();
    let mut rows: Vec<_> = list.entries.whole().into_iter().map(|row| (row.id, row.diagnosis.to_string())).collect();
    rows.sort();
    let expected: Vec<_> = ids.into_iter().zip(keys.map(|key| format!("d{key}"))).collect();
    assert_eq!(rows, expected);
}

async fn an_entry_of_a_batch_is_kept_as_it_would_be_alone(port: &dyn HistorySor) {
    let full = NewAssessment {
        profile_types: vec![ProfileType::Wall, ProfileType::Alloc],
        top_functions: Some(
            TopFunctions::try_from(json!([["größe\n\"", i64::MAX, 0.1 + 0.2], [], {"a": null}])).unwrap(),
        ),
        recommendation: Some(Recommendation::fitting("do: ü\n\u{1}")),
        requested_by: Some("ana".parse().unwrap()),
        assessed_at: Some(now() + TimeDelta::microseconds(59_123_456)),
        ..new("größe/🔥 {x}%2F\t?#", "{\"},NULL,")
    };
    for (key, entry) in [(1, full), (2, NewAssessment { profile_types: Vec::new(), ..at(0, "bare") })] {
        let alone = port.create(&CALL, entry.clone()).await.unwrap();
        let ids = create_all(port, vec![recorded(key, entry), recorded(10 + key, new("other", "x"))]).await;
        let row = port.latest(&CALL, &alone.app_name).await.unwrap().whole().unwrap();
        assert_eq!(ids[0], Ok(row.id));
        assert_eq!(Assessment { id: alone.id, ..row }, alone);
    }
}

async fn the_same_batch_again_answers_the_same_rows(port: &dyn HistorySor) {
    let known = NewAssessment { idempotency_key: Some(Uuid::from_u128(2)), ..at(3, "known") };
    let known = port.create(&CALL, known).await.unwrap();
    let batch = || vec![recorded(1, at(2, "a")), recorded(2, at(2, "b")), recorded(3, at(1, "c"))];
    let first = create_all(port, batch()).await;
    assert_eq!(first[1], Ok(known.id));
    assert_eq!(create_all(port, batch()).await, first);
    let list = port.list(&CALL, &HistoryQuery::newest(known.app_name, 50)).await.unwrap();
    assert_eq!(diagnoses(&list.entries.whole()), ["c", "a", "known"]);
}

async fn a_key_that_comes_twice_in_a_batch_is_one_assessment(port: &dyn HistorySor) {
    let results =
        create_all(port, vec![recorded(1, at(3, "a")), recorded(2, at(2, "b")), recorded(1, at(1, "again"))]).await;
    assert_eq!(results[2], results[0]);
    assert_ne!(results[1], results[0]);
    let list = port.list(&CALL, &HistoryQuery::newest("shop".parse().unwrap(), 50)).await.unwrap();
    assert_eq!(diagnoses(&list.entries.whole()), ["b", "a"]);
}

async fn an_entry_that_is_refused_keeps_no_other_from_being_kept(port: &dyn HistorySor) {
    let batch = vec![recorded(1, at(2, "a")), recorded(2, at(-61, "later")), recorded(3, at(1, "c"))];
    let results = create_all(port, batch).await;
    assert!(
        matches!(&results[1], Err(PortError::Invalid(why)) if why.contains("60 seconds in the future")),
        "{results:?}"
    );
    let list = port.list(&CALL, &HistoryQuery::newest("shop".parse().unwrap(), 50)).await.unwrap();
    let entries = list.entries.whole();
    assert_eq!(diagnoses(&entries), ["c", "a"]);
    assert_eq!([results[2].clone(), results[0].clone()], [Ok(entries[0].id), Ok(entries[1].id)]);
    let results = create_all(port, vec![recorded(2, at(-61, "later"))]).await;
    assert!(matches!(results.as_slice(), [Err(PortError::Invalid(_))]), "{results:?}");
}

async fn keeps_a_batch_of_the_largest_entries(port: &dyn HistorySor) {
    let entry = NewAssessment {
        top_functions: Some(TopFunctions::try_from(json!(["x".repeat(65_000)])).unwrap()),
        recommendation: Some(Recommendation::fitting(&"\u{1}".repeat(60_000))),
        ..new("shop", &"d".repeat(255))
    };
    let results = create_all(port, (0..16).map(|key| recorded(key, entry.clone())).collect()).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let latest = port.latest(&CALL, &"shop".parse().unwrap()).await.unwrap().whole().unwrap();
    assert_eq!((latest.top_functions, latest.recommendation), (entry.top_functions, entry.recommendation));
}

suite! {
    keeps_the_largest_batch_in_its_order
    an_entry_of_a_batch_is_kept_as_it_would_be_alone
    the_same_batch_again_answers_the_same_rows
    a_key_that_comes_twice_in_a_batch_is_one_assessment
    an_entry_that_is_refused_keeps_no_other_from_being_kept
    keeps_a_batch_of_the_largest_entries
    answers_the_row_as_it_was_given
    a_bare_entry_is_stored_when_it_comes
    the_same_key_is_the_same_assessment
    lists_newest_first_within_the_window
    pages_join_to_the_whole_list_where_times_are_equal
    nobodys_history_is_empty
    refuses_what_lies_more_than_a_minute_ahead
    removes_once
}

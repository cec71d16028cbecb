//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;
use serde_json::json;

use super::{AuditEntry, AuditMethod, AuditQuery, AuditResult, AuditSor, NewAuditEntry, Verification, VerifyLimit};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, Clock, PortError, SystemClock};
use crate::sor::testing::{Fixture, suite};

pub(super) fn serve(port: Arc<dyn AuditSor>) -> Served {
    let port = web::Data::from(port);
    let clock = web::Data::from(Arc::new(SystemClock) as Arc<dyn Clock>);
    Served::with(move |app| {
        app.app_data(port.clone()).app_data(clock.clone()).configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<dyn AuditSor> {
    Fixture::local(super::local).await
}

async fn http() -> Fixture<dyn AuditSor> {
    postgres().await.over_http(serve, super::remote)
}

pub(super) fn entry(user: &str, action: &str) -> NewAuditEntry {
    NewAuditEntry {
        user_id: user.parse().unwrap(),
        access_method: AuditMethod::Token,
        action: action.parse().unwrap(),
        resource_type: "route".parse().unwrap(),
        resource_id: Some("PUT /baselines/{key}".parse().unwrap()),
        result: AuditResult::Denied,
        times: 1,
        client_ip: Some("2001:db8::7".parse().unwrap()),
        user_agent: Some("curl/8.5".parse().unwrap()),
        request_id: Some("r-1".parse().unwrap()),
        metadata: Some(json!({"reason": "forbidden"}).try_into().unwrap()),
    }
}

pub(super) async fn all(port: &dyn AuditSor) -> Vec<AuditEntry> {
    port.page(&CALL, &AuditQuery::newest(1_000)).await.unwrap().entries
}

async fn answers_an_entry_as_it_was_given(port: &dyn AuditSor) {
    let before = SystemClock.now();
    let odd = NewAuditEntry { times: i32::MAX, client_ip: None, ..entry("gateway:größe\n🔥 \"x\"", "a%2F\t?#") };
    port.append(&CALL, vec![entry("token:ci", "request.denied"), odd.clone()]).await.unwrap();
    let rows = all(port).await;
    let expected = AuditEntry {
        id: rows[1].id,
        at: rows[1].at,
        user_id: Some("token:ci".to_owned()),
        action: "request.denied".to_owned(),
        resource_type: "route".to_owned(),
        resource_id: Some("PUT /baselines/{key}".to_owned()),
        app_name: None,
        project_id: None,
        result: AuditResult::Denied,
        access_method: AuditMethod::Token,
        times: 1,
        client_ip: Some("2001:db8::7".parse().unwrap()),
        user_agent: Some("curl/8.5".to_owned()),
        request_id: Some("r-1".to_owned()),
        before: None,
        after: None,
        metadata: Some(json!({"reason": "forbidden"})),
    };
    assert_eq!(rows[1], expected);
    assert!(rows[0].id > rows[1].id && rows[1].at >= before && rows[0].at >= rows[1].at, "newest first: {rows:?}");
    assert_eq!((rows[0].user_id.as_deref(), rows[0].action.as_str()), (Some("gateway:größe\n🔥 \"x\""), "a%2F\t?#"));
    assert_eq!((rows[0].times, rows[0].client_ip, rows.len()), (i32::MAX, None, 2));
}

async fn appends_all_or_none(port: &dyn AuditSor) {
    let never = NewAuditEntry { times: 0, ..entry("token:ci", "b") };
    let refused = port.append(&CALL, vec![entry("token:ci", "a"), never]).await;
    assert!(matches!(refused, Err(PortError::Invalid(_))), "{refused:?}");
    assert_eq!(all(port).await, []);
}

async fn narrows_by_each_member(port: &dyn AuditSor) {
    let failed = NewAuditEntry { result: AuditResult::Error, resource_id: None, ..entry("token:ana", "one") };
    let other = NewAuditEntry { resource_type: "job".parse().unwrap(), ..entry("token:bob", "two") };
    port.append(&CALL, vec![entry("token:ana", "two"), failed, other]).await.unwrap();
    let newest = all(port).await[0].at;
    let query = || AuditQuery::newest(10);
    for (query, users) in [
        (query(), 3),
        (AuditQuery { user: Some("token:ana".parse().unwrap()), ..query() }, 2),
        (AuditQuery { user: Some("token:nobody".parse().unwrap()), ..query() }, 0),
        (AuditQuery { action: Some("two".parse().unwrap()), ..query() }, 2),
        (AuditQuery { resource_type: Some("job".parse().unwrap()), ..query() }, 1),
        (AuditQuery { resource_id: Some("PUT /baselines/{key}".parse().unwrap()), ..query() }, 2),
        (AuditQuery { result: Some(AuditResult::Error), ..query() }, 1),
        (AuditQuery { app: Some("shop".parse().unwrap()), ..query() }, 0),
        (AuditQuery { projects: Some(vec!["shop".parse().unwrap(), "cart".parse().unwrap()]), ..query() }, 0),
        (AuditQuery { projects: Some(vec![]), ..query() }, 0),
        (AuditQuery { from: Some(newest - chrono::TimeDelta::minutes(1)), ..query() }, 3),
        (AuditQuery { to: Some(newest - chrono::TimeDelta::minutes(1)), ..query() }, 0),
        (AuditQuery { from: Some(newest + chrono::TimeDelta::minutes(1)), ..query() }, 0),
    ] {
        assert_eq!(port.page(&CALL, &query).await.unwrap().entries.len(), users, "{query:?}");
    }
}

async fn pages_join_to_the_whole_log(port: &dyn AuditSor) {
    let entries = (0..7).map(|n| entry("token:ci", &format!("a{n}"))).collect();
    port.append(&CALL, entries).await.unwrap();
    let (mut query, mut joined, mut sizes) = (AuditQuery::newest(3), Vec::new(), Vec::new());
    loop {
        let page = port.page(&CALL, &query).await.unwrap();
        sizes.push(page.entries.len());
        joined.extend(page.entries);
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(joined, all(port).await);
}

async fn what_is_not_chained_yet_is_counted(port: &dyn AuditSor) {
    let nothing =
        Verification { ok: true, checked_rows: 0, first_broken_id: None, unchained: 0, head: None, next_seq: None };
    assert_eq!(port.verify(&CALL, None, VerifyLimit::default()).await, Ok(nothing.clone()));
    port.append(&CALL, vec![entry("token:ci", "a"), entry("token:ci", "b")]).await.unwrap();
    let expected = Verification { unchained: 2, ..nothing };
    assert_eq!(port.verify(&CALL, Some(7), VerifyLimit::default()).await, Ok(expected));
}

suite! {
    answers_an_entry_as_it_was_given
    appends_all_or_none
    narrows_by_each_member
    pages_join_to_the_whole_log
    what_is_not_chained_yet_is_counted
}

#[actix_web::test]
async fn a_failing_port_keeps_its_meaning_over_http() {
    for (error, told) in [
        (PortError::Unavailable("db:5432".into()), PortError::Unavailable(String::new())),
        (PortError::Timeout("30 s".into()), PortError::Timeout("the database did not answer in time".into())),
        (
            PortError::Overloaded { detail: "pool".into(), retry_after_s: 3 },
            PortError::Overloaded { detail: "no database connection was free in time".into(), retry_after_s: 3 },
        ),
        (PortError::Invalid("no".into()), PortError::Invalid("no".into())),
    ] {
        let mut port = super::MockAuditSor::new();
        let answer = error.clone();
        port.expect_append().returning(move |_, _| Err(answer.clone()));
        let served = serve(Arc::new(port));
        let result = super::remote(served.client()).append(&CALL, vec![entry("token:ci", "a")]).await.unwrap_err();
        match told {
            PortError::Unavailable(_) => {
                assert!(matches!(&result, PortError::Unavailable(text) if !text.contains("5432")), "{result:?}");
            }
            told => assert_eq!(result, told),
        }
    }
}

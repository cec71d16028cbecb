//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;
use serde_json::{Value, json};

use super::{Metadata, NewService, PyroscopeLabels, RegistrySor, Service, ServiceChange, ServiceQuery};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{AppName, CALL, Change, PortError, Tier};
use crate::sor::testing::{Fixture, Whole, suite};

pub(super) fn serve(port: Arc<dyn RegistrySor>) -> Served {
    let port = web::Data::from(port);
    Served::with(move |app| {
        app.app_data(port.clone()).configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<dyn RegistrySor> {
    Fixture::local(super::local).await
}

async fn http() -> Fixture<dyn RegistrySor> {
    postgres().await.over_http(serve, super::remote)
}

pub(super) fn bare(app: &str) -> NewService {
    NewService {
        app_name: app.parse().unwrap(),
        team_owner: None,
        tier: None,
        environment: None,
        notification_channel: None,
        pyroscope_labels: None,
        metadata: None,
    }
}

fn labels(value: Value) -> PyroscopeLabels {
    value.try_into().unwrap()
}

fn object(value: Value) -> Metadata {
    value.try_into().unwrap()
}

fn whole(app: &str) -> NewService {
    NewService {
        app_name: app.parse().unwrap(),
        team_owner: Some("größe & \"söhne\"".parse().unwrap()),
        tier: Some("t".repeat(20).parse().unwrap()),
        environment: Some("e".repeat(255).parse().unwrap()),
        notification_channel: Some("#on call".parse().unwrap()),
        pyroscope_labels: Some(labels(json!({"env": "prod \"1\"", "a.b": ""}))),
        metadata: Some(object(
            json!({"z": [0.1 + 0.2, u64::MAX, null], "a": {"ü": "\n"}, "pyroscopeTenant": "team-a"}),
        )),
    }
}

fn apps(rows: &[Service]) -> Vec<&str> {
    rows.iter().map(|row| row.app_name.as_str()).collect()
}

async fn answers_the_row_as_it_was_given(port: &dyn RegistrySor) {
    let given = whole("größe/🔥 {x}%2F\t?#");
    let row = port.register(&CALL, given.clone()).await.unwrap().whole();
    let expected = Service {
        id: row.id,
        app_name: given.app_name.clone(),
        team_owner: given.team_owner,
        tier: given.tier.unwrap(),
        environment: given.environment,
        notification_channel: given.notification_channel,
        pyroscope_labels: given.pyroscope_labels,
        metadata: given.metadata,
        created_at: row.created_at,
        updated_at: row.created_at,
    };
    assert_eq!(row, expected);
    assert_eq!(port.get(&CALL, &given.app_name).await.unwrap().whole(), Some(row.clone()));
    assert_eq!(port.list(&CALL).await.unwrap(), [row]);
}

async fn a_bare_service_is_standard(port: &dyn RegistrySor) {
    let row = port.register(&CALL, bare("shop")).await.unwrap().whole();
    assert_eq!((row.tier, row.team_owner, row.pyroscope_labels), (Tier::standard(), None, None));
}

async fn the_same_app_again_keeps_what_is_not_sent(port: &dyn RegistrySor) {
    let first = port.register(&CALL, whole("shop")).await.unwrap().whole();
    let again = port.register(&CALL, bare("shop")).await.unwrap().whole();
    assert_eq!(again, Service { updated_at: again.updated_at, ..first.clone() });
    assert!(again.updated_at > first.updated_at);
    let whole = port.register(&CALL, whole("shop")).await.unwrap().whole();
    assert_eq!(whole, Service { updated_at: whole.updated_at, ..first.clone() });
    let owned = NewService { team_owner: Some("bob".parse().unwrap()), ..bare("shop") };
    let owned = port.register(&CALL, owned).await.unwrap().whole();
    let expected = Service { team_owner: Some("bob".parse().unwrap()), updated_at: owned.updated_at, ..first };
    assert_eq!(owned, expected);
}

async fn lists_by_app_in_byte_order_and_by_tier(port: &dyn RegistrySor) {
    for app in ["b", "ä", "B", "a"] {
        port.register(&CALL, bare(app)).await.unwrap().whole();
    }
    let critical = NewService { tier: Some("critical".parse().unwrap()), ..bare("c") };
    port.register(&CALL, critical).await.unwrap().whole();
    assert_eq!(apps(&port.list(&CALL).await.unwrap()), ["B", "a", "b", "c", "ä"]);
    let of_tier = |tier: &str| ServiceQuery { tier: Some(tier.parse().unwrap()), limit: 9, after: None };
    assert_eq!(apps(&port.page(&CALL, &of_tier("critical")).await.unwrap().entries.whole()), ["c"]);
    assert_eq!(apps(&port.page(&CALL, &of_tier("Critical")).await.unwrap().entries.whole()), [""; 0]);
}

async fn pages_join_to_the_whole_list(port: &dyn RegistrySor) {
    for n in 0..7 {
        port.register(&CALL, bare(&format!("app {n}"))).await.unwrap().whole();
    }
    let mut query = ServiceQuery { tier: None, limit: 3, after: None };
    let (mut joined, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = port.page(&CALL, &query).await.unwrap();
        sizes.push(page.entries.len());
        joined.extend(page.entries.whole());
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(joined, port.list(&CALL).await.unwrap());
}

async fn changes_what_is_given_clears_what_is_cleared_and_keeps_the_rest(port: &dyn RegistrySor) {
    let row = port.register(&CALL, whole("shop")).await.unwrap().whole();
    let change = ServiceChange {
        team_owner: Change::Set("bob".parse().unwrap()),
        environment: Change::Clear,
        pyroscope_labels: Change::Clear,
        ..ServiceChange::default()
    };
    let changed = port.change(&CALL, &row.app_name, change).await.unwrap().whole().unwrap();
    let expected = Service {
        team_owner: Some("bob".parse().unwrap()),
        environment: None,
        pyroscope_labels: None,
        updated_at: changed.updated_at,
        ..row.clone()
    };
    assert_eq!(changed, expected);
    let change = ServiceChange {
        team_owner: Change::Clear,
        tier: Some("low".parse().unwrap()),
        notification_channel: Change::Clear,
        pyroscope_labels: Change::Set(labels(json!({}))),
        metadata: Change::Set(object(json!({}))),
        ..ServiceChange::default()
    };
    let changed = port.change(&CALL, &row.app_name, change).await.unwrap().whole().unwrap();
    let expected = Service {
        id: row.id,
        app_name: row.app_name.clone(),
        team_owner: None,
        tier: "low".parse().unwrap(),
        environment: None,
        notification_channel: None,
        pyroscope_labels: None,
        metadata: None,
        created_at: row.created_at,
        updated_at: changed.updated_at,
    };
    assert_eq!(changed, expected);
    let change = ServiceChange { team_owner: Change::Clear, ..ServiceChange::default() };
    assert_eq!(port.change(&CALL, &"nobody".parse().unwrap(), change).await.unwrap().whole(), None);
}

async fn removes_once(port: &dyn RegistrySor) {
    let app: AppName = "shop".parse().unwrap();
    port.register(&CALL, bare("shop")).await.unwrap().whole();
    assert_eq!(port.remove(&CALL, &app).await, Ok(true));
    assert_eq!(port.remove(&CALL, &app).await, Ok(false));
    assert_eq!(port.get(&CALL, &app).await, Ok(None));
}

suite! {
    answers_the_row_as_it_was_given
    a_bare_service_is_standard
    the_same_app_again_keeps_what_is_not_sent
    lists_by_app_in_byte_order_and_by_tier
    pages_join_to_the_whole_list
    changes_what_is_given_clears_what_is_cleared_and_keeps_the_rest
    removes_once
}

#[actix_web::test]
async fn a_failing_port_keeps_its_meaning_over_http() {
    let mut port = super::MockRegistrySor::new();
    port.expect_get().returning(|_, _| Err(PortError::Unavailable("db:5432".into())));
    port.expect_page().returning(|_, _| Err(PortError::Conflict("frozen".into())));
    let served = serve(Arc::new(port));
    let remote = super::remote(served.client());
    let away = remote.get(&CALL, &"shop".parse().unwrap()).await.unwrap_err();
    assert!(matches!(&away, PortError::Unavailable(text) if !text.contains("5432")), "{away:?}");
    assert_eq!(remote.list(&CALL).await, Err(PortError::Conflict("frozen".into())));
}

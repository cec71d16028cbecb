//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;

use super::{AlertRule, AlertRuleSor, FunctionPattern, NewRule, RuleChange, RuleQuery, Which};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{AppName, CALL, Change, LimitSeverity, Percent, PortError, ProfileType, RowId};
use crate::sor::testing::{Fixture, Whole, suite};

pub(super) fn serve(port: Arc<dyn AlertRuleSor>) -> Served {
    let port = web::Data::from(port);
    Served::with(move |app| {
        app.app_data(port.clone()).configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<dyn AlertRuleSor> {
    Fixture::local(super::local).await
}

async fn http() -> Fixture<dyn AlertRuleSor> {
    postgres().await.over_http(serve, super::remote)
}

fn pattern(text: &str) -> FunctionPattern {
    text.to_owned().try_into().unwrap()
}

fn bare(app: &str) -> NewRule {
    NewRule {
        app_name: app.parse().unwrap(),
        profile_type: ProfileType::Cpu,
        threshold_percent: Percent::new(20.0).unwrap(),
        function_pattern: None,
        severity: LimitSeverity::Warning,
        notification_channel: None,
        enabled: true,
        created_by: None,
    }
}

fn whole(app: &str) -> NewRule {
    NewRule {
        profile_type: ProfileType::Goroutine,
        threshold_percent: Percent::new(0.1 + 0.2).unwrap(),
        function_pattern: Some(pattern(&format!("größe\\\"'$1 {}", "x".repeat(1_000)))),
        severity: LimitSeverity::Critical,
        notification_channel: Some("c".repeat(255).parse().unwrap()),
        enabled: false,
        created_by: Some("ana".parse().unwrap()),
        ..bare(app)
    }
}

async fn create(port: &dyn AlertRuleSor, app: &str, enabled: bool) -> AlertRule {
    port.create(&CALL, NewRule { enabled, ..bare(app) }).await.unwrap()
}

async fn listed(port: &dyn AlertRuleSor, which: Which) -> Vec<AlertRule> {
    let page = port.page(&CALL, &RuleQuery { which, limit: 10_000, after: None }).await.unwrap();
    assert_eq!(page.next, None);
    page.entries.whole()
}

async fn answers_the_row_as_it_was_given(port: &dyn AlertRuleSor) {
    for given in [whole("größe/🔥 {x}%2F\t?#"), bare("shop")] {
        let row = port.create(&CALL, given.clone()).await.unwrap();
        let expected = AlertRule {
            id: row.id,
            app_name: given.app_name,
            profile_type: given.profile_type,
            threshold_percent: given.threshold_percent,
            function_pattern: given.function_pattern,
            severity: given.severity,
            notification_channel: given.notification_channel,
            enabled: given.enabled,
            created_by: given.created_by,
            created_at: row.created_at,
            updated_at: row.created_at,
        };
        assert_eq!(row, expected);
        assert_eq!(port.get(&CALL, row.id).await.unwrap().whole(), Some(row.clone()));
        assert_eq!(listed(port, Which::Of(row.app_name.clone())).await, [row]);
    }
}

async fn the_same_again_is_another_rule(port: &dyn AlertRuleSor) {
    let (one, other) = (create(port, "shop", true).await, create(port, "shop", true).await);
    assert_ne!(one.id, other.id);
    assert_eq!(port.get(&CALL, RowId::new(i32::MAX.into()).unwrap()).await, Ok(None));
}

async fn lists_by_app_newest_first(port: &dyn AlertRuleSor) {
    let mut made = Vec::new();
    for (app, enabled) in [("b", true), ("a", false), ("B", true), ("a", true), ("a", true)] {
        made.push(create(port, app, enabled).await);
    }
    let ids = |rows: &[AlertRule]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let of = |picked: &[usize]| picked.iter().map(|n| made[*n].id).collect::<Vec<_>>();
    let app: AppName = "a".parse().unwrap();
    assert_eq!(ids(&listed(port, Which::All).await), of(&[2, 4, 3, 1, 0]));
    assert_eq!(ids(&listed(port, Which::Of(app.clone())).await), of(&[4, 3, 1]));
    assert_eq!(ids(&listed(port, Which::Active(app.clone())).await), of(&[4, 3]));
    assert_eq!(ids(&port.active(&CALL, &app).await.unwrap()), of(&[4, 3]));
    let nobody: AppName = "nobody".parse().unwrap();
    assert_eq!(
        (listed(port, Which::Of(nobody.clone())).await, port.active(&CALL, &nobody).await),
        (vec![], Ok(vec![]))
    );
}

async fn pages_join_to_the_whole_list(port: &dyn AlertRuleSor) {
    for n in 0..7 {
        create(port, ["a", "b", "a/b c"][n % 3], n % 4 != 0).await;
    }
    for which in [Which::All, Which::Of("a".parse().unwrap()), Which::Active("a/b c".parse().unwrap())] {
        let mut query = RuleQuery { which: which.clone(), limit: 2, after: None };
        let mut joined = Vec::new();
        loop {
            let page = port.page(&CALL, &query).await.unwrap();
            assert!(page.entries.len() <= 2);
            joined.extend(page.entries.whole());
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(joined, listed(port, which).await);
    }
}

async fn changes_what_is_given_clears_what_is_cleared_and_keeps_the_rest(port: &dyn AlertRuleSor) {
    let row = port.create(&CALL, whole("shop")).await.unwrap();
    let change = RuleChange { function_pattern: Change::Clear, enabled: Some(true), ..RuleChange::default() };
    let changed = port.change(&CALL, row.id, change.clone()).await.unwrap().whole().unwrap();
    let expected = AlertRule { function_pattern: None, enabled: true, updated_at: changed.updated_at, ..row.clone() };
    assert_eq!(changed, expected);
    assert!(changed.updated_at > row.updated_at);
    let other = RuleChange {
        threshold_percent: Some(Percent::new(0.0).unwrap()),
        function_pattern: Change::Set(pattern("^a")),
        severity: Some(LimitSeverity::Info),
        notification_channel: Change::Clear,
        ..RuleChange::default()
    };
    let changed = port.change(&CALL, row.id, other).await.unwrap().whole().unwrap();
    let expected = AlertRule {
        threshold_percent: Percent::new(0.0).unwrap(),
        function_pattern: Some(pattern("^a")),
        severity: LimitSeverity::Info,
        notification_channel: None,
        enabled: true,
        updated_at: changed.updated_at,
        ..row
    };
    assert_eq!(changed, expected);
    assert_eq!(port.change(&CALL, RowId::new(i32::MAX.into()).unwrap(), change).await, Ok(None));
}

async fn removes_once(port: &dyn AlertRuleSor) {
    let row = create(port, "shop", true).await;
    assert_eq!(port.remove(&CALL, row.id).await, Ok(true));
    assert_eq!(port.remove(&CALL, row.id).await, Ok(false));
    assert_eq!(port.get(&CALL, row.id).await, Ok(None));
}

suite! {
    answers_the_row_as_it_was_given
    the_same_again_is_another_rule
    lists_by_app_newest_first
    pages_join_to_the_whole_list
    changes_what_is_given_clears_what_is_cleared_and_keeps_the_rest
    removes_once
}

#[actix_web::test]
async fn a_failing_port_keeps_its_meaning_over_http() {
    let mut port = super::MockAlertRuleSor::new();
    port.expect_create().times(1).returning(|_, _| Err(PortError::Unavailable("db:5432".into())));
    port.expect_page().returning(|_, _| Err(PortError::Conflict("frozen".into())));
    let served = serve(Arc::new(port));
    let remote = super::remote(served.client());
    // What may have been kept is not sent twice.
    let away = remote.create(&CALL, bare("shop")).await.unwrap_err();
    assert!(matches!(&away, PortError::Unavailable(text) if !text.contains("5432")), "{away:?}");
    assert_eq!(remote.active(&CALL, &"shop".parse().unwrap()).await, Err(PortError::Conflict("frozen".into())));
}

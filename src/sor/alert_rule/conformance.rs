//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;

use super::{
    AlertRule, AlertRuleSor, FunctionPattern, Lasting, Measure, Measured, NewRule, RuleCategory, RuleChange, RuleQuery,
    RuleWindow, RunbookUrl, Scope, ServiceFilter, Timing, Which,
};
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
        scope: Scope::new(app.parse().unwrap(), None).unwrap(),
        profile_type: ProfileType::Cpu,
        threshold_percent: Percent::new(20.0).unwrap(),
        measured: Measured::default(),
        timing: Timing::default(),
        severity: LimitSeverity::Warning,
        notification_channel: None,
        runbook_url: None,
        enabled: true,
        created_by: None,
    }
}

/// A rule for a category, for every app of some services.
fn everywhere() -> NewRule {
    let services = ServiceFilter {
        tier: Some("critical".parse().unwrap()),
        team_owner: Some("größe\"{}".parse().unwrap()),
        environment: Some("e".repeat(255).parse().unwrap()),
    };
    NewRule {
        scope: Scope::new("*".parse().unwrap(), Some(services)).unwrap(),
        measured: Measured::new(None, None, Some("gc_pressure".parse().unwrap())).unwrap(),
        ..bare("*")
    }
}

fn whole(app: &str) -> NewRule {
    NewRule {
        profile_type: ProfileType::Goroutine,
        threshold_percent: Percent::new(0.1 + 0.2).unwrap(),
        measured: Measured::new(
            Some(pattern(&format!("größe\\\"'$1 {}", "x".repeat(1_000)))),
            Some(Measure::Total),
            None,
        )
        .unwrap(),
        timing: Timing {
            window: Some(RuleWindow::try_from(3_600).unwrap()),
            hold: Some(Lasting::try_from(0).unwrap()),
            keep_firing: Some(Lasting::try_from(86_400).unwrap()),
        },
        runbook_url: Some(RunbookUrl::try_from(format!("https://{}", "r".repeat(247))).unwrap()),
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
    for given in [whole("größe/🔥 {x}%2F\t?#"), bare("shop"), everywhere()] {
        let row = port.create(&CALL, given.clone()).await.unwrap();
        let expected = AlertRule {
            id: row.id,
            scope: given.scope,
            profile_type: given.profile_type,
            threshold_percent: given.threshold_percent,
            measured: given.measured,
            timing: given.timing,
            severity: given.severity,
            notification_channel: given.notification_channel,
            runbook_url: given.runbook_url,
            enabled: given.enabled,
            created_by: given.created_by,
            created_at: row.created_at,
            updated_at: row.created_at,
        };
        assert_eq!(row, expected);
        assert_eq!(port.get(&CALL, row.id).await.unwrap().whole(), Some(row.clone()));
        assert_eq!(listed(port, Which::Of(row.scope.app_name().clone())).await, [row]);
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
    let change = RuleChange {
        function_pattern: Change::Clear,
        measure: Change::Clear,
        keep_firing: Change::Clear,
        enabled: Some(true),
        ..RuleChange::default()
    };
    let changed = port.change(&CALL, row.id, change.clone()).await.unwrap().whole().unwrap();
    let expected = AlertRule {
        measured: Measured::default(),
        timing: Timing { keep_firing: None, ..row.timing },
        enabled: true,
        updated_at: changed.updated_at,
        ..row.clone()
    };
    assert_eq!(changed, expected);
    assert!(changed.updated_at > row.updated_at);
    let other = RuleChange {
        threshold_percent: Some(Percent::new(0.0).unwrap()),
        function_pattern: Change::Set(pattern("^a")),
        measure: Change::Set(Measure::Sum),
        severity: Some(LimitSeverity::Info),
        notification_channel: Change::Clear,
        window: Change::Set(RuleWindow::try_from(900).unwrap()),
        hold: Change::Set(Lasting::try_from(7).unwrap()),
        keep_firing: Change::Set(Lasting::try_from(8).unwrap()),
        runbook_url: Change::Clear,
        ..RuleChange::default()
    };
    let changed = port.change(&CALL, row.id, other).await.unwrap().whole().unwrap();
    let expected = AlertRule {
        threshold_percent: Percent::new(0.0).unwrap(),
        measured: Measured::new(Some(pattern("^a")), Some(Measure::Sum), None).unwrap(),
        timing: Timing {
            window: Some(RuleWindow::try_from(900).unwrap()),
            hold: Some(Lasting::try_from(7).unwrap()),
            keep_firing: Some(Lasting::try_from(8).unwrap()),
        },
        severity: LimitSeverity::Info,
        notification_channel: None,
        runbook_url: None,
        enabled: true,
        updated_at: changed.updated_at,
        ..row
    };
    assert_eq!(changed, expected);
    assert_eq!(port.change(&CALL, RowId::new(i32::MAX.into()).unwrap(), change).await, Ok(None));
}

async fn changes_a_rule_of_functions_to_one_of_a_category_and_of_every_app_to_some_services(port: &dyn AlertRuleSor) {
    let category: RuleCategory = "regex".parse().unwrap();
    let row = port.create(&CALL, NewRule { scope: everywhere().scope, ..whole("*") }).await.unwrap();
    let services = ServiceFilter { tier: Some("standard".parse().unwrap()), ..ServiceFilter::default() };
    let change = RuleChange {
        function_pattern: Change::Clear,
        measure: Change::Clear,
        category: Change::Set(category),
        services: Change::Set(services.clone()),
        ..RuleChange::default()
    };
    let changed = port.change(&CALL, row.id, change).await.unwrap().whole().unwrap();
    let expected = AlertRule {
        scope: Scope::new("*".parse().unwrap(), Some(services)).unwrap(),
        measured: Measured::new(None, None, Some(category)).unwrap(),
        updated_at: changed.updated_at,
        ..row
    };
    assert_eq!(changed, expected);
    let any = RuleChange { services: Change::Clear, category: Change::Clear, ..RuleChange::default() };
    let changed = port.change(&CALL, expected.id, any).await.unwrap().whole().unwrap();
    assert_eq!((changed.scope.services(), changed.measured), (None, Measured::default()));
}

async fn a_change_after_which_members_do_not_go_together_is_refused_and_changes_nothing(port: &dyn AlertRuleSor) {
    let row = port.create(&CALL, whole("shop")).await.unwrap();
    let category = Change::Set("regex".parse().unwrap());
    let refused = [
        (RuleChange { category, ..RuleChange::default() }, "/category: is measured over all functions"),
        (RuleChange { function_pattern: Change::Clear, ..RuleChange::default() }, "/measure: sum and total"),
        (RuleChange { services: Change::Set(ServiceFilter::default()), ..RuleChange::default() }, "/services: narrows"),
    ];
    for (change, says) in refused {
        let error = port.change(&CALL, row.id, change).await.unwrap_err();
        assert!(matches!(&error, PortError::Invalid(text) if text.starts_with(says)), "{error:?}");
    }
    assert_eq!(port.get(&CALL, row.id).await.unwrap().whole(), Some(row));
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
    changes_a_rule_of_functions_to_one_of_a_category_and_of_every_app_to_some_services
    a_change_after_which_members_do_not_go_together_is_refused_and_changes_nothing
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

//! One suite for every adapter of the port: PostgreSQL, and the HTTP adapter over a live server.

use std::sync::Arc;

use actix_web::web;

use super::{Baseline, BaselineChange, BaselineQuery, BaselineSor, NewBaseline};
use crate::http::Routes;
use crate::http::testing::Served;
use crate::kernel::{CALL, LimitSeverity, Percent, PortError, ProfileType, RowId};
use crate::sor::testing::{Fixture, Whole, suite};

pub(super) fn serve(port: Arc<dyn BaselineSor>) -> Served {
    let port = web::Data::from(port);
    Served::with(move |app| {
        app.app_data(port.clone()).configure(Routes::serve(super::routes));
    })
}

async fn postgres() -> Fixture<dyn BaselineSor> {
    Fixture::local(super::local).await
}

async fn http() -> Fixture<dyn BaselineSor> {
    postgres().await.over_http(serve, super::remote)
}

fn new(app: &str, kind: ProfileType, function: &str, percent: f64) -> NewBaseline {
    NewBaseline {
        app_name: app.parse().unwrap(),
        profile_type: kind,
        function_name: function.parse().unwrap(),
        max_self_percent: Percent::new(percent).unwrap(),
        severity: LimitSeverity::Warning,
        created_by: Some("ana".parse().unwrap()),
    }
}

fn names(rows: &[Baseline]) -> Vec<(&str, &str)> {
    rows.iter().map(|row| (row.profile_type.as_str(), row.function_name.as_str())).collect()
}

async fn answers_the_row_as_it_was_given(port: &dyn BaselineSor) {
    let app = "größe/🔥 {x}%2F\t?#";
    let given = new(app, ProfileType::Exception, "a\nb \"ü\" \\ + & $1", 0.1 + 0.2);
    let row = port.set(&CALL, given.clone()).await.unwrap().whole();
    assert_eq!(
        (&row.app_name, row.profile_type, &row.function_name),
        (&given.app_name, given.profile_type, &given.function_name)
    );
    assert_eq!(row.max_self_percent.get().to_bits(), (0.1_f64 + 0.2).to_bits());
    assert_eq!((row.severity, &row.created_by), (given.severity, &given.created_by));
    assert_eq!(row.created_at, row.updated_at);
    assert_eq!(port.list(&CALL, &given.app_name, None).await.unwrap(), [row]);
}

async fn keeps_the_longest_names(port: &dyn BaselineSor) {
    let (app, function) = ("ä".repeat(256), "ß".repeat(1_000));
    let row = port.set(&CALL, new(&app, ProfileType::Cpu, &function, 100.0)).await.unwrap().whole();
    assert_eq!(port.list(&CALL, &row.app_name, Some(ProfileType::Cpu)).await.unwrap(), [row]);
}

async fn the_same_key_updates_threshold_and_severity(port: &dyn BaselineSor) {
    let first = port.set(&CALL, new("shop", ProfileType::Cpu, "f", 5.0)).await.unwrap().whole();
    let again = NewBaseline {
        severity: LimitSeverity::Critical,
        created_by: Some("bob".parse().unwrap()),
        ..new("shop", ProfileType::Cpu, "f", 7.5)
    };
    let second = port.set(&CALL, again).await.unwrap().whole();
    let expected = Baseline {
        max_self_percent: Percent::new(7.5).unwrap(),
        severity: LimitSeverity::Critical,
        updated_at: second.updated_at,
        ..first.clone()
    };
    assert_eq!(second, expected);
    assert!(second.updated_at > first.updated_at);
}

async fn lists_by_type_and_function_in_byte_order(port: &dyn BaselineSor) {
    for (kind, function) in [
        (ProfileType::Wall, "a"),
        (ProfileType::Cpu, "b"),
        (ProfileType::Cpu, "B"),
        (ProfileType::Cpu, "ä"),
        (ProfileType::Alloc, "z"),
    ] {
        port.set(&CALL, new("shop", kind, function, 1.0)).await.unwrap().whole();
    }
    port.set(&CALL, new("other", ProfileType::Cpu, "b", 1.0)).await.unwrap().whole();
    let shop = "shop".parse().unwrap();
    let all = port.list(&CALL, &shop, None).await.unwrap();
    assert_eq!(names(&all), [("alloc", "z"), ("cpu", "B"), ("cpu", "b"), ("cpu", "ä"), ("wall", "a")]);
    let cpu = port.list(&CALL, &shop, Some(ProfileType::Cpu)).await.unwrap();
    assert_eq!(names(&cpu), [("cpu", "B"), ("cpu", "b"), ("cpu", "ä")]);
    assert_eq!(port.list(&CALL, &"nobody".parse().unwrap(), None).await.unwrap(), []);
}

async fn pages_join_to_the_whole_list(port: &dyn BaselineSor) {
    for n in 0..7 {
        let kind = if n % 2 == 0 { ProfileType::Cpu } else { ProfileType::Alloc };
        port.set(&CALL, new("shop", kind, &format!("f{n}"), 1.0)).await.unwrap().whole();
    }
    let app: crate::kernel::AppName = "shop".parse().unwrap();
    let mut query = BaselineQuery { limit: 3, ..BaselineQuery::of(Some(app.clone()), None) };
    let mut joined = Vec::new();
    let mut sizes = Vec::new();
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
    assert_eq!(joined, port.list(&CALL, &app, None).await.unwrap());
}

async fn lists_all_apps_page_by_page_in_byte_order(port: &dyn BaselineSor) {
    for (app, kind, function) in [
        ("shop", ProfileType::Cpu, "f"),
        ("Shop", ProfileType::Wall, "f"),
        ("shop", ProfileType::Alloc, "g"),
        ("shop", ProfileType::Alloc, "G"),
        ("größe/🔥 {x}", ProfileType::Cpu, "f"),
    ] {
        port.set(&CALL, new(app, kind, function, 1.0)).await.unwrap().whole();
    }
    let all = port.all(&CALL).await.unwrap();
    let of = |row: &Baseline| format!("{} {} {}", row.app_name, row.profile_type, row.function_name);
    let names: Vec<_> = all.iter().map(of).collect();
    assert_eq!(names, ["Shop wall f", "größe/🔥 {x} cpu f", "shop alloc G", "shop alloc g", "shop cpu f"]);
    let mut query = BaselineQuery { limit: 2, ..BaselineQuery::of(None, Some(ProfileType::Cpu)) };
    let page = port.page(&CALL, &query).await.unwrap();
    assert_eq!(
        (page.entries.whole().iter().map(of).collect::<Vec<_>>(), page.next),
        (vec![names[1].clone(), names[4].clone()], None)
    );
    (query.profile_type, query.limit) = (None, 3);
    query.after = port.page(&CALL, &query).await.unwrap().next;
    let rest = port.page(&CALL, &query).await.unwrap();
    assert_eq!(rest.entries.whole().iter().map(of).collect::<Vec<_>>(), names[3..]);
}

async fn changes_what_is_given_and_keeps_the_rest(port: &dyn BaselineSor) {
    let row = port.set(&CALL, new("shop", ProfileType::Cpu, "f", 5.0)).await.unwrap().whole();
    let severity = BaselineChange { severity: Some(LimitSeverity::Info), ..BaselineChange::default() };
    let changed = port.change(&CALL, row.id, severity).await.unwrap().whole().unwrap();
    let expected = Baseline { severity: LimitSeverity::Info, updated_at: changed.updated_at, ..row.clone() };
    assert_eq!(changed, expected);
    let percent = BaselineChange { max_self_percent: Some(Percent::new(0.0).unwrap()), ..BaselineChange::default() };
    let changed = port.change(&CALL, row.id, percent.clone()).await.unwrap().whole().unwrap();
    assert_eq!((changed.max_self_percent.get(), changed.severity), (0.0, LimitSeverity::Info));
    assert_eq!(port.change(&CALL, RowId::new(i32::MAX.into()).unwrap(), percent).await.unwrap().whole(), None);
}

async fn removes_once(port: &dyn BaselineSor) {
    let row = port.set(&CALL, new("shop", ProfileType::Cpu, "f", 5.0)).await.unwrap().whole();
    assert_eq!(port.remove(&CALL, row.id).await, Ok(true));
    assert_eq!(port.remove(&CALL, row.id).await, Ok(false));
    assert_eq!(port.list(&CALL, &row.app_name, None).await.unwrap(), []);
}

suite! {
    answers_the_row_as_it_was_given
    keeps_the_longest_names
    the_same_key_updates_threshold_and_severity
    lists_by_type_and_function_in_byte_order
    pages_join_to_the_whole_list
    lists_all_apps_page_by_page_in_byte_order
    changes_what_is_given_and_keeps_the_rest
    removes_once
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
        (PortError::Conflict("frozen".into()), PortError::Conflict("frozen".into())),
    ] {
        let mut port = super::MockBaselineSor::new();
        let answer = error.clone();
        port.expect_page().returning(move |_, _| Err(answer.clone()));
        let served = serve(Arc::new(port));
        let result = super::remote(served.client()).list(&CALL, &"shop".parse().unwrap(), None).await.unwrap_err();
        match told {
            PortError::Unavailable(_) => {
                assert!(matches!(&result, PortError::Unavailable(text) if !text.contains("5432")), "{result:?}");
            }
            told => assert_eq!(result, told),
        }
    }
}

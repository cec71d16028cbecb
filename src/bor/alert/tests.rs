//! A rule tried over a fake source, and the route's answers and refusals.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web;
use async_trait::async_trait;
use chrono::DateTime;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bor::RelationalPorts;
use crate::http::{self, Routes};
use crate::kernel::{
    AppName, Call, FixedClock, PortError, PortResult, RowId, Selector, SequentialIds, Tenant, TimeWindow, Version,
};
use crate::profile::{Profile, ReadLimits, SampleType, read_folded};
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery, StepWidth, Timeline};
use crate::sor::registry::{MockRegistrySor, RegistrySor, Service};
use crate::verdict::Rules;

mod rounds;

/// A whole hour; the present is an hour and half a minute later.
const START: i64 = 1_795_176_000;
const HOUR: &str = "/rules/test?from=1795176000&to=1795179600";

/// An app whose function `Cart.total` takes 60 % in some minutes and 5 % in the others.
#[derive(Default)]
struct Source {
    hot: Range<i64>,
    /// Not readable where the window ends in these minutes.
    away: Range<i64>,
    /// No answer where the window ends after this minute.
    hangs_after: Option<i64>,
    samples_a_minute: i64,
    unknown: bool,
    /// The apps that are discovered; `shopping` where none is named.
    apps: &'static [&'static str],
    apps_away: bool,
    asked: Mutex<Vec<ProfileQuery>>,
}

fn source(hot: Range<i64>) -> Source {
    Source { hot, samples_a_minute: 6_000, ..Source::default() }
}

fn minute(time: DateTime<chrono::Utc>) -> i64 {
    (time.timestamp() - START).div_euclid(60)
}

#[async_trait]
impl ProfileDataSor for Source {
    async fn apps<'a>(&'a self, _: &'a Call, _: Option<&'a Tenant>, _: TimeWindow) -> PortResult<Vec<AppName>> {
        if self.apps_away {
            return Err(PortError::Unavailable("away".to_owned()));
        }
        let apps = if self.apps.is_empty() { &["shopping"] } else { self.apps };
        Ok(apps.iter().map(|app| app.parse().unwrap()).collect())
    }

    async fn merged(&self, _: &Call, query: &ProfileQuery) -> PortResult<Option<MergedProfile>> {
        self.asked.lock().unwrap().push(query.clone());
        let (from, to) = (minute(query.window.from()), minute(query.window.to()));
        if self.hangs_after.is_some_and(|last| to > last) {
            std::future::pending::<()>().await;
        }
        if self.away.contains(&to) {
            return Err(PortError::Unavailable("away".to_owned()));
        }
        if self.unknown {
            return Ok(None);
        }
        let hot = |minute| if self.hot.contains(&minute) { 60 } else { 5 };
        let of_hot: i64 = (from..to).map(|minute| self.samples_a_minute * hot(minute) / 100).sum();
        let rest = self.samples_a_minute * (to - from) - of_hot;
        // The rest is spread, so that it is no function over the limit.
        let cold: String = (0..10).map(|n| format!("com.acme.Shop.main;com.acme.Shop.f{n} {}\n", rest / 10)).collect();
        let text = format!("com.acme.Shop.main;com.acme.Cart.total {of_hot}\n{cold}");
        let profile =
            read_folded(text.as_bytes(), SampleType::new("samples", "count"), &ReadLimits::default()).unwrap();
        Ok(Some(MergedProfile { profile: Arc::new(profile), ..MergedProfile::default() }))
    }

    async fn merged_pair(
        &self,
        _: &Call,
        _: &ProfileQuery,
        _: TimeWindow,
        _: &Selector,
    ) -> PortResult<Option<(MergedProfile, MergedProfile)>> {
        unreachable!("a rule looks at one window")
    }

    async fn totals(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<i64>>> {
        unreachable!("a rule looks at windows that overlap")
    }

    async fn stacks(&self, _: &Call, _: &ProfileQuery, _: StepWidth) -> PortResult<Option<Timeline<Profile>>> {
        unreachable!("a rule looks at windows that overlap")
    }
}

fn rule() -> Value {
    json!({"appName": "shop", "profileType": "cpu", "thresholdPercent": 30})
}

async fn ask(source: Source, registry: Option<MockRegistrySor>, uri: &str, body: &Value) -> (u16, Value) {
    ask_within(Arc::new(source), registry, uri, body, Duration::from_secs(60)).await
}

async fn ask_within(
    profiles: Arc<Source>,
    registry: Option<MockRegistrySor>,
    uri: &str,
    body: &Value,
    in_all: Duration,
) -> (u16, Value) {
    let relational = RelationalPorts {
        baselines: None,
        history: None,
        registry: registry.map(|registry| Arc::new(registry) as Arc<dyn RegistrySor>),
        clock: Arc::new(FixedClock::at(DateTime::from_timestamp(START + 3_630, 0).unwrap())),
        ids: Arc::new(SequentialIds::default()),
        version: Version::V2,
    };
    let parts = AlertParts { profiles, relational, rules: Rules::builtin() };
    let service = web::Data::new(AlertService::new(parts).within(Duration::from_secs(10), in_all));
    let app = actix_web::App::new()
        .app_data(service)
        .configure(Routes::serve(routes))
        .default_service(web::to(http::unknown_route));
    let app = init_service(app).await;
    let answer = call_service(&app, TestRequest::post().uri(uri).set_json(body).to_request()).await;
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&read_body(answer).await).unwrap())
}

/// The minutes of a firing's times.
fn minutes(firing: &Value) -> [Option<i64>; 3] {
    ["pendingAt", "firedAt", "resolvedAt"].map(|name| {
        let time = firing[name].as_str()?;
        Some(minute(DateTime::parse_from_rfc3339(time).unwrap().to_utc()))
    })
}

#[actix_web::test]
async fn says_when_a_rule_would_have_fired_and_because_of_what() {
    let (status, body) = ask(source(10..30), None, HOUR, &rule()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["firings"].as_array().unwrap().len(), 1, "{body}");
    // The minute from 10 to 11 is the first; the third of five makes the window's share 38 %.
    assert_eq!(minutes(&body["firings"][0]), [Some(13), Some(18), Some(39)]);
    assert_eq!(body["firings"][0]["functions"], json!([{"name": "com.acme.Cart.total", "percent": 60.0}]));
    assert_eq!((&body["stepSeconds"], &body["evaluatedTo"]), (&json!(60), &json!("2026-11-20T13:00:00Z")));
    let evaluations = body["evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), 61);
    let over = json!({"at": "2026-11-20T12:13:00Z", "verdict": "over", "percent": 38.0, "low": evaluations[13]["low"],
        "high": evaluations[13]["high"], "samples": 30_000, "function": "com.acme.Cart.total"});
    assert_eq!(evaluations[13], over);
    let (low, high) = (over["low"].as_f64().unwrap(), over["high"].as_f64().unwrap());
    assert!(low > 37.0 && low < 38.0 && high > 38.0 && high < 39.0, "{over}");
    let headline = "Would have fired once, for 21 min in all: 60.0 % of cpu at most, and the limit is 30 %.";
    assert_eq!(body["summary"], json!({"fired": 1, "firingMinutes": 21, "insufficient": 0, "headline": headline}));
}

#[actix_web::test]
async fn a_rule_waits_and_looks_as_long_as_it_says() {
    let mut given = rule();
    (given["forSeconds"], given["keepFiringSeconds"]) = (json!(0), json!(60));
    let (_, body) = ask(source(10..30), None, HOUR, &given).await;
    assert_eq!(minutes(&body["firings"][0]), [Some(13), Some(13), Some(35)]);
    given["windowSeconds"] = json!(900);
    let (_, body) = ask(source(10..30), None, HOUR, &given).await;
    assert_eq!(body["stepSeconds"], 180);
    // Of fifteen minutes the seventh makes 30.7 %; each third minute is looked at.
    assert_eq!(minutes(&body["firings"][0])[1], Some(18));
}

#[actix_web::test]
async fn a_window_that_cannot_be_read_is_an_error_and_the_rest_answers() {
    let away = Source { away: 14..22, ..source(10..40) };
    let (status, body) = ask(away, None, HOUR, &rule()).await;
    assert_eq!((status, minutes(&body["firings"][0])[1]), (200, Some(22)), "{body}");
    let error = json!({"at": "2026-11-20T12:14:00Z", "verdict": "error", "percent": null, "low": null, "high": null,
        "samples": null, "function": null});
    assert_eq!(body["evaluations"][14], error);
}

#[actix_web::test]
async fn too_few_samples_fire_nothing_and_are_counted() {
    let few = Source { samples_a_minute: 19, ..source(0..60) };
    let (_, body) = ask(few, None, HOUR, &rule()).await;
    assert_eq!((&body["firings"], &body["summary"]["insufficient"]), (&json!([]), &json!(61)));
    assert_eq!(body["evaluations"][30]["verdict"], "insufficient");
}

#[actix_web::test]
async fn what_is_not_reached_in_time_is_left_out_and_evaluated_to_says_so() {
    let hangs = Arc::new(Source { hangs_after: Some(20), ..source(10..30) });
    let (status, body) = ask_within(hangs, None, HOUR, &rule(), Duration::from_millis(500)).await;
    assert_eq!((status, &body["evaluatedTo"]), (200, &json!("2026-11-20T12:20:00Z")), "{body}");
    assert_eq!(minutes(&body["firings"][0]), [Some(13), Some(18), None]);
    let hangs = Arc::new(Source { hangs_after: Some(-1), ..source(10..30) });
    let (status, body) = ask_within(hangs, None, HOUR, &rule(), Duration::from_millis(100)).await;
    assert_eq!((status, &body["code"]), (504, &json!("timeout")));
}

#[actix_web::test]
async fn an_unknown_app_and_a_source_that_is_away_are_refused() {
    let (status, body) = ask(Source { unknown: true, ..source(0..0) }, None, HOUR, &rule()).await;
    assert_eq!((status, &body["code"]), (404, &json!("app_unknown")), "{body}");
    let (status, body) = ask(Source { away: 0..61, ..source(0..0) }, None, HOUR, &rule()).await;
    assert_eq!((status, &body["code"]), (502, &json!("profile_source_failed")), "{body}");
}

#[actix_web::test]
async fn an_app_is_read_by_the_labels_and_from_the_tenant_of_the_registry() {
    let at = DateTime::from_timestamp(START, 0).unwrap();
    let service = Service {
        id: RowId::new(1).unwrap(),
        app_name: "shop".parse().unwrap(),
        team_owner: None,
        tier: crate::kernel::Tier::standard(),
        environment: None,
        notification_channel: None,
        pyroscope_labels: Some(json!({"env": "prod"}).try_into().unwrap()),
        metadata: None,
        created_at: at,
        updated_at: at,
    };
    let mut registry = MockRegistrySor::new();
    registry.expect_get().times(1).returning(move |_, _| Ok(Some(crate::kernel::Stored::Valid(service.clone()))));
    let shop = Arc::new(source(0..0));
    let uri = "/rules/test?from=1795176000&to=1795176060";
    let (status, _) = ask_within(shop.clone(), Some(registry), uri, &rule(), Duration::from_secs(60)).await;
    let asked = shop.asked.lock().unwrap();
    assert_eq!((status, asked.len()), (200, 2));
    assert_eq!(asked[0].selector, "env=\"prod\"".parse().unwrap());
    let window = |from, to| {
        let at = |minute: i64| DateTime::from_timestamp(START + minute * 60, 0).unwrap();
        TimeWindow::new(at(from), at(to)).unwrap()
    };
    assert_eq!([asked[0].window, asked[1].window], [window(-5, 0), window(-4, 1)]);
}

#[rstest]
#[case(HOUR, json!({"appName": "*"}), "body_invalid", "/appName: a rule is tried on one app")]
#[case(HOUR, json!({"measure": "sum"}), "body_invalid", "/measure: sum and total")]
#[case(HOUR, json!({"windowSeconds": 60}), "body_invalid", "/windowSeconds: is 60 s")]
#[case(HOUR, json!({"thresholdPercent": 101}), "body_invalid", "/thresholdPercent")]
#[case(HOUR, json!({"threshold": 1}), "body_invalid", "/threshold: is unknown")]
#[case("/rules/test?from=1794571199&to=1795176000", json!({}), "window_invalid", "longer than 7 days")]
#[case("/rules/test?from=1795176000&to=1795176000", json!({}), "window_invalid", "from must lie before to")]
#[case("/rules/test?app=shop", json!({}), "parameter_unknown", "app")]
#[actix_web::test]
async fn a_bad_request_never_reaches_the_source(
    #[case] uri: &str,
    #[case] more: Value,
    #[case] code: &str,
    #[case] says: &str,
) {
    let mut body = rule();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let shop = Arc::new(source(0..0));
    let (status, problem) = ask_within(shop.clone(), None, uri, &body, Duration::from_secs(60)).await;
    assert_eq!((status, &problem["code"]), (400, &json!(code)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    assert!(shop.asked.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn a_window_without_a_start_begins_a_day_before_now_and_a_week_is_the_longest() {
    let (_, body) = ask(source(0..0), None, "/rules/test", &rule()).await;
    assert_eq!((&body["stepSeconds"], &body["evaluatedTo"]), (&json!(300), &json!("2026-11-20T13:00:00Z")));
    let (status, body) = ask(source(0..0), None, "/rules/test?from=1794571200&to=1795176000", &rule()).await;
    assert_eq!((status, body["evaluations"].as_array().unwrap().len()), (200, 297));
}

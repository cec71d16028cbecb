use actix_web::web;
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::http::{OutwardSettings, Routes};
use crate::kernel::{CALL, LabelMatcher, MatchOp, ProfileType};
use crate::sor::profile_data::conformance::{self, Source};
use crate::sor::profile_data::pyroscope::replay::ReplayServer;
use crate::sor::profile_data::{MockProfileDataSor, pyroscope, routes};

fn to(base: &str) -> RemoteProfiles {
    let settings = OutwardSettings {
        base: base.parse().unwrap(),
        timeout: Duration::from_secs(10),
        max_answer_bytes: 1 << 26,
        authorization: None,
    };
    RemoteProfiles::new(Outward::new(settings).unwrap(), Budget::default(), Arc::new(conformance::clock()))
}

/// A live server with the profile routes on top of a port.
fn serve(port: Arc<dyn ProfileDataSor>) -> (RemoteProfiles, actix_web::dev::ServerHandle) {
    let clock: Arc<dyn Clock> = Arc::new(conformance::clock());
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .app_data(web::Data::from(Arc::clone(&port)))
            .app_data(web::Data::from(Arc::clone(&clock)))
            .configure(Routes::serve(routes))
            .wrap(actix_web::middleware::from_fn(crate::http::testing::believe))
    })
    .workers(1)
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    (to(&format!("http://{address}")), handle)
}

fn query() -> ProfileQuery {
    let at = |s| chrono::DateTime::from_timestamp(s, 0).unwrap();
    ProfileQuery {
        app: "check/out 🔥".parse().unwrap(),
        kind: ProfileType::Cpu,
        window: TimeWindow::new(at(1_795_176_000), at(1_795_176_600)).unwrap(),
        selector: r#"env="prod""#.parse().unwrap(),
        tenant: None,
    }
}

fn of_tenant() -> ProfileQuery {
    ProfileQuery { tenant: Some("team-a!*'()".parse().unwrap()), ..query() }
}

#[rstest]
#[case("v1", Source { any_window: false, last_of_kind: false, heap: false })]
#[case("v2", Source { any_window: false, last_of_kind: false, heap: true })]
#[actix_web::test]
async fn does_what_every_adapter_does(#[case] version: &str, #[case] source: Source) {
    let Some(replay) = ReplayServer::start(version).await else { return };
    let (sor, server) = serve(pyroscope(&replay.settings(), Arc::new(conformance::clock())).unwrap());
    conformance::check(&sor, source).await;
    server.stop(false).await;
}

#[actix_web::test]
async fn answers_what_no_recording_has_like_every_adapter() {
    let (store, _database) = conformance::unrecorded::received().await;
    let (sor, server) = serve(Arc::new(store));
    conformance::unrecorded::check(&sor).await;
    server.stop(false).await;
}

/// As many labels as a registry may add.
fn labels() -> Vec<LabelMatcher> {
    (0..20).map(|n| LabelMatcher::new(&format!("l{n}"), MatchOp::Equal, "a \"b\"").unwrap()).collect()
}

fn narrowed() -> ProfileQuery {
    ProfileQuery { selector: query().selector.and(&labels()), ..query() }
}

#[actix_web::test]
async fn asks_for_what_it_was_asked() {
    let mut port = MockProfileDataSor::new();
    port.expect_apps().returning(|_, _, _| Ok(Vec::new()));
    port.expect_merged().times(1).returning(|_, asked| {
        assert_eq!(*asked, query());
        Ok(None)
    });
    port.expect_merged_pair().times(1).returning(|_, asked, baseline, selector| {
        assert_eq!((asked, baseline.duration().num_seconds(), selector.is_empty()), (&query(), 600, true));
        Ok(None)
    });
    port.expect_merged().times(1).returning(|_, asked| {
        assert_eq!(*asked, narrowed());
        Ok(None)
    });
    port.expect_merged_pair().times(1).returning(|_, asked, _, selector| {
        assert_eq!((asked, selector), (&narrowed(), &Selector::default().and(&labels())));
        Ok(None)
    });
    port.expect_merged().times(1).returning(|_, asked| {
        assert_eq!(*asked, of_tenant());
        Ok(None)
    });
    port.expect_merged_pair().times(1).returning(|_, asked, _, _| {
        assert_eq!(*asked, of_tenant());
        Ok(None)
    });
    let (sor, server) = serve(Arc::new(port));
    assert!(sor.merged(&CALL, &query()).await.unwrap().is_none());
    let at = |s| chrono::DateTime::from_timestamp(s, 0).unwrap();
    let baseline = TimeWindow::new(at(1_795_170_000), at(1_795_170_600)).unwrap();
    assert!(sor.merged_pair(&CALL, &query(), baseline, &Selector::default()).await.unwrap().is_none());
    // More than a selector may hold: the labels that a registry added go beside it.
    assert!(sor.merged(&CALL, &narrowed()).await.unwrap().is_none());
    let own = Selector::default().and(&labels());
    assert!(sor.merged_pair(&CALL, &narrowed(), baseline, &own).await.unwrap().is_none());
    assert!(sor.merged(&CALL, &of_tenant()).await.unwrap().is_none());
    assert!(sor.merged_pair(&CALL, &of_tenant(), baseline, &Selector::default()).await.unwrap().is_none());
    server.stop(false).await;
}

#[actix_web::test]
async fn a_closed_window_is_read_once() {
    use crate::profile::{SampleType, read_folded};
    let mut port = MockProfileDataSor::new();
    port.expect_merged().times(3).returning(|_, _| {
        let profile =
            read_folded(b"main;work 1", SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap();
        Ok(Some(MergedProfile { profile: Arc::new(profile), ..MergedProfile::default() }))
    });
    let (sor, server) = serve(Arc::new(port));
    let now = conformance::clock().now();
    let until = |minutes| TimeWindow::new(now - TimeDelta::hours(3), now - TimeDelta::minutes(minutes)).unwrap();
    for window in [until(65), until(65), until(64), until(64)] {
        let merged = sor.merged(&CALL, &ProfileQuery { window, ..query() }).await.unwrap().unwrap();
        assert_eq!(merged.profile.stack_count(), 1);
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn a_closed_window_of_one_tenant_is_not_anothers() {
    use crate::profile::{SampleType, read_folded};
    let mut port = MockProfileDataSor::new();
    port.expect_merged().times(2).returning(|_, asked| {
        let folded = if asked.tenant.is_some() { "main;theirs 2" } else { "main;ours 1" };
        let cpu = SampleType::new("cpu", "nanoseconds");
        let profile = read_folded(folded.as_bytes(), cpu, &ReadLimits::default()).unwrap();
        Ok(Some(MergedProfile { profile: Arc::new(profile), ..MergedProfile::default() }))
    });
    let (sor, server) = serve(Arc::new(port));
    let now = conformance::clock().now();
    let window = TimeWindow::new(now - TimeDelta::hours(3), now - TimeDelta::hours(2)).unwrap();
    for (asked, ticks) in [(query(), 1), (of_tenant(), 2), (query(), 1), (of_tenant(), 2)] {
        let merged = sor.merged(&CALL, &ProfileQuery { window, ..asked }).await.unwrap().unwrap();
        assert_eq!(merged.profile.total(0), ticks);
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn what_is_left_of_profiles_past_their_retention_is_the_same_here() {
    use crate::sor::profile_data::store::tests::rollups::{KINDS, said, ten_days_ago};
    let (store, _database, clock) = ten_days_ago().await;
    let (sor, server) = serve(Arc::new(store.clone()));
    let at = |hours| clock.now() - TimeDelta::days(10) - TimeDelta::hours(hours);
    for (from, to) in [(3, 0), (4, 1), (2, 1)] {
        let window = TimeWindow::new(at(from), at(to)).unwrap();
        assert_eq!(sor.apps(&CALL, None, window).await.unwrap(), store.apps(&CALL, None, window).await.unwrap());
        for kind in KINDS {
            let query = ProfileQuery {
                app: "checkout".parse().unwrap(),
                kind,
                window,
                selector: Selector::default(),
                tenant: None,
            };
            let there = store.merged(&CALL, &query).await.unwrap().unwrap();
            assert_eq!(said(&sor.merged(&CALL, &query).await.unwrap().unwrap()), said(&there), "{kind} {from} {to}");
        }
    }
    server.stop(false).await;
}

#[rstest]
#[case::unavailable(PortError::Unavailable("x".into()))]
#[case::denied(PortError::Denied("x".into()))]
#[case::timeout(PortError::Timeout("x".into()))]
#[case::overloaded(PortError::Overloaded { detail: "x".into(), retry_after_s: 7 })]
#[case::invalid(PortError::Invalid("x".into()))]
#[case::internal(PortError::Internal("x".into()))]
#[actix_web::test]
async fn an_error_keeps_its_meaning(#[case] error: PortError) {
    let mut port = MockProfileDataSor::new();
    let there = error.clone();
    port.expect_merged().times(1).returning(move |_, _| Err(there.clone()));
    let (sor, server) = serve(Arc::new(port));
    let here = sor.merged(&CALL, &query()).await.unwrap_err();
    assert_eq!(std::mem::discriminant(&here), std::mem::discriminant(&error), "{here:?}");
    if let PortError::Overloaded { retry_after_s, .. } = here {
        assert_eq!(retry_after_s, 7);
    }
    server.stop(false).await;
}

async fn answered(answer: ResponseTemplate) -> PortResult<Option<MergedProfile>> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    to(&server.uri()).merged(&CALL, &query()).await
}

#[rstest]
#[case::route(ResponseTemplate::new(404).set_body_json(json!({"code": "route_unknown", "detail": "x"})))]
#[case::someone_else(ResponseTemplate::new(404).set_body_string("404 page not found"))]
#[case::a_login_page(ResponseTemplate::new(200).set_body_string("<html>"))]
#[case::a_redirect(ResponseTemplate::new(302))]
#[actix_web::test]
async fn whoever_cannot_know_the_app_is_unavailable(#[case] answer: ResponseTemplate) {
    assert!(matches!(answered(answer).await, Err(PortError::Unavailable(_))));
}

#[actix_web::test]
async fn nobody_there_is_unavailable() {
    let nobody = to("http://127.0.0.1:1").merged(&CALL, &query()).await;
    assert!(matches!(nobody, Err(PortError::Unavailable(_))), "{nobody:?}");
}

#[actix_web::test]
async fn the_other_server_is_told_who_asks_until_when_and_how_urgently() {
    let mut port = MockProfileDataSor::new();
    port.expect_merged()
        .withf(|call, _| {
            let left = call.urgency().deadline.map(|deadline| deadline - tokio::time::Instant::now());
            call.is_scan()
                && call.caller().is_some_and(|caller| caller.actor.to_string() == "system:test")
                && left.is_some_and(|left| left <= std::time::Duration::from_mins(1))
        })
        .returning(|_, _| Ok(None));
    let (sor, server) = serve(Arc::new(port));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    let call = crate::kernel::Call::system("test").until(deadline).scanning();
    assert!(sor.merged(&call, &query()).await.unwrap().is_none());
    server.stop(false).await;
}

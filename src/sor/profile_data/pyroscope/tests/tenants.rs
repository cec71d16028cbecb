//! Whose profiles are read, and that what was found for one tenant is never another's answer.

use super::*;
use crate::kernel::CALL;

/// The tenant that has nothing.
const EMPTY: &str = "nothing-here";

fn of_tenant(tenant: &str, query: ProfileQuery) -> ProfileQuery {
    ProfileQuery { tenant: Some(tenant.parse().unwrap()), ..query }
}

/// A recorded server, one of whose tenants has no profiles; whether that knows the app.
async fn server(knows_the_app: bool) -> Option<ReplayServer> {
    let answer = move |request: &Request| {
        let empty = tenant_of(request) == EMPTY && !(knows_the_app && is(request, SERIES));
        empty.then(|| ResponseTemplate::new(200))
    };
    ReplayServer::start_with("v2", answer).await
}

fn tenant_of(request: &Request) -> &str {
    request.headers.get("x-scope-orgid").map_or("", |tenant| tenant.to_str().unwrap())
}

#[rstest]
#[case::in_one_call(false)]
#[case::as_a_flame_graph(true)]
#[tokio::test]
async fn the_tenant_of_a_query_goes_with_every_call_in_place_of_the_configured_one(#[case] lacks: bool) {
    let answer = move |request: &Request| (lacks && is(request, MERGE)).then(|| ResponseTemplate::new(404));
    let Some(server) = ReplayServer::start_with("v2", answer).await else { return };
    let settings = PyroscopeSettings { tenant: Some(SecretString::from("ours")), ..server.settings() };
    let sor = Pyroscope::new(&settings, Arc::new(conformance::clock())).unwrap();
    let merged = sor.merged(&CALL, &of_tenant("team-a", cpu("checkout"))).await.unwrap().unwrap();
    assert!(merged.profile.stack_count() > 0);
    assert!(sor.merged(&CALL, &of_tenant("team-a", cpu("nobody"))).await.unwrap().is_none());
    let calls = server.server.received_requests().await.unwrap();
    assert!(calls.len() > 10 && calls.iter().all(|call| tenant_of(call) == "team-a"));
    sor.apps(&CALL, None, window(-1, 10)).await.unwrap();
    let calls = server.server.received_requests().await.unwrap();
    assert_eq!(tenant_of(calls.last().unwrap()), "ours");
}

#[rstest]
#[case::without_the_app(false)]
#[case::without_its_profiles(true)]
#[tokio::test]
async fn what_one_tenant_has_is_never_told_to_another(
    #[case] knows_the_app: bool,
    #[values(true, false)] empty_first: bool,
    #[values((-1, 10), (59, 70))] (from, to): (i64, i64),
) {
    let Some(server) = server(knows_the_app).await else { return };
    let (sor, _) = adapter(&server);
    let ours = query("checkout", ProfileType::Cpu, window(from, to));
    let theirs = of_tenant(EMPTY, ours.clone());
    assert!(sor.apps(&CALL, None, ours.window).await.unwrap().contains(&ours.app));
    // Remembered for each tenant: what the window has, surveys and, if it is closed, profiles.
    for of_the_empty in [empty_first, !empty_first, empty_first] {
        if of_the_empty {
            let merged = sor.merged(&CALL, &theirs).await.unwrap();
            assert_eq!(merged.is_some(), knows_the_app);
            assert!(merged.is_none_or(|merged| merged.profile.stack_count() == 0 && merged.meta.coverage.is_none()));
            let pair = sor.merged_pair(&CALL, &theirs, window(-1, 10), &Selector::default()).await.unwrap();
            assert!(pair.is_none_or(|(a, b)| a.profile.stack_count() + b.profile.stack_count() == 0));
        } else {
            let merged = sor.merged(&CALL, &ours).await.unwrap().unwrap();
            assert!(merged.profile.stack_count() > 0);
            // The recorded server says when profiles came for the first window alone.
            assert!(merged.meta.coverage.is_some() || from > 0);
        }
    }
}

#[tokio::test]
async fn tenants_that_ask_the_same_at_the_same_time_share_no_call() {
    let Some(server) = server(false).await else { return };
    let (sor, _) = adapter(&server);
    let [a, b] = ["team-a", "team-b"].map(|tenant| of_tenant(tenant, cpu("checkout")));
    let empty = of_tenant(EMPTY, cpu("checkout"));
    let (a, b, twice, empty) =
        futures::join!(sor.merged(&CALL, &a), sor.merged(&CALL, &b), sor.merged(&CALL, &b), sor.merged(&CALL, &empty));
    assert_eq!(rows(&a.unwrap().unwrap()), rows(&b.unwrap().unwrap()));
    assert!(twice.unwrap().is_some() && empty.unwrap().is_none());
    for method in [MERGE, TOTALS] {
        let calls = server.calls(method).await;
        let mut tenants: Vec<_> = calls.iter().map(tenant_of).collect();
        tenants.sort_unstable();
        assert_eq!(tenants, ["team-a", "team-b"], "{method}");
    }
}

//! A Pyroscope that fails in every way.

use futures::future::join_all;

use super::proxy::{Fault, Proxy};
use super::{Said, ask};
use crate::harness::Setup;
use crate::pyroscope::Canned;
use crate::testing;

/// The answers of all routes that read profiles.
const TABLE: &[(Fault, u16, &str)] = &[
    (Fault::Down, 502, "profile_source_failed"),
    (Fault::Stalled, 504, "timeout"),
    (Fault::Frozen, 504, "timeout"),
    (Fault::Garbage, 502, "profile_source_failed"),
    (Fault::Nonsense, 502, "profile_source_failed"),
    (Fault::Stranger, 502, "profile_source_failed"),
    (Fault::Cut, 502, "profile_source_failed"),
    (Fault::Astray, 502, "profile_source_failed"),
    (Fault::Busy, 503, "profile_source_busy"),
];

/// Windows that are not over. None of their answers is cached.
const OPEN: [&str; 7] = [
    "/triage/shop?types=cpu",
    "/diff/shop?baselineFrom=now-2h&baselineTo=now-1h&from=now-1h&to=now",
    "/search?function=cart",
    "/fleet/hotspots?apps=shop",
    "/profiles/shop",
    "/profiles/apps",
    "/profiles/shop/export",
];

#[actix_web::test]
async fn each_failure_of_a_pyroscope_has_its_answer_and_leaves_nothing_behind() {
    let (canned, database) = (Canned::start().await, testing::database().await);
    let proxy = Proxy::before(&canned.url());
    let setup = Setup::of(&[("PYROSCOPE_URL", &proxy.url()), ("PYROSCOPE_TIMEOUT", "4s")]);
    let server = setup.with("DATABASE_URL", &database.url()).start().await;
    server.ready().await;
    let ask_all = || join_all(OPEN.iter().map(|path| Said::of(ask(&server, path, None))));
    let well = |said: &Said, path: &str| assert_eq!(said.status, 200, "{path}: {}", said.body);
    for said in ask_all().await.iter().zip(OPEN) {
        well(said.0, said.1);
    }
    for (fault, status, code) in TABLE {
        proxy.set(*fault).await;
        for (said, path) in ask_all().await.iter().zip(OPEN) {
            assert_eq!(said.problem(), (*status, *code), "{fault:?} {path}: {}", said.body);
        }
        assert_eq!(server.get("/ready").send().await.unwrap().status(), 200);
        proxy.set(Fault::None).await;
        for (said, path) in ask_all().await.iter().zip(OPEN) {
            well(said, path);
        }
    }
    // Exact data is still asked for: a wrong path was not taken for a server without it.
    let (_, body) = server.json("/profiles/shop").await;
    assert!(body.get("truncatedPercent").is_none_or(|percent| percent == 0.0), "{body}");
}

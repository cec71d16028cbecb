//! The adapter against what real servers answered.

use super::replay::ReplayServer;
use super::*;
use crate::sor::profile_data::conformance::{self, Source};
use rstest::rstest;

#[rstest]
#[case("v1", Source { any_window: false, heap: false })]
#[case("v2", Source { any_window: false, heap: true })]
#[tokio::test]
async fn does_what_every_adapter_does(#[case] version: &str, #[case] source: Source) {
    let Some(server) = ReplayServer::start(version).await else { return };
    let sor = Pyroscope::new(&server.settings(), Arc::new(conformance::clock())).unwrap();
    conformance::check(&sor, source).await;
}

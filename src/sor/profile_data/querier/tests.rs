//! The query service on a real store: what our own adapter for Pyroscope asks, and answers held against recorded ones.

mod answers;
mod refusals;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use bytes::Bytes;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::kernel::FixedClock;
use crate::profile::{FunctionTable, Profile, ReadLimits, SampleType, read_folded, read_pprof};
use crate::sor::profile_data::conformance::{self, Source};
use crate::sor::profile_data::proto::querier::v1 as messages;
use crate::sor::profile_data::pyroscope::replay::Recordings;
use crate::sor::profile_data::store::tests::with_pushes_of_the_suite;
use crate::sor::profile_data::{ProfileDataSor, PyroscopeSettings, pyroscope};
use crate::storage::testing::TestDatabase;

/// The window of the recordings.
const START: i64 = 1_795_175_940_000;
const END: i64 = 1_795_176_600_000;
const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const CHECKOUT: &str = r#"{service_name="checkout"}"#;

struct Setup {
    store: ProfileStore,
    querier: web::Data<Querier>,
    _database: TestDatabase,
}

/// A store with the profiles that the recordings were made from, those of two apps. `None` if they are not there.
async fn setup() -> Option<Setup> {
    let (store, database) = with_pushes_of_the_suite().await?;
    let clock: Arc<FixedClock> = Arc::new(conformance::clock());
    let querier = web::Data::new(Querier::new(store.clone(), clock));
    Some(Setup { store, querier, _database: database })
}

impl Setup {
    async fn send(&self, request: TestRequest) -> (u16, String, Bytes) {
        let app = actix_web::App::new().app_data(self.querier.clone()).configure(Routes::serve(routes));
        let answer = call_service(&init_service(app).await, request.to_request()).await;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        (status, kind.unwrap_or_default(), read_body(answer).await)
    }

    /// A call in JSON.
    async fn json(&self, method: &str, message: &Value) -> (u16, Value) {
        let request = TestRequest::post().uri(&path(method)).set_json(message);
        let (status, kind, body) = self.send(request).await;
        assert_eq!(kind, "application/json");
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// A call in protobuf.
    async fn proto<A: Message + Default>(&self, method: &str, message: &impl Message) -> A {
        let request = TestRequest::post().uri(&path(method)).insert_header(("content-type", "application/proto"));
        let (status, kind, body) = self.send(request.set_payload(message.encode_to_vec())).await;
        assert_eq!((status, kind.as_str()), (200, "application/proto"), "{body:?}");
        A::decode(body).unwrap()
    }

    async fn get(&self, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let (status, kind, body) = self.send(TestRequest::get().uri(&format!("{path}?{query}"))).await;
        assert_eq!(kind, "application/json");
        (status, serde_json::from_slice(&body).unwrap())
    }
}

fn path(method: &str) -> String {
    format!("/querier.v1.QuerierService/{method}")
}

/// The question of a method that reads profiles, in JSON.
fn asking(selector: &str) -> Value {
    json!({"profileTypeID": CPU, "labelSelector": selector, "start": START, "end": END.to_string()})
}

/// Runs the port's suite on our adapter for Pyroscope, which asks a live server that has these routes. One check is left
/// out: the protocol does not tell when the last profile of a kind came.
#[actix_web::test]
async fn another_flamewarden_reads_from_it_as_from_pyroscope() {
    let Some(setup) = setup().await else { return };
    let (sor, server) = read_by_another(setup.querier.clone());
    conformance::check(&*sor, Source { any_window: true, last_of_kind: false, heap: true }).await;
    server.stop(false).await;
}

#[actix_web::test]
async fn another_flamewarden_reads_what_no_recording_has() {
    let (store, _database) = conformance::unrecorded::received().await;
    let (sor, server) = read_by_another(web::Data::new(Querier::new(store, Arc::new(conformance::clock()))));
    conformance::unrecorded::check(&*sor).await;
    server.stop(false).await;
}

/// Our adapter for Pyroscope, and the live server that it asks.
fn read_by_another(querier: web::Data<Querier>) -> (Arc<dyn ProfileDataSor>, actix_web::dev::ServerHandle) {
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new().app_data(querier.clone()).configure(Routes::serve(routes))
    })
    .workers(1)
    .bind(("127.0.0.1", 0))
    .unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    let settings = PyroscopeSettings::new(url.parse().unwrap());
    (pyroscope(&settings, Arc::new(conformance::clock())).unwrap(), handle)
}

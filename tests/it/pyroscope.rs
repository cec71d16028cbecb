//! A Pyroscope server with fixed answers: its apps have CPU profiles that change at one moment, a deploy.

use bytes::Bytes;
use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use prost::Message;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// Its apps.
pub(crate) const APPS: [&str; 2] = ["billing", "shop"];
/// When both apps were deployed: from then on `shop.Cart.toJson` is slower.
pub(crate) const DEPLOYED: i64 = 1_795_176_000;
/// An hour after the deploy, long in the past.
pub(crate) const AFTER: &str = "from=1795176000&to=1795179600";
/// The hours before and after the deploy.
pub(crate) const BOTH: &str = "baselineFrom=1795172400&baselineTo=1795176000&from=1795176000&to=1795179600";

const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Labels {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesRequest {
    #[prost(string, repeated, tag = "1")]
    matchers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SeriesResponse {
    #[prost(message, repeated, tag = "2")]
    labels_set: Vec<Labels>,
}

#[derive(Clone, PartialEq, Message)]
struct MergeRequest {
    #[prost(string, tag = "2")]
    label_selector: String,
    #[prost(int64, tag = "3")]
    start: i64,
}

/// The running server. It stops when this value is dropped.
pub(crate) struct Canned {
    server: MockServer,
}

impl Canned {
    pub(crate) async fn start() -> Self {
        Self::answering(Answers::new(None)).await
    }

    /// The same, where all apps belong to one tenant.
    pub(crate) async fn of_tenant(tenant: &'static str) -> Self {
        Self::answering(Answers::new(Some(tenant))).await
    }

    async fn answering(answers: Answers) -> Self {
        let server = MockServer::builder().disable_request_recording().start().await;
        Mock::given(any()).respond_with(answers).mount(&server).await;
        Self { server }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.server.uri()
    }
}

struct Answers {
    before: Bytes,
    after: Bytes,
    tenant: Option<&'static str>,
}

impl Answers {
    fn new(tenant: Option<&'static str>) -> Self {
        Self { before: profile(400), after: profile(1_500), tenant }
    }
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let proto = |body: Vec<u8>| ResponseTemplate::new(200).set_body_raw(body, "application/proto");
        let named = request.headers.get("x-scope-orgid").and_then(|tenant| tenant.to_str().ok());
        if self.tenant.is_some() && named != self.tenant {
            return proto(Vec::new());
        }
        match request.url.path() {
            "/querier.v1.QuerierService/Series" => {
                let asked = SeriesRequest::decode(&*request.body).unwrap();
                let labels_set = APPS.into_iter().filter(|app| asked.matchers.iter().all(|m| names(m, app))).map(set);
                proto(SeriesResponse { labels_set: labels_set.collect() }.encode_to_vec())
            }
            "/querier.v1.QuerierService/SelectMergeProfile" => {
                let asked = MergeRequest::decode(&*request.body).unwrap();
                let known = APPS.iter().any(|app| names(&asked.label_selector, app));
                let body = if asked.start < DEPLOYED * 1_000 { &self.before } else { &self.after };
                proto(if known { body.to_vec() } else { Vec::new() })
            }
            // It does not say when profiles came.
            "/querier.v1.QuerierService/SelectSeries" => proto(Vec::new()),
            _ => ResponseTemplate::new(404).set_body_string("404 page not found"),
        }
    }
}

fn names(selector: &str, app: &str) -> bool {
    selector.contains(&format!("service_name=\"{app}\""))
}

fn set(app: &str) -> Labels {
    let pairs = [("__profile_type__", CPU), ("service_name", app)];
    Labels { labels: pairs.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).into() }
}

/// Functions that do not change, a garbage collector, and one function with this many samples.
fn profile(samples: i64) -> Bytes {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let mut stack = |names: &[&str], samples: i64| {
        let frames: Vec<_> = names.iter().map(|name| builder.function(name, "shop.go")).collect();
        builder.add(frames, &[samples * 10_000_000]);
    };
    for n in 0..12 {
        stack(&[&format!("shop.step{n}"), "main.main"], 500);
    }
    stack(&["runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"], 3_000);
    stack(&["shop.Cart.toJson", "main.main"], samples);
    let header = PprofHeader {
        period_type: Some(SampleType::new("cpu", "nanoseconds")),
        period: 10_000_000,
        ..PprofHeader::default()
    };
    write_pprof(&builder.build(), &header).into()
}

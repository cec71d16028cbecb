//! A server that gives the recorded answers of a real Pyroscope.
//!
//! It matches the method, the path and the decoded message. Times only decide between cases that differ in nothing
//! else. `Series` was recorded for all apps at once; the answer for one app is that recording, filtered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use prost::Message;
use serde::Deserialize;
use url::Url;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::PyroscopeSettings;
use crate::http::Answer;
use crate::kernel::{MatchOp, Selector};
use crate::sor::profile_data::proto::querier::v1::{
    SelectMergeProfileRequest, SelectSeriesRequest, SelectSeriesResponse, SeriesRequest, SeriesResponse,
};
use crate::sor::profile_data::proto::types::v1::{LabelPair, Labels, Point, Series};

/// When the recorded profiles start.
const STARTS_MS: [i64; 4] = [1_795_176_000_000, 1_795_176_015_000, 1_795_176_030_000, 1_795_179_600_000];

/// One recorded call.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) name: String,
    method: String,
    path: String,
    pub(crate) status: u16,
    content_type: String,
    body: String,
    request_body_base64: Option<String>,
}

/// The recordings of one version.
#[derive(Debug, Clone)]
pub(crate) struct Recordings {
    folder: PathBuf,
    cases: Vec<Case>,
}

/// Where the recordings and real profiles are. `None`, with a printed note, if they are not there.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    crate::kernel::testing::shared(path)
}

impl Recordings {
    /// The recordings of `v1` or `v2`.
    pub(crate) fn of(version: &str) -> Option<Self> {
        let folder = shared(&format!("recorded/pyroscope-{version}"))?;
        let index = std::fs::read(folder.join("index.json")).unwrap();
        Some(Self { folder, cases: serde_json::from_slice(&index).unwrap() })
    }

    /// The recorded call of that name.
    pub(crate) fn case(&self, name: &str) -> &Case {
        self.cases.iter().find(|case| case.name == name).unwrap()
    }

    /// The body of its answer.
    pub(crate) fn body(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(&self.case(name).body)).unwrap()
    }

    /// Its answer.
    pub(crate) fn answer(&self, name: &str) -> Answer {
        Answer {
            status: reqwest::StatusCode::from_u16(self.case(name).status).unwrap(),
            headers: reqwest::header::HeaderMap::new(),
            body: self.body(name).into(),
        }
    }

    fn respond(&self, case: &Case) -> ResponseTemplate {
        ResponseTemplate::new(case.status).set_body_raw(self.body(&case.name), &case.content_type)
    }

    /// The recorded answer to a merge, chosen by type and selector, then by time.
    fn merge(&self, asked: &SelectMergeProfileRequest) -> Option<ResponseTemplate> {
        let timeless = |r: &SelectMergeProfileRequest| SelectMergeProfileRequest { start: 0, end: 0, ..r.clone() };
        let recorded = |case: &Case| {
            use base64::Engine;
            let body = case.request_body_base64.as_ref().filter(|_| case.path.ends_with("/SelectMergeProfile"))?;
            let body = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
            Some(SelectMergeProfileRequest::decode(body.as_slice()).unwrap())
        };
        let fitting: Vec<_> = self
            .cases
            .iter()
            .filter_map(|case| recorded(case).map(|request| (case, request)))
            .filter(|(_, request)| timeless(request) == timeless(asked))
            .collect();
        let overlap = |r: &SelectMergeProfileRequest| r.end.min(asked.end) - r.start.max(asked.start);
        let any = STARTS_MS.iter().any(|start| (asked.start..=asked.end).contains(start));
        let best = fitting
            .iter()
            .filter(|_| any)
            .filter(|(_, r)| fitting.len() == 1 || overlap(r) > 0)
            .max_by_key(|(_, r)| overlap(r));
        // A window that was not recorded is empty.
        let nothing = || (!fitting.is_empty()).then(|| self.respond(self.case("merge-empty-window")));
        best.map(|(case, _)| self.respond(case)).or_else(nothing)
    }

    fn render(&self, asked: &Url) -> Option<ResponseTemplate> {
        let timeless = |url: &Url| {
            let kept = |name: &str| !matches!(name, "from" | "until" | "max-nodes");
            let pairs = url.query_pairs().filter(|(name, _)| kept(name));
            pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect::<Vec<_>>()
        };
        let case = self.cases.iter().find(|case| {
            let url = Url::parse("http://recorded").unwrap().join(&case.path).unwrap();
            case.method == "GET" && url.path() == asked.path() && timeless(&url) == timeless(asked)
        });
        case.map(|case| self.respond(case))
    }

    fn series(&self, asked: &SeriesRequest) -> SeriesResponse {
        let recorded = SeriesResponse::decode(self.body("series-proto").as_slice()).unwrap();
        let [first, .., last] = STARTS_MS;
        if asked.start > last || asked.end < first {
            return SeriesResponse::default();
        }
        let wanted = |set: &Labels| {
            let app = &set.labels.iter().find(|label| label.name == "service_name").unwrap().value;
            asked.matchers.iter().all(|matcher| narrowed(matcher).is_some_and(|(name, _)| name == *app))
        };
        let labels_set = recorded.labels_set.into_iter().filter(wanted).collect();
        SeriesResponse { labels_set }
    }

    /// The recorded totals of `checkout`, for any labels, summed up in steps as servers do: a step ends at a multiple of
    /// its width after the start, and has what came since the end of the step before.
    fn totals(&self, asked: &SelectSeriesRequest) -> Option<SelectSeriesResponse> {
        let fits = asked.profile_type_id.starts_with("process_cpu:cpu:") && asked.label_selector.contains("checkout");
        let document: serde_json::Value = serde_json::from_slice(&self.body("select-series")).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
        let width = (asked.step * 1_000.0) as i64;
        let mut steps = BTreeMap::<i64, f64>::new();
        for point in document["series"][0]["points"].as_array().unwrap() {
            let at: i64 = point["timestamp"].as_str().unwrap().parse().unwrap();
            let since = (at - asked.start).max(0);
            let end = asked.start + (since + width - 1) / width * width;
            if at >= asked.start - width && end <= asked.end {
                *steps.entry(end).or_default() += point["value"].as_f64().unwrap();
            }
        }
        let points = steps.into_iter().map(|(timestamp, value)| Point { value, timestamp });
        let labels = asked.group_by.iter().map(|name| LabelPair { name: name.clone(), value: "eu".to_owned() });
        fits.then(|| SelectSeriesResponse {
            series: vec![Series { labels: labels.collect(), points: points.collect() }],
        })
    }
}

/// The app and the other conditions of a selector, if it selects series with `region="eu"`, as all recorded ones have.
fn narrowed(selector: &str) -> Option<(String, String)> {
    let inner = selector.strip_prefix("{service_name=\"").unwrap().strip_suffix('}').unwrap();
    let (app, further) = inner.split_once('"').unwrap();
    let further: Selector = further.trim_start_matches(',').parse().unwrap();
    let holds = further.matchers().iter().all(|matcher| {
        let value = if matcher.name() == "region" { "eu" } else { "" };
        match matcher.op() {
            MatchOp::Equal => matcher.value() == value,
            MatchOp::NotEqual => matcher.value() != value,
            MatchOp::Matches | MatchOp::NotMatches => unreachable!("not used in tests"),
        }
    });
    holds.then(|| (app.to_owned(), format!("{{service_name=\"{app}\"}}")))
}

/// An answer that a test gives in place of the recorded one. `None`: the recorded one.
type Instead = Arc<Mutex<dyn FnMut(&Request) -> Option<ResponseTemplate> + Send>>;

struct Replay {
    recordings: Recordings,
    instead: Instead,
}

impl Respond for Replay {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if let Some(answer) = (self.instead.lock().unwrap())(request) {
            return answer;
        }
        let proto = |bytes: Vec<u8>| ResponseTemplate::new(200).set_body_raw(bytes, "application/proto");
        let binary = request.headers.get("content-type").is_some_and(|value| value == "application/proto");
        let answer = match request.url.path() {
            "/querier.v1.QuerierService/Series" if binary => {
                Some(proto(self.recordings.series(&message(request)).encode_to_vec()))
            }
            "/querier.v1.QuerierService/SelectMergeProfile" if binary => {
                let mut asked: SelectMergeProfileRequest = message(request);
                match narrowed(&asked.label_selector) {
                    Some((_, selector)) => asked.label_selector = selector,
                    None => return self.recordings.respond(self.recordings.case("merge-empty-app")),
                }
                self.recordings.merge(&asked)
            }
            "/querier.v1.QuerierService/SelectSeries" if binary => {
                self.recordings.totals(&message(request)).map(|totals| proto(totals.encode_to_vec()))
            }
            "/pyroscope/render" => self.recordings.render(&request.url),
            _ => None,
        };
        // Pyroscope never gives this status. It fails a test that makes a call that was not recorded.
        answer.unwrap_or_else(|| ResponseTemplate::new(418).set_body_string(format!("not recorded: {}", request.url)))
    }
}

/// The message of a request.
pub(crate) fn message<M: Message + Default>(request: &Request) -> M {
    M::decode(request.body.as_slice()).unwrap()
}

/// A running replay server.
pub(crate) struct ReplayServer {
    pub(crate) server: MockServer,
    pub(crate) recordings: Recordings,
}

impl ReplayServer {
    /// A server that gives the recorded answers of `v1` or `v2`. `None` if there are no recordings.
    pub(crate) async fn start(version: &str) -> Option<Self> {
        Self::start_with(version, |_| None).await
    }

    /// The same, with the answers of `instead` where it gives one.
    pub(crate) async fn start_with(
        version: &str,
        instead: impl FnMut(&Request) -> Option<ResponseTemplate> + Send + 'static,
    ) -> Option<Self> {
        let recordings = Recordings::of(version)?;
        let server = MockServer::start().await;
        let replay = Replay { recordings: recordings.clone(), instead: Arc::new(Mutex::new(instead)) };
        Mock::given(any()).respond_with(replay).mount(&server).await;
        Some(Self { server, recordings })
    }

    /// How to reach it.
    pub(crate) fn settings(&self) -> PyroscopeSettings {
        PyroscopeSettings::new(self.server.uri().parse().unwrap())
    }

    /// The requests to the method of that name.
    pub(crate) async fn calls(&self, method: &str) -> Vec<Request> {
        let all = self.server.received_requests().await.unwrap();
        all.into_iter().filter(|request| request.url.path().ends_with(method)).collect()
    }
}

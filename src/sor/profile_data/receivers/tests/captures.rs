//! Every recorded request of an SDK, sent to a running server as it was, is stored function by function.

use std::path::{Path, PathBuf};

use prost::Message;

use super::*;
use crate::profile::{ReadLimits, inflate};
use crate::sor::profile_data::proto::google::v1::Profile;
use crate::sor::profile_data::proto::push::v1::PushRequest;
use crate::sor::profile_data::proto::querier::v1::{SelectMergeProfileRequest, SeriesRequest, SeriesResponse};
use crate::sor::profile_data::querier::{self, Querier};

/// A running server that receives and answers, and the clock that it shows.
struct Server {
    base: String,
    clock: Arc<FixedClock>,
    handle: actix_web::dev::ServerHandle,
    _setup: Setup,
}

async fn start() -> Server {
    let setup = setup().await;
    let (receiver, clock) = (setup.receiver.clone(), Arc::clone(&setup.clock));
    let querier = web::Data::new(Querier::new(setup.store.clone(), clock.clone()));
    let server = actix_web::HttpServer::new(move || {
        let app = actix_web::App::new().app_data(receiver.clone()).app_data(querier.clone());
        app.configure(Routes::serve(routes)).configure(Routes::serve(querier::routes))
    });
    let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    Server { base, clock, handle, _setup: setup }
}

impl Server {
    async fn ask<A: Message + Default>(&self, method: &str, message: &impl Message) -> A {
        let request = reqwest::Client::new().post(format!("{}/querier.v1.QuerierService/{method}", self.base));
        let request = request.header("content-type", "application/proto").body(message.encode_to_vec());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        A::decode(answer.bytes().await.unwrap()).unwrap()
    }
}

/// Self and total of each function.
type Functions = BTreeMap<String, (i64, i64)>;

/// What a profile says of each function, by sample type and unit: by the message alone, without our reader.
fn functions(profile: &Profile) -> BTreeMap<(String, String), Functions> {
    let text = |place: i64| profile.string_table[usize::try_from(place).unwrap()].clone();
    let names: BTreeMap<_, _> = profile.function.iter().map(|function| (function.id, text(function.name))).collect();
    let locations: BTreeMap<_, _> = profile.location.iter().map(|location| (location.id, &location.line)).collect();
    let of_type = |place: usize| {
        let mut functions = Functions::new();
        for sample in profile.sample.iter().filter(|sample| sample.value[place] != 0) {
            let lines = sample.location_id.iter().flat_map(|id| locations[id]);
            let stack: Vec<_> = lines.map(|line| names[&line.function_id].as_str()).collect();
            for (depth, name) in stack.iter().enumerate() {
                let (own, total) = functions.entry((*name).to_owned()).or_default();
                *own += if depth == 0 { sample.value[place] } else { 0 };
                *total += if stack[..depth].contains(name) { 0 } else { sample.value[place] };
            }
        }
        functions
    };
    let types = profile.sample_type.iter().enumerate();
    types.map(|(place, t)| ((text(t.r#type), text(t.unit)), of_type(place))).collect()
}

/// The profiles of a recorded body, each with its app.
fn profiles(path: &str, body: &[u8]) -> Vec<(String, Profile)> {
    let plain = |bytes: &[u8]| inflate(bytes, &ReadLimits::default()).unwrap().into_owned();
    let profile = |bytes: &[u8]| Profile::decode(plain(bytes).as_slice()).unwrap();
    let url = url::Url::parse("http://recorded").unwrap().join(path).unwrap();
    let params: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    match (url.path(), params.get("format").map(String::as_str)) {
        ("/push.v1.PusherService/Push", None) => {
            let push = PushRequest::decode(plain(body).as_slice()).unwrap();
            let of_series = push.series.into_iter().flat_map(|series| {
                let app = series.labels.iter().find(|label| label.name == "service_name").unwrap().value.clone();
                series.samples.into_iter().map(move |sample| (app.clone(), sample.raw_profile))
            });
            of_series.map(|(app, raw)| (app, profile(&raw))).collect()
        }
        ("/ingest", Some("pprof")) => vec![(params["name"].split('{').next().unwrap().to_owned(), profile(body))],
        unknown => panic!("no test reads what is sent to {unknown:?}"),
    }
}

/// The numbers of the recorded requests of a folder. Each file in it belongs to one.
fn requests(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pairs: Vec<_> = files.chunks(2).map(|pair| (pair[0].clone(), pair.last().unwrap().clone())).collect();
    for (body, head) in &pairs {
        assert_eq!((body.extension(), head), (Some("body".as_ref()), &body.with_extension("json")), "belong together");
    }
    pairs
}

#[actix_web::test]
async fn every_recorded_request_is_stored_function_by_function() {
    let Some(folder) = crate::kernel::testing::shared("captures") else { return };
    let mut folders: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| !["README.md", "pb.py", "__pycache__"].iter().any(|name| path.ends_with(name)));
    assert!(!folders.is_empty());
    let server = start().await;
    for (body, head) in folders.iter().flat_map(|folder| requests(folder)) {
        let seen = body.display().to_string();
        let Capture { path, headers } = serde_json::from_slice(&std::fs::read(head).unwrap()).unwrap();
        let body = std::fs::read(body).unwrap();
        let sent = profiles(&path, &body);
        let started = |profile: &Profile| DateTime::from_timestamp_nanos(profile.time_nanos);
        server.clock.set(started(&sent[0].1) + TimeDelta::minutes(1));
        server._setup.store.maintain().await.unwrap();
        let mut request = reqwest::Client::new().post(format!("{}{path}", server.base)).body(body);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (200, 0), "{seen}");
        for (app, profile) in &sent {
            let at = started(profile).timestamp_millis();
            let (start, end, label_selector) = (at, at + 1, format!("{{service_name={app:?}}}"));
            let asked = SeriesRequest {
                matchers: vec![label_selector.clone()],
                label_names: vec!["__profile_type__".to_owned()],
                start,
                end,
            };
            let series: SeriesResponse = server.ask("Series", &asked).await;
            let ids: Vec<_> = series.labels_set.iter().map(|set| set.labels[0].value.as_str()).collect();
            for ((name, unit), expected) in functions(profile) {
                let id = ids.iter().find(|id| id.contains(&format!(":{name}:{unit}:"))).unwrap_or_else(|| {
                    panic!("{seen}: {name}:{unit} is not among {ids:?}");
                });
                let asked = SelectMergeProfileRequest {
                    profile_type_id: (*id).to_owned(),
                    label_selector: label_selector.clone(),
                    start,
                    end,
                    ..SelectMergeProfileRequest::default()
                };
                let stored: Profile = server.ask("SelectMergeProfile", &asked).await;
                let stored = functions(&stored).into_values().next().unwrap_or_default();
                assert_eq!(stored, expected, "{seen}: {id}");
            }
        }
    }
    server.handle.stop(false).await;
}

//! The receivers with a real store: what real SDKs sent, and what nobody should send.

mod captures;
mod declared;
mod jfr;
mod older;
mod opentelemetry;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;

use super::*;
use crate::kernel::{CALL, FixedClock, ProfileType, Selector, TimeWindow};
use crate::profile::{FunctionTable, PprofHeader, ProfileBuilder, SampleType, write_pprof};
use crate::sor::profile_data::store::StoreSettings;
use crate::sor::profile_data::{MergedProfile, ProfileDataSor, ProfileQuery};
use crate::storage::testing::{TestDatabase, database};
use crate::storage::{Db, PoolSettings};

const NOON: &str = "2026-11-20T12:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

struct Setup {
    store: ProfileStore,
    clock: Arc<FixedClock>,
    receiver: web::Data<Receiver>,
    _database: TestDatabase,
}

async fn house_at(now: DateTime<Utc>) -> Setup {
    let database = database().await;
    let clock = Arc::new(FixedClock::at(now));
    let store = ProfileStore::new(database.db.clone(), clock.clone(), StoreSettings::default());
    store.maintain().await.unwrap();
    let receiver = web::Data::new(Receiver::new(store.clone(), clock.clone(), Budget::default()));
    Setup { store, clock, receiver, _database: database }
}

async fn setup() -> Setup {
    house_at(at(NOON)).await
}

impl Setup {
    /// Sends a request; answers status and body.
    async fn send(&self, request: TestRequest) -> (u16, String) {
        let app = actix_web::App::new().app_data(self.receiver.clone()).configure(Routes::serve(routes));
        let app = init_service(app).await;
        let answer = call_service(&app, request.to_request()).await;
        let status = answer.status().as_u16();
        (status, String::from_utf8(read_body(answer).await.to_vec()).unwrap())
    }

    async fn ingest(&self, query: &str, body: impl Into<Bytes>) -> (u16, String) {
        self.send(TestRequest::post().uri(&format!("/ingest?{query}")).set_payload(body.into())).await
    }

    /// What the store has of an app of the default tenant within ten minutes of the clock.
    async fn merged(&self, app: &str, kind: ProfileType) -> Option<MergedProfile> {
        self.merged_of(None, app, kind).await
    }

    async fn merged_of(&self, tenant: Option<&str>, app: &str, kind: ProfileType) -> Option<MergedProfile> {
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        let now = self.clock.now();
        let window = TimeWindow::new(now - TimeDelta::minutes(10), now + TimeDelta::minutes(1)).unwrap();
        let query = ProfileQuery { app: app.parse().unwrap(), kind, window, selector: Selector::default(), tenant };
        self.store.merged(&CALL, &query).await.unwrap()
    }

    /// Type IDs, total, and self of the heaviest function.
    async fn summary(&self, app: &str, kind: ProfileType) -> (String, i64, usize, String, i64) {
        let merged = self.merged(app, kind).await.unwrap();
        let table = FunctionTable::of(&merged.profile, 0);
        let selfs: Vec<_> = table.rows().iter().filter(|row| row.self_ticks > 0).collect();
        let top = selfs[0];
        (merged.meta.profile_types.join("+"), table.total(), selfs.len(), top.name.to_string(), top.self_ticks)
    }
}

fn code(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    format!("{}: {}", problem["code"].as_str().unwrap(), problem["detail"].as_str().unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut plain).unwrap();
    plain
}

/// A pprof of CPU time with these stacks, leaf first, that began at `time`.
fn pprof(types: &[(&str, &str)], stacks: &[(&str, &[i64])], time: Option<&str>) -> Vec<u8> {
    let mut builder = ProfileBuilder::new(types.iter().map(|(n, u)| SampleType::new(*n, *u)).collect());
    for (stack, values) in stacks {
        let frames: Vec<_> = stack.split(';').map(|name| builder.function(name, "a.rs")).collect();
        builder.add(frames, values);
    }
    let header = PprofHeader {
        time: time.map(at),
        period_type: Some(SampleType::new("cpu", "nanoseconds")),
        period: 10_000_000,
        ..PprofHeader::default()
    };
    write_pprof(&builder.build(), &header)
}

fn cpu(time: Option<&str>) -> Vec<u8> {
    pprof(&[("cpu", "nanoseconds")], &[("work;main", &[30_000_000])], time)
}

/// The head of a recorded request.
#[derive(serde::Deserialize)]
struct Capture {
    path: String,
    headers: BTreeMap<String, String>,
}

/// Path, headers and body of a recorded request.
type Recorded = (String, BTreeMap<String, String>, Vec<u8>);

fn captures(sdk: &str) -> Option<Vec<Recorded>> {
    let folder = crate::kernel::testing::shared(&format!("captures/{sdk}"))?;
    let numbered = (0..).map_while(|n| std::fs::read(folder.join(format!("{n}.json"))).ok().map(|json| (n, json)));
    let read = |(n, json): (i32, Vec<u8>)| {
        let Capture { path, headers } = serde_json::from_slice(&json).unwrap();
        (path, headers, std::fs::read(folder.join(format!("{n}.body"))).unwrap())
    };
    Some(numbered.map(read).collect())
}

/// Totals, numbers of functions and heaviest functions are those that an independent decoder finds in the captures.
#[rstest]
#[case("python", "my.py.app", 3, &[
    (ProfileType::Cpu, "process_cpu:cpu:nanoseconds:cpu:nanoseconds", 25_890_000_000, 2, "<genexpr>", 17_110_000_000),
    (ProfileType::Alloc, "memory:alloc_space:bytes:space:bytes", 16_417_730_840, 2, "<genexpr>", 16_129_000_339),
    (ProfileType::Inuse, "memory:inuse_space:bytes:space:bytes", 69_446_789, 1, "<module>", 69_446_789),
])]
#[case("rust", "my.rs.app", 3, &[
    (ProfileType::Cpu, "process_cpu:cpu:nanoseconds:cpu:nanoseconds", 21_850_000_000, 13,
        "<core::ops::range::Range<T> as core::iter::range::RangeIteratorImpl>::spec_next", 7_900_000_000),
])]
#[case("node", "my-node-app", 5, &[
    (ProfileType::Cpu, "process_cpu:cpu:nanoseconds:wall:nanoseconds", 2_691_032_406, 19, ":(idle):0", 2_020_630_863),
    (ProfileType::Wall, "wall:wall:nanoseconds:wall:nanoseconds", 1_977_118_000, 17,
        "./app.mjs:(anonymous:L#5:C#22):5", 1_641_089_000),
    (ProfileType::Inuse, "memory:inuse_space:bytes:inuse_space:bytes", 99_305_868, 16,
        "./app.mjs:(anonymous:L#5:C#22):5", 86_063_152),
])]
#[actix_web::test]
async fn what_a_real_sdk_sent_is_what_is_stored(
    #[case] sdk: &str,
    #[case] app: &str,
    #[case] requests: usize,
    #[case] expected: &[(ProfileType, &str, i64, usize, &str, i64)],
) {
    let Some(captures) = captures(sdk) else { return };
    assert_eq!(captures.len(), requests);
    let setup = house_at(DateTime::from_timestamp(1_795_226_280, 0).unwrap()).await;
    for (path, headers, body) in captures {
        let mut request = TestRequest::post().uri(&path);
        for (name, value) in &headers {
            request = request.insert_header((name.as_str(), value.as_str()));
        }
        let answer = setup.send(request.set_payload(body)).await;
        assert_eq!(answer, (200, String::new()));
    }
    for (kind, types, total, functions, top, top_self) in expected {
        let read = setup.summary(app, *kind).await;
        assert_eq!(read, ((*types).to_owned(), *total, *functions, (*top).to_owned(), *top_self), "{kind}");
    }
}

#[actix_web::test]
async fn a_push_as_json_is_taken_and_answered_as_json() {
    let setup = setup().await;
    let raw = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, cpu(Some(NOON)));
    let body = serde_json::json!({"series": [{
        "labels": [{"name": "__name__", "value": "process_cpu"}, {"name": "service_name", "value": "checkout"}, {"name": "region", "value": "eu"}],
        "samples": [{"rawProfile": raw, "ID": "1"}],
    }]});
    let request = || TestRequest::post().uri("/push.v1.PusherService/Push").set_json(&body);
    assert_eq!(setup.send(request()).await, (200, "{}".to_owned()));
    // The SDK tries again.
    assert_eq!(setup.send(request()).await, (200, "{}".to_owned()));
    let read = setup.summary("checkout", ProfileType::Cpu).await;
    assert_eq!(read, ("process_cpu:cpu:nanoseconds:cpu:nanoseconds".into(), 30_000_000, 1, "work".into(), 30_000_000));
}

#[rstest]
#[case::name_by_types("name=app&format=pprof", &[("contentions", "count"), ("delay", "nanoseconds")], ProfileType::Lock, "mutex:delay:nanoseconds:cpu:nanoseconds")]
#[case::upper_case("name=app&format=pprof&unknown=1", &[("sample", "count"), ("CPU", "nanoseconds")], ProfileType::Cpu, "process_cpu:CPU:nanoseconds:cpu:nanoseconds")]
#[case::service_name_wins("name=other{service_name=app}&format=pprof", &[("samples", "count"), ("cpu", "nanoseconds")], ProfileType::Cpu, "process_cpu:cpu:nanoseconds:cpu:nanoseconds")]
#[case::hyphens("name=app&format=pprof&spyName=dotnetspy", &[("alloc-samples", "count"), ("alloc_size", "bytes")], ProfileType::Alloc, "memory:alloc_size:bytes:cpu:nanoseconds")]
#[actix_web::test]
async fn a_raw_pprof_is_named_by_its_sample_types(
    #[case] query: &str,
    #[case] types: &[(&str, &str)],
    #[case] kind: ProfileType,
    #[case] expected: &str,
) {
    let setup = setup().await;
    let query = query.replace('{', "%7B").replace('}', "%7D");
    assert_eq!(setup.ingest(&query, pprof(types, &[("f;main", &[3, 70])], Some(NOON))).await, (200, String::new()));
    assert_eq!(setup.summary("app", kind).await, (expected.to_owned(), 70, 1, "f".to_owned(), 70));
}

fn form(parts: &[(&str, &[u8])]) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        write!(body, "--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n").unwrap();
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--x--\r\n");
    ("multipart/form-data; boundary=x", body)
}

#[actix_web::test]
async fn a_pprof_in_a_form_is_named_by_its_configuration() {
    let setup = setup().await;
    let config = br#"{"contentions":{"units":"lock_samples","display-name":"block_count"},"delay":{"units":"lock_nanoseconds","display-name":"block_duration"}}"#;
    let profile = pprof(&[("contentions", "count"), ("delay", "nanoseconds")], &[("f", &[1, 2])], None);
    let (content_type, body) = form(&[("profile", &profile), ("sample_type_config", config)]);
    let request = TestRequest::post()
        .uri("/pyroscope/ingest?name=app%7Bregion%3Deu%7D&from=1795175990000000000&until=1795176000000000000&spyName=gospy")
        .insert_header(("content-type", content_type))
        .set_payload(body);
    assert_eq!(setup.send(request).await, (200, String::new()));
    // Go's block profile is not a lock profile, so nothing is read, but it is stored.
    let merged = setup.merged("app", ProfileType::Lock).await.unwrap();
    assert_eq!((merged.profile.stack_count(), merged.meta.last_profile_at), (0, Some(at("2026-11-20T11:59:50Z"))));
}

#[rstest]
#[case::counts_are_scaled(
    "name=app.cpu&sampleRate=100",
    "main;work 3\nmain 1\n",
    ProfileType::Cpu,
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    40_000_000,
    "work",
    Some(4)
)]
#[case::no_rate_given(
    "name=app",
    "main;work 3",
    ProfileType::Cpu,
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    30_000_000,
    "work",
    Some(3)
)]
#[case::counts_as_they_are(
    "name=app&sampleRate=0",
    "main;work 3",
    ProfileType::Cpu,
    "process_cpu:samples:count::",
    3,
    "work",
    Some(3)
)]
#[case::lines(
    "name=app&format=lines",
    "main;work\nmain;work\n",
    ProfileType::Cpu,
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    20_000_000,
    "work",
    Some(2)
)]
#[case::alloc("name=app.alloc_space", "main;work 3", ProfileType::Alloc, "memory:alloc_space:bytes::", 3, "work", None)]
#[actix_web::test]
async fn text_is_taken(
    #[case] query: &str,
    #[case] text: &'static str,
    #[case] kind: ProfileType,
    #[case] types: &str,
    #[case] total: i64,
    #[case] top: &str,
    #[case] events: Option<u64>,
) {
    let setup = setup().await;
    assert_eq!(setup.ingest(&format!("{query}&from=1795176000"), text).await, (200, String::new()));
    let merged = setup.merged("app", kind).await.unwrap();
    assert_eq!(
        (merged.meta.profile_types.join("+"), merged.profile.total(0), merged.meta.sample_count),
        (types.to_owned(), total, events)
    );
    assert_eq!(setup.summary("app", kind).await.3, top);
}

/// A speedscope file of one profile in this unit, and of what else is given.
fn speedscope(unit: &str, more: &str) -> Vec<u8> {
    let profile = r#""type":"sampled","name":"t","samples":[[0,1],[0]],"weights":[3,4]"#;
    let frames = r#"[{"name":"main"},{"name":"work"}]"#;
    format!(r#"{{"shared":{{"frames":{frames}}},"profiles":[{{{profile},"unit":"{unit}"}}{more}]}}"#).into_bytes()
}

/// Status and beginning of the answer, query, content type and body of the request.
type Case<'a> = (u16, &'a str, &'a str, Option<&'a str>, Vec<u8>);

#[actix_web::test]
async fn what_cannot_be_taken_says_why_and_leaves_what_is_stored_untouched() {
    let setup = setup().await;
    assert_eq!(setup.ingest("name=app&format=pprof", cpu(Some(NOON))).await.0, 200);
    let whole = cpu(Some("2026-11-20T12:00:01Z"));
    let bomb = gzip(&vec![0; 300 << 20]);
    let many = "a 1\n".repeat(1_000_001);
    let deep = format!("{} 1", "f;".repeat(5_000));
    let long = format!("{} 1", "x".repeat(17_000));
    let many_labels: Vec<_> = (0..31).map(|n| format!("l{n}=v")).collect();
    let many_labels = format!("name=app{{{}}}", many_labels.join(","));
    let (type_of_form, prev) = form(&[("profile", &whole), ("prev_profile", &whole)]);
    let (_, jfr) = form(&[("jfr", b"FLR")]);
    let (_, no_profile) = form(&[("labels", b"")]);
    let as_form = Some(type_of_form);
    let cases: Vec<Case<'_>> = vec![
        (400, "parameter_invalid: name: is missing", "format=pprof", None, whole.clone()),
        (400, "parameter_invalid: name: \"example\" is no profile type", "name=python.example", None, b"a 1".to_vec()),
        (400, "parameter_invalid: from: ", "name=app&from=yesterday", None, b"a 1".to_vec()),
        (400, "parameter_invalid: name: has 31 labels", &many_labels, None, b"a 1".to_vec()),
        (
            400,
            "time_out_of_range: the profile began at 2026-11-13T11:59:59.000Z: profiles are kept 7 days",
            "name=app&format=pprof",
            None,
            cpu(Some("2026-11-13T11:59:59Z")),
        ),
        (
            400,
            "time_out_of_range: the profile began at 2026-11-20T12:10:01.000Z: at most 10 minutes",
            "name=app&format=pprof",
            None,
            cpu(Some("2026-11-20T12:10:01Z")),
        ),
        (400, "time_out_of_range: ", "name=app&from=1", None, b"a 1".to_vec()),
        (
            422,
            "profile_unreadable: the profile does not inflate",
            "name=app&format=pprof",
            None,
            whole[..whole.len() / 2].to_vec(),
        ),
        (422, "profile_unreadable: the profile has no sample types", "name=app&format=pprof", None, Vec::new()),
        (422, "profile_unreadable: the profile cannot be read", "name=app", None, b"a one".to_vec()),
        (
            422,
            "profile_unreadable: the profile cannot be read: it is cut off",
            "name=app&format=jfr",
            None,
            b"FLR".to_vec(),
        ),
        (422, "profile_unreadable: the form has a part jfr: send it with format=jfr", "name=app", as_form, jfr),
        (
            422,
            "profile_unreadable: the profile cannot be read: the end, where a node goes on",
            "name=app",
            Some("binary/octet-stream+trie"),
            b"\x00\x00\x01".to_vec(),
        ),
        (
            422,
            "profile_unreadable: the profile cannot be read: no speedscope JSON",
            "name=app&format=speedscope",
            None,
            b"{}".to_vec(),
        ),
        (
            400,
            "parameter_invalid: name: \"app.cpu\" says that cpu (nanoseconds) is counted",
            "name=app.cpu&format=speedscope",
            None,
            speedscope("bytes", ""),
        ),
        (422, "profile_unreadable: prev_profile is of an unsupported client version", "name=app", as_form, prev),
        (422, "profile_unreadable: the form has no part profile", "name=app", as_form, no_profile),
        (
            413,
            "profile_too_large: the profile has more than 268435456 bytes after inflating",
            "name=app&format=pprof",
            None,
            bomb,
        ),
        (413, "profile_too_large: the profile has more than 1000000 samples", "name=app", None, many.into_bytes()),
        (
            413,
            "profile_too_large: the profile has more than 4096 frames in one stack",
            "name=app",
            None,
            deep.into_bytes(),
        ),
        (
            413,
            "profile_too_large: the profile has more than 16384 bytes in one name",
            "name=app",
            None,
            long.into_bytes(),
        ),
        (
            413,
            "profile_too_large: the profile has more than 33554432 bytes",
            "name=app",
            None,
            vec![b'x'; (32 << 20) + 1],
        ),
    ];
    for (status, text, query, content_type, body) in cases {
        let mut request = TestRequest::post().uri(&format!("/ingest?{query}")).set_payload(body);
        if let Some(content_type) = content_type {
            request = request.insert_header(("content-type", content_type));
        }
        let (got, body) = setup.send(request).await;
        assert_eq!(got, status, "{text}: {body}");
        assert!(code(&body).starts_with(text), "{} is not {text}", code(&body));
    }
    assert_eq!(setup.summary("app", ProfileType::Cpu).await.1, 30_000_000);
}

#[rstest]
#[case::no_message(400, "body_invalid: the body is no push request", "application/proto", b"\xff\xff".to_vec())]
#[case::no_json(400, "body_invalid: the body is no push request", "application/json", b"{".to_vec())]
#[case::nothing(400, "body_invalid: no profiles received", "application/json", b"{}".to_vec())]
#[case::no_base64(400, "body_invalid: rawProfile is no base64", "application/json", br#"{"series":[{"samples":[{"rawProfile":"?"}]}]}"#.to_vec())]
#[case::no_profile(400, "body_invalid: the profile has no sample types", "application/json", br#"{"series":[{"samples":[{"rawProfile":"eHh4eA=="}]}]}"#.to_vec())]
#[case::a_long_label(400, "parameter_invalid: labels: the value of label \"pod\"", "application/json", format!(r#"{{"series":[{{"labels":[{{"name":"pod","value":"{}"}}],"samples":[{{"rawProfile":"eHh4eA=="}}]}}]}}"#, "x".repeat(2_049)).into_bytes())]
#[case::another_type(415, "content_type_unsupported: the content type \"text/plain\" is not taken", "text/plain", b"x".to_vec())]
#[actix_web::test]
async fn a_bad_push_says_why(
    #[case] status: u16,
    #[case] text: &str,
    #[case] content_type: &str,
    #[case] body: Vec<u8>,
) {
    let setup = setup().await;
    let request = TestRequest::post().uri("/push.v1.PusherService/Push").insert_header(("content-type", content_type));
    let (got, body) = setup.send(request.set_payload(body)).await;
    assert_eq!(got, status, "{body}");
    assert!(code(&body).starts_with(text), "{} is not {text}", code(&body));
}

/// A profile of 100 MiB, most of it a comment.
fn large() -> Vec<u8> {
    let comment = "x".repeat(100 << 20);
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let work = builder.function("work", "a.rs");
    builder.add([work], &[30_000_000]);
    let header = PprofHeader { time: Some(at(NOON)), comments: vec![comment], ..PprofHeader::default() };
    write_pprof(&builder.build(), &header)
}

#[rstest]
#[case::gzip(large(), None)]
#[case::plain_in_a_gzip_body(gzip(&gunzip(&large())), Some("gzip"))]
#[case::gzip_in_a_gzip_body(gzip(&large()), Some("gzip"))]
#[actix_web::test]
async fn a_large_profile_is_taken_however_it_is_wrapped(#[case] body: Vec<u8>, #[case] encoding: Option<&str>) {
    let setup = setup().await;
    let mut request = TestRequest::post().uri("/ingest?name=app&format=pprof").set_payload(body);
    if let Some(encoding) = encoding {
        request = request.insert_header(("content-encoding", encoding));
    }
    assert_eq!(setup.send(request).await, (200, String::new()));
    assert_eq!(setup.summary("app", ProfileType::Cpu).await.1, 30_000_000);
}

#[actix_web::test]
async fn a_push_that_would_wait_for_itself_is_too_large() {
    let setup = setup().await;
    let receiver = |budget| web::Data::new(Receiver::new(setup.store.clone(), setup.clock.clone(), budget));
    // Each profile takes 64 KiB at least.
    for (budget, status) in [(192 << 10, 200), (128 << 10, 413)] {
        let samples: Vec<_> = (0..3)
            .map(|second| {
                let profile = cpu(Some(&format!("2026-11-20T12:00:0{second}Z")));
                let raw = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, profile);
                serde_json::json!({"rawProfile": raw, "ID": format!("{budget} {second}")})
            })
            .collect();
        let labels = [("__name__", "process_cpu"), ("service_name", "app")];
        let labels: Vec<_> = labels.map(|(name, value)| serde_json::json!({"name": name, "value": value})).into();
        let push = serde_json::json!({"series": [{"labels": labels, "samples": samples}]});
        let app = actix_web::App::new().app_data(receiver(Budget::new(budget)));
        let app = init_service(app.configure(Routes::serve(routes))).await;
        let request = TestRequest::post().uri("/push.v1.PusherService/Push").set_json(&push);
        let answer = call_service(&app, request.to_request()).await;
        assert_eq!(answer.status().as_u16(), status);
    }
    assert_eq!(setup.summary("app", ProfileType::Cpu).await.1, 90_000_000);
}

#[actix_web::test]
async fn one_bad_profile_keeps_the_whole_push_out() {
    let setup = setup().await;
    let encode = |bytes: Vec<u8>| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let labels = serde_json::json!([{"name": "service_name", "value": "app"}]);
    let series = |raw: String| serde_json::json!({"labels": labels, "samples": [{"rawProfile": raw}]});
    let body = serde_json::json!({"series": [series(encode(cpu(Some(NOON)))), series(encode(b"xxxx".to_vec()))]});
    assert_eq!(setup.send(TestRequest::post().uri("/push.v1.PusherService/Push").set_json(&body)).await.0, 400);
    assert!(setup.merged("app", ProfileType::Cpu).await.is_none());
}

#[actix_web::test]
async fn a_dead_database_is_503_with_retry_after() {
    let options = sqlx::postgres::PgConnectOptions::new().host("127.0.0.1").port(1);
    let patience = PoolSettings { connect_timeout: Duration::from_millis(200), ..PoolSettings::of_size(1) };
    let database = Db::open(options, patience);
    let clock = Arc::new(FixedClock::at(at(NOON)));
    let store = ProfileStore::new(database, clock.clone(), StoreSettings::default());
    let receiver = web::Data::new(Receiver::new(store, clock, Budget::default()));
    let app = actix_web::App::new().app_data(receiver).configure(Routes::serve(routes));
    let app = init_service(app).await;
    let request = TestRequest::post().uri("/ingest?name=app&format=pprof").set_payload(cpu(Some(NOON)));
    let answer = call_service(&app, request.to_request()).await;
    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.headers().contains_key("retry-after"));
}

#[actix_web::test]
async fn with_a_pyroscope_server_the_receivers_name_it() {
    let app = actix_web::App::new().configure(Routes::serve(routes_off));
    let app = init_service(app).await;
    for path in [
        "/push.v1.PusherService/Push",
        "/ingest?name=x",
        "/pyroscope/ingest?name=x",
        "/v1development/profiles",
        "/v1experimental/profiles",
    ] {
        let answer = call_service(&app, TestRequest::post().uri(path).to_request()).await;
        assert_eq!(answer.status().as_u16(), 404);
        let body = String::from_utf8(read_body(answer).await.to_vec()).unwrap();
        assert!(code(&body).starts_with("receiver_off: this server reads profiles from PYROSCOPE_URL"), "{body}");
    }
}

#[tokio::test]
async fn profiles_of_one_app_and_two_tenants_are_kept_apart() {
    let setup = setup().await;
    let push = |tenant: Option<&str>, body: &'static str| {
        let request = TestRequest::post().uri("/ingest?name=checkout&from=now-10s&sampleRate=1").set_payload(body);
        tenant.into_iter().fold(request, |request, tenant| request.insert_header(("X-Scope-OrgID", tenant)))
    };
    for (tenant, body) in
        [(None, "main 1"), (Some("anonymous"), "main 2"), (Some("team-a"), "main 10"), (Some("team-b"), "main 100")]
    {
        assert_eq!(setup.send(push(tenant, body)).await, (200, String::new()));
    }
    let mut totals = Vec::new();
    for tenant in [None, Some("anonymous"), Some("team-a"), Some("team-b")] {
        totals.push(
            setup.merged_of(tenant, "checkout", ProfileType::Cpu).await.unwrap().profile.total(0) / 1_000_000_000,
        );
    }
    assert_eq!(totals, [3, 3, 10, 100]);
    assert!(setup.merged_of(Some("team-c"), "checkout", ProfileType::Cpu).await.is_none());
    let window = TimeWindow::new(at(NOON) - TimeDelta::hours(1), at(NOON)).unwrap();
    let tenant = "team-c".parse().unwrap();
    assert!(setup.store.apps(&CALL, Some(&tenant), window).await.unwrap().is_empty());
    assert_eq!(setup.store.apps(&CALL, None, window).await.unwrap().len(), 1);
}

#[rstest]
#[case::two_at_once("team-a|team-b")]
#[case::a_path("..")]
#[tokio::test]
async fn a_push_of_what_is_no_tenant_is_refused_by_the_name_of_the_header(#[case] tenant: &str) {
    let setup = setup().await;
    let request = TestRequest::post().uri("/ingest?name=checkout").insert_header(("X-Scope-OrgID", tenant));
    let (status, body) = setup.send(request.set_payload("main 1")).await;
    assert_eq!(status, 400);
    assert!(code(&body).starts_with("parameter_invalid: "), "{body}");
    assert!(body.contains("X-Scope-OrgID"), "{body}");
    assert!(setup.merged("checkout", ProfileType::Cpu).await.is_none());
}

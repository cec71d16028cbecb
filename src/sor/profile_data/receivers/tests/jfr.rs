//! Recordings, as the Pyroscope agent for Java pushes them.

use super::*;
use crate::profile::tests::jfr::writer::{Chunk, RUNNABLE, labels};

/// Twenty samples of CPU time in two regions, two kinds of allocation, a lock and a park.
fn recording() -> Vec<u8> {
    let mut chunk = Chunk::default();
    let hot = chunk.stack(&["shop/Prices.score:12", "shop/Main.run:3"]);
    let other = chunk.stack(&["shop/Receipts.render", "shop/Main.run"]);
    chunk.setting("jdk.ExecutionSample", "event", "itimer").setting("jdk.ExecutionSample", "interval", "20000000");
    for at in 0..20 {
        chunk.event("jdk.ExecutionSample", if at < 15 { hot } else { other }, &[RUNNABLE, at % 2]);
    }
    chunk.event("jdk.ObjectAllocationInNewTLAB", other, &[24, 700]);
    chunk.event("jdk.ObjectAllocationOutsideTLAB", other, &[300]);
    chunk.event("jdk.JavaMonitorEnter", hot, &[5_000_000, 0]).event("jdk.ThreadPark", hot, &[2_000_000, 0]);
    chunk.bytes()
}

/// Parts of a form, by name.
type Parts<'a> = Vec<(&'a str, &'a [u8])>;

impl Setup {
    /// Pushes a form as the agent does.
    async fn agent(&self, query: &str, parts: &[(&str, &[u8])]) -> (u16, String) {
        let (content_type, body) = form(parts);
        let uri = format!("/ingest?format=jfr&spyName=javaspy&units=samples&{query}");
        let request = TestRequest::post().uri(&uri).insert_header(("content-type", content_type)).set_payload(body);
        self.send(request).await
    }
}

#[actix_web::test]
async fn what_the_java_agent_sends_is_stored_by_kind() {
    let setup = setup().await;
    let from = "name=shop.web%7Botel.scope.name%3Dcom.grafana.pyroscope%2Fjava%7D&from=1795175990&until=1795176000";
    let labels = labels(&[(1, &[("region", "eu"), ("user", "ann")])]);
    let (jfr, labels) = (gzip(&recording()), gzip(&labels));
    let parts: [(&str, &[u8]); 2] = [("jfr", &jfr), ("labels", &labels)];
    assert_eq!(setup.agent(&format!("{from}&sampleRate=100"), &parts).await, (200, String::new()));
    // It is sent again when an answer was lost. The bytes between the parts are other ones then.
    let again = [parts[0], parts[1], ("padding", b"x")];
    assert_eq!(setup.agent(&format!("{from}&sampleRate=100"), &again).await.0, 200);
    let cpu = "process_cpu:cpu:nanoseconds:cpu:nanoseconds".to_owned();
    let app = "shop.web";
    assert_eq!(
        setup.summary(app, ProfileType::Cpu).await,
        (cpu, 200_000_000, 2, "shop/Prices.score".into(), 150_000_000)
    );
    let alloc = "memory:alloc_in_new_tlab_bytes:bytes:space:bytes+memory:alloc_outside_tlab_bytes:bytes:space:bytes";
    assert_eq!(
        setup.summary(app, ProfileType::Alloc).await,
        (alloc.to_owned(), 1_000, 1, "shop/Receipts.render".into(), 1_000)
    );
    let lock = "block:delay:nanoseconds:block:count+mutex:delay:nanoseconds:mutex:count";
    assert_eq!(
        setup.summary(app, ProfileType::Lock).await,
        (lock.to_owned(), 7_000_000, 1, "shop/Prices.score".into(), 7_000_000)
    );
    assert!(setup.merged(app, ProfileType::Wall).await.is_none_or(|merged| merged.profile.stack_count() == 0));
    // The labels of samples that are kept choose among them.
    let merged = setup.merged(app, ProfileType::Cpu).await.unwrap();
    assert_eq!(merged.meta.sample_count, Some(20));
    let window = TimeWindow::new(at(NOON) - TimeDelta::minutes(1), at(NOON)).unwrap();
    let selector: Selector = "region=\"eu\"".parse().unwrap();
    let query = ProfileQuery { app: app.parse().unwrap(), kind: ProfileType::Cpu, window, selector, tenant: None };
    let of_region = setup.store.merged(&CALL, &query).await.unwrap().unwrap();
    assert_eq!(of_region.profile.total(0), 100_000_000);
}

#[actix_web::test]
async fn a_recording_may_be_the_body_itself() {
    let setup = setup().await;
    for (app, body) in [("plain", recording()), ("gzip", gzip(&recording()))] {
        // Its own time, and its own interval of 20 ms, where the sender says neither.
        assert_eq!(setup.ingest(&format!("name={app}&format=jfr"), body).await, (200, String::new()));
        let (_, total, _, top, own) = setup.summary(app, ProfileType::Cpu).await;
        assert_eq!((total, top.as_str(), own), (400_000_000, "shop/Prices.score", 300_000_000));
    }
    assert_eq!(setup.ingest("name=idle&format=jfr", Chunk::default().bytes()).await.0, 200);
    assert_eq!(setup.merged("idle", ProfileType::Cpu).await.unwrap().profile.stack_count(), 0);
}

#[actix_web::test]
async fn a_recording_that_cannot_be_read_says_why_and_leaves_nothing() {
    let setup = setup().await;
    let whole = recording();
    let two = [whole.clone(), whole.clone()].concat();
    let cases: [(&str, Parts<'_>); 5] = [
        (
            "profile_unreadable: the profile cannot be read: it is cut off: a chunk of",
            vec![("jfr", &two[..two.len() - 9])],
        ),
        ("profile_unreadable: the profile cannot be read: no JFR recording", vec![("jfr", b"main;a 1")]),
        ("profile_unreadable: the profile cannot be read: it is empty", vec![("jfr", b"")]),
        ("profile_unreadable: the form has no part jfr: taken are", vec![("labels", b"")]),
        (
            "profile_unreadable: the profile cannot be read: in its labels",
            vec![("jfr", &whole), ("labels", b"\x0a\x05")],
        ),
    ];
    for (expected, parts) in cases {
        let (status, body) = setup.agent("name=cut", &parts).await;
        assert!(status == 422 && code(&body).starts_with(expected), "{status} {body}");
    }
    let old = Chunk { start_nanos: 1_700_000_000_000_000_000, ..Chunk::default() };
    let (status, body) = setup.ingest("name=cut&format=jfr", old.bytes()).await;
    assert!(status == 400 && code(&body).starts_with("time_out_of_range"), "{body}");
    let bomb = gzip(&vec![0; 300 << 20]);
    let (status, body) = setup.agent("name=cut", &[("jfr", &bomb)]).await;
    assert!(status == 413 && code(&body).starts_with("profile_too_large"), "{body}");
    let (status, body) = setup.agent("name=cut", &[("jfr", &whole), ("labels", &bomb)]).await;
    assert!(status == 413 && code(&body).starts_with("profile_too_large"), "{body}");
    assert!(setup.merged("cut", ProfileType::Cpu).await.is_none());
}

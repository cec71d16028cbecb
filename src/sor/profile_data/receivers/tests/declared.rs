//! What a sender says of its profiles with a label.

use super::*;

/// Python's SDK sends the same with `oncpu=False` as with `oncpu=True`, so a tag says it.
#[actix_web::test]
async fn a_label_says_that_cpu_samples_count_elapsed_time() {
    let setup = setup().await;
    let encode = |bytes: Vec<u8>| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let series = |app: &str, name: &str, tag: &str, raw: Vec<u8>| {
        let labels = [("__name__", name), ("service_name", app), ("profile_type", tag)];
        let labels = labels.map(|(name, value)| serde_json::json!({"name": name, "value": value}));
        serde_json::json!({"labels": labels, "samples": [{"rawProfile": encode(raw)}]})
    };
    let heap = || pprof(&[("alloc_space", "bytes")], &[("work;main", &[512])], Some(NOON));
    let body = serde_json::json!({"series": [
        series("waits", "process_cpu", "wall", cpu(Some(NOON))),
        series("waits", "memory", "wall", heap()),
        series("works", "process_cpu", "something", cpu(Some(NOON))),
    ]});
    assert_eq!(setup.send(TestRequest::post().uri("/push.v1.PusherService/Push").set_json(&body)).await.0, 200);
    let read = |id: &str, total| (id.to_owned(), total, 1, "work".to_owned(), total);
    let wall = setup.summary("waits", ProfileType::Wall).await;
    assert_eq!(wall, read("wall:wall:nanoseconds:cpu:nanoseconds", 30_000_000));
    let cpu_of_waits = setup.merged("waits", ProfileType::Cpu).await.unwrap();
    assert_eq!(cpu_of_waits.meta.no_data, Some(crate::kernel::NoDataReason::KindNeverSent));
    let alloc = setup.summary("waits", ProfileType::Alloc).await;
    assert_eq!(alloc, read("memory:alloc_space:bytes:cpu:nanoseconds", 512));
    let works = setup.summary("works", ProfileType::Cpu).await;
    assert_eq!(works, read("process_cpu:cpu:nanoseconds:cpu:nanoseconds", 30_000_000));
}

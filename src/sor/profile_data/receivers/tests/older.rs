//! The formats of older SDKs and of other tools with a real store.

use super::*;

/// `main;work` seen three times and `main` four times, by two nodes of a trie and of a tree.
const TRIE: &[u8] = b"\x04main\x04\x01\x05;work\x03\x00";
const TREE: &[u8] = b"\x00\x00\x01\x04main\x04\x01\x04work\x03\x00";

#[rstest]
#[case::trie(
    "name=app&format=trie",
    "",
    TRIE,
    ProfileType::Cpu,
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    70_000_000
)]
#[case::trie_by_type(
    "name=app&sampleRate=50",
    "binary/octet-stream+trie",
    TRIE,
    ProfileType::Cpu,
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    140_000_000
)]
#[case::tree("name=app.alloc_space&format=tree", "", TREE, ProfileType::Alloc, "memory:alloc_space:bytes::", 7)]
#[case::tree_by_type("name=app.wall&sampleRate=0", "binary/octet-stream+tree", &gzip(TREE), ProfileType::Wall, "wall:samples:count::", 7)]
#[case::folded_gzip("name=app", "", &gzip(b"main;work 3\nmain 4"), ProfileType::Cpu, "process_cpu:cpu:nanoseconds:cpu:nanoseconds", 70_000_000)]
#[case::lines_gzip("name=app&format=lines&sampleRate=0", "", &gzip(b"main;work\nmain\nmain"), ProfileType::Cpu, "process_cpu:samples:count::", 3)]
#[case::speedscope("name=app&format=speedscope", "", &speedscope("seconds", ""), ProfileType::Cpu, "process_cpu:cpu:nanoseconds:cpu:nanoseconds", 7_000_000_000)]
#[case::speedscope_counted("name=app&format=speedscope", "", &speedscope("none", ""), ProfileType::Cpu, "process_cpu:cpu:nanoseconds:cpu:nanoseconds", 70_000_000)]
#[case::speedscope_bytes("name=app.inuse_space&format=speedscope", "", &speedscope("bytes", ""), ProfileType::Inuse, "memory:inuse_space:bytes::", 7)]
#[actix_web::test]
async fn older_formats_are_stored_as_their_names_say(
    #[case] query: &str,
    #[case] content_type: &str,
    #[case] body: &[u8],
    #[case] kind: ProfileType,
    #[case] types: &str,
    #[case] total: i64,
) {
    let setup = setup().await;
    let push = TestRequest::post().uri(&format!("/ingest?{query}")).set_payload(body.to_vec());
    let push = if content_type.is_empty() { push } else { push.insert_header((CONTENT_TYPE, content_type)) };
    assert_eq!(setup.send(push).await, (200, String::new()));
    let merged = setup.merged("app", kind).await.unwrap();
    assert_eq!((merged.meta.profile_types.join("+").as_str(), merged.profile.total(0)), (types, total));
}

#[actix_web::test]
async fn a_speedscope_file_that_counts_two_things_is_two_profiles() {
    let setup = setup().await;
    let bytes = r#",{"type":"sampled","name":"heap","unit":"bytes","samples":[[1]],"weights":[512]}"#;
    let body = speedscope("milliseconds", bytes);
    assert_eq!(setup.ingest("name=app.wall&format=speedscope", body).await, (200, String::new()));
    let time = setup.summary("app", ProfileType::Wall).await;
    assert_eq!((time.0.as_str(), time.1), ("wall:wall:nanoseconds:cpu:nanoseconds", 7_000_000));
    let bytes = setup.summary("app", ProfileType::Samples).await;
    assert_eq!((bytes.0.as_str(), bytes.1, bytes.3.as_str()), ("memory:samples:bytes::", 512, "work"));
}

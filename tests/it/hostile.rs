//! Profiles that are made to do harm: each is refused with a clear error, memory stays bounded, and stored data stays
//! intact.

use std::io::Write;

use flamewarden::profile::{PprofHeader, ProfileBuilder, SampleType, write_pprof};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::processes::{Node, free_port};
use crate::testing;

/// The largest resident memory of the process: a profile of 256 MiB inflated and everything made from it, the largest
/// body, and the server itself.
const PEAK_MIB: u64 = 640;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// A field of bytes.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 8);
    varint(&mut out, number << 3 | 2);
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

/// A sample with these locations and the value 1.
fn sample(locations: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut packed = Vec::new();
    locations.into_iter().for_each(|id| varint(&mut packed, id));
    field(2, &[field(1, &packed), field(2, &[1])].concat())
}

/// A location of that many inlined lines of function 1.
fn location(id: u8, lines: usize) -> Vec<u8> {
    field(4, &[vec![0x08, id], field(4, &[0x08, 1]).repeat(lines)].concat())
}

/// A profile with one sample type, one function, two locations, and these messages.
fn profile(more: &[Vec<u8>]) -> Vec<u8> {
    let texts: Vec<u8> = ["", "cpu", "nanoseconds", "work"].iter().flat_map(|text| field(6, text.as_bytes())).collect();
    let function = field(5, &[0x08, 1, 0x10, 3]);
    let tables = [field(1, &[0x08, 1, 0x10, 2]), texts, function, location(1, 1), location(2, 1)].concat();
    [tables, sample([1]), more.concat()].concat()
}

/// Ten gigabytes compressed to a few bytes: with gzip, members of 8 MiB of zeros; with zstd, blocks that repeat a byte.
fn bombs() -> (Vec<u8>, Vec<u8>) {
    let zstd = [vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38], [0x02, 0x00, 0x10, 0x00].repeat(80_000)].concat();
    (gzip(&vec![0; 8 << 20]).repeat(1_280), zstd)
}

fn good() -> Vec<u8> {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let work = builder.function("work", "a.rs");
    builder.add([work], &[30_000_000]);
    write_pprof(&builder.build(), &PprofHeader::default())
}

/// The status, the code, and a part of the text of the answer.
async fn push(node: &Node, query: &str, encoding: Option<&str>, body: Vec<u8>) -> (u16, String, String) {
    let mut request = node.client().post(format!("{}/ingest?name=app{query}", node.url)).body(body);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap_or_default();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("detail"))
}

#[actix_web::test]
async fn hostile_profiles_are_refused_within_bounded_memory_and_harm_nothing() {
    let database = testing::database().await;
    let directory = tempfile::tempdir().unwrap();
    let node = Node::start(free_port(), directory.path(), &[("DATABASE_URL", &database.url())]);
    node.ready().await;
    let (gzip_bomb, zstd_bomb) = bombs();
    let whole = gzip(&profile(&[]));
    let pprof = "&format=pprof";
    let inlining = location(3, 4_000);
    let amplified: Vec<_> =
        (0_u32..20_000).map(|n| sample((0..16).map(|bit| 1 + u64::from(n >> bit & 1)).chain([3]))).collect();
    let long = [field(6, &vec![b'x'; 1 << 20]), field(13, &[4; 1 << 20])];
    let large = 268_435_456;
    let cases = [
        ("a gzip cut off", pprof, None, whole[..whole.len() - 9].to_vec(), 422, "does not inflate"),
        ("a gzip bomb", pprof, None, gzip_bomb.clone(), 413, &*format!("{large} bytes after inflating")),
        ("a zstd bomb", pprof, None, zstd_bomb, 413, "bytes after inflating"),
        ("a bomb as body", pprof, Some("gzip"), gzip_bomb, 413, "bytes after inflating"),
        ("10 million samples", pprof, None, gzip(&profile(&[sample([2]).repeat(10_000_000)])), 413, "1000000 samples"),
        ("10 million lines", "", None, gzip(&b"a;b 1\n".repeat(10_000_000)), 413, "1000000 samples"),
        ("3 million frames", pprof, None, profile(&[sample(std::iter::repeat_n(1, 3_000_000))]), 413, "4096 frames"),
        (
            "3 million names",
            "",
            None,
            ["f;".repeat(3_000_000).into_bytes(), b" 1".to_vec()].concat(),
            413,
            "4096 frames",
        ),
        ("80 million inlined frames", pprof, None, profile(&[inlining, amplified.concat()]), 413, "67108864 frames"),
        ("30 million functions", pprof, None, gzip(&profile(&[[0x2a, 0x00].repeat(30_000_000)])), 413, "4194304 texts"),
        ("a text named a million times", pprof, None, profile(&long), 422, "too often"),
        ("an unknown location", pprof, None, profile(&[sample([9])]), 422, "location 9: unknown"),
        ("the last location", pprof, None, profile(&[sample([u64::MAX])]), 422, "unknown"),
        (
            "an unknown function",
            pprof,
            None,
            profile(&[field(4, &[0x08, 9, 0x22, 0x02, 0x08, 0x63])]),
            422,
            "function 99",
        ),
        ("an unknown text", pprof, None, profile(&[field(5, &[0x08, 9, 0x10, 99])]), 422, "string 99"),
    ];
    // Not earlier: the server closes idle connections, and making all this takes a while.
    assert_eq!(push(&node, "&format=pprof&from=now-5m", None, good()).await.0, 200);
    for (what, query, encoding, body, status, text) in cases {
        let before = node.peak_mib().unwrap_or(0);
        let (got, code, detail) = push(&node, query, encoding, body).await;
        println!("{what}: {got} {code}, peak {before} -> {} MiB", node.peak_mib().unwrap_or(0));
        let expected = if status == 413 { "profile_too_large" } else { "profile_unreadable" };
        assert_eq!((got, code.as_str()), (status, expected), "{what}: {detail}");
        assert!(detail.contains(text), "{what}: {detail}");
    }
    if let Some(peak) = node.peak_mib() {
        assert!(peak < PEAK_MIB, "resident with {peak} MiB at the worst");
    }
    assert_eq!(push(&node, "&format=pprof&from=now-4m", None, good()).await.0, 200);
    let table: Value = serde_json::from_str(&node.get("/profiles/app").await).unwrap();
    assert_eq!(
        (table["totalSamples"].as_i64(), table["functions"][0]["name"].as_str()),
        (Some(60_000_000), Some("work"))
    );
}

//! pprof → function table, compared with inflating the same gzip; JFR → function tables. MB/s are of inflated bytes.
//!
//! `SHARED_DIR` is a directory with real profiles. Without it only made-up ones are measured.

use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;

use divan::counter::BytesCount;
use flamewarden::profile::{
    FunctionTable, JfrContext, PprofHeader, ProfileBuilder, ReadLimits, SampleType, read_jfr, read_pprof, write_pprof,
};

fn main() {
    divan::main();
}

/// A gzip pprof and its name.
struct Input {
    name: &'static str,
    gzip: Vec<u8>,
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

fn real(name: &'static str, extension: &str) -> Option<Input> {
    let root = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    Some(Input { name, gzip: std::fs::read(root.join(format!("profiles/{name}.{extension}"))).ok()? })
}

fn recordings() -> Vec<Input> {
    ["java-kafka-cpu", "java-kafka-cpu-lock-alloc"].into_iter().filter_map(|name| real(name, "jfr.gz")).collect()
}

fn inputs() -> Vec<Input> {
    let real = ["go-cpu", "go-heap", "java-cpu", "java-kafka-cpu.expected.process_cpu"]
        .into_iter()
        .filter_map(|name| real(name, "pb.gz"));
    real.chain([made_up("made up, 1,000 stacks", 1_000), made_up("made up, 100,000 stacks", 100_000)]).collect()
}

/// Stacks of 30 frames out of 2,000 functions, in an order that does not compress well.
fn made_up(name: &'static str, stacks: u32) -> Input {
    let mut state = 0x9e37_79b9_u32;
    let mut random = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    };
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let function =
        |i| builder.function(&format!("com.example.service.module{}.Handler.process{i}", i % 37), "Handler.java");
    let functions: Vec<_> = (0..2_000).map(function).collect();
    for _ in 0..stacks {
        let frames: Vec<_> = (0..30).filter_map(|_| functions.get(random(2_000) as usize).copied()).collect();
        builder.add(frames, &[i64::from(random(100)) * 10_000_000]);
    }
    Input { name, gzip: write_pprof(&builder.build(), &PprofHeader::default()) }
}

fn inflate(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(gzip.len() * 4);
    // The inputs are complete.
    let _ = flate2::bufread::MultiGzDecoder::new(gzip).read_to_end(&mut plain);
    plain
}

fn table(bytes: &[u8]) -> usize {
    let profile = read_pprof(bytes, &ReadLimits::default()).map(|file| file.profile).unwrap_or_default();
    FunctionTable::of(&profile, 0).rows().len()
}

#[divan::bench(args = inputs())]
fn inflate_alone(bencher: divan::Bencher<'_, '_>, input: &Input) {
    let size = inflate(&input.gzip).len();
    bencher.counter(BytesCount::new(size)).bench(|| inflate(black_box(&input.gzip)).len());
}

#[divan::bench(args = inputs())]
fn gzip_to_function_table(bencher: divan::Bencher<'_, '_>, input: &Input) {
    let size = inflate(&input.gzip).len();
    bencher.counter(BytesCount::new(size)).bench(|| table(black_box(&input.gzip)));
}

#[divan::bench(args = inputs())]
fn plain_to_function_table(bencher: divan::Bencher<'_, '_>, input: &Input) {
    let plain = inflate(&input.gzip);
    bencher.counter(BytesCount::new(plain.len())).bench(|| table(black_box(&plain)));
}

/// The tables of all kinds that a recording holds.
fn tables(bytes: &[u8]) -> usize {
    let recording = read_jfr(bytes, &JfrContext::default(), &ReadLimits::default());
    let profiles = recording.map(|recording| recording.profiles).unwrap_or_default();
    profiles.iter().map(|recorded| FunctionTable::of(&recorded.profile, 0).rows().len()).sum()
}

#[divan::bench(args = recordings())]
fn plain_jfr_to_function_tables(bencher: divan::Bencher<'_, '_>, input: &Input) {
    let plain = inflate(&input.gzip);
    assert_ne!(tables(&plain), 0, "{input} is not read");
    bencher.counter(BytesCount::new(plain.len())).bench(|| tables(black_box(&plain)));
}

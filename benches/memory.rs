//! Peak memory of reading a pprof, against its inflated bytes, by the allocator's own account: look at `max alloc`, and at
//! the inflated size in the name.
//!
//! `SHARED_DIR` names a directory with real profiles; without it only made-up ones are measured.

use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;

use divan::AllocProfiler;
use flamewarden::profile::{Limits, PprofHeader, ProfileBuilder, SampleType, read_pprof, write_pprof};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A gzip pprof and its name.
struct Input {
    name: String,
    gzip: Vec<u8>,
}

impl Input {
    fn new(name: &str, gzip: Vec<u8>) -> Self {
        let mut plain = Vec::new();
        // The inputs are whole.
        let _ = flate2::bufread::MultiGzDecoder::new(gzip.as_slice()).read_to_end(&mut plain);
        Self { name: format!("{name}: {:.1} kB inflated", plain.len() as f64 / 1_000.0), gzip }
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

fn inputs() -> Vec<Input> {
    let root = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let real =
        ["go-cpu", "go-heap", "java-cpu", "node-heap", "python-cpu", "dotnet-3"].into_iter().filter_map(|name| {
            let gzip = std::fs::read(root.join(format!("profiles/{name}.pb.gz"))).ok()?;
            Some(Input::new(name, gzip))
        });
    real.chain([
        made_up("all stacks differ, 100,000 of 30", 100_000, 30),
        made_up("all stacks differ, 20,000 of 150", 20_000, 150),
    ])
    .collect()
}

/// Stacks of `depth` frames out of 2,000 functions, no two alike.
fn made_up(name: &str, stacks: u32, depth: u32) -> Input {
    let mut state = 0x9e37_79b9_u32;
    let mut random = move |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    };
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let function = |i| builder.function(&format!("com.example.module{}.Handler.process{i}", i % 37), "Handler.java");
    let functions: Vec<_> = (0..2_000).map(function).collect();
    for _ in 0..stacks {
        let frames: Vec<_> = (0..depth).filter_map(|_| functions.get(random(2_000) as usize).copied()).collect();
        builder.add(frames, &[i64::from(random(100)) * 10_000_000]);
    }
    Input::new(name, write_pprof(&builder.build(), &PprofHeader::default()))
}

#[divan::bench(args = inputs(), sample_count = 3, sample_size = 1)]
fn read(bencher: divan::Bencher<'_, '_>, input: &Input) {
    bencher.bench(|| read_pprof(black_box(&input.gzip), &Limits::default()).map(|file| file.profile.stack_count()));
}

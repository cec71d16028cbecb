//! The embedded store: what one core takes in, what an hour of an app weighs, how long its table takes.
//!
//! `SHARED_DIR` names a directory with real profiles; without it only made-up ones are measured. Sizes are printed
//! before the times: an hour is 240 profiles of one app, each with its values changed and a few of its stacks left out.
//!
//! First an hour of fifty apps through a real server into a real PostgreSQL, then the parts without the database.
//! `STORE_HOUR=0` leaves the hour out; `STORE_APPS` (50) and `STORE_MINUTES` (60) make it smaller. Then closed hours of
//! one app at a time, rolled up: `STORE_ROLLUPS` (24) of them, 0 for none.

mod hour;
mod rollups;
#[path = "../../src/storage/testing/mod.rs"]
#[expect(dead_code, clippy::expect_used, reason = "tests need more than this bench does")]
mod testing;

use std::hint::black_box;
use std::path::PathBuf;

use divan::counter::ItemsCount;
use flamewarden::profile::{FunctionTable, Profile, ProfileBuilder, ReadLimits, SampleType, read_pprof, write_pprof};
use flamewarden::sor::profile_data::store::{Block, DictionaryLimits, EpochSum, Joined, OpenDictionary, Tables};
// `testing` names them as the library's own tests do.
use flamewarden::{config, storage};

/// Pushes of one app in an hour, every 15 s.
const PER_HOUR: u32 = 240;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if std::env::var_os("STORE_HOUR").is_none_or(|hour| hour != "0") {
        runtime.block_on(hour::measure())?;
    }
    let hours = std::env::var("STORE_ROLLUPS").ok().and_then(|hours| hours.parse().ok()).unwrap_or(24);
    if hours > 0 {
        runtime.block_on(rollups::measure(hours))?;
    }
    drop(runtime);
    for input in inputs() {
        let (blocks, dictionary) = store_hour(&input);
        let per_profile = |bytes: usize| bytes as f64 / f64::from(PER_HOUR);
        println!(
            "{}: {} B of gzip become {:.0} B of values and {:.0} B of dictionary a profile ({} segments)",
            input.name,
            input.gzip.len(),
            per_profile(blocks.iter().map(Vec::len).sum()),
            per_profile(dictionary.iter().map(Vec::len).sum()),
            dictionary.len(),
        );
    }
    divan::main();
    Ok(())
}

/// A gzip pprof and its name.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) gzip: Vec<u8>,
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Where real profiles are.
pub(crate) fn shared() -> PathBuf {
    std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from)
}

fn inputs() -> Vec<Input> {
    let root = shared();
    let real = ["go-cpu", "go-heap", "java-cpu", "node-wall"].into_iter().filter_map(|name| {
        let gzip = std::fs::read(root.join(format!("profiles/{name}.pb.gz"))).ok()?;
        Some(Input { name, gzip })
    });
    real.chain([made_up()]).collect()
}

/// Numbers that no compressor knows.
fn random(state: &mut u32, below: u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state % below
}

/// 1,000 stacks of 30 frames out of 300 functions.
pub(crate) fn made_up() -> Input {
    let mut state = 0x9e37_79b9;
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let functions: Vec<_> =
        (0..300).map(|i| builder.function(&format!("service.Handler.process{i}"), "Handler.java")).collect();
    for _ in 0..1_000 {
        let frames: Vec<_> = (0..30).filter_map(|_| functions.get(random(&mut state, 300) as usize).copied()).collect();
        builder.add(frames, &[i64::from(random(&mut state, 100)) * 10_000_000]);
    }
    Input {
        name: "made up, 1,000 stacks",
        gzip: write_pprof(&builder.build(), &flamewarden::profile::PprofHeader::default()),
    }
}

pub(crate) fn read(input: &Input) -> Profile {
    read_pprof(&input.gzip, &ReadLimits::default()).map(|file| file.profile).unwrap_or_default()
}

/// The profile as it might be a little later: a tenth of its stacks is not seen, and values are others.
pub(crate) fn later(profile: &Profile, state: &mut u32) -> Profile {
    let mut builder = ProfileBuilder::new(profile.sample_types().to_vec());
    let functions: Vec<_> = profile
        .function_ids()
        .map(|id| {
            let (name, file) = profile.function(id);
            builder.function(name, file)
        })
        .collect();
    for stack in profile.stacks() {
        if random(state, 10) > 0 {
            let times = i64::from(random(state, 3)) + 1;
            let values: Vec<_> = stack.values.iter().map(|value| value * times).collect();
            builder.add(stack.frames.iter().filter_map(|f| functions.get(f.index()).copied()), &values);
        }
    }
    builder.build()
}

fn encode(dictionary: &mut OpenDictionary, profile: &Profile) -> (Vec<u8>, Option<Vec<u8>>) {
    let nodes = dictionary.intern(profile, DictionaryLimits::default()).unwrap_or_default();
    let stacks = nodes.into_iter().zip(profile.stacks().map(|stack| stack.values));
    let block = Block::of(profile.sample_types().len(), stacks);
    black_box(block.totals());
    (block.encode(), dictionary.take_segment())
}

/// Blocks and segments of an hour.
fn store_hour(input: &Input) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (profile, mut state, mut dictionary) = (read(input), 1, OpenDictionary::default());
    let pushes = (0..PER_HOUR).map(|_| encode(&mut dictionary, &later(&profile, &mut state)));
    let (blocks, segments): (Vec<_>, Vec<_>) = pushes.unzip();
    (blocks, segments.into_iter().flatten().collect())
}

/// Reading a push and laying it out, its names known: what a core does for each profile beside the database.
#[divan::bench(args = inputs())]
fn take_in(bencher: divan::Bencher<'_, '_>, input: &Input) {
    let mut dictionary = OpenDictionary::default();
    encode(&mut dictionary, &read(input));
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| encode(&mut dictionary, &read(black_box(input))));
}

/// The same for the first profile of an epoch, whose names are all new.
#[divan::bench(args = inputs())]
fn take_in_first(bencher: divan::Bencher<'_, '_>, input: &Input) {
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| encode(&mut OpenDictionary::default(), &read(black_box(input))));
}

/// The function table of an hour, from blocks and segments as the database gives them.
#[divan::bench(args = inputs())]
fn table_of_an_hour(bencher: divan::Bencher<'_, '_>, input: &Input) {
    let (blocks, segments) = store_hour(input);
    let sample_type = SampleType::new("cpu", "nanoseconds");
    bencher.bench_local(|| {
        let (mut tables, mut sum, mut joined) = (Tables::default(), EpochSum::default(), Joined::default());
        for segment in &segments {
            let _ = tables.append(segment);
        }
        for block in blocks.iter().filter_map(|block| Block::decode(block).ok()) {
            sum.add(&block, 0, 1);
        }
        joined.join(&sum, &tables);
        let profile = joined.into_profile(sample_type.clone(), false);
        FunctionTable::of(black_box(&profile), 0).rows().len()
    });
}

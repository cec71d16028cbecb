//! Peak memory of reading a pprof: the largest resident memory beyond that before reading, compared with the inflated
//! bytes. With the server's allocator. Small profiles are below what a system reports, so all are large. Linux only.

use std::hint::black_box;
use std::io::{Read, Write};

use anyhow::{Context, Result};
use flamewarden::profile::{PprofHeader, ProfileBuilder, ReadLimits, SampleType, read_pprof, write_pprof};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MIB: f64 = 1024.0 * 1024.0;

fn main() -> Result<()> {
    if let [_, path, inflated] = std::env::args().filter(|arg| arg != "--bench").collect::<Vec<_>>().as_slice() {
        return measure(&std::fs::read(path)?, inflated.parse()?);
    }
    let inputs: [(&str, u32, u32, bool); 3] = [
        ("all stacks differ, 400,000 of 30 frames", 400_000, 30, false),
        ("all stacks differ, 80,000 of 150 frames", 80_000, 150, false),
        ("each stack ten times, 400,000 of 30 frames", 400_000, 30, true),
    ];
    // Each is read in a process of its own, which has not made it.
    let file = tempfile::NamedTempFile::new()?;
    for (name, stacks, depth, again) in inputs {
        let (gzip, inflated) = made_up(stacks, depth, again);
        std::fs::write(file.path(), gzip)?;
        print!("{name}: ");
        std::io::stdout().flush()?;
        std::process::Command::new(std::env::current_exe()?).arg(file.path()).arg(inflated.to_string()).status()?;
    }
    Ok(())
}

fn status(key: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("a line of the status")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}

fn measure(gzip: &[u8], inflated: usize) -> Result<()> {
    let before = status("VmRSS:")?;
    let file = read_pprof(gzip, &ReadLimits::default())?;
    black_box(&file);
    let (peak, inflated) = (status("VmHWM:")? - before, inflated as f64 / MIB);
    println!("{inflated:.1} MiB inflated, at most {peak:.1} MiB to read it, {:.2}x", peak / inflated);
    Ok(())
}

/// Stacks of `depth` frames out of 2,000 functions: all different, or each ten times. Returns the gzip and the inflated
/// size.
fn made_up(stacks: u32, depth: u32, again: bool) -> (Vec<u8>, usize) {
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
    let mut frames = Vec::new();
    for stack in 0..stacks {
        if !again || stack % 10 == 0 {
            frames = (0..depth).filter_map(|_| functions.get(random(2_000) as usize).copied()).collect();
        }
        builder.add(frames.iter().copied(), &[i64::from(random(100)) * 10_000_000]);
    }
    let gzip = write_pprof(&builder.build(), &PprofHeader::default());
    let mut plain = Vec::new();
    // It is complete.
    let _ = flate2::bufread::MultiGzDecoder::new(gzip.as_slice()).read_to_end(&mut plain);
    (gzip, plain.len())
}

//! Any bytes are read as folded text or refused; what was read can be drawn.
#![no_main]

use flamewarden_fuzz::profile::{FlameGraphText, ReadLimits, SampleType, flame_graph, read_folded};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    if let Ok(profile) = read_folded(bytes, SampleType::new("cpu", "nanoseconds"), &limits) {
        flame_graph(&profile, 0, &FlameGraphText::default()).unwrap();
    }
});

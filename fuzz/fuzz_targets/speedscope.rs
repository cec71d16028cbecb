//! Any bytes are read as speedscope JSON or refused; each of its sample types can be drawn.
#![no_main]

use flamewarden_fuzz::profile::{FlameGraphText, ReadLimits, flame_graph, read_speedscope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    if let Ok(profile) = read_speedscope(bytes, &limits) {
        for sample_type in 0..profile.sample_types().len() {
            flame_graph(&profile, sample_type, &FlameGraphText::default()).unwrap();
        }
    }
});

//! Any bytes are read as Pyroscope's `tree` and `trie` or refused; what was read can be drawn.
#![no_main]

use flamewarden_fuzz::profile::{FlameGraphText, ReadLimits, SampleType, flame_graph, read_tree, read_trie};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    for read in [read_tree, read_trie] {
        if let Ok(profile) = read(bytes, SampleType::new("cpu", "nanoseconds"), &limits) {
            flame_graph(&profile, 0, &FlameGraphText::default()).unwrap();
        }
    }
});

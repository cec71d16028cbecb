//! Any bytes are read as a JFR recording or refused; what was read adds up. The bytes are the labels too.
#![no_main]

use flamewarden_fuzz::profile::{FunctionTable, JfrContext, ReadLimits, read_jfr};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    let context = JfrContext { labels: bytes, keep: &["region"], rate: None };
    let _ = read_jfr(bytes, &context, &limits);
    let Ok(recording) = read_jfr(bytes, &JfrContext::default(), &limits) else { return };
    for of in &recording.profiles {
        for sample_type in 0..of.profile.sample_types().len() {
            let table = FunctionTable::of(&of.profile, sample_type);
            assert_eq!(table.rows().iter().map(|row| row.self_ticks).sum::<i64>(), table.total());
        }
    }
});

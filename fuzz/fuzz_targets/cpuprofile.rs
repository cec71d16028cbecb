//! Any bytes are read as a CPU profile of V8 or refused; what was read adds up.
#![no_main]

use flamewarden_fuzz::profile::{FunctionTable, ReadLimits, read_cpuprofile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    if let Ok(profile) = read_cpuprofile(bytes, &limits) {
        let table = FunctionTable::of(&profile, 0);
        assert_eq!(table.rows().iter().map(|row| row.self_ticks).sum::<i64>(), table.total());
    }
});

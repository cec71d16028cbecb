//! Any bytes are read as flame graph JSON or refused.
#![no_main]

use flamewarden_fuzz::profile::{FunctionTable, ReadLimits, read_flamebearer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    if let Ok(file) = read_flamebearer(bytes, &limits) {
        let table = FunctionTable::of(&file.profile, 0);
        assert_eq!(table.rows().iter().map(|row| row.self_ticks).sum::<i64>(), table.total());
    }
});

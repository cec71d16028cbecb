//! Any bytes are read as flame graph JSON or refused.
#![no_main]

use flamewarden_fuzz::profile::{FunctionTable, Limits, read_flamebearer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { inflated: 1 << 20, ..Limits::default() };
    if let Ok(file) = read_flamebearer(bytes, &limits) {
        let table = FunctionTable::of(&file.profile, 0);
        assert_eq!(table.rows().iter().map(|row| row.self_ticks).sum::<i64>(), table.total());
    }
});

//! Any bytes are read as pprof or refused; what was read adds up and survives being written.
#![no_main]

use flamewarden_fuzz::profile::{FunctionTable, ReadLimits, PprofHeader, read_pprof, read_pprof_by_labels, write_pprof};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { inflated: 1 << 20, ..ReadLimits::default() };
    let _ = read_pprof_by_labels(bytes, &limits, &["region"]);
    let Ok(file) = read_pprof(bytes, &limits) else { return };
    let read = read_pprof(&write_pprof(&file.profile, &PprofHeader::default()), &ReadLimits::default()).unwrap();
    for sample_type in 0..file.profile.sample_types().len() {
        let table = FunctionTable::of(&file.profile, sample_type);
        assert_eq!(table.rows().iter().map(|row| row.self_ticks).sum::<i64>(), table.total());
        assert_eq!(table, FunctionTable::of(&read.profile, sample_type));
    }
});

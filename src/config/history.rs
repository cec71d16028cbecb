use std::time::Duration;

use super::reader::Reader;

/// Section `history`.
#[derive(Debug, Clone, Copy)]
pub struct HistorySettings {
    /// Days that assessments are kept; `None`: for ever.
    pub retention_days: Option<u32>,
    /// How often an assessment that says the same as the last one is recorded; `None`: each time.
    pub repeats_every: Option<Duration>,
}

impl HistorySettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let retention_days = reader.optional_number("history.retention_days", 1..=36_500_u32);
        let repeats_every = reader.optional_duration("history.repeats_every");
        Some(Self { retention_days: retention_days?, repeats_every: repeats_every? })
    }
}

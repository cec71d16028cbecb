use super::reader::Reader;

/// Section `history`.
#[derive(Debug, Clone, Copy)]
pub struct HistorySettings {
    /// Days that assessments are kept; `None`: for ever.
    pub retention_days: Option<u32>,
}

impl HistorySettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let retention_days = reader.optional_number("history.retention_days", 1..=36_500_u32);
        Some(Self { retention_days: retention_days? })
    }
}

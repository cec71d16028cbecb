use std::time::Duration;

use super::reader::Reader;

/// Section `performance`.
#[derive(Debug, Clone, Copy)]
pub struct PerformanceSettings {
    /// Days that operations are kept.
    pub retention_days: u32,
    /// After how long a span that nobody ended has failed.
    pub span_timeout: Duration,
}

impl PerformanceSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let retention_days = reader.number("performance.retention_days", 8..=366_u32);
        let span_timeout = reader.duration("performance.span_timeout");
        Some(Self { retention_days: retention_days?, span_timeout: span_timeout? })
    }
}

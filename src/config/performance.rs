use std::time::Duration;

use super::reader::Reader;

/// Section `performance`.
#[derive(Debug, Clone, Copy)]
pub struct PerformanceSettings {
    /// Days that operations are kept.
    pub retention_days: u32,
    /// Days that what was rolled up is kept, with alerts that are over and limits that were in force.
    pub rollup_days: u32,
    /// After how long a span that nobody ended has failed.
    pub span_timeout: Duration,
    /// Whether the server records its own requests and jobs.
    pub self_record: bool,
    /// How many rows of that a second.
    pub self_rows_per_second: u32,
    /// How many of them may wait.
    pub queue_rows: usize,
    /// For how long nothing may be over a limit until the alert is over.
    pub alert_quiet: Duration,
    /// Operations of the last 10 minutes that must be over the limit before people are told.
    pub notify_min_count: u32,
    /// The same in percent of all of that type and scope.
    pub notify_min_percent: u32,
}

impl PerformanceSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let retention_days = reader.number("performance.retention_days", 8..=366_u32);
        let rollup_days = reader.number("performance.rollup_days", 35..=3_650_u32);
        let span_timeout = reader.duration("performance.span_timeout");
        let self_record = reader.flag("performance.self_record");
        let self_rows_per_second = reader.number("performance.self_rows_per_second", 1..=100_000_u32);
        let queue_rows = reader.number("performance.queue_rows", 256..=1_000_000_usize);
        let alert_quiet = reader.duration("performance.alert_quiet");
        let notify_min_count = reader.number("performance.notify_min_count", 1..=1_000_000_u32);
        let notify_min_percent = reader.number("performance.notify_min_percent", 0..=100_u32);
        Some(Self {
            retention_days: retention_days?,
            rollup_days: rollup_days?,
            span_timeout: span_timeout?,
            self_record: self_record?,
            self_rows_per_second: self_rows_per_second?,
            queue_rows: queue_rows?,
            alert_quiet: alert_quiet?,
            notify_min_count: notify_min_count?,
            notify_min_percent: notify_min_percent?,
        })
    }
}

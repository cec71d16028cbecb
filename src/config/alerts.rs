use super::reader::Reader;

/// Section `alerts`.
#[derive(Debug, Clone, Copy)]
pub struct AlertsSettings {
    /// Whether rules are evaluated by themselves.
    pub enabled: bool,
    /// Whether approved limits are alerts too.
    pub baselines: bool,
    /// The most pairs of a rule and an app that are evaluated.
    pub max_pairs: usize,
    /// For how many days alerts are kept after they are resolved.
    pub retention_days: u16,
}

impl AlertsSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let enabled = reader.flag("alerts.enabled");
        let baselines = reader.flag("alerts.baselines");
        let max_pairs = reader.number("alerts.max_pairs", 1..=1_000_000_usize);
        let retention_days = reader.number("alerts.retention_days", 1..=3_650_u16);
        Some(Self { enabled: enabled?, baselines: baselines?, max_pairs: max_pairs?, retention_days: retention_days? })
    }
}

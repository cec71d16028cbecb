use super::reader::Reader;

/// Section `alerts`.
#[derive(Debug, Clone, Copy)]
pub struct AlertsSettings {
    /// Whether rules are evaluated by themselves.
    pub enabled: bool,
    /// The most pairs of a rule and an app that are evaluated.
    pub max_pairs: usize,
}

impl AlertsSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let enabled = reader.flag("alerts.enabled");
        let max_pairs = reader.number("alerts.max_pairs", 1..=1_000_000_usize);
        Some(Self { enabled: enabled?, max_pairs: max_pairs? })
    }
}

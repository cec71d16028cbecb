use super::reader::Reader;

/// Section `self_profile`.
#[derive(Debug, Clone, Copy)]
pub struct SelfProfileSettings {
    /// Whether the server profiles itself; `None`: where its profiles can be kept or sent.
    pub enabled: Option<bool>,
}

impl SelfProfileSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let enabled = reader.optional("self_profile.enabled", "true or false", |text| text.parse().ok());
        Some(Self { enabled: enabled? })
    }
}

use super::reader::Reader;

/// Section `audit`.
#[derive(Debug, Clone, Copy)]
pub struct AuditSettings {
    /// Days that the audit log is kept, by whole months; `None`: for ever.
    pub retention_days: Option<u32>,
}

impl AuditSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let retention_days = reader.optional_number("audit.retention_days", 90..=36_500_u32);
        Some(Self { retention_days: retention_days? })
    }
}

use super::reader::Reader;

/// Where assessments wait for the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolMode {
    /// In a file: a crash loses none.
    Disk,
    /// In memory: a crash loses them.
    Memory,
}

/// When the spool's file is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFsync {
    /// Once a second: a power cut may lose the last second.
    EachSecond,
    /// Before each answer.
    Always,
}

/// Section `spool`.
#[derive(Debug, Clone, Copy)]
pub struct SpoolSettings {
    /// Where.
    pub mode: SpoolMode,
    /// When it is forced to the disk.
    pub fsync: SpoolFsync,
    /// Bytes that may wait.
    pub max_bytes: u64,
}

impl SpoolSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let mode = reader.required("spool.mode", "disk or memory", |text| match text {
            "disk" => Some(SpoolMode::Disk),
            "memory" => Some(SpoolMode::Memory),
            _ => None,
        });
        let fsync = reader.required("spool.fsync", "second or always", |text| match text {
            "second" => Some(SpoolFsync::EachSecond),
            "always" => Some(SpoolFsync::Always),
            _ => None,
        });
        let max_bytes = reader.number("spool.max_bytes", 65_536..=1_u64 << 40);
        Some(Self { mode: mode?, fsync: fsync?, max_bytes: max_bytes? })
    }
}

use std::path::PathBuf;

use super::reader::Reader;

/// Section `rules`.
#[derive(Debug, Clone)]
pub struct RulesSettings {
    /// Directory of rule files that replace the built-in ones; `None`: built-in.
    pub dir: Option<PathBuf>,
}

impl RulesSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let dir = reader.optional("rules.dir", "a directory that exists", |text| {
            Some(PathBuf::from(text)).filter(|dir| dir.is_dir())
        });
        Some(Self { dir: dir? })
    }
}

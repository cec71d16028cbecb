use std::path::PathBuf;

use super::reader::Reader;

/// Section `rules`: what verdicts rest on.
#[derive(Debug, Clone)]
pub struct RulesSettings {
    /// Directory of rule files that replace the built-in ones; `None`: built-in.
    pub dir: Option<PathBuf>,
    /// An app that uses fewer processor cores than this is quiet; at least 0.
    pub quiet_cores: f64,
}

impl RulesSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let dir = reader.optional("rules.dir", "a directory that exists", |text| {
            Some(PathBuf::from(text)).filter(|dir| dir.is_dir())
        });
        let quiet_cores = reader.required("rules.quiet_cores", "a number of cores that is not negative", |text| {
            text.parse().ok().filter(|cores: &f64| cores.is_finite() && *cores >= 0.0)
        });
        Some(Self { dir: dir?, quiet_cores: quiet_cores? })
    }
}

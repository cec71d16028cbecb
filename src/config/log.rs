use tracing_subscriber::EnvFilter;

use super::reader::Reader;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Section `log`.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Level, or directives of levels by target.
    pub level: String,
    /// The format. `None`: text on a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
}

impl LogSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let level = reader.required("log.level", "error, warn, info, debug, trace, or directives", |text| {
            EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
        });
        let format = reader.optional("log.format", "text or json", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        Some(Self { level: level?, format: format? })
    }
}

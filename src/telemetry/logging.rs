use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, LogSettings};

const QUIET: &str = "actix_server=warn,sqlx::postgres::notice=warn,pyroscope=warn,Pyroscope=warn";

/// Starts logging to standard error: `text` on a terminal, `json` otherwise, unless the settings say which.
///
/// # Errors
/// Fails if the process logs already.
pub fn init_logging(settings: &LogSettings) -> Result<(), TryInitError> {
    let default = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let format = settings.format.unwrap_or(default);
    // A plain level is about this server. Lines of libraries about their threads and timers, and of the database about
    // columns that exist already, are left out.
    let directives =
        if settings.level.contains('=') { settings.level.clone() } else { format!("{},{QUIET}", settings.level) };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).finish().try_init(),
    }
}

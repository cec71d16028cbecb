//! `flamewarden config`: the settings, and which there are.

use std::io::Write;

use super::{Common, Exit};
use crate::app::Plan;
use crate::config::{DEFAULTS, Settings};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the settings and print each value, secrets hidden, and what the server would run.
    Check,
    /// Print every setting with its default and meaning, as a file to start from.
    Default,
}

pub(super) fn run(command: &Command, common: &Common) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Default => out.write_all(DEFAULTS.as_bytes())?,
        Command::Check => {
            let (settings, effective) = Settings::of_process(&crate::app::functions(), common.config.as_deref())?;
            let plan = Plan::of(&settings)?;
            for row in effective {
                writeln!(out, "{} = {:?}  # {}", row.key, row.value, row.origin)?;
            }
            writeln!(out, "\n{plan}\ndata directory: {}", settings.server.data_dir.display())?;
            for warning in plan.warnings() {
                writeln!(out, "warning: {warning}")?;
            }
        }
    }
    Ok(Exit::Fine)
}

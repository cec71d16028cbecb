//! `flamewarden completions`: the script that makes a shell complete the commands and options.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{CommandLine, Exit};

/// For the shell to load: `source <(flamewarden completions bash)`, `flamewarden completions fish | source`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "flamewarden", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
    Ok(Exit::Fine)
}

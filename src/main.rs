//! The gate: reads the command line and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    flamewarden::cli::run()
}

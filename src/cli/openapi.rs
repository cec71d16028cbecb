//! `flamewarden openapi`: the document that a server of every function serves.

use std::io::Write;

use super::Exit;

pub(super) fn run() -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", crate::app::openapi().to_pretty_json()?)?;
    Ok(Exit::Fine)
}

//! `flamewarden openapi`: the OpenAPI document of a server with all functions.

use std::io::Write;

use super::Exit;

pub(super) fn run() -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", crate::app::openapi().to_pretty_json()?)?;
    Ok(Exit::Fine)
}

//! `flamewarden serve`: runs the server until it is stopped.

use std::net::IpAddr;

use super::{Common, Exit};
use crate::app::Application;
use crate::telemetry;

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// The port to listen on; 0 chooses a free one [default: PORT, else 8080].
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The address to listen on [default: HOST, else 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
}

pub(super) async fn run(args: &Args, common: &Common) -> anyhow::Result<Exit> {
    let (port, host) = (args.port.map(|port| port.to_string()), args.host.map(|host| host.to_string()));
    let given = [("server.port", port), ("server.host", host)];
    let given = given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let settings = common.settings_with(given)?;
    telemetry::init_logging(&settings.log)?;
    Application::build(settings).await?.run_until_stopped().await?;
    Ok(Exit::Fine)
}

//! `flamewarden serve`: runs until it is told to stop.

use super::{Common, Exit};
use crate::app::Application;
use crate::telemetry;

pub(super) async fn run(common: &Common) -> anyhow::Result<Exit> {
    let settings = common.settings()?;
    telemetry::init_logging(&settings.log)?;
    Application::build(settings).await?.run_until_stopped().await?;
    Ok(Exit::Fine)
}

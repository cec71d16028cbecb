//! Who may ask this server: access control, its health check, and the file of tokens that is read again when it changes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::json;

use super::application::openapi;
use super::background::Background;
use super::health::{Check, HealthCheck};
use super::plan::Plan;
use crate::config::Settings;
use crate::identity::{AccessControl, AccessParts, Needs, Token};
use crate::kernel::Clock;

/// How often the file of tokens is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The access control of a plan. The server's own profiler shows the token `profiler`.
///
/// # Errors
/// Says what is wrong with the file of tokens, or which route states no role.
pub(super) fn control(
    settings: &Settings,
    plan: &Plan,
    profiler: Option<&Token>,
    clock: Arc<dyn Clock>,
    background: &mut Background,
) -> anyhow::Result<Arc<AccessControl>> {
    // Taken from the document of the whole product, so that a route served elsewhere needs the same role here.
    let needs = Needs::of(&openapi())?;
    let parts = AccessParts { mode: plan.access, settings: &settings.auth, needs, profiler, clock };
    let access = Arc::new(AccessControl::new(parts)?);
    if access.file().is_some() {
        let watched = Arc::clone(&access);
        background.every(LOOK_EVERY, move || watched.reload());
    }
    Ok(access)
}

/// The health of access control.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessHealth {
    /// Whether callers must say who they are: `required`, or `open`.
    #[schema(example = "required")]
    mode: &'static str,
    /// How many tokens the file of tokens has.
    tokens_of_file: usize,
    /// Why the file of tokens was refused, and in which line.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Checks whether the file of tokens is good.
pub(super) struct AccessWatch(pub(super) Arc<AccessControl>);

#[async_trait]
impl HealthCheck for AccessWatch {
    fn name(&self) -> &'static str {
        "auth"
    }

    async fn check(&self) -> Check {
        let (tokens_of_file, problem) = self.0.file().unwrap_or_default();
        let details = AccessHealth { mode: self.0.mode().as_str(), tokens_of_file, problem };
        Check { warn: details.problem.is_some(), details: json!(details) }
    }
}

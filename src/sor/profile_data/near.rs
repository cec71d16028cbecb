//! Finds the apps that an unknown name may have meant.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::port::ProfileDataSor;
use crate::kernel::{AppName, Call, Tenant, TimeWindow, near};

/// How far back apps are looked for.
const LOOK_BACK: TimeDelta = TimeDelta::hours(24);
/// How long the search may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The tenant's apps of the last day with names closest to an unknown one, at most three. None if they cannot be listed in two
/// seconds.
pub async fn near_apps(
    port: &dyn ProfileDataSor,
    call: &Call,
    (tenant, app): (Option<&Tenant>, &AppName),
    now: DateTime<Utc>,
) -> Vec<AppName> {
    // A scan over all apps reports no suggestions.
    if call.is_scan() {
        return Vec::new();
    }
    let Ok(window) = TimeWindow::new(now - LOOK_BACK, now) else { return Vec::new() };
    let Ok(Ok(apps)) = tokio::time::timeout(LIMIT, call.bound(port.apps(call, tenant, window))).await else {
        return Vec::new();
    };
    let near = near(app.as_str(), apps.iter().map(AppName::as_str));
    near.into_iter().filter_map(|name| name.parse().ok()).collect()
}

//! Finds the apps that may have been meant by an unknown name.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::port::ProfileDataSor;
use crate::kernel::{AppName, Call, TimeWindow, near};

/// Apps of this time before now are suggested.
const LOOK_BACK: TimeDelta = TimeDelta::hours(24);
/// How long they are looked for.
const LIMIT: Duration = Duration::from_secs(2);

/// The apps of the last day whose names are nearest to an unknown one, at most three; none where they cannot be listed
/// in two seconds.
pub async fn near_apps(port: &dyn ProfileDataSor, call: &Call, app: &AppName, now: DateTime<Utc>) -> Vec<AppName> {
    // Nobody reads what a round over all apps is told of one.
    if call.is_scan() {
        return Vec::new();
    }
    let Ok(window) = TimeWindow::new(now - LOOK_BACK, now) else { return Vec::new() };
    let Ok(Ok(apps)) = tokio::time::timeout(LIMIT, call.bound(port.apps(call, window))).await else {
        return Vec::new();
    };
    let near = near(app.as_str(), apps.iter().map(AppName::as_str));
    near.into_iter().filter_map(|name| name.parse().ok()).collect()
}

//! The Profile Data SOR: what profiles an app sent, from a Pyroscope server, the embedded store, or another Flamewarden.
//!
//! It gives profiles and makes no verdicts. It has one port with three adapters. Tables and flame graphs are computed
//! from the result of [`ProfileDataSor::merged`].

#[cfg(test)]
pub(crate) mod conformance;
mod coverage;
mod domain;
mod exchange;
mod file;
mod near;
mod port;
mod proto;
mod pyroscope;
pub mod querier;
pub mod receivers;
mod remote;
mod resolve;
mod routes;
mod sent_time;
pub mod store;
mod timeline;
mod type_id;
mod wire;
mod within;

pub use coverage::Coverage;
pub use domain::{LabelShare, MergedProfile, ProfileMeta, ProfileQuery, VersionBegan};
pub use file::FileProfile;
pub use near::near_apps;
#[cfg(test)]
pub use port::MockProfileDataSor;
pub use port::ProfileDataSor;
pub use pyroscope::{Credentials, InvalidSource, PyroscopeSettings};
pub use routes::routes;
pub use timeline::{StepWidth, Timeline};

use std::sync::Arc;

use crate::http::Outward;
use crate::kernel::Clock;
use crate::profile::Budget;

/// Profiles from a Pyroscope server.
///
/// # Errors
/// A tenant or credential cannot be sent in a header, or the HTTP client cannot be built.
pub fn pyroscope(
    settings: &PyroscopeSettings,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn ProfileDataSor>, InvalidSource> {
    Ok(Arc::new(pyroscope::Pyroscope::new(settings, clock)?))
}

/// The adapter for another Flamewarden, which reads its profiles within the budget.
pub fn remote(outward: Outward, budget: Budget, clock: Arc<dyn Clock>) -> Arc<dyn ProfileDataSor> {
    Arc::new(remote::RemoteProfiles::new(outward, budget, clock))
}

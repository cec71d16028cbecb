//! The Profile Data SOR: what profiles an app sent, from a Pyroscope server, the embedded store, or another Flamewarden.
//!
//! It owns profiles and knows no verdicts. One port, three adapters; tables and flame graphs are computed from what
//! [`ProfileDataSor::merged`] gives.

mod domain;
mod port;
mod proto;
mod resolve;
mod routes;
pub mod store;
mod type_id;
mod wire;

pub use domain::{Coverage, LabelShare, MergedProfile, ProfileMeta, ProfileQuery};
#[cfg(test)]
pub use port::MockProfileDataSor;
pub use port::ProfileDataSor;
pub use routes::routes;

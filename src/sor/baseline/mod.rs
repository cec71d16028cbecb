//! The Baseline SOR: the approved share of a function. It owns the table `performance_baseline`.
//!
//! It decides nothing: BORs decide who breaks a limit.

mod domain;
mod port;
mod postgres;
mod remote;
mod routes;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use domain::{Baseline, BaselineChange, BaselinePage, BaselinePosition, BaselineQuery, NewBaseline};
pub use port::BaselineSor;
#[cfg(test)]
pub use port::MockBaselineSor;
pub use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// Baselines kept in this database.
pub fn local(db: Db) -> Arc<dyn BaselineSor> {
    Arc::new(postgres::PostgresBaselines::new(db))
}

/// Baselines kept by another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn BaselineSor> {
    Arc::new(remote::RemoteBaselines::new(outward))
}

//! The Registry SOR: who owns a service, how much it matters, and which series are its own. It owns the table
//! `service_registry`.
//!
//! It decides nothing: what an owner or a tier is good for is the BORs' business.

mod domain;
mod labels;
mod metadata;
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

pub use domain::{NewService, Service, ServiceChange, ServicePage, ServicePosition, ServiceQuery};
pub use labels::{InvalidLabels, PyroscopeLabels};
pub use metadata::{InvalidMetadata, Metadata};
#[cfg(test)]
pub use port::MockRegistrySor;
pub use port::RegistrySor;
pub use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// A registry kept in this database.
pub fn local(db: Db) -> Arc<dyn RegistrySor> {
    Arc::new(postgres::PostgresRegistry::new(db))
}

/// A registry kept by another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn RegistrySor> {
    Arc::new(remote::RemoteRegistry::new(outward))
}

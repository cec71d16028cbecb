//! Merges of branches: what each took, and what became of its conflicts.

mod domain;
mod port;
mod postgres;
mod remote;
mod routes;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use domain::{ConflictCount, Merge, MergePage, MergeQuery, MergeRefused, MergeStatistics, MergeStatus, NewMerge};
pub use port::MergeSor;
#[cfg(test)]
pub use port::MockMergeSor;
pub(super) use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// Merges in this database.
pub(super) fn local(db: Db) -> Arc<dyn MergeSor> {
    Arc::new(postgres::PostgresMerges::new(db))
}

/// Merges that another Flamewarden keeps.
pub(super) fn remote(outward: Outward) -> Arc<dyn MergeSor> {
    Arc::new(remote::RemoteMerges::new(outward))
}

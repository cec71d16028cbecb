use async_trait::async_trait;

use super::domain::{Baseline, BaselineChange, NewBaseline};
use crate::kernel::{AppName, PortResult, ProfileType, RowId};

/// Keeps approved limits. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait BaselineSor: Send + Sync {
    /// Sets a limit; the same key again updates threshold and severity.
    async fn set(&self, baseline: NewBaseline) -> PortResult<Baseline>;

    /// The limits of an app, of one kind or all, by type and function.
    async fn list(&self, app: &AppName, profile_type: Option<ProfileType>) -> PortResult<Vec<Baseline>>;

    /// Changes a limit; `None` where there is none of that id.
    async fn change(&self, id: RowId, change: BaselineChange) -> PortResult<Option<Baseline>>;

    /// Removes a limit; whether there was one.
    async fn remove(&self, id: RowId) -> PortResult<bool>;
}

use async_trait::async_trait;

use super::domain::{Baseline, BaselineChange, BaselinePage, BaselineQuery, NewBaseline};
use crate::kernel::{AppName, PortResult, ProfileType, RowId, all_pages};

/// Keeps approved limits. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait BaselineSor: Send + Sync {
    /// Sets a limit; the same key again updates threshold and severity.
    async fn set(&self, baseline: NewBaseline) -> PortResult<Baseline>;

    /// One page of an app's limits, by type and function; empty for an app nobody knows.
    async fn page(&self, query: &BaselineQuery) -> PortResult<BaselinePage>;

    /// All limits of an app, of one kind or all, by type and function: one page, unless there are over 10,000.
    async fn list(&self, app: &AppName, profile_type: Option<ProfileType>) -> PortResult<Vec<Baseline>> {
        let page = |after| async move {
            let limit = BaselineQuery::MAX_LIMIT;
            self.page(&BaselineQuery { app_name: app.clone(), profile_type, limit, after }).await
        };
        all_pages(page).await
    }

    /// Changes a limit; `None` where there is none of that id.
    async fn change(&self, id: RowId, change: BaselineChange) -> PortResult<Option<Baseline>>;

    /// Removes a limit; whether there was one.
    async fn remove(&self, id: RowId) -> PortResult<bool>;
}

use async_trait::async_trait;

use super::domain::{Baseline, BaselineChange, BaselinePage, BaselineQuery, NewBaseline};
use crate::kernel::{AppName, Call, PortResult, ProfileType, RowId, Stored, all_pages};

/// Keeps approved limits. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait BaselineSor: Send + Sync {
    /// Sets a limit; the same key again updates threshold and severity.
    async fn set(&self, call: &Call, baseline: NewBaseline) -> PortResult<Stored<Baseline>>;

    /// One page of limits, by app, type and function; empty for an unknown app.
    async fn page(&self, call: &Call, query: &BaselineQuery) -> PortResult<BaselinePage>;

    /// All valid limits of an app, of one kind or all, by type and function: one page, unless there are over 10,000.
    async fn list(&self, call: &Call, app: &AppName, profile_type: Option<ProfileType>) -> PortResult<Vec<Baseline>> {
        joined(self, call, BaselineQuery::of(Some(app.clone()), profile_type)).await
    }

    /// All valid limits, by app, type and function.
    async fn all(&self, call: &Call) -> PortResult<Vec<Baseline>> {
        joined(self, call, BaselineQuery::of(None, None)).await
    }

    /// Changes a limit. `None`: no limit has that id.
    async fn change(&self, call: &Call, id: RowId, change: BaselineChange) -> PortResult<Option<Stored<Baseline>>>;

    /// Removes a limit; whether there was one.
    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool>;
}

/// The valid limits of all pages.
async fn joined(port: &(impl BaselineSor + ?Sized), call: &Call, query: BaselineQuery) -> PortResult<Vec<Baseline>> {
    let page = |after| {
        let query = BaselineQuery { after, ..query.clone() };
        async move { port.page(call, &query).await.map(|page| page.read(Stored::valid)) }
    };
    all_pages(page).await
}

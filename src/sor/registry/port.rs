use async_trait::async_trait;

use super::domain::{NewService, Service, ServiceChange, ServicePage, ServiceQuery};
use crate::kernel::{AppName, Call, PortResult, Stored, all_pages};

/// Keeps what is known of services. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait RegistrySor: Send + Sync {
    /// Registers a service; the same app again changes what is given and keeps the rest.
    async fn register(&self, call: &Call, service: NewService) -> PortResult<Stored<Service>>;

    /// The service of an app.
    async fn get(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Service>>>;

    /// One page of the services, by app.
    async fn page(&self, call: &Call, query: &ServiceQuery) -> PortResult<ServicePage>;

    /// All valid services, by app: one page, unless there are over 10,000.
    async fn list(&self, call: &Call) -> PortResult<Vec<Service>> {
        let page = |after| async move {
            let query = ServiceQuery { tier: None, limit: ServiceQuery::MAX_LIMIT, after };
            self.page(call, &query).await.map(|page| page.read(Stored::valid))
        };
        all_pages(page).await
    }

    /// Changes a service; `None` where the app is not registered.
    async fn change(&self, call: &Call, app: &AppName, change: ServiceChange) -> PortResult<Option<Stored<Service>>>;

    /// Forgets a service; whether it was registered.
    async fn remove(&self, call: &Call, app: &AppName) -> PortResult<bool>;
}

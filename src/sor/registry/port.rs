use async_trait::async_trait;

use super::domain::{NewService, Service, ServiceChange, ServicePage, ServiceQuery};
use crate::kernel::{AppName, PortResult, all_pages};

/// Keeps what is known of services. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait RegistrySor: Send + Sync {
    /// Registers a service; the same app again changes what is given and keeps the rest.
    async fn register(&self, service: NewService) -> PortResult<Service>;

    /// The service of an app.
    async fn get(&self, app: &AppName) -> PortResult<Option<Service>>;

    /// One page of the services, by app.
    async fn page(&self, query: &ServiceQuery) -> PortResult<ServicePage>;

    /// All services, by app: one page, unless there are over 10,000.
    async fn list(&self) -> PortResult<Vec<Service>> {
        let page =
            |after| async move { self.page(&ServiceQuery { tier: None, limit: ServiceQuery::MAX_LIMIT, after }).await };
        all_pages(page).await
    }

    /// Changes a service; `None` where the app is not registered.
    async fn change(&self, app: &AppName, change: ServiceChange) -> PortResult<Option<Service>>;

    /// Forgets a service; whether it was registered.
    async fn remove(&self, app: &AppName) -> PortResult<bool>;
}

use async_trait::async_trait;

use super::domain::{Enqueued, MirroredAlert, NewMessage};
use crate::kernel::{Call, PortResult};

/// Keeps what people are told. Adapters: PostgreSQL, another Flamewarden.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait NotificationSor: Send + Sync {
    /// Keeps messages until they are delivered, all or none, and answers what becomes of each, in order. A message whose key
    /// is there already changes nothing; a newer one about the same incident on the same channel takes the place of one that
    /// was not delivered yet.
    async fn enqueue(&self, call: &Call, messages: Vec<NewMessage>) -> PortResult<Vec<Enqueued>>;

    /// Hands all alerts to each Alertmanager that is a channel. Nothing is kept; `Unavailable`: one did not take them.
    async fn mirror(&self, call: &Call, alerts: Vec<MirroredAlert>) -> PortResult<()>;
}

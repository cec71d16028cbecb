use async_trait::async_trait;

use super::channels::ChannelName;
use super::domain::{
    ChannelList, Enqueued, Message, MessagePage, MessageQuery, MirroredAlert, NewMessage, TestDelivery,
};
use crate::kernel::{Call, PortResult, RowId};

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

    /// One page of messages, newest first.
    async fn page(&self, call: &Call, query: &MessageQuery) -> PortResult<MessagePage>;

    /// Has a dead message delivered after all. `None`: there is none of this id; `Conflict`: it is not dead, or a newer one
    /// about the same incident waits for the same channel.
    async fn retry(&self, call: &Call, id: RowId) -> PortResult<Option<Message>>;

    /// The channels, and what is meant and not defined.
    async fn channels(&self, call: &Call) -> PortResult<ChannelList>;

    /// Sends a message to a channel at once to try it. `None`: no such channel is defined.
    async fn test(&self, call: &Call, channel: &ChannelName) -> PortResult<Option<TestDelivery>>;
}

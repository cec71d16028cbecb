//! The Notification SOR: what people are told, on which channel, and whether it arrived. It owns the tables `core.message`,
//! `core.channel_state` and `core.channel_unresolved`.
//!
//! It does not decide what is told of. It keeps messages until their channel has taken them. Channels are the operator's: a
//! file, or settings, defines them. The [`Courier`] delivers, where the tables are.

mod channels;
mod courier;
mod domain;
mod outbox;
mod port;
mod postgres;
mod remote;
mod render;
mod routes;
mod rows;
mod send;
mod wire;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use channels::{ChannelKind, ChannelName, Channels, InvalidChannelName};
pub use courier::{Courier, NotificationParts};
pub use domain::{
    ChannelList, ChannelState, ChannelStatus, Enqueued, Message, MessageBody, MessagePage, MessagePosition,
    MessageQuery, MessageState, MirroredAlert, NewMessage, Notice, NoticeEvent, NoticeLink, TestDelivery,
};
#[cfg(test)]
pub use port::MockNotificationSor;
pub use port::NotificationSor;
pub use routes::routes;

use crate::http::Outward;
use crate::storage::Db;

/// Messages in this database, for these channels.
pub fn local(db: Db, parts: NotificationParts) -> Arc<dyn NotificationSor> {
    Arc::new(postgres::PostgresNotification::new(db, parts))
}

/// Messages of another Flamewarden.
pub fn remote(outward: Outward) -> Arc<dyn NotificationSor> {
    Arc::new(remote::RemoteNotification::new(outward))
}

//! The Notification SOR: what people are told, on which channel, and whether it arrived. It owns the tables `core.message`
//! and `core.channel_state`.
//!
//! It does not decide what is told of. It keeps messages until their channel has taken them.

mod domain;
mod port;

pub use domain::{Enqueued, MirroredAlert, NewMessage, Notice, NoticeEvent, NoticeLink};
#[cfg(test)]
pub use port::MockNotificationSor;
pub use port::NotificationSor;

//! Notifications of another Flamewarden, over its routes.

use async_trait::async_trait;
use reqwest::Method;

use super::channels::ChannelName;
use super::domain::{
    ChannelList, Enqueued, Message, MessagePage, MessageQuery, MessageState, MirroredAlert, NewMessage, TestDelivery,
};
use super::port::NotificationSor;
use super::wire::{EnqueuedBody, MessagePageBody, MirroredAlertsBody, MirroredBody, NewMessagesBody};
use crate::http::{Code, Cursor, Outward, Peer, Repeatable};
use crate::kernel::{Call, PortResult, RowId};

pub(super) struct RemoteNotification {
    messages: Peer,
    channels: Peer,
}

impl RemoteNotification {
    pub(super) fn new(outward: Outward) -> Self {
        let messages = Peer::new(outward.clone(), Code::NotificationUnknown);
        Self { messages, channels: Peer::new(outward, Code::ChannelUnknown) }
    }
}

#[async_trait]
impl NotificationSor for RemoteNotification {
    async fn enqueue(&self, call: &Call, messages: Vec<NewMessage>) -> PortResult<Vec<Enqueued>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let body = NewMessagesBody { messages };
        let enqueued = self.messages.written::<EnqueuedBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::POST, outward.url(["core", "notification", "enqueue"])).json(&body)
        });
        Ok(enqueued.await?.messages)
    }

    async fn mirror(&self, call: &Call, alerts: Vec<MirroredAlert>) -> PortResult<()> {
        let body = MirroredAlertsBody { alerts };
        let mirrored = self.messages.written::<MirroredBody>(call, Repeatable::No, |outward| {
            outward.request(Method::POST, outward.url(["core", "notification", "mirror"])).json(&body)
        });
        mirrored.await.map(drop)
    }

    async fn page(&self, call: &Call, query: &MessageQuery) -> PortResult<MessagePage> {
        let given = [
            ("state", query.state.map(|state| MessageState::as_str(state).to_owned())),
            ("channel", query.channel.as_ref().map(ToString::to_string)),
            ("alertId", query.incident_id.map(|id| id.get().to_string())),
            ("limit", Some(query.limit.clamp(1, MessageQuery::MAX_LIMIT).to_string())),
            ("cursor", query.after.as_ref().map(Cursor::encode)),
        ];
        let parameters: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let body = self.messages.written::<MessagePageBody>(call, Repeatable::Yes, |outward| {
            outward.request(Method::GET, outward.url(["notifications"])).query(&parameters)
        });
        let body = body.await?;
        Ok(MessagePage { entries: body.notifications, next: Cursor::next(body.next_cursor)? })
    }

    async fn retry(&self, call: &Call, id: RowId) -> PortResult<Option<Message>> {
        let id = id.get().to_string();
        let retried = self.messages.read(call, Repeatable::No, |outward| {
            outward.request(Method::POST, outward.url(["notifications", &id, "retry"]))
        });
        retried.await
    }

    async fn channels(&self, call: &Call) -> PortResult<ChannelList> {
        let list = self
            .channels
            .written(call, Repeatable::Yes, |outward| outward.request(Method::GET, outward.url(["channels"])));
        list.await
    }

    async fn test(&self, call: &Call, channel: &ChannelName) -> PortResult<Option<TestDelivery>> {
        let tested = self.channels.read(call, Repeatable::No, |outward| {
            outward.request(Method::POST, outward.url(["channels", channel.as_str(), "test"]))
        });
        tested.await
    }
}

//! The routes of the Notification SOR. They call the port only.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::channels::ChannelName;
use super::domain::{ChannelList, Message, MessagePosition, MessageQuery, MessageState, NewMessage, TestDelivery};
use super::port::NotificationSor;
use super::wire::{EnqueuedBody, MessagePageBody, MirroredAlertsBody, MirroredBody, NewMessagesBody};
use crate::http::{
    Body, Code, Cursor, Limit, NoParams, PathParam, Problem, Query, RelationalErrors, Resource, Routes, RowKey,
    WriteErrors, found, json,
};
use crate::kernel::{Call, RowId};

/// Mounts and documents the routes of the Notification SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/channels").with(__path_list_channels, list_channels))
        .service(Resource::at("/channels/{name}/test").with(__path_test_channel, test_channel))
        .service(Resource::at("/notifications").with(__path_list_notifications, list_notifications))
        .service(Resource::at("/notifications/{id}/retry").with(__path_retry_notification, retry_notification))
        .service(Resource::at("/core/notification/enqueue").with(__path_enqueue_messages, enqueue_messages))
        .service(Resource::at("/core/notification/mirror").with(__path_mirror_alerts, mirror_alerts));
}

type Port = web::Data<dyn NotificationSor>;

fn failed(error: &crate::kernel::PortError) -> Problem {
    Problem::of_relational(error)
}

/// List channels
///
/// By name, with how each does and how many notifications wait for it. No address and no secret is shown. `unresolved` is what
/// rules and services were meant to be told on and is not defined.
#[utoipa::path(
    get, path = "/channels", tag = "channels", operation_id = "listChannels",
    responses((status = 200, description = "The channels", body = ChannelList), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_channels(port: Port, call: Call, _: Query<NoParams>) -> Result<HttpResponse, Problem> {
    json(StatusCode::OK, &port.channels(&call).await.map_err(|error| failed(&error))?)
}

/// Send a test to a channel
///
/// Sends a message at once and says what the receiver answered.
#[utoipa::path(
    post, path = "/channels/{name}/test", tag = "channels", operation_id = "testChannel",
    params(("name" = String, Path, description = "the channel's name; GET /channels shows it", example = "ops")),
    responses(
        (status = 200, description = "What came of it", body = TestDelivery),
        (status = 404, description = "`channel_unknown`: no such channel is defined", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["admin"]), ("basic" = ["admin"])),
)]
pub(super) async fn test_channel(
    port: Port,
    call: Call,
    name: PathParam<ChannelName>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(Code::ChannelUnknown, "no channel of this name is defined; GET /channels lists them");
    found::<TestDelivery, _>(port.test(&call, &name.into_inner()).await, unknown)
}

/// Which notifications to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct NotificationParams {
    /// Only those that stand so.
    state: Option<MessageState>,
    /// Only those of this channel.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,63}$", example = "ops")]
    channel: Option<ChannelName>,
    /// Only those about this alert.
    #[param(value_type = Option<i32>, minimum = 1, example = 7)]
    alert_id: Option<core::num::NonZeroU32>,
    /// At most this many; 100 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<Limit<{ MessageQuery::MAX_LIMIT }>>,
    /// Continue here: `nextCursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<MessagePosition>>,
}

/// List notifications
///
/// Newest first: what people were told or are to be told of alerts, on which channel, and whether it arrived.
#[utoipa::path(
    get, path = "/notifications", tag = "notifications", operation_id = "listNotifications",
    params(NotificationParams),
    responses((status = 200, description = "One page", body = MessagePageBody), RelationalErrors),
    security(("bearer" = ["viewer"]), ("basic" = ["viewer"])),
)]
pub(super) async fn list_notifications(
    port: Port,
    call: Call,
    params: Query<NotificationParams>,
) -> Result<HttpResponse, Problem> {
    let NotificationParams { state, channel, alert_id, limit, cursor } = params.into_inner();
    let id = |id: core::num::NonZeroU32| {
        let rule = || Problem::field(Code::ParameterInvalid, "alertId", format!("must be at most {}", i32::MAX));
        RowId::new(id.get().into()).ok_or_else(rule)
    };
    let query = MessageQuery {
        state,
        channel,
        incident_id: alert_id.map(id).transpose()?,
        limit: limit.map_or(MessageQuery::DEFAULT_LIMIT, Limit::get),
        after: cursor.map(|cursor| cursor.0),
    };
    let page = port.page(&call, &query).await.map_err(|error| failed(&error))?;
    let (count, next_cursor) = (page.entries.len(), page.next.as_ref().map(Cursor::encode));
    json(StatusCode::OK, &MessagePageBody { count, notifications: page.entries, next_cursor })
}

/// Send a dead notification after all
///
/// It waits for its channel again, which is tried at once.
#[utoipa::path(
    post, path = "/notifications/{id}/retry", tag = "notifications", operation_id = "retryNotification",
    params(("id" = i32, Path, description = "the notification's id", example = 7)),
    responses(
        (status = 200, description = "It waits again", body = Message),
        (status = 404, description = "`notification_unknown`: there is none of this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`conflict`: it is not dead, or a newer one about the same alert waits", body = Problem, content_type = "application/problem+json"),
        RelationalErrors,
    ),
    security(("bearer" = ["admin"]), ("basic" = ["admin"])),
)]
pub(super) async fn retry_notification(
    port: Port,
    call: Call,
    id: PathParam<RowKey>,
    _: Query<NoParams>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::new(Code::NotificationUnknown, "there is no notification of this id");
    let id = id.into_inner().known(Code::NotificationUnknown)?;
    found::<Message, _>(port.retry(&call, id).await, unknown)
}

/// Hand messages in
///
/// For processes of this server that are elsewhere. All are kept, or none. A message whose key is there already changes
/// nothing; a newer one about the same incident on the same channel takes the place of one that was not delivered yet.
#[utoipa::path(
    post, path = "/core/notification/enqueue", tag = "notifications", operation_id = "enqueueMessages",
    request_body = NewMessagesBody,
    responses((status = 200, description = "What becomes of each", body = EnqueuedBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn enqueue_messages(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<NewMessagesBody>,
) -> Result<HttpResponse, Problem> {
    let messages: Vec<NewMessage> = body.into_inner().messages;
    let most = NewMessage::MOST_AT_ONCE;
    if !(1..=most).contains(&messages.len()) {
        let detail = format!("/messages: must hold 1 to {most} messages, and holds {}", messages.len());
        return Err(Problem::new(Code::BodyInvalid, detail));
    }
    let messages = port.enqueue(&call, messages).await.map_err(|error| failed(&error))?;
    json(StatusCode::OK, &EnqueuedBody { messages })
}

/// Hand alerts to each Alertmanager
///
/// For processes of this server that are elsewhere. Nothing is kept.
#[utoipa::path(
    post, path = "/core/notification/mirror", tag = "notifications", operation_id = "mirrorAlerts",
    request_body = MirroredAlertsBody,
    responses((status = 200, description = "Each Alertmanager has them", body = MirroredBody), WriteErrors),
    security(("bearer" = ["service"]), ("basic" = ["service"])),
)]
pub(super) async fn mirror_alerts(
    port: Port,
    call: Call,
    _: Query<NoParams>,
    body: Body<MirroredAlertsBody>,
) -> Result<HttpResponse, Problem> {
    let alerts = body.into_inner().alerts;
    let count = alerts.len();
    port.mirror(&call, alerts).await.map_err(|error| failed(&error))?;
    json(StatusCode::OK, &MirroredBody { alerts: count })
}

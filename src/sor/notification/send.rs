//! Sends to channels. Nothing here decides what an answer means.

use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};

use super::channels::{Channel, ChannelKind, ChannelSecret};
use super::domain::{Message, MirroredAlert};
use super::render::{batch_id, pagerduty, sign, slack, webhook};
use crate::http::{Answer, NoAnswer};
use crate::kernel::Call;

/// Alerts that an Alertmanager is handed at once.
const ALERTS_AT_ONCE: usize = 500;

/// Sends messages in one request. PagerDuty is told of the first alone.
pub(super) async fn send(
    call: &Call,
    channel: &Channel,
    messages: &[&Message],
    now: DateTime<Utc>,
) -> Result<Answer, NoAnswer> {
    let request = channel.outward.request(Method::POST, channel.outward.base().clone());
    let request = match (channel.kind, &channel.secret, messages.first()) {
        (ChannelKind::Pagerduty, ChannelSecret::RoutingKey(key), Some(first)) => request.json(&pagerduty(key, first)),
        (ChannelKind::Webhook, secret, _) => signed(request, secret, messages, now),
        _ => request.json(&slack(messages)),
    };
    channel.outward.post_abroad(call, request).await
}

fn signed(
    request: RequestBuilder,
    secret: &ChannelSecret,
    messages: &[&Message],
    now: DateTime<Utc>,
) -> RequestBuilder {
    let id = batch_id(messages.iter().map(|message| message.id));
    let body = webhook(id, now, messages).to_string();
    let key = if let ChannelSecret::Signs(key) = secret { Some(key) } else { None };
    let headers = sign(id, now, &body, key);
    let request = request.header("webhook-id", headers.id).header("webhook-timestamp", headers.timestamp);
    let signature = headers.signature.into_iter();
    let request = signature.fold(request, |request, signature| request.header("webhook-signature", signature));
    request.header(CONTENT_TYPE, "application/json").body(body)
}

/// Hands alerts to an Alertmanager, and answers what it said to the last of them, or to the first that it did not take.
pub(super) async fn mirror(
    call: &Call,
    channel: &Channel,
    alerts: &[MirroredAlert],
) -> Result<Option<Answer>, NoAnswer> {
    let mut last = None;
    for alerts in alerts.chunks(ALERTS_AT_ONCE) {
        let url = channel.outward.url(["api", "v2", "alerts"]);
        let request = channel.outward.request(Method::POST, url).json(alerts);
        let answer = channel.outward.post_abroad(call, request).await?;
        let taken = channel.kind.accepts(answer.status.as_u16());
        last = Some(answer);
        if !taken {
            break;
        }
    }
    Ok(last)
}

//! The body of Standard Webhooks, and its signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::super::channels::SigningKey;
use super::super::domain::Message;
use crate::kernel::RowId;

/// What ids of batches are made in.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b1f_6a0e_7c3d_4f52_9d41_0a5c_8e2b_7713);

/// The id of these messages together: the same ones have the same.
pub(in crate::sor::notification) fn batch_id(ids: impl IntoIterator<Item = RowId>) -> Uuid {
    let text: Vec<_> = ids.into_iter().map(|id| id.get().to_string()).collect();
    Uuid::new_v5(&NAMESPACE, text.join(",").as_bytes())
}

/// The body of the request.
pub(in crate::sor::notification) fn webhook(id: Uuid, sent_at: DateTime<Utc>, messages: &[&Message]) -> Value {
    let sent_at = sent_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let alerts: Vec<_> = messages.iter().map(|message| row(message)).collect();
    json!({"version": 1, "id": id, "sentAt": sent_at, "alerts": alerts})
}

/// The alert as `GET /alerts/{id}` shows it, and what is told of it.
fn row(message: &Message) -> Value {
    let notice = &message.body.notice;
    let mut row: Map<String, Value> =
        notice.alert.members().map(|(name, value)| (name.clone(), value.clone())).collect();
    let told = [
        ("messageId", json!(message.id)),
        ("event", json!(notice.event)),
        ("headline", json!(notice.headline)),
        ("lines", json!(notice.lines)),
        ("links", json!(notice.links)),
        ("unresolved", json!(message.body.unresolved)),
    ];
    row.extend(told.map(|(name, value)| (name.to_owned(), value)));
    row.into()
}

/// The headers of a request.
pub(in crate::sor::notification) struct Signed {
    /// `webhook-id`.
    pub(in crate::sor::notification) id: String,
    /// `webhook-timestamp`.
    pub(in crate::sor::notification) timestamp: String,
    /// `webhook-signature`; `None` without a key.
    pub(in crate::sor::notification) signature: Option<String>,
}

/// Signs a body.
pub(in crate::sor::notification) fn sign(id: Uuid, at: DateTime<Utc>, body: &str, key: Option<&SigningKey>) -> Signed {
    let (id, timestamp) = (id.to_string(), at.timestamp().to_string());
    let signature = key.and_then(|SigningKey(key)| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    Signed { id, timestamp, signature }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::LimitSeverity;
    use crate::sor::notification::NoticeEvent;
    use crate::sor::notification::render::tests::message;

    #[test]
    fn a_row_is_the_alert_and_what_is_told_of_it() {
        let one = message(7, NoticeEvent::Firing, LimitSeverity::Critical);
        let id = batch_id([one.id]);
        let body = webhook(id, "2026-01-23T08:53:20Z".parse().unwrap(), &[&one]);
        assert_eq!(
            (&body["version"], &body["id"], &body["sentAt"]),
            (&json!(1), &json!(id), &json!("2026-01-23T08:53:20Z"))
        );
        let row = &body["alerts"][0];
        assert_eq!((&row["id"], &row["messageId"], &row["state"]), (&json!(7), &json!(7), &json!("firing")));
        assert_eq!((&row["event"], &row["appName"]), (&json!("firing"), &json!("checkout")));
        assert_eq!(row["links"][0], json!({"name": "triage", "url": "http://fw/triage?a=1&b=2"}));
    }

    #[test]
    fn the_same_messages_have_the_same_id() {
        let ids = |numbers: &[i64]| batch_id(numbers.iter().map(|id| RowId::new(*id).unwrap()));
        assert_eq!(ids(&[1, 2]), ids(&[1, 2]));
        assert_ne!(ids(&[1, 2]), ids(&[12]));
        assert_eq!(ids(&[1]).get_version_num(), 5);
    }

    #[test]
    fn the_library_of_standard_webhooks_verifies_the_signature() {
        const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = SigningKey(STANDARD.decode(SECRET).unwrap());
        let now = crate::kernel::Clock::now(&crate::kernel::SystemClock);
        let body = r#"{"größe":1}"#;
        let signed = sign(batch_id([RowId::new(1).unwrap()]), now, body, Some(&key));
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("webhook-id", signed.id.parse().unwrap());
        headers.insert("webhook-timestamp", signed.timestamp.parse().unwrap());
        headers.insert("webhook-signature", signed.signature.unwrap().parse().unwrap());
        let library = standardwebhooks::Webhook::new(&format!("whsec_{SECRET}")).unwrap();
        library.verify(body.as_bytes(), &headers).unwrap();
        assert!(library.verify(b"{}", &headers).is_err());
        assert!(sign(batch_id([]), now, body, None).signature.is_none());
    }
}

//! What is sent to each kind of channel. Everything here is pure.

mod pagerduty;
mod slack;
mod webhook;

pub(super) use pagerduty::pagerduty;
pub(super) use slack::slack;
pub(super) use webhook::{batch_id, sign, webhook};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::channels::ChannelName;
use super::domain::{Message, MessageBody, MessageState, Notice, NoticeEvent};
use crate::kernel::{LimitSeverity, RowId};

/// What people read of channels that are meant and not defined.
fn undefined(unresolved: &[String]) -> Option<String> {
    let names = unresolved.join(", ");
    match unresolved.len() {
        0 => None,
        1 => Some(format!("meant for {names}, which is not defined")),
        _ => Some(format!("meant for {names}, which are not defined")),
    }
}

/// At most so many characters of a text, the last of them an ellipsis where it is cut.
fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The key of a message that is sent to try a channel. No other has it: those begin with the id of an incident.
const TEST_KEY: &str = "test";

/// The message that is sent to try a channel.
pub(super) fn trial(id: RowId, channel: ChannelName, event: NoticeEvent, at: DateTime<Utc>) -> Message {
    let alert = json!({"id": id, "title": "a test", "state": "firing", "severity": "info"});
    Message {
        id,
        key: TEST_KEY.to_owned(),
        channel,
        incident_id: id,
        body: MessageBody {
            notice: Notice {
                event,
                severity: LimitSeverity::Info,
                headline: "TEST: Flamewarden can reach this channel".to_owned(),
                lines: vec!["Nothing is wrong. Somebody tried whether this channel works.".to_owned()],
                links: Vec::new(),
                alert: alert.try_into().unwrap_or_default(),
            },
            unresolved: Vec::new(),
        },
        state: MessageState::Pending,
        attempts: 0,
        last_error: None,
        created_at: at,
        settled_at: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sor::notification::NoticeLink;

    /// A message of that id.
    pub(in crate::sor::notification) fn message(id: i64, event: NoticeEvent, severity: LimitSeverity) -> Message {
        let alert = json!({"id": id, "appName": "checkout", "state": if event == NoticeEvent::Resolved { "resolved" } else { "firing" },
            "severity": severity, "title": "gc_pressure over 30 % of cpu"});
        let link = |name: &str| NoticeLink { name: name.to_owned(), url: format!("http://fw/{name}?a=1&b=2") };
        let verb = if event == NoticeEvent::Resolved { "RESOLVED" } else { "FIRING" };
        Message {
            id: RowId::new(id).unwrap(),
            key: format!("{id}/x"),
            channel: "ops".parse().unwrap(),
            incident_id: RowId::new(id).unwrap(),
            body: MessageBody {
                notice: Notice {
                    event,
                    severity,
                    headline: format!("{verb} {} · checkout · <List>.sort {id} & more", severity.as_str()),
                    lines: vec!["checkout uses 1.7 cores.".to_owned(), "rule 12 · team orders".to_owned()],
                    links: vec![link("triage"), link("alert")],
                    alert: alert.try_into().unwrap(),
                },
                unresolved: Vec::new(),
            },
            state: MessageState::Pending,
            attempts: 0,
            last_error: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            settled_at: None,
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("größe", 5).as_str(), cut("größer", 5).as_str()), ("größe", "größ…"));
    }

    #[test]
    fn a_channel_that_is_not_defined_is_named() {
        assert_eq!(undefined(&[]), None);
        let one = undefined(&["#x".to_owned()]);
        assert_eq!(one.as_deref(), Some("meant for #x, which is not defined"));
    }
}

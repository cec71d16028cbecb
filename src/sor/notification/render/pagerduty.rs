//! An event of PagerDuty's Events API, version 2.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::super::domain::{Message, NoticeEvent};
use super::{cut, undefined};

/// The longest summary, in characters.
const MAX_SUMMARY: usize = 1_024;

/// The body of the request. It holds the routing key.
pub(in crate::sor::notification) fn pagerduty(key: &SecretString, message: &Message) -> Value {
    let notice = &message.body.notice;
    let alert = notice.alert.as_value();
    let lines: Vec<_> = notice.lines.iter().cloned().chain(undefined(&message.body.unresolved)).collect();
    let links: Vec<_> = notice.links.iter().map(|link| json!({"href": link.url, "text": link.name})).collect();
    let source = alert.get("appName").and_then(Value::as_str).unwrap_or("flamewarden");
    json!({
        "routing_key": key.expose_secret(),
        "event_action": action(notice.event, alert),
        "dedup_key": dedup_key(message),
        "client": "Flamewarden",
        "payload": {
            "summary": cut(&notice.headline, MAX_SUMMARY),
            "source": source,
            "severity": notice.severity,
            "custom_details": {"lines": lines},
        },
        "links": links,
    })
}

/// What PagerDuty knows the incident by. A test is no incident's.
fn dedup_key(message: &Message) -> String {
    if message.key == super::TEST_KEY {
        return "flamewarden-test".to_owned();
    }
    format!("flamewarden-{}", message.incident_id.get())
}

/// Which action an event is. An incident that has stopped flapping may be firing or resolved.
fn action(event: NoticeEvent, alert: &Value) -> &'static str {
    let over = alert.get("state").and_then(Value::as_str) == Some("resolved");
    match event {
        NoticeEvent::Acknowledged => "acknowledge",
        NoticeEvent::Resolved => "resolve",
        NoticeEvent::FlappingEnded if over => "resolve",
        NoticeEvent::Firing
        | NoticeEvent::Repeated
        | NoticeEvent::Severity
        | NoticeEvent::Flapping
        | NoticeEvent::FlappingEnded => "trigger",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::kernel::LimitSeverity;
    use crate::sor::notification::render::tests::message;

    #[rstest]
    #[case(NoticeEvent::Firing, "trigger")]
    #[case(NoticeEvent::Repeated, "trigger")]
    #[case(NoticeEvent::Severity, "trigger")]
    #[case(NoticeEvent::Acknowledged, "acknowledge")]
    #[case(NoticeEvent::Flapping, "trigger")]
    #[case(NoticeEvent::FlappingEnded, "trigger")]
    #[case(NoticeEvent::Resolved, "resolve")]
    fn an_event_is_an_action_on_the_same_alert(#[case] event: NoticeEvent, #[case] action: &str) {
        let mut message = message(7, event, LimitSeverity::Critical);
        message.body.notice.headline = "ü".repeat(2_000);
        let body = pagerduty(&"key".into(), &message);
        let told = (&body["event_action"], &body["dedup_key"], &body["routing_key"]);
        assert_eq!(told, (&json!(action), &json!("flamewarden-7"), &json!("key")));
        assert_eq!(body["payload"]["summary"].as_str().unwrap().chars().count(), 1_024);
        assert_eq!(
            (&body["payload"]["source"], &body["payload"]["severity"]),
            (&json!("checkout"), &json!("critical"))
        );
        assert_eq!(body["links"][1], json!({"href": "http://fw/alert?a=1&b=2", "text": "alert"}));
    }

    #[test]
    fn what_is_flapping_no_more_and_over_is_resolved() {
        assert_eq!(action(NoticeEvent::FlappingEnded, &json!({"state": "resolved"})), "resolve");
    }
}

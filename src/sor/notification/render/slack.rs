//! One message of Slack for all that is told in a turn.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::domain::{Message, NoticeEvent};
use super::{cut, undefined};

/// The longest text, in characters.
const MAX_CHARACTERS: usize = 3_000;
/// Up to so many incidents are told in full.
const IN_FULL: usize = 5;
/// Of more, so many are told in a line each.
const LINES: usize = 20;
/// The longest such line, in characters: twenty and what surrounds them fit.
const LINE_CHARACTERS: usize = 138;

/// The body of the request.
pub(in crate::sor::notification) fn slack(messages: &[&Message]) -> Value {
    json!({"text": text(messages)})
}

fn text(messages: &[&Message]) -> String {
    if messages.len() > IN_FULL {
        return overview(messages);
    }
    let mut text = String::new();
    let mut left = MAX_CHARACTERS;
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            text.push_str("\n\n");
            left = left.saturating_sub(2);
        }
        // What one does not need is there for the next. Two characters separate it from each that follows.
        let following = messages.len() - at - 1;
        let told = in_full(message, left.saturating_sub(2 * following) / (following + 1));
        left = left.saturating_sub(told.chars().count());
        text.push_str(&told);
    }
    text
}

/// The headline, the lines, and the links in a line, in so many characters.
fn in_full(message: &Message, characters: usize) -> String {
    let notice = &message.body.notice;
    let mut text = String::new();
    let headline = escaped(&notice.headline, characters.saturating_sub(2));
    let _ = write!(text, "*{headline}*");
    let left = |text: &str| characters.saturating_sub(text.chars().count());
    let mut links = String::new();
    for link in &notice.links {
        let separator = if links.is_empty() { "\n" } else { " | " };
        let link = format!("{separator}<{}|{}>", address(&link.url), escaped(&link.name, 100));
        if links.chars().count() + link.chars().count() <= left(&text) {
            links.push_str(&link);
        }
    }
    let lines = notice.lines.iter().cloned().chain(undefined(&message.body.unresolved));
    for line in lines {
        let room = left(&text).saturating_sub(links.chars().count() + 1);
        if room < 2 {
            break;
        }
        let _ = write!(text, "\n{}", escaped(&line, room));
    }
    text + &links
}

/// How many there are of each kind, the worst in a line each, and how many more there are.
fn overview(messages: &[&Message]) -> String {
    let resolved = |message: &Message| message.body.notice.event == NoticeEvent::Resolved;
    let mut worst = messages.to_vec();
    worst.sort_by_key(|message| (resolved(message), std::cmp::Reverse(message.body.notice.severity), message.id));
    let over = messages.iter().filter(|message| resolved(message)).count();
    let mut text = format!("*{} alerts, {over} of them resolved*", messages.len());
    for message in worst.iter().take(LINES) {
        let _ = write!(text, "\n• {}", escaped(&message.body.notice.headline, LINE_CHARACTERS));
    }
    let more = messages.len().saturating_sub(LINES);
    if more > 0 {
        let _ = write!(text, "\nand {more} more");
    }
    text
}

/// The text as Slack reads it, in at most so many characters. No escape is cut in two.
fn escaped(text: &str, characters: usize) -> String {
    let mut kept = text.chars().count().min(characters);
    loop {
        let escaped = cut(text, kept).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let over = escaped.chars().count().saturating_sub(characters);
        if over == 0 || kept == 0 {
            return escaped;
        }
        // An escape takes at most five characters, so this many fewer are never too few by much.
        kept -= (over / 5).max(1);
    }
}

/// An address as it stands in a link.
fn address(url: &str) -> String {
    url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::LimitSeverity;
    use crate::sor::notification::render::tests::message;
    use proptest::prelude::*;

    #[test]
    fn one_incident_is_told_in_full() {
        let mut one = message(7, NoticeEvent::Firing, LimitSeverity::Critical);
        one.body.unresolved.push("#x".to_owned());
        let expected = "*FIRING critical · checkout · &lt;List&gt;.sort 7 &amp; more*\ncheckout uses 1.7 cores.\nrule 12 · team orders\n\
                        meant for #x, which is not defined\n<http://fw/triage?a=1&amp;b=2|triage> | <http://fw/alert?a=1&amp;b=2|alert>";
        assert_eq!(slack(&[&one]), json!({"text": expected}));
    }

    #[test]
    fn from_six_on_the_worst_twenty_are_lines() {
        let mut all: Vec<_> = (1..=24).map(|id| message(id, NoticeEvent::Firing, LimitSeverity::Warning)).collect();
        all[2] = message(3, NoticeEvent::Resolved, LimitSeverity::Critical);
        all[23] = message(24, NoticeEvent::Firing, LimitSeverity::Critical);
        let text = text(&all.iter().collect::<Vec<_>>());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 22);
        assert_eq!(lines[0], "*24 alerts, 1 of them resolved*");
        assert_eq!(lines[1], "• FIRING critical · checkout · &lt;List&gt;.sort 24 &amp; more");
        assert_eq!(lines[21], "and 4 more");
        assert!(!text.contains("RESOLVED"), "{text}");
        let six = all.iter().take(6).collect::<Vec<_>>();
        assert_eq!(super::text(&six).lines().count(), 7);
        assert_eq!(super::text(&six[..5]).matches("rule 12").count(), 5);
    }

    #[test]
    fn links_stay_where_the_lines_are_too_long() {
        let mut one = message(1, NoticeEvent::Firing, LimitSeverity::Info);
        one.body.notice.lines = vec!["x".repeat(4_000), "gone".to_owned()];
        let text = text(&[&one]);
        assert_eq!(text.chars().count(), 3_000);
        assert!(
            text.ends_with("…\n<http://fw/triage?a=1&amp;b=2|triage> | <http://fw/alert?a=1&amp;b=2|alert>"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn a_text_is_never_too_long(count in 1..60_i64, headline in "[a<&ü]{0,4000}", line in "[<x]{0,4000}") {
            let mut all: Vec<_> = (1..=count).map(|id| message(id, NoticeEvent::Firing, LimitSeverity::Info)).collect();
            for one in &mut all {
                one.body.notice.headline.clone_from(&headline);
                one.body.notice.lines.push(line.clone());
            }
            let text = text(&all.iter().collect::<Vec<_>>());
            prop_assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
        }
    }
}

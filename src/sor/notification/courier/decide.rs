//! What an answer of a receiver means, and how long a channel pauses. Everything here is pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::RETRY_AFTER;

use super::super::channels::ChannelKind;
use crate::http::{Answer, NoAnswer};

/// The pause after a success.
pub(super) const PAUSE_AFTER_SUCCESS: Duration = Duration::from_secs(1);
/// The pause after the first failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause that the courier makes by itself.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// The longest pause that a receiver may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What became of a request to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sor::notification) enum Sent {
    /// It took what was sent.
    Accepted,
    /// It may take it later.
    Later {
        /// What went wrong.
        why: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It will never take it.
    Refused {
        /// What went wrong.
        why: String,
    },
}

impl Sent {
    /// What the answer of a receiver means. The texts name no address.
    pub(in crate::sor::notification) fn of(
        kind: ChannelKind,
        answer: &Result<Answer, NoAnswer>,
        now: DateTime<Utc>,
    ) -> Self {
        let later = |why: String| Self::Later { why, retry_after: None };
        match answer {
            Err(NoAnswer::Timeout(_)) => later("the receiver gave no answer within 10 seconds".to_owned()),
            Err(NoAnswer::GivenUp(error)) => later(error.to_string()),
            Err(NoAnswer::Broken(_) | NoAnswer::TooLarge { .. }) => {
                later("the receiver cannot be reached, or cut the connection".to_owned())
            }
            Ok(answer) if kind.accepts(answer.status.as_u16()) => Self::Accepted,
            Ok(answer) => {
                let why = format!("the receiver answered {}", answer.status);
                match answer.status.as_u16() {
                    408 | 425 | 429 | 500..=599 => Self::Later { why, retry_after: retry_after(answer, now) },
                    _ => Self::Refused { why },
                }
            }
        }
    }
}

/// What a receiver asks for, in seconds or as a time.
fn retry_after(answer: &Answer, now: DateTime<Utc>) -> Option<Duration> {
    let text = answer.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    (at.to_utc() - now).to_std().ok()
}

/// How long a channel pauses that failed so often before. `jitter` is from 0 to 1.
pub(super) fn pause(failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    if let Some(asked) = retry_after {
        return asked.clamp(PAUSE_AFTER_SUCCESS, LONGEST_RETRY_AFTER);
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
    doubled.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> Result<Answer, NoAnswer> {
        let headers = retry_after.map(|text| (RETRY_AFTER, text.parse().unwrap()));
        let status = reqwest::StatusCode::from_u16(status).unwrap();
        Ok(Answer { status, headers: headers.into_iter().collect(), body: bytes::Bytes::new() })
    }

    #[rstest]
    #[case(ChannelKind::Slack, 200, "accepted")]
    #[case(ChannelKind::Slack, 202, "refused")]
    #[case(ChannelKind::Webhook, 204, "accepted")]
    #[case(ChannelKind::Webhook, 302, "refused")]
    #[case(ChannelKind::Pagerduty, 202, "accepted")]
    #[case(ChannelKind::Pagerduty, 200, "refused")]
    #[case(ChannelKind::Alertmanager, 200, "accepted")]
    #[case(ChannelKind::Slack, 400, "refused")]
    #[case(ChannelKind::Slack, 404, "refused")]
    #[case(ChannelKind::Slack, 408, "later")]
    #[case(ChannelKind::Slack, 425, "later")]
    #[case(ChannelKind::Slack, 429, "later")]
    #[case(ChannelKind::Slack, 500, "later")]
    #[case(ChannelKind::Slack, 503, "later")]
    fn a_status_says_what_to_do(#[case] kind: ChannelKind, #[case] status: u16, #[case] expected: &str) {
        let found = match Sent::of(kind, &answered(status, None), DateTime::UNIX_EPOCH) {
            Sent::Accepted => "accepted",
            Sent::Later { .. } => "later",
            Sent::Refused { .. } => "refused",
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn no_answer_is_no_refusal_and_names_no_address() {
        for error in [NoAnswer::Timeout("http://secret".into()), NoAnswer::Broken("http://secret".into())] {
            let sent = Sent::of(ChannelKind::Slack, &Err(error), DateTime::UNIX_EPOCH);
            assert!(matches!(&sent, Sent::Later { why, .. } if !why.contains("secret")), "{sent:?}");
        }
    }

    #[rstest]
    #[case("7", Some(7))]
    #[case("Thu, 01 Jan 1970 00:01:30 GMT", Some(90))]
    #[case("soon", None)]
    #[case("-1", None)]
    fn a_receiver_says_when_to_come_back(#[case] text: &str, #[case] seconds: Option<u64>) {
        let sent = Sent::of(ChannelKind::Slack, &answered(429, Some(text)), DateTime::UNIX_EPOCH);
        let Sent::Later { retry_after, .. } = sent else { panic!("{sent:?}") };
        assert_eq!(retry_after, seconds.map(Duration::from_secs));
    }

    #[rstest]
    #[case(0, None, 0.5, 5_000)]
    #[case(0, None, 0.0, 4_000)]
    #[case(0, None, 1.0, 6_000)]
    #[case(1, None, 0.5, 10_000)]
    #[case(7, None, 0.5, 640_000)]
    #[case(8, None, 0.5, 900_000)]
    #[case(4_000, None, 1.0, 900_000)]
    #[case(4_000, None, 0.0, 720_000)]
    #[case(3, Some(7), 0.5, 7_000)]
    #[case(3, Some(0), 0.5, 1_000)]
    #[case(3, Some(86_400), 0.5, 3_600_000)]
    fn a_channel_pauses(
        #[case] failures: u32,
        #[case] retry_after: Option<u64>,
        #[case] jitter: f64,
        #[case] milliseconds: u128,
    ) {
        assert_eq!(pause(failures, retry_after.map(Duration::from_secs), jitter).as_millis(), milliseconds);
    }
}

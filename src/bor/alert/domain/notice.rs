//! What people are told of an incident.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::detail::{AlertDetail, AlertFunction, AlertLinks};
use crate::kernel::{JsonObject, Text255};
use crate::sor::incident::{Incident, IncidentLevel, IncidentSource, IncidentState, ResolveReason, ValueUnit};
use crate::sor::notification::{NewMessage, Notice, NoticeEvent, NoticeLink};
use crate::verdict::grouped;

/// The longest line, in bytes.
const LONGEST_LINE: usize = 2_000;
/// The most functions over their limits that are named beside the worst.
const MOST_NAMED: usize = 3;

/// What is told of an incident now. `None`: it does not fire yet.
fn event(incident: &Incident) -> Option<NoticeEvent> {
    let known = incident.told_state;
    let same = known == incident.level();
    let is_worse = incident.told_severity.is_some_and(|told| incident.found.severity > told);
    Some(match incident.level()? {
        IncidentLevel::Resolved => NoticeEvent::Resolved,
        IncidentLevel::Flapping => NoticeEvent::Flapping,
        _ if known == Some(IncidentLevel::Flapping) => NoticeEvent::FlappingEnded,
        _ if same && is_worse => NoticeEvent::Severity,
        IncidentLevel::Acknowledged => NoticeEvent::Acknowledged,
        IncidentLevel::Firing if same => NoticeEvent::Repeated,
        IncidentLevel::Firing => NoticeEvent::Firing,
    })
}

/// The first word of a message.
fn word(event: NoticeEvent) -> &'static str {
    match event {
        NoticeEvent::Firing => "FIRING",
        NoticeEvent::Repeated => "STILL FIRING",
        NoticeEvent::Severity => "WORSE",
        NoticeEvent::Acknowledged => "ACKNOWLEDGED",
        NoticeEvent::Flapping => "FLAPPING",
        NoticeEvent::FlappingEnded => "NO LONGER FLAPPING",
        NoticeEvent::Resolved => "RESOLVED",
    }
}

/// The message about an incident of which somebody is to be told. Links are absolute where `base` is an address; otherwise
/// they are paths. `None`: there is nothing to tell.
pub(in crate::bor::alert) fn message(incident: &Incident, base: &str, now: DateTime<Utc>) -> Option<NewMessage> {
    let event = event(incident)?;
    let detail = AlertDetail::read(&incident.found.detail);
    // A crash between handing in and noting that it was told hands in the same again, under the same key.
    let stamp =
        |time: Option<DateTime<Utc>>| time.map_or_else(|| "-".to_owned(), |time| time.timestamp_millis().to_string());
    let key = format!(
        "{}/{}/{}/{}",
        incident.id.get(),
        stamp(incident.found.fired_at),
        event.as_str(),
        stamp(incident.told_at)
    );
    let told_on = incident.told_channel.iter();
    let meant = told_on.chain(detail.iter().flat_map(|detail| &detail.channels));
    let mut meant_for: Vec<Text255> = meant.filter_map(|channel| channel.parse().ok()).collect();
    meant_for.dedup();
    Some(NewMessage {
        key: key.parse().ok()?,
        incident_id: incident.id,
        meant_for,
        notice: Notice {
            event,
            severity: incident.found.severity,
            headline: cut(headline(incident, event, detail.as_ref(), now)),
            lines: lines(incident, event, detail.as_ref()).into_iter().map(cut).collect(),
            links: links(incident, detail.map(|detail| detail.links), base),
            alert: row(incident),
        },
    })
}

/// `FIRING critical · checkout · gc_pressure 41.3 % of cpu (limit 30 %; 40.3–42.4, 12,840 samples) since 14:05Z`.
fn headline(incident: &Incident, event: NoticeEvent, detail: Option<&AlertDetail>, now: DateTime<Utc>) -> String {
    let found = &incident.found;
    let mut text = format!("{} {}", word(event), found.severity.as_str());
    if let Some(app) = &found.app_name {
        let _ = write!(text, " · {app}");
    }
    text.push_str(" · ");
    match (detail, found.value) {
        (Some(detail), Some(value)) => {
            let subject = found.title.split_once(" over ").map_or(found.title.as_str(), |(subject, _)| subject);
            let _ = write!(text, "{subject} {value:.1} % of {}", detail.profile_type);
            text.push_str(&figures(found.threshold, detail));
        }
        _ => text.push_str(&found.title),
    }
    match (found.state, found.resolved_at) {
        (IncidentState::Resolved, Some(end)) => {
            let minutes = (end - found.active_since).num_minutes();
            let _ = write!(text, ", over after {minutes} min, at {}", clock(end, now));
        }
        _ => {
            let _ = write!(text, " since {}", clock(found.active_since, now));
        }
    }
    text
}

/// ` (limit 30 %; 40.3–42.4, 12,840 samples)`.
fn figures(threshold: Option<f64>, detail: &AlertDetail) -> String {
    let limit = threshold.map(|limit| format!("limit {limit} %"));
    let interval = detail.low.zip(detail.high).map(|(low, high)| format!("{low:.1}–{high:.1}"));
    let samples = detail.samples.map(|samples| format!("{} samples", grouped(samples)));
    let seen: Vec<_> = interval.into_iter().chain(samples).collect();
    let parts: Vec<_> = limit.into_iter().chain((!seen.is_empty()).then(|| seen.join(", "))).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}

/// A time of today as `14:05Z`, another with its day.
fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = if at.date_naive() == now.date_naive() { "%H:%MZ" } else { "%Y-%m-%d %H:%MZ" };
    at.format(format).to_string()
}

fn lines(incident: &Incident, event: NoticeEvent, detail: Option<&AlertDetail>) -> Vec<String> {
    let mut lines = Vec::new();
    if incident.found.resolve_reason == Some(ResolveReason::NoData) && event == NoticeEvent::Resolved {
        lines.push("No profile came for an hour: this says nothing about its health.".to_owned());
    } else if event != NoticeEvent::Resolved {
        // Sources without a profile say theirs too.
        lines
            .extend(incident.found.detail.as_value().get("headline").and_then(|said| said.as_str()).map(str::to_owned));
    }
    if event != NoticeEvent::Resolved {
        lines.extend(detail.and_then(also_over));
    }
    if let (NoticeEvent::Acknowledged, Some(who)) = (event, &incident.acknowledged_by) {
        let note = incident.acknowledged_note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        lines.push(format!("{who} looks after it{note}"));
    }
    if event == NoticeEvent::Flapping {
        lines.push(
            "It fires and is resolved again and again. Nothing more is told until it stays as it is for 6 h."
                .to_owned(),
        );
    }
    let rule = match incident.found.source {
        IncidentSource::Baseline => Some("approved limit".to_owned()),
        _ => incident.found.rule_id.map(|id| format!("rule {id}")),
    };
    let team = detail.and_then(|detail| Some(format!("team {}", detail.team.as_ref()?)));
    let runbook = detail.and_then(|detail| Some(format!("runbook {}", detail.runbook_url.as_ref()?)));
    let owned: Vec<_> = rule.into_iter().chain(team).chain(runbook).collect();
    if !owned.is_empty() {
        lines.push(owned.join(" · "));
    }
    lines
}

/// `also over their limits: Tax.of 10.0 % (limit 5 %), Log.write 6.0 % (limit 1 %), and 3 more`; of a rule nothing.
fn also_over(detail: &AlertDetail) -> Option<String> {
    let named: Vec<_> = detail.functions.iter().skip(1).take(MOST_NAMED).collect();
    let one = |function: &&AlertFunction| {
        Some(format!("{} {:.1} % (limit {} %)", function.name, function.percent, function.limit?))
    };
    let mut all = named.iter().map(one).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())?;
    let further = detail.functions_total.saturating_sub(1 + named.len());
    all.extend((further > 0).then(|| format!("and {further} more")));
    Some(format!("also over their limits: {}", all.join(", ")))
}

fn links(incident: &Incident, links: Option<AlertLinks>, base: &str) -> Vec<NoticeLink> {
    let AlertLinks { triage, diff, flame_graph, differential, grafana } = links.unwrap_or_default();
    let own = |path: String| format!("{base}{path}");
    let alert = Some(own(format!("/alerts/{}", incident.id.get())));
    let named = [
        ("triage", triage.map(own)),
        ("what changed", diff.map(own)),
        ("flame graph", flame_graph.map(own)),
        ("differential flame graph", differential.map(own)),
        ("Grafana", grafana),
        ("alert", alert),
    ];
    named.into_iter().filter_map(|(name, url)| Some(NoticeLink { name: name.to_owned(), url: url? })).collect()
}

/// The incident as `GET /alerts/{id}` shows it without its events.
fn row(incident: &Incident) -> JsonObject {
    serde_json::to_value(incident).ok().and_then(|row| row.try_into().ok()).unwrap_or_default()
}

fn cut(mut line: String) -> String {
    line.truncate(line.floor_char_boundary(LONGEST_LINE));
    line
}

/// What Alertmanager calls incidents of a source.
pub(super) fn alert_name(source: IncidentSource) -> &'static str {
    match source {
        IncidentSource::Rule => "FlamewardenRule",
        IncidentSource::Baseline => "FlamewardenBaseline",
        IncidentSource::Latency => "FlamewardenLatency",
        IncidentSource::Slo => "FlamewardenSlo",
        IncidentSource::System => "FlamewardenSystem",
    }
}

/// A value with its unit, for people.
pub(super) fn with_unit(value: f64, unit: Option<ValueUnit>) -> String {
    match unit {
        Some(ValueUnit::Percent) => format!("{value:.2} %"),
        Some(ValueUnit::Ms) => format!("{value:.1} ms"),
        Some(ValueUnit::Count) => format!("{value:.0}"),
        Some(ValueUnit::Ratio | ValueUnit::BurnRate) | None => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::bor::alert::testing::{at, incident};
    use crate::kernel::LimitSeverity;

    fn told(incident: &Incident) -> Notice {
        message(incident, "https://flame.example", at(60)).unwrap().notice
    }

    #[test]
    fn a_message_says_what_fires_where_since_when_with_figures_and_where_to_look() {
        let message = message(&incident(), "https://flame.example", at(60)).unwrap();
        let Notice { headline, lines, links, alert, .. } = message.notice;
        assert_eq!(
            headline,
            "FIRING warning · checkout · gc_pressure 41.3 % of cpu (limit 30 %; 40.3–42.4, 12,840 samples) since 12:00Z"
        );
        assert_eq!(
            lines,
            ["checkout uses 1.7 cores. GC is 41 % of it.", "rule 12 · team orders · runbook https://wiki.example/gc",]
        );
        let links: Vec<_> = links.iter().map(|link| (link.name.as_str(), link.url.as_str())).collect();
        assert_eq!(
            links,
            [
                ("triage", "https://flame.example/triage/checkout?types=cpu"),
                ("what changed", "https://flame.example/diff/checkout?type=cpu"),
                ("Grafana", "https://grafana.example/a"),
                ("alert", "https://flame.example/alerts/7"),
            ]
        );
        let alert = alert.as_value();
        assert_eq!((&alert["id"], &alert["fingerprint"]), (&json!(7), &json!("rule/12/checkout")));
        let meant: Vec<_> = message.meant_for.iter().map(Text255::as_str).collect();
        assert_eq!(meant, ["#orders-alerts", "orders"]);
    }

    #[test]
    fn a_message_about_approved_limits_names_the_other_functions_over_theirs() {
        let function = |(name, percent, limit): (&str, f64, f64)| AlertFunction {
            name: name.to_owned(),
            percent,
            limit: Some(limit),
        };
        let mut limit = incident();
        limit.found.source = IncidentSource::Baseline;
        (limit.found.title, limit.found.rule_id) =
            ("Cart.total over its approved limit of 30 % of cpu".to_owned(), None);
        let mut detail = AlertDetail::read(&limit.found.detail).unwrap();
        detail.functions = [("Cart.total", 41.3, 30.0), ("Tax.of", 10.0, 5.0)].map(function).to_vec();
        detail.functions_total = 2;
        limit.found.detail = detail.to_object();
        let notice = told(&limit);
        assert!(notice.headline.starts_with("FIRING warning · checkout · Cart.total 41.3 % of cpu (limit 30 %;"));
        assert_eq!(notice.lines[1], "also over their limits: Tax.of 10.0 % (limit 5 %)");
        assert!(notice.lines[2].starts_with("approved limit · team orders"));
        detail.functions_total = 9;
        limit.found.detail = detail.to_object();
        assert!(told(&limit).lines[1].ends_with(", and 7 more"));
    }

    #[test]
    fn on_another_day_a_time_has_its_day() {
        let notice = message(&incident(), "", at(24 * 60)).unwrap().notice;
        assert!(notice.headline.ends_with(" since 2026-11-20 12:00Z"), "{}", notice.headline);
        assert_eq!(notice.links.last().unwrap().url, "/alerts/7");
    }

    #[test]
    fn an_incident_without_a_profile_is_told_by_its_title() {
        let mut system = incident();
        system.found.detail = json!({"status": 404}).try_into().unwrap();
        system.found.title = "the channel ops takes nothing".to_owned();
        (system.found.app_name, system.found.rule_id) = (None, None);
        let notice = told(&system);
        assert_eq!(notice.headline, "FIRING warning · the channel ops takes nothing since 12:00Z");
        assert_eq!((notice.lines.len(), notice.links.len()), (0, 1));
        let why = "the channel ops takes nothing: the receiver answered 404 Not Found";
        system.found.detail = json!({"headline": why, "channel": "ops"}).try_into().unwrap();
        assert_eq!(told(&system).lines, [why]);
    }

    /// As it stands, and as people know it.
    fn known(state: IncidentState, told: Option<IncidentLevel>, change: impl FnOnce(&mut Incident)) -> Incident {
        let mut incident = incident();
        incident.found.state = state;
        if state == IncidentState::Resolved {
            (incident.found.resolved_at, incident.found.resolve_reason) = (Some(at(43)), Some(ResolveReason::Clear));
        }
        incident.told_state = told;
        incident.told_severity = told.map(|_| LimitSeverity::Warning);
        change(&mut incident);
        incident
    }

    #[rstest]
    #[case(known(IncidentState::Firing, None, |_| ()), Some(NoticeEvent::Firing), "FIRING warning")]
    #[case(known(IncidentState::Firing, Some(IncidentLevel::Resolved), |_| ()), Some(NoticeEvent::Firing), "FIRING")]
    #[case(known(IncidentState::Firing, Some(IncidentLevel::Firing), |_| ()), Some(NoticeEvent::Repeated), "STILL FIRING")]
    #[case(
        known(IncidentState::Firing, Some(IncidentLevel::Firing), |one| one.found.severity = LimitSeverity::Critical),
        Some(NoticeEvent::Severity),
        "WORSE critical"
    )]
    #[case(
        known(IncidentState::Firing, Some(IncidentLevel::Firing), |one| one.acknowledged_at = Some(at(9))),
        Some(NoticeEvent::Acknowledged),
        "ACKNOWLEDGED"
    )]
    #[case(
        known(IncidentState::Firing, Some(IncidentLevel::Acknowledged), |one| {
            one.acknowledged_at = Some(at(9));
            one.found.severity = LimitSeverity::Critical;
        }),
        Some(NoticeEvent::Severity),
        "WORSE critical"
    )]
    #[case(
        known(IncidentState::Firing, Some(IncidentLevel::Firing), |one| one.flapping_since = Some(at(9))),
        Some(NoticeEvent::Flapping),
        "FLAPPING"
    )]
    #[case(
        known(IncidentState::Firing, Some(IncidentLevel::Flapping), |_| ()),
        Some(NoticeEvent::FlappingEnded),
        "NO LONGER FLAPPING"
    )]
    #[case(known(IncidentState::Resolved, Some(IncidentLevel::Flapping), |_| ()), Some(NoticeEvent::Resolved), "RESOLVED")]
    #[case(known(IncidentState::Resolved, Some(IncidentLevel::Firing), |_| ()), Some(NoticeEvent::Resolved), "RESOLVED")]
    #[case(known(IncidentState::Pending, None, |_| ()), None, "")]
    fn what_is_told_follows_from_how_it_stands_and_what_people_know(
        #[case] incident: Incident,
        #[case] expected: Option<NoticeEvent>,
        #[case] begins: &str,
    ) {
        let message = message(&incident, "", at(60));
        assert_eq!(message.as_ref().map(|message| message.notice.event), expected);
        assert!(message.is_none_or(|message| message.notice.headline.starts_with(begins)));
    }

    #[test]
    fn that_it_is_over_says_how_long_it_was_and_without_data_that_this_means_nothing() {
        let over = known(IncidentState::Resolved, Some(IncidentLevel::Firing), |_| ());
        let notice = told(&over);
        assert!(notice.headline.ends_with(", over after 43 min, at 12:43Z"), "{}", notice.headline);
        assert_eq!(notice.lines, ["rule 12 · team orders · runbook https://wiki.example/gc"]);
        let blind = known(IncidentState::Resolved, Some(IncidentLevel::Firing), |one| {
            one.found.resolve_reason = Some(ResolveReason::NoData);
        });
        assert_eq!(told(&blind).lines[0], "No profile came for an hour: this says nothing about its health.");
    }

    #[test]
    fn who_looks_after_it_is_told_with_what_they_said() {
        let incident = known(IncidentState::Firing, Some(IncidentLevel::Firing), |one| {
            one.acknowledged_at = Some(at(9));
            one.acknowledged_by = Some("token:ana".to_owned());
            one.acknowledged_note = Some("rolling back".to_owned());
        });
        assert!(told(&incident).lines.contains(&"token:ana looks after it: rolling back".to_owned()));
    }

    #[test]
    fn the_same_news_has_the_same_key_until_it_is_noted_as_told() {
        let key = |incident: &Incident| message(incident, "", at(60)).unwrap().key;
        let first = incident();
        assert_eq!(key(&first), key(&first));
        assert_eq!(key(&first).as_str(), format!("7/{}/firing/-", at(5).timestamp_millis()));
        let repeated = known(IncidentState::Firing, Some(IncidentLevel::Firing), |one| one.told_at = Some(at(6)));
        let later = known(IncidentState::Firing, Some(IncidentLevel::Firing), |one| one.told_at = Some(at(246)));
        let fired_again = known(IncidentState::Firing, None, |one| one.found.fired_at = Some(at(50)));
        let keys = [key(&first), key(&repeated), key(&later), key(&fired_again)];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{keys:?}");
    }

    #[test]
    fn the_channel_that_heard_of_it_first_hears_how_it_goes_on() {
        let incident = known(IncidentState::Resolved, Some(IncidentLevel::Firing), |one| {
            one.told_channel = Some("ops".to_owned());
        });
        let meant = message(&incident, "", at(60)).unwrap().meant_for;
        assert_eq!(meant.iter().map(Text255::as_str).collect::<Vec<_>>(), ["ops", "#orders-alerts", "orders"]);
    }

    #[test]
    fn a_line_is_no_longer_than_a_message_may_be() {
        let mut long = incident();
        long.found.detail = json!({}).try_into().unwrap();
        long.acknowledged_at = Some(at(9));
        long.acknowledged_by = Some("ü".repeat(1_000));
        long.acknowledged_note = Some("ü".repeat(1_000));
        assert!(told(&long).lines.iter().all(|line| line.len() <= 2_000));
    }
}

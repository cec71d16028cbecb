//! Incidents as an Alertmanager keeps them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::detail::AlertDetail;
use super::notice::{alert_name, with_unit};
use crate::sor::incident::{Incident, IncidentState};
use crate::sor::notification::MirroredAlert;

/// How long an alert holds that is not mirrored again.
const HOLDS_FOR: TimeDelta = TimeDelta::minutes(5);
/// How long one that is resolved is mirrored as such.
pub(in crate::bor::alert) const RESOLVED_FOR: TimeDelta = TimeDelta::minutes(15);

/// The incident as it is mirrored at `now`. `None`: it is not, since it does not fire, is silenced, or snoozed.
pub(in crate::bor::alert) fn mirrored(incident: &Incident, base: &str, now: DateTime<Utc>) -> Option<MirroredAlert> {
    let found = &incident.found;
    let fired_at = found.fired_at?;
    let ends_at = match found.state {
        IncidentState::Pending => return None,
        IncidentState::Firing => {
            let snoozed = incident.snoozed_until.is_some_and(|until| until > now);
            if snoozed || incident.silenced_by.is_some() {
                return None;
            }
            now + HOLDS_FOR
        }
        IncidentState::Resolved => found.resolved_at.filter(|end| now - *end < RESOLVED_FOR)?,
    };
    let detail = AlertDetail::read(&found.detail);
    let detail = detail.as_ref();
    let labels = [
        ("alertname", Some(alert_name(found.source).to_owned())),
        // Two problems with otherwise equal labels are two alerts.
        ("fingerprint", Some(found.fingerprint.clone())),
        ("app", found.app_name.as_ref().map(ToString::to_string)),
        ("severity", Some(found.severity.as_str().to_owned())),
        ("source", Some(found.source.as_str().to_owned())),
        ("rule_id", found.rule_id.map(|id| id.to_string())),
        ("profile_type", detail.map(|detail| detail.profile_type.to_string())),
        ("team", detail.and_then(|detail| detail.team.clone())),
        ("tier", detail.and_then(|detail| detail.tier.clone())),
    ];
    let value = |value: Option<f64>| value.map(|value| with_unit(value, found.unit));
    let annotations = [
        ("summary", Some(found.title.clone())),
        ("description", detail.and_then(|detail| detail.headline.clone())),
        ("value", value(found.value)),
        ("threshold", value(found.threshold)),
        ("acknowledged_by", incident.acknowledged_by.clone()),
        ("runbook_url", detail.and_then(|detail| detail.runbook_url.clone())),
    ];
    Some(MirroredAlert {
        labels: given(labels),
        annotations: given(annotations),
        starts_at: fired_at,
        ends_at,
        generator_url: format!("{base}/alerts/{}", incident.id.get()),
    })
}

fn given<const N: usize>(members: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::bor::alert::testing::{at, incident};
    use crate::kernel::RowId;

    #[test]
    fn what_fires_is_mirrored_with_what_tells_it_apart_and_what_else_is_known() {
        let alert = mirrored(&incident(), "https://flame.example", at(60)).unwrap();
        let text = |members: &BTreeMap<String, String>| {
            members.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" · ")
        };
        assert_eq!(
            text(&alert.labels),
            "alertname=FlamewardenRule · app=checkout · fingerprint=rule/12/checkout · profile_type=cpu · rule_id=12 · \
             severity=warning · source=rule · team=orders · tier=critical"
        );
        assert_eq!(
            text(&alert.annotations),
            "description=checkout uses 1.7 cores. GC is 41 % of it. · runbook_url=https://wiki.example/gc · \
             summary=gc_pressure over 30 % of cpu · threshold=30.00 % · value=41.30 %"
        );
        assert_eq!((alert.starts_at, alert.ends_at), (at(5), at(65)));
        assert_eq!(alert.generator_url, "https://flame.example/alerts/7");
    }

    #[rstest]
    #[case::pending(|one: &mut Incident| one.found.state = IncidentState::Pending, None)]
    #[case::silenced(|one: &mut Incident| one.silenced_by = RowId::new(3), None)]
    #[case::snoozed(|one: &mut Incident| one.snoozed_until = Some(at(61)), None)]
    #[case::awake(|one: &mut Incident| one.snoozed_until = Some(at(60)), Some(65))]
    #[case::acknowledged(|one: &mut Incident| one.acknowledged_at = Some(at(6)), Some(65))]
    #[case::resolved_lately(|one: &mut Incident| resolve(one, 46), Some(46))]
    #[case::resolved_long_ago(|one: &mut Incident| resolve(one, 45), None)]
    fn it_is_mirrored_while_it_fires_and_for_a_quarter_of_an_hour_after(
        #[case] change: fn(&mut Incident),
        #[case] ends: Option<i64>,
    ) {
        let mut incident = incident();
        change(&mut incident);
        assert_eq!(mirrored(&incident, "", at(60)).map(|alert| alert.ends_at), ends.map(at));
    }

    fn resolve(incident: &mut Incident, minute: i64) {
        (incident.found.state, incident.found.resolved_at) = (IncidentState::Resolved, Some(at(minute)));
    }
}

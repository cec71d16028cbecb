//! What the tests of telling share.

use chrono::{DateTime, Utc};

use super::domain::{AlertDetail, AlertLinks};
use crate::kernel::{LimitSeverity, ProfileType, RowId};
use crate::sor::incident::{Findings, Incident, IncidentSource, IncidentState, ValueUnit};

/// So many minutes after noon of a day in 2026.
pub(super) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000 + minute * 60, 0).unwrap()
}

/// An incident of a rule that fires and that nobody was told of.
pub(super) fn incident() -> Incident {
    let detail = AlertDetail {
        profile_type: ProfileType::Cpu,
        measure: None,
        category: Some("gc_pressure".to_owned()),
        from: at(0),
        to: at(5),
        low: Some(40.3),
        high: Some(42.4),
        samples: Some(12_840),
        functions: Vec::new(),
        functions_total: 0,
        selector: String::new(),
        rule_updated_at: Some(at(-9)),
        links: AlertLinks {
            triage: Some("/triage/checkout?types=cpu".to_owned()),
            diff: Some("/diff/checkout?type=cpu".to_owned()),
            grafana: Some("https://grafana.example/a".to_owned()),
            ..AlertLinks::default()
        },
        team: Some("orders".to_owned()),
        tier: Some("critical".to_owned()),
        channels: vec!["#orders-alerts".to_owned(), "orders".to_owned()],
        runbook_url: Some("https://wiki.example/gc".to_owned()),
        headline: Some("checkout uses 1.7 cores. GC is 41 % of it.".to_owned()),
        diagnosis: Some("gc_pressure".to_owned()),
    };
    Incident {
        id: RowId::new(7).unwrap(),
        found: Findings {
            fingerprint: "rule/12/checkout".to_owned(),
            source: IncidentSource::Rule,
            state: IncidentState::Firing,
            severity: LimitSeverity::Warning,
            title: "gc_pressure over 30 % of cpu".to_owned(),
            app_name: Some("checkout".parse().unwrap()),
            rule_id: Some(12),
            value: Some(41.3),
            worst_value: Some(41.3),
            threshold: Some(30.0),
            unit: Some(ValueUnit::Percent),
            occurrences: 6,
            detail: detail.to_object(),
            active_since: at(0),
            fired_at: Some(at(5)),
            last_seen_at: at(5),
            clear_since: None,
            no_data_since: None,
            resolved_at: None,
            resolve_reason: None,
        },
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledged_note: None,
        snoozed_until: None,
        snoozed_by: None,
        snoozed_reason: None,
        reopenings: Vec::new(),
        flapping_since: None,
        changed_at: at(5),
        told_state: None,
        told_severity: None,
        told_at: None,
        told_channel: None,
        version: 1,
        silenced_by: None,
    }
}

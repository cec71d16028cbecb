//! What the server does by itself to operations: rolls them up, learns limits anew, counts what is over them, and hands alerts to
//! the core.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;

use crate::app::scheduler::{Group, Job, UPKEEP_LIMIT};
use crate::app::wiring::Wiring;
use crate::kernel::{AppName, Call, JsonObject, LimitSeverity, PortError, PortResult, all_pages};
use crate::sor::incident::{Act, IncidentSor, IncidentSource, Observation, ValueUnit};
use crate::sor::performance::limits::{
    Acknowledgement, LatencyAlert, LatencyAlertQuery, LatencyAlertSor, LatencyAlertType, LookbackDays,
};
use crate::sor::performance::{AlertSettings, OperationRounds};
use crate::sor::schedule::{ScheduleName, Timetable};
use crate::storage::Db;

/// How many alerts are read at once.
const PAGE: u16 = 500;
const ROLLUP_LAG: &str = "perf_rollup_lag_seconds";
const ALERTS_OPEN: &str = "perf_alerts_open";

/// Registers the jobs.
pub(super) fn register(wiring: &mut Wiring<'_>, db: Db, alerts: Arc<dyn LatencyAlertSor>) {
    let settings = wiring.settings.performance;
    let when = AlertSettings {
        quiet: settings.alert_quiet,
        least_count: settings.notify_min_count,
        least_percent: settings.notify_min_percent,
    };
    let rounds = Arc::new(OperationRounds::new(db, when));
    metrics::describe_gauge!(ROLLUP_LAG, "For how long an hour of operations has been over and not been rolled up");
    metrics::describe_gauge!(ALERTS_OPEN, "Open alerts of operations, by severity");
    let incidents = wiring.find::<dyn IncidentSor>();
    let evaluating = Arc::clone(&rounds);
    let quiet = i32::try_from(when.quiet.as_secs()).unwrap_or(i32::MAX).max(1);
    let (detecting, looking) = (Arc::clone(&rounds), Arc::clone(&alerts));
    wiring.job(job(
        const { ScheduleName::of("performance_detection") },
        const { Timetable::of(3_600, 600) },
        move |call| {
            let (rounds, alerts) = (Arc::clone(&detecting), Arc::clone(&looking));
            Box::pin(async move {
                let anomalies = alerts.anomalies(&call).await?;
                let degradations = alerts.degradations(&call, LookbackDays::default()).await?;
                rounds.keep_detected(&call, &anomalies, &degradations).await
            })
        },
    ));
    wiring.job(job(const { ScheduleName::of("performance_alerts") }, const { Timetable::of(10, 0) }, move |call| {
        let (rounds, alerts, incidents) = (Arc::clone(&evaluating), Arc::clone(&alerts), incidents.clone());
        Box::pin(async move {
            rounds.evaluate(&call).await?;
            count_open(&rounds.open_alerts(&call).await?);
            match incidents {
                Some(incidents) => report(&*alerts, &*incidents, quiet, &call).await,
                None => Ok(()),
            }
        })
    }));
    let (rolling, clock) = (Arc::clone(&rounds), Arc::clone(&wiring.clock));
    wiring.job(job(const { ScheduleName::of("performance_rollups") }, const { Timetable::of(60, 7) }, move |call| {
        let (rounds, clock) = (Arc::clone(&rolling), Arc::clone(&clock));
        Box::pin(async move {
            if let Some(through) = rounds.roll_up(&call).await? {
                metrics::gauge!(ROLLUP_LAG).set(lag_seconds(through, clock.now()));
            }
            Ok(())
        })
    }));
    wiring.job(job(
        const { ScheduleName::of("performance_baselines") },
        const { Timetable::of(86_400, 7_200) },
        move |call| {
            let rounds = Arc::clone(&rounds);
            Box::pin(async move { rounds.relearn(&call).await.map(drop) })
        },
    ));
}

fn job(
    name: ScheduleName,
    timetable: Timetable,
    run: impl Fn(Call) -> BoxFuture<'static, PortResult<()>> + Send + Sync + 'static,
) -> Job {
    Job { name, group: Group::Performance, timetable, limit: UPKEEP_LIMIT, run: Box::new(run) }
}

/// How long ago the hour after those that were rolled up was over; 0 while it goes on.
fn lag_seconds(rolled_through: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - rolled_through - TimeDelta::hours(1)).as_seconds_f64().max(0.0)
}

fn count_open(open: &[(LimitSeverity, i64)]) {
    for severity in [LimitSeverity::Info, LimitSeverity::Warning, LimitSeverity::Critical] {
        let count = open.iter().find(|(of, _)| *of == severity).map_or(0, |(_, count)| *count);
        metrics::gauge!(ALERTS_OPEN, "severity" => severity.as_str())
            .set(f64::from(i32::try_from(count).unwrap_or(i32::MAX)));
    }
}

/// Reports each alert that is open and sustained to the core, which tells people, and keeps who looks after it the same in both:
/// the first stays.
async fn report(
    alerts: &dyn LatencyAlertSor,
    incidents: &dyn IncidentSor,
    quiet_seconds: i32,
    call: &Call,
) -> PortResult<()> {
    let open = all_pages(|after| {
        let query = LatencyAlertQuery {
            resolved: Some(false),
            sustained: Some(true),
            days: LatencyAlertQuery::MOST_DAYS,
            limit: PAGE,
            after,
            ..LatencyAlertQuery::default()
        };
        async move { alerts.page(call, &query).await }
    });
    for alert in open.await? {
        let observed = incidents.observe(call, observation(&alert, quiet_seconds)?).await?;
        if alert.acknowledged && !observed.acknowledged {
            let note = alert.resolution_notes.as_deref().map(str::parse).and_then(Result::ok);
            let by = alert.acknowledged_by.as_deref().map(str::parse).and_then(Result::ok);
            first_stays(incidents.act(call, observed.id, Act::Acknowledge { note, by }).await)?;
        } else if observed.acknowledged && !alert.acknowledged {
            let Some(incident) = incidents.get(call, observed.id).await? else { continue };
            let incident = incident.incident;
            let who = Acknowledgement {
                acknowledged_by: incident.acknowledged_by.as_deref().map(str::parse).and_then(Result::ok),
                resolution_notes: incident.acknowledged_note.as_deref().map(str::parse).and_then(Result::ok),
            };
            first_stays(alerts.acknowledge(call, alert.id, who).await)?;
        }
    }
    Ok(())
}

/// That somebody acknowledged it meanwhile is no error.
fn first_stays<T>(done: PortResult<T>) -> PortResult<()> {
    match done {
        Ok(_) | Err(PortError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The fingerprint of an alert in the core. A slash in the name of the type is encoded, so that no two causes share one.
fn fingerprint(alert: &LatencyAlert) -> String {
    const SLASH: &AsciiSet = &CONTROLS.add(b'/').add(b'%');
    let what = utf8_percent_encode(&alert.operation_type, SLASH);
    match (alert.alert_type, &alert.scope) {
        (LatencyAlertType::ThresholdExceeded, None) => format!("latency/{what}"),
        (LatencyAlertType::ThresholdExceeded, Some(scope)) => format!("latency/{what}/{scope}"),
        (kind, scope) => format!("latency/{what}/{}/{}", scope.as_deref().unwrap_or_default(), kind.as_str()),
    }
}

/// What the core is told of an alert.
fn observation(alert: &LatencyAlert, quiet_seconds: i32) -> PortResult<Observation> {
    let scope = alert.scope.as_deref().unwrap_or_default();
    let (what, kind) = (&alert.operation_type, alert.alert_type);
    let place = if scope.is_empty() { String::new() } else { format!(" of {scope}") };
    let ms = alert.actual_duration_ms;
    let title = match kind {
        LatencyAlertType::ThresholdExceeded => format!("{what}{place} takes longer than its limit"),
        LatencyAlertType::Anomaly => format!("{what}{place} was much slower within an hour"),
        LatencyAlertType::Degradation => format!("{what}{place} became slower over days"),
    };
    let headline = match alert.baseline_p99_ms {
        Some(p99) => format!("{what}{place}: {ms} ms at worst, {p99} ms before"),
        None => format!("{what}{place}: {ms} ms at worst"),
    };
    let detail = json!({"headline": headline, "alertId": alert.id, "operationType": what, "scope": alert.scope,
        "actualDurationMs": ms, "baselineP99Ms": alert.baseline_p99_ms, "metricId": alert.metric_id,
        "firstSeen": alert.first_seen, "lastSeen": alert.last_seen, "found": alert.detail});
    Ok(Observation {
        fingerprint: fingerprint(alert),
        source: IncidentSource::Latency,
        severity: alert.severity,
        title,
        app_name: scope.parse::<AppName>().ok(),
        value: alert.violation_multiplier,
        threshold: None,
        unit: Some(ValueUnit::Ratio),
        occurrences: alert.occurrences,
        detail: JsonObject::try_from(detail)
            .map_err(|why| PortError::Internal(format!("an alert of an operation: {why}")))?,
        quiet_seconds,
    })
}

#[cfg(test)]
mod tests;

//! The evaluation of alert rules: trials, and the round that evaluates all of them each minute.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::list::{ALERT_RULE, BASELINE, REGISTRY};
use super::{Bor, Kind, Room, core, profile_data};
use crate::app::health::{AlertingHealth, CHECK_WITHIN, Check, HealthCheck};
use crate::app::scheduler::{Group, Job, RUN_LIMIT};
use crate::app::wiring::Wiring;
use crate::bor::LinkSettings;
use crate::bor::alert::{self, AlertParts, AlertRound, AlertService, RoundParts, TellParts, Teller};
use crate::kernel::{Call, Clock, PortResult, Version};
use crate::sor::alert_rule::AlertRuleSor;
use crate::sor::baseline::BaselineSor;
use crate::sor::incident::{AlertStateSor, IncidentSor};
use crate::sor::notification::NotificationSor;
use crate::sor::schedule::{RunOutcome, ScheduleName, ScheduleSor, Timetable};

/// The job that evaluates all rules.
const ROUND: ScheduleName = ScheduleName::of("alert_rules");
/// How long ago the last round may have ended.
const LAST_ROUND_WITHIN: TimeDelta = TimeDelta::minutes(3);

pub(super) const ROOM: Room = Room {
    functions: &["EvaluatePyroscopeAlert.v1"],
    chapters: &[("evaluation", "When an alert rule would fire, and what its last evaluation found")],
    kind: Kind::Bor(Bor {
        needs: &[profile_data::FUNCTION, ALERT_RULE, core::FUNCTION],
        wants: &[BASELINE, REGISTRY],
        build,
        routes: alert::routes,
    }),
};

/// Offers trials and rounds, and registers the round of each minute and the telling.
fn build(wiring: &mut Wiring<'_>, _: Version) -> anyhow::Result<()> {
    let (profiles, relational) = (wiring.profiles()?, wiring.registry_alone());
    let alerts = AlertService::new(AlertParts { profiles, relational, rules: wiring.rules()? });
    wiring.offer_service(alerts.clone());
    let incidents = wiring.find::<dyn IncidentSor>().context("alerts are kept by the core, which is off")?;
    let states = wiring.find::<dyn AlertStateSor>().context("alerts are kept by the core, which is off")?;
    let notifications = wiring.find::<dyn NotificationSor>().context("people are told by the core, which is off")?;
    let rules = wiring.find::<dyn AlertRuleSor>().context("alert rules are needed and nobody keeps them")?;
    let links = wiring.find::<LinkSettings>().map(|links| (*links).clone()).unwrap_or_default();
    let limits = wiring.find::<dyn BaselineSor>().filter(|_| wiring.settings.alerts.baselines);
    let most_pairs = wiring.settings.alerts.max_pairs;
    let teller = Arc::new(Teller::new(TellParts {
        incidents: Arc::clone(&incidents),
        states: Arc::clone(&states),
        notifications,
        clock: Arc::clone(&wiring.clock),
        least: wiring.settings.notify.from,
        repeat: wiring.settings.notify.repeat,
        base: links.base.clone(),
    }));
    let round = Arc::new(AlertRound::new(alerts, RoundParts { rules, limits, incidents, states, most_pairs, links }));
    wiring.offer(Arc::clone(&round));
    wiring.job(alert_tell(Arc::clone(&teller)));
    wiring.job(alertmanager_mirror(Arc::clone(&teller)));
    if wiring.settings.alerts.enabled {
        let schedule =
            wiring.find::<dyn ScheduleSor>().context("alert rounds are scheduled by the core, which is off")?;
        let clock = Arc::clone(&wiring.clock);
        wiring.check_health(Arc::new(AlertingCheck { schedule, started_at: clock.now(), clock }));
        metrics::describe_gauge!("alert_last_round_timestamp_seconds", "Until when alert rules were evaluated");
        wiring.job(alert_rules(round, teller));
    }
    Ok(())
}

/// Evaluates all rules, and tells people at once of what came of it.
fn alert_rules(round: Arc<AlertRound>, teller: Arc<Teller>) -> Job {
    Job {
        name: ROUND,
        group: Group::Alert,
        timetable: const { Timetable::of(60, 30) },
        limit: RUN_LIMIT,
        run: Box::new(move |call| {
            let (round, teller) = (Arc::clone(&round), Arc::clone(&teller));
            Box::pin(async move {
                round.run(&call).await?;
                if let Err(error) = tell(&teller, &call).await {
                    tracing::debug!(%error, "people are told a little later of what a round found");
                }
                Ok(())
            })
        }),
    }
}

/// Tells people of what is to be told, and Alertmanagers at once of what was.
fn alert_tell(teller: Arc<Teller>) -> Job {
    Job {
        name: const { ScheduleName::of("alert_tell") },
        group: Group::Alert,
        timetable: const { Timetable::of(5, 0) },
        limit: RUN_LIMIT,
        run: Box::new(move |call| {
            let teller = Arc::clone(&teller);
            Box::pin(async move { tell(&teller, &call).await })
        }),
    }
}

async fn tell(teller: &Teller, call: &Call) -> PortResult<()> {
    if teller.tell(call).await? > 0 { teller.mirror(call).await } else { Ok(()) }
}

/// Hands what fires to each Alertmanager before it forgets it.
fn alertmanager_mirror(teller: Arc<Teller>) -> Job {
    Job {
        name: const { ScheduleName::of("alertmanager_mirror") },
        group: Group::Alert,
        timetable: const { Timetable::of(60, 45) },
        limit: RUN_LIMIT,
        run: Box::new(move |call| {
            let teller = Arc::clone(&teller);
            Box::pin(async move { teller.mirror(&call).await })
        }),
    }
}

/// Whether rules are evaluated, whichever process does it.
struct AlertingCheck {
    schedule: Arc<dyn ScheduleSor>,
    clock: Arc<dyn Clock>,
    /// When this process began: before, there may have been none.
    started_at: DateTime<Utc>,
}

#[async_trait]
impl HealthCheck for AlertingCheck {
    fn name(&self) -> &'static str {
        "alerting"
    }

    async fn check(&self) -> Check {
        let call = Call::system("health").until(Instant::now() + CHECK_WITHIN);
        let schedule = call.bound(self.schedule.jobs(&call)).await.ok();
        let job = schedule.and_then(|schedule| schedule.jobs.into_iter().find(|job| job.name == ROUND));
        let ended = job.filter(|job| job.outcome == Some(RunOutcome::Ok)).and_then(|job| job.finished_at);
        let since = self.clock.now() - ended.unwrap_or(self.started_at).max(self.started_at);
        let health = AlertingHealth { last_round_at: ended };
        Check { warn: since > LAST_ROUND_WITHIN, details: serde_json::to_value(health).unwrap_or_default() }
    }
}

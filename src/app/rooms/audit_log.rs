//! The audit log: its chain, its health, and denied requests on their way to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use tokio::time::Instant;

use crate::app::health::{AuditHealth, CHECK_WITHIN, Check, HealthCheck};
use crate::app::placement::Placement;
use crate::app::scheduler::{Group, Job, RUN_LIMIT, UPKEEP_LIMIT};
use crate::app::wiring::Wiring;
use crate::config::Settings;
use crate::kernel::Call;
use crate::sor::audit::{self, AuditChain, AuditSor, DeniedRequests};
use crate::sor::schedule::{ScheduleName, Timetable};

/// How often denied requests are delivered.
const DELIVER_EVERY: Duration = Duration::from_secs(1);
/// How long a delivery may take.
const DELIVER_WITHIN: Duration = Duration::from_secs(5);
/// How long a row may wait for its link.
const CHAINED_WITHIN: TimeDelta = TimeDelta::seconds(60);

pub(super) fn warnings(settings: &Settings, placement: &Placement) -> Vec<String> {
    let ignored = settings.audit.retention_days.is_some() && *placement != Placement::Local;
    let warning = "AUDIT_RETENTION_DAYS is ignored: the audit log is not kept by this process";
    ignored.then(|| warning.to_owned()).into_iter().collect()
}

/// Offers the log and what takes denied requests.
pub(super) fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    wiring.relational::<dyn AuditSor>(placement, audit::local, audit::remote)?;
    deliver_denied_requests(wiring);
    if *placement == Placement::Local {
        let days = wiring.settings.audit.retention_days;
        let chain = AuditChain::new(wiring.database()?, Arc::clone(&wiring.clock), days);
        wiring.check_health(Arc::new(AuditCheck(chain.clone())));
        wiring.job(audit_chain(chain.clone()));
        wiring.job(audit_upkeep(chain));
    }
    Ok(())
}

fn deliver_denied_requests(wiring: &mut Wiring<'_>) {
    let denied = Arc::new(DeniedRequests::new(wiring.find::<dyn AuditSor>(), Arc::clone(&wiring.clock)));
    wiring.offer(Arc::clone(&denied));
    let call = || Call::system("denied_requests").until(Instant::now() + DELIVER_WITHIN);
    let last = Arc::clone(&denied);
    wiring.before_the_end(async move {
        if let Err(error) = last.flush(&call()).await {
            tracing::warn!(%error, "denied requests did not reach the audit log");
        }
    });
    wiring.in_background(async move {
        let mut ticks = tokio::time::interval(DELIVER_EVERY);
        loop {
            ticks.tick().await;
            if let Err(error) = denied.deliver(&call()).await {
                tracing::debug!(%error, "denied requests wait for the audit log");
            }
        }
    });
}

/// Chains what is new.
fn audit_chain(chain: AuditChain) -> Job {
    Job {
        name: const { ScheduleName::of("audit_chain") },
        group: Group::Core,
        timetable: const { Timetable::of(1, 0) },
        limit: RUN_LIMIT,
        run: Box::new(move |call| {
            let chain = chain.clone();
            Box::pin(async move {
                chain.extend(&call).await?;
                chain.unchained(&call).await.map(drop)
            })
        }),
    }
}

/// Makes months ahead, and drops those that are old.
fn audit_upkeep(chain: AuditChain) -> Job {
    Job {
        name: const { ScheduleName::of("audit_upkeep") },
        group: Group::Core,
        timetable: const { Timetable::of(86_400, 0) },
        limit: UPKEEP_LIMIT,
        run: Box::new(move |call| {
            let chain = chain.clone();
            Box::pin(async move { chain.upkeep(&call).await.map(drop) })
        }),
    }
}

/// Whether the log is chained.
struct AuditCheck(AuditChain);

#[async_trait]
impl HealthCheck for AuditCheck {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn check(&self) -> Check {
        let call = Call::system("health").until(Instant::now() + CHECK_WITHIN);
        let found = self.0.unchained(&call).await.ok();
        let warn = found.is_none_or(|found| found.oldest_age > CHAINED_WITHIN);
        let health = AuditHealth {
            unchained: found.map(|found| found.rows),
            oldest_age_seconds: found.map(|found| found.oldest_age.num_seconds()),
        };
        Check { warn, details: serde_json::to_value(health).unwrap_or_default() }
    }
}

//! Notifications: their channels, the courier, upkeep and health.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::health::{CHECK_WITHIN, Check, HealthCheck, NotificationHealth};
use crate::app::placement::Placement;
use crate::app::scheduler::{Group, Job, UPKEEP_LIMIT};
use crate::app::wiring::Wiring;
use crate::config::{ChannelSource, Settings};
use crate::kernel::Call;
use crate::sor::notification::{self, Channels, Courier, NotificationParts, NotificationSor};
use crate::sor::schedule::{ScheduleName, Timetable};

/// How often the file of channels is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a channel may take nothing.
const FAILING_FOR: Duration = Duration::from_mins(5);
/// How long deliveries that have begun are waited for when the server stops.
const END_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn warnings(settings: &Settings, placement: &Placement) -> Vec<String> {
    let none = matches!(&settings.notify.channels, ChannelSource::Settings { slack: None, alertmanager: None });
    match (placement, none) {
        (Placement::Local, true) => {
            vec!["nobody is told of incidents: neither CHANNELS_FILE nor SLACK_WEBHOOK_URL is set".to_owned()]
        }
        (Placement::Local, false) | (_, true) => Vec::new(),
        (_, false) => vec!["CHANNELS_FILE, SLACK_WEBHOOK_URL and ALERTMANAGER_URL are ignored: notifications are not kept by this process".to_owned()],
    }
}

/// Offers the port, and delivers where messages are kept here.
pub(super) fn build(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<()> {
    let parts = parts(wiring, placement)?;
    let offered = parts.clone();
    wiring.relational::<dyn NotificationSor>(placement, |db| notification::local(db, offered), notification::remote)?;
    if *placement == Placement::Local {
        let courier = Courier::new(wiring.database()?, parts.clone());
        wiring.check_health(Arc::new(NotificationCheck { courier: courier.clone(), channels: parts.channels }));
        wiring.job(notification_upkeep(courier.clone()));
        deliver(wiring, courier);
    }
    Ok(())
}

/// What delivers and what hands in share. Channels are only read where messages are kept.
fn parts(wiring: &mut Wiring<'_>, placement: &Placement) -> anyhow::Result<NotificationParts> {
    let source = &wiring.settings.notify.channels;
    let none = ChannelSource::Settings { slack: None, alertmanager: None };
    let channels = Arc::new(Channels::of(if *placement == Placement::Local { source } else { &none })?);
    if channels.change() {
        let watched = Arc::clone(&channels);
        wiring.in_background(async move {
            let mut ticks = tokio::time::interval(LOOK_EVERY);
            loop {
                ticks.tick().await;
                watched.reload();
            }
        });
    }
    let (clock, ids) = (Arc::clone(&wiring.clock), Arc::clone(&wiring.ids));
    Ok(NotificationParts { channels, clock, ids, wake: Arc::new(Notify::new()) })
}

fn deliver(wiring: &mut Wiring<'_>, courier: Courier) {
    let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
    let (until, ended) = (stop.clone(), stopped.clone().drop_guard());
    wiring.in_background(async move {
        let _ended = ended;
        courier.run(&until).await;
    });
    wiring.before_the_end(async move {
        stop.cancel();
        if tokio::time::timeout(END_WITHIN, stopped.cancelled()).await.is_err() {
            tracing::warn!("a channel has not answered yet: its messages are sent again");
        }
    });
}

/// Removes what was settled long ago.
fn notification_upkeep(courier: Courier) -> Job {
    Job {
        name: const { ScheduleName::of("notification_upkeep") },
        group: Group::Core,
        timetable: const { Timetable::of(3_600, 0) },
        limit: UPKEEP_LIMIT,
        run: Box::new(move |call| {
            let courier = courier.clone();
            Box::pin(async move { courier.tidy(&call).await.map(drop) })
        }),
    }
}

/// Whether messages arrive.
struct NotificationCheck {
    courier: Courier,
    channels: Arc<Channels>,
}

#[async_trait]
impl HealthCheck for NotificationCheck {
    fn name(&self) -> &'static str {
        "notifications"
    }

    async fn check(&self) -> Check {
        let call = Call::system("health").until(Instant::now() + CHECK_WITHIN);
        let found = self.courier.trouble(&call, FAILING_FOR).await.ok();
        let problem = self.channels.problem();
        let (failing, dead, pending) = match found {
            Some((failing, dead, pending)) => (Some(failing), Some(dead), Some(pending)),
            None => (None, None, None),
        };
        let well = failing.as_ref().is_some_and(Vec::is_empty) && dead == Some(0) && problem.is_none();
        let health = NotificationHealth { failing, dead, pending, problem };
        Check { warn: !well, details: serde_json::to_value(health).unwrap_or_default() }
    }
}

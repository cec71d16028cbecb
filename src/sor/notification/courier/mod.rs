//! The courier delivers messages to their channels. Each channel is delivered to by itself, so one that takes nothing delays
//! no other.

mod decide;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use self::decide::Sent;
use self::decide::{PAUSE_AFTER_SUCCESS, pause};
use super::channels::{Channel, ChannelKind, Channels};
use super::domain::Message;
use super::outbox::{Claim, Outbox, Settlement};
use super::send::send;
use crate::kernel::{Call, Clock, IdSource, PortResult, RowId};
use crate::storage::{Db, Schema};

/// How often the courier looks by itself.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No request begins later in a turn than this, so that the claim holds until the last one has ended.
const LAST_REQUEST_AFTER: Duration = Duration::from_secs(45);
/// How long reading or writing the outbox may take.
const DATABASE_WITHIN: Duration = Duration::from_secs(10);

/// What delivers and what hands in share.
#[derive(Clone)]
pub struct NotificationParts {
    /// The channels.
    pub channels: Arc<Channels>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub ids: Arc<dyn IdSource>,
    /// Wakes the courier.
    pub wake: Arc<Notify>,
}

/// Delivers messages.
#[derive(Clone)]
pub struct Courier {
    outbox: Outbox,
    parts: NotificationParts,
}

impl Courier {
    /// A courier of this database.
    pub fn new(db: Db, parts: NotificationParts) -> Self {
        metrics::describe_counter!("notifications_total", "Messages by channel and outcome: delivered, retried, dead");
        metrics::describe_gauge!("notifications_pending", "Messages that wait for their channel");
        Self { outbox: Outbox::new(db), parts }
    }

    /// Delivers messages until it is stopped, and then waits for deliveries that have begun.
    pub async fn run(self, stop: &CancellationToken) {
        let settled = tokio::select! {
            settled = self.outbox.db.settled() => settled,
            () = stop.cancelled() => return,
        };
        if settled != Schema::Ready {
            return;
        }
        let mut turns = JoinSet::new();
        loop {
            match self.claim().await {
                Ok(claims) => {
                    for claim in claims {
                        let courier = self.clone();
                        turns.spawn(async move { courier.told(claim).await });
                    }
                }
                Err(error) => tracing::debug!(%error, "messages wait for the database"),
            }
            tokio::select! {
                () = self.parts.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => break,
            }
            while turns.try_join_next().is_some() {}
        }
        while turns.join_next().await.is_some() {}
    }

    /// How delivery does: which channels take nothing for so long, how many messages were given up in the last day, and how
    /// many wait.
    ///
    /// # Errors
    /// The database's.
    pub async fn trouble(&self, call: &Call, failing_for: Duration) -> PortResult<(Vec<String>, i64, i64)> {
        self.outbox.trouble(call, failing_for).await
    }

    /// Removes messages that were settled 30 days ago. Returns how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn tidy(&self, call: &Call) -> PortResult<u64> {
        self.outbox.tidy(call).await
    }

    /// Delivers once to every channel for which messages wait, and answers to how many.
    ///
    /// # Errors
    /// The database's.
    #[cfg(test)]
    pub(super) async fn round(&self) -> PortResult<usize> {
        let claims = self.claim().await?;
        let count = claims.len();
        let turns = claims.into_iter().map(|claim| self.turn(claim));
        futures::future::join_all(turns).await.into_iter().collect::<PortResult<()>>()?;
        Ok(count)
    }

    pub(super) async fn claim(&self) -> PortResult<Vec<Claim>> {
        let (claims, pending) = self.outbox.claim(&call()).await?;
        metrics::gauge!("notifications_pending").set(u32::try_from(pending).unwrap_or(u32::MAX));
        Ok(claims)
    }

    async fn told(&self, claim: Claim) {
        let channel = claim.channel.clone();
        if let Err(error) = self.turn(claim).await {
            tracing::warn!(%channel, %error, "it is not known what became of messages, they are sent again in a minute");
        }
    }

    /// Sends what was claimed, and keeps what became of it.
    async fn turn(&self, claim: Claim) -> PortResult<()> {
        let channels = self.parts.channels.now();
        let channel = channels.get(&claim.channel).filter(|channel| channel.kind != ChannelKind::Alertmanager);
        let messages: Vec<&Message> = claim.messages.iter().map(|(message, _)| message).collect();
        let tally = match channel {
            Some(channel) => self.deliver(channel, &messages).await,
            None => Tally::of_missing_channel(&messages),
        };
        // The last bytes of a time-ordered id are random.
        let random = self.parts.ids.next().as_u128() & u128::from(u16::MAX);
        let jitter = f64::from(u16::try_from(random).unwrap_or(0)) / f64::from(u16::MAX);
        let settlement = tally.settle(&claim, jitter);
        self.outbox.settle(&call(), claim, settlement).await
    }

    async fn deliver(&self, channel: &Channel, messages: &[&Message]) -> Tally {
        let mut tally = Tally::default();
        let together = channel.kind != ChannelKind::Pagerduty && messages.len() > 1;
        let begun = Instant::now();
        if together && !tally.add(self.send(channel, messages).await, messages) {
            return tally;
        }
        for message in messages {
            let one = std::slice::from_ref(message);
            if begun.elapsed() > LAST_REQUEST_AFTER || !tally.add_alone(self.send(channel, one).await, one) {
                break;
            }
        }
        tally
    }

    async fn send(&self, channel: &Channel, messages: &[&Message]) -> Sent {
        let now = self.parts.clock.now();
        let answer = send(&Call::system("courier"), channel, messages, now).await;
        Sent::of(channel.kind, &answer, now)
    }
}

fn call() -> Call {
    Call::system("courier").until(Instant::now() + DATABASE_WITHIN)
}

/// What became of messages in a turn.
#[derive(Debug, Default)]
struct Tally {
    delivered: Vec<RowId>,
    refused: Vec<RowId>,
    /// Sent, and to be sent again.
    waiting: Vec<RowId>,
    /// The receiver may take the same later.
    later: bool,
    /// How long it wants to be left alone, where it says so.
    retry_after: Option<Duration>,
    error: Option<String>,
}

impl Tally {
    fn of_missing_channel(messages: &[&Message]) -> Self {
        let mut tally = Self::default();
        tally.wait(messages, "the channel is not defined any more".to_owned(), None);
        tally
    }

    fn wait(&mut self, messages: &[&Message], why: String, retry_after: Option<Duration>) {
        self.waiting.extend(messages.iter().map(|message| message.id));
        self.later = true;
        self.retry_after = retry_after;
        self.error = Some(why);
    }

    /// Adds what became of several messages. Whether they are to be sent one by one.
    fn add(&mut self, sent: Sent, messages: &[&Message]) -> bool {
        match sent {
            Sent::Accepted => self.delivered.extend(messages.iter().map(|message| message.id)),
            Sent::Later { why, retry_after } => self.wait(messages, why, retry_after),
            Sent::Refused { .. } => return true,
        }
        false
    }

    /// Adds what became of a message. Whether others may follow.
    fn add_alone(&mut self, sent: Sent, message: &[&Message]) -> bool {
        let ids = message.iter().map(|message| message.id);
        match sent {
            Sent::Accepted => self.delivered.extend(ids),
            Sent::Refused { why } => {
                self.refused.extend(ids);
                self.error = Some(why);
            }
            Sent::Later { why, retry_after } => {
                self.wait(message, why, retry_after);
                return false;
            }
        }
        true
    }

    /// What is to be kept. What is a day old, and was not taken, is given up.
    fn settle(self, claim: &Claim, jitter: f64) -> Settlement {
        let Self { delivered, refused: mut dead, mut waiting, later, retry_after, error } = self;
        if later {
            let old = claim.messages.iter().filter(|(_, old)| *old).map(|(message, _)| message.id);
            let old: Vec<_> = old.filter(|id| !delivered.contains(id) && !dead.contains(id)).collect();
            waiting.retain(|id| !old.contains(id));
            dead.extend(old);
        }
        let next_in = if later { pause(claim.failures, retry_after, jitter) } else { PAUSE_AFTER_SUCCESS };
        let works = !later && (!delivered.is_empty() || dead.is_empty());
        Settlement { works, later, delivered, dead, waiting, error, next_in }
    }
}

#[cfg(test)]
mod tests;

//! The one owner of tasks that run beside requests.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::kernel::PortResult;
use crate::storage::{Db, Schema};

/// How often what is kept for a time is looked through, and how soon again where that failed.
const HOUSE_EVERY: Duration = Duration::from_hours(1);
const HOUSE_AGAIN: Duration = Duration::from_secs(10);

/// How long tasks may take to end once they are asked to.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Tasks that run until the server stops.
pub(super) struct Background {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    fatal: (mpsc::UnboundedSender<anyhow::Error>, mpsc::UnboundedReceiver<anyhow::Error>),
}

impl Background {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), stop: CancellationToken::new(), fatal: mpsc::unbounded_channel() }
    }

    /// Runs a task that is cut off where it stands when the server stops.
    pub(super) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// Runs a task without whose success the server makes no sense: its error stops the server.
    pub(super) fn run_vital(&mut self, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let fatal = self.fatal.0.clone();
        self.run(async move {
            if let Err(error) = task.await {
                let _ = fatal.send(error);
            }
        });
    }

    /// Does something again and again.
    pub(super) fn every(&mut self, period: Duration, mut work: impl FnMut() + Send + 'static) {
        self.run(async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                ticks.tick().await;
                work();
            }
        });
    }

    /// Keeps house in a database: a round once its tables are there and one every hour, sooner after one that failed.
    pub(super) fn keep_house<F>(&mut self, db: Db, house: &'static str, round: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = PortResult<()>> + Send,
    {
        self.run(async move {
            if db.settled().await == Schema::Ready {
                loop {
                    let pause = pause_after(round().await, house);
                    tokio::time::sleep(pause).await;
                }
            }
        });
    }

    /// Returns the error of a vital task, if one ever fails.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        match self.fatal.1.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Asks all tasks to end and waits for them.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END_WITHIN, all).await.is_err() {
            tracing::warn!("background tasks did not end in time");
        }
    }
}

/// The pause after a round that ended so.
fn pause_after(round: PortResult<()>, house: &str) -> Duration {
    match round {
        Ok(()) => HOUSE_EVERY,
        Err(error) => {
            tracing::warn!(%error, "the house of {house} could not be kept, trying again in ten seconds");
            HOUSE_AGAIN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::kernel::PortError;
    use crate::storage::testing::database;

    #[test]
    fn a_round_that_failed_is_tried_again_sooner() {
        let away = Err(PortError::Unavailable("away".to_owned()));
        assert_eq!([pause_after(Ok(()), "a test"), pause_after(away, "a test")], [HOUSE_EVERY, HOUSE_AGAIN]);
    }

    #[tokio::test]
    async fn a_house_is_kept_from_the_start_and_its_round_cut_off_when_the_server_stops() {
        let test = database().await;
        let held = Arc::new(());
        let (round, mut begun) = mpsc::unbounded_channel();
        let mut background = Background::new();
        let kept = Arc::clone(&held);
        background.keep_house(test.db.clone(), "a test", move || {
            let (held, round) = (Arc::clone(&kept), round.clone());
            async move {
                let _held = held;
                round.send(()).unwrap();
                std::future::pending().await
            }
        });
        begun.recv().await.unwrap();
        background.stop().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_vital_task_that_fails_is_told() {
        let mut background = Background::new();
        background.run_vital(async { anyhow::bail!("broken") });
        assert_eq!(background.failed().await.to_string(), "broken");
    }

    #[tokio::test]
    async fn stopping_cuts_off_what_still_runs() {
        let mut background = Background::new();
        let held = Arc::new(());
        let task = Arc::clone(&held);
        background.run(async move {
            let _held = task;
            std::future::pending().await
        });
        background.stop().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

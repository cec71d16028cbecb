//! Owns the tasks that run beside requests.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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

    /// Runs a task that is aborted when the server stops.
    pub(super) fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// Runs a task that the server cannot do without: its error stops the server.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

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

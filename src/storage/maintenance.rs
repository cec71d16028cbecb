//! Maintenance rounds: what a room does to its tables every hour, such as making partitions and deleting old rows.

use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Db, Schema};
use crate::kernel::PortResult;

/// The pause after a round.
const PAUSE: Duration = Duration::from_hours(1);
/// The pause after a round that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Work that a room wants done every hour. A round may be cut off anywhere, and several servers may run it at once.
pub struct MaintenanceRound {
    name: &'static str,
    work: Box<dyn Fn() -> BoxFuture<'static, PortResult<()>> + Send + Sync>,
}

impl MaintenanceRound {
    /// A round; the log knows it by its name.
    pub fn new<F>(name: &'static str, work: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = PortResult<()>> + Send + 'static,
    {
        Self { name, work: Box::new(move || work().boxed()) }
    }

    /// Runs it once; answers the pause before the next.
    async fn run(&self) -> Duration {
        match (self.work)().await {
            Ok(()) => PAUSE,
            Err(error) => {
                tracing::warn!(round = self.name, %error, "a maintenance round failed, trying again in ten seconds");
                PAUSE_AFTER_FAILURE
            }
        }
    }
}

impl fmt::Debug for MaintenanceRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaintenanceRound").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs rounds until it is dropped: one once the schema of the database is ready and one every hour, ten seconds after
/// one that failed. Returns if the schema is refused.
pub async fn run_maintenance(db: Db, round: MaintenanceRound) {
    if db.settled().await != Schema::Ready {
        return;
    }
    loop {
        let pause = round.run().await;
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::kernel::PortError;
    use crate::storage::Reason;
    use crate::storage::testing::{database, empty_database};

    /// A round that never ends: it says that it began, and answers when it is cut off.
    fn endless() -> (MaintenanceRound, mpsc::UnboundedReceiver<oneshot::Receiver<()>>) {
        let (begun, rounds) = mpsc::unbounded_channel();
        let round = MaintenanceRound::new("test", move || {
            let (running, cut_off) = oneshot::channel();
            begun.send(cut_off).unwrap();
            async move {
                let _running: oneshot::Sender<()> = running;
                std::future::pending().await
            }
        });
        (round, rounds)
    }

    #[tokio::test]
    async fn a_round_that_failed_is_tried_again_sooner() {
        let round =
            |outcome: PortResult<()>| MaintenanceRound::new("test", move || std::future::ready(outcome.clone()));
        assert_eq!(round(Ok(())).run().await, PAUSE);
        assert_eq!(round(Err(PortError::Unavailable("away".to_owned()))).run().await, PAUSE_AFTER_FAILURE);
    }

    #[tokio::test]
    async fn a_round_begins_at_once_and_is_cut_off_when_maintenance_is_dropped() {
        let test = database().await;
        let (round, mut rounds) = endless();
        let maintenance = tokio::spawn(run_maintenance(test.db.clone(), round));
        let cut_off = rounds.recv().await.unwrap();
        maintenance.abort();
        assert!(cut_off.await.is_err());
    }

    #[tokio::test]
    async fn no_round_begins_before_the_schema_is_ready() {
        let test = empty_database().await;
        let (round, mut rounds) = endless();
        let mut maintenance = Box::pin(run_maintenance(test.db.clone(), round));
        assert!(futures::poll!(&mut maintenance).is_pending());
        assert!(rounds.try_recv().is_err());
        test.db.schema.send_replace(Schema::Ready);
        assert!(futures::poll!(&mut maintenance).is_pending());
        assert!(rounds.try_recv().is_ok());
    }

    #[tokio::test]
    async fn maintenance_ends_where_the_schema_is_refused() {
        let test = empty_database().await;
        test.db.schema.send_replace(Schema::Refused(Reason::plain("a changed migration")));
        let (round, mut rounds) = endless();
        run_maintenance(test.db.clone(), round).await;
        assert!(rounds.try_recv().is_err());
    }
}

//! Reads profiles from others: on the threads for heavy work, within the process's memory budget.

use std::time::Duration;

use bytes::Bytes;

use crate::kernel::{PortError, offload};
use crate::profile::{Budget, Permit, ReadError, ReadLimits, is_compressed};

/// Why nothing was read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// The bytes cannot be read, or pass a limit.
    Bad(ReadError),
    /// Others hold the memory and did not give it back in time.
    Busy,
    /// The thread that read it is gone.
    Lost(PortError),
}

/// The memory, limits and patience that a reader of others' profiles has.
#[derive(Debug, Clone)]
pub(super) struct ReadBudget {
    /// The process's.
    pub(super) budget: Budget,
    pub(super) limits: ReadLimits,
    /// How long memory is waited for.
    pub(super) patience: Duration,
}

impl ReadBudget {
    /// Runs `read` on the bytes with limits held to what the budget gave, and once more with the most that is allowed
    /// where they hold more than they say. `held` is what the asker has of the budget already; plain bytes out of what
    /// was inflated for `paid` take nothing at first.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        bytes: Bytes,
        held: u64,
        paid: Option<&Permit>,
        read: impl Fn(&[u8], &ReadLimits) -> Result<T, ReadError> + Clone + Send + 'static,
    ) -> Result<(Option<Permit>, T), NotRead> {
        let budget = &self.budget;
        let limits = &match paid {
            // What was inflated is no longer as small as what came.
            Some(_) => ReadLimits { body: self.limits.inflated, ..self.limits },
            None => self.limits,
        };
        let (taken, lowered) = match paid {
            Some(paid) if !is_compressed(&bytes) => (None, paid.limits(limits)),
            _ => {
                let permit = self.in_time(budget.take(&bytes, limits, held)).await?;
                let lowered = permit.limits(limits);
                (Some(permit), lowered)
            }
        };
        match run(bytes.clone(), lowered, read.clone()).await? {
            Err(error) if error.lies_between(&lowered, limits) => {
                drop(taken);
                let permit = self.in_time(budget.take_whole(limits, held)).await?;
                let done = run(bytes, permit.limits(limits), read).await?.map_err(NotRead::Bad)?;
                Ok((Some(permit), done))
            }
            done => Ok((taken, done.map_err(NotRead::Bad)?)),
        }
    }

    async fn in_time(&self, wait: impl Future<Output = Result<Permit, ReadError>>) -> Result<Permit, NotRead> {
        let taken = tokio::time::timeout(self.patience, wait).await.map_err(|_| NotRead::Busy)?;
        taken.map_err(NotRead::Bad)
    }
}

/// Runs `read` off the threads that serve requests.
pub(super) async fn run<T: Send + 'static>(
    bytes: Bytes,
    limits: ReadLimits,
    read: impl Fn(&[u8], &ReadLimits) -> Result<T, ReadError> + Send + 'static,
) -> Result<Result<T, ReadError>, NotRead> {
    offload("reading a profile", move || read(&bytes, &limits)).await.map_err(NotRead::Lost)
}

//! Reads profiles that other servers sent, on the threads for heavy work and within the process's memory budget.

use std::time::Duration;

use bytes::Bytes;

use crate::kernel::{PortError, offload};
use crate::profile::{Budget, Permit, ReadError, ReadLimits, is_compressed};

/// Why nothing was read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// The bytes cannot be read, or exceed a limit.
    Bad(ReadError),
    /// Other work uses the memory and did not free it in time.
    Busy,
    /// The thread that read it has ended.
    Lost(PortError),
}

/// The memory, limits and waiting time of a reader.
#[derive(Debug, Clone)]
pub(super) struct ReadBudget {
    /// The process's.
    pub(super) budget: Budget,
    pub(super) limits: ReadLimits,
    /// How long to wait for memory.
    pub(super) patience: Duration,
}

impl ReadBudget {
    /// Runs `read` on the bytes, with the limits that the budget covers. If the bytes hold more than they declare, it
    /// runs once more with the largest limits. `held` is what the caller has taken of the budget already. Plain bytes
    /// within the `paid` inflated bytes take nothing at first.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        bytes: Bytes,
        held: u64,
        paid: Option<&Permit>,
        read: impl Fn(&[u8], &ReadLimits) -> Result<T, ReadError> + Clone + Send + 'static,
    ) -> Result<(Option<Permit>, T), NotRead> {
        let budget = &self.budget;
        let limits = &match paid {
            // The inflated bytes are no longer as few as the compressed ones.
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

/// Runs `read` on the threads for heavy work.
pub(super) async fn run<T: Send + 'static>(
    bytes: Bytes,
    limits: ReadLimits,
    read: impl Fn(&[u8], &ReadLimits) -> Result<T, ReadError> + Send + 'static,
) -> Result<Result<T, ReadError>, NotRead> {
    offload("reading a profile", move || read(&bytes, &limits)).await.map_err(NotRead::Lost)
}

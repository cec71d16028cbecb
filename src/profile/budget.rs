//! How many bytes of profiles may be inflated at one time, over the whole process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inflate::claimed_size;
use super::limits::{LimitName, ReadError, ReadLimits};

/// What the budget is counted in.
const UNIT: u64 = 64 << 10;

/// Space for the largest profile that [`ReadLimits`] allow with its body, and some for others.
const DEFAULT_BYTES: u64 = 320 << 20;

/// A budget of inflated bytes. A part of it is taken before a profile is inflated, and held until the inflated bytes
/// are dropped. Clones share the budget: a process has one for everything it reads from others.
///
/// A permit is for the size that the profile *claims*. [`Permit::limits`] makes the reader stop at that size, so a
/// false claim is an error and takes no memory. Requests that wait are served in their order.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    units: u32,
}

/// Part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _held: OwnedSemaphorePermit,
    bytes: u64,
}

impl Default for Budget {
    /// 320 MiB.
    fn default() -> Self {
        Self::new(DEFAULT_BYTES)
    }
}

impl Budget {
    /// A budget of that many bytes, rounded up to 64 KiB; at most 256 TiB.
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// All of it, free or taken.
    pub fn bytes(&self) -> u64 {
        u64::from(self.units) * UNIT
    }

    /// Takes what reading `bytes` needs, waiting for it without holding a thread: what they claim to inflate to. Callers
    /// bound the wait. `held` is what the asker has taken and will not give back before: it cannot be waited for.
    ///
    /// # Errors
    /// More than the whole budget, or than a limit.
    pub async fn take(&self, bytes: &[u8], limits: &ReadLimits, held: u64) -> Result<Permit, ReadError> {
        LimitName::Body.check(bytes.len(), limits.body)?;
        let claimed = claimed_size(bytes).max(bytes.len() as u64);
        let most = self.most(limits, held);
        if claimed > most {
            return Err(ReadError::Limit { limit: LimitName::Inflated, number: most });
        }
        self.wait(claimed).await
    }

    /// Takes the most that is allowed, for bytes that turned out to need more than they say: some compressed forms do
    /// not say how large they become, or only of their last part (several gzip members).
    ///
    /// # Errors
    /// Nothing is left to wait for: `held` is all of it.
    pub async fn take_whole(&self, limits: &ReadLimits, held: u64) -> Result<Permit, ReadError> {
        match self.most(limits, held) {
            0 => Err(ReadError::Limit { limit: LimitName::Inflated, number: 0 }),
            most => self.wait(most).await,
        }
    }

    fn most(&self, limits: &ReadLimits, held: u64) -> u64 {
        limits.inflated.min(self.bytes().saturating_sub(held))
    }

    async fn wait(&self, bytes: u64) -> Result<Permit, ReadError> {
        let units = bytes.div_ceil(UNIT).max(1);
        let asked = u32::try_from(units).unwrap_or(u32::MAX);
        match Arc::clone(&self.free).acquire_many_owned(asked).await {
            Ok(held) => Ok(Permit { _held: held, bytes: units * UNIT }),
            // The semaphore is never closed.
            Err(_) => Err(ReadError::Limit { limit: LimitName::Inflated, number: 0 }),
        }
    }
}

impl Permit {
    /// What was taken.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The limits with those lowered that stand for memory, to what was taken: a frame of a stack is four bytes and is
    /// sent as one or two, a function or location takes dozens and is hardly sent as less than four.
    #[must_use]
    pub fn limits(&self, limits: &ReadLimits) -> ReadLimits {
        ReadLimits {
            inflated: limits.inflated.min(self.bytes),
            frames: limits.frames.min(self.bytes),
            symbols: limits.symbols.min(self.bytes / 4),
            ..*limits
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::profile::{PprofHeader, Profile, read_pprof, write_pprof};

    const MIB: u64 = 1 << 20;

    #[tokio::test]
    async fn refuses_a_profile_larger_than_the_budget_by_name() {
        let error = Budget::new(MIB).take(&vec![0; 2 << 20], &ReadLimits::default(), 0).await.unwrap_err();
        assert_eq!(error, ReadError::Limit { limit: LimitName::Inflated, number: MIB });
    }

    #[tokio::test]
    async fn gives_back_what_is_dropped() {
        let (budget, limits) = (Budget::new(2 * MIB), ReadLimits::default());
        let other = budget.clone();
        let first = budget.take(&vec![0; 2 << 20], &limits, 0).await.unwrap();
        assert!(other.take(b"small", &limits, 0).now_or_never().is_none());
        drop(first);
        assert!(other.take(b"small", &limits, 0).now_or_never().is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_what_they_hold_themselves() {
        let (budget, limits) = (Budget::new(2 * MIB), ReadLimits::default());
        let first = budget.take(&vec![0; 3 << 19], &limits, 0).await.unwrap();
        let error = budget.take(&vec![0; 1 << 20], &limits, first.bytes()).await.unwrap_err();
        assert_eq!(error, ReadError::Limit { limit: LimitName::Inflated, number: MIB / 2 });
        assert_eq!(budget.take_whole(&limits, first.bytes()).await.unwrap().bytes(), MIB / 2);
    }

    #[tokio::test]
    async fn holds_the_largest_profile_in_the_largest_body_by_default() {
        let (budget, limits) = (Budget::default(), ReadLimits::default());
        let body = budget.wait(limits.body + MIB).await.unwrap();
        assert_eq!(budget.take_whole(&limits, body.bytes()).await.unwrap().bytes(), limits.inflated);
    }

    #[tokio::test]
    async fn holds_a_profile_to_what_it_claims() {
        let (budget, limits) = (Budget::new(4 * MIB), ReadLimits::default());
        // Two members: the trailer tells of the second only.
        let large = {
            let header = PprofHeader { comments: vec!["x".repeat(2 << 20)], ..PprofHeader::default() };
            write_pprof(&Profile::default(), &header)
        };
        let two = [large.clone(), write_pprof(&Profile::default(), &PprofHeader::default())].concat();
        let permit = budget.take(&two, &limits, 0).await.unwrap();
        let error = read_pprof(&two, &permit.limits(&limits)).unwrap_err();
        assert_eq!(error, ReadError::Limit { limit: LimitName::Inflated, number: UNIT });
        assert!(error.lies_between(&permit.limits(&limits), &limits));
        drop(permit);
        let permit = budget.take_whole(&limits, 0).await.unwrap();
        let read = read_pprof(&two, &permit.limits(&limits));
        assert!(!matches!(read, Err(ReadError::Limit { .. })), "{read:?}");
    }
}

//! How many bytes of profiles may be inflated at one time, over the whole process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inflate::claimed_size;
use super::limits::{LimitName, Limits, ReadError};

const MIB: u64 = 1 << 20;

/// A budget of inflated bytes, counted in MiB. Taken before a profile is inflated and held until its bytes are dropped;
/// what a model keeps of them is the caller's.
///
/// A permit is for what the profile *says* that it inflates to; [`Permit::limits`] holds the reader to that, so a lie is
/// an error, not memory. Whoever waits is served in the order of asking.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    mib: u32,
}

/// Part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _held: OwnedSemaphorePermit,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(64)
    }
}

impl Budget {
    /// A budget of that many MiB.
    pub fn new(mib: u32) -> Self {
        Self { free: Arc::new(Semaphore::new(mib as usize)), mib }
    }

    /// How many MiB reading `bytes` takes: what it claims to inflate to, rounded up. Some compressed forms do not say,
    /// or only of their last part (several gzip members): pass `whole` to ask for the most that is allowed instead, as
    /// a second try after [`LimitName::Inflated`].
    ///
    /// # Errors
    /// More than the whole budget, or than a limit.
    fn mib_of(&self, bytes: &[u8], limits: &Limits, whole: bool) -> Result<u32, ReadError> {
        LimitName::Body.check(bytes.len(), limits.body)?;
        let most = limits.inflated.min(u64::from(self.mib) * MIB);
        let claimed = if whole { most } else { claimed_size(bytes).max(bytes.len() as u64) };
        let over = ReadError::Limit { limit: LimitName::Inflated, number: most };
        if claimed > most {
            return Err(over);
        }
        u32::try_from(claimed.div_ceil(MIB).max(1)).map_err(|_| over)
    }

    /// Takes what reading `bytes` needs if it is free now; `None` if the budget is in use.
    ///
    /// # Errors
    /// More than the whole budget, or than a limit: waiting would not help.
    pub fn try_take(&self, bytes: &[u8], limits: &Limits) -> Result<Option<Permit>, ReadError> {
        let mib = self.mib_of(bytes, limits, false)?;
        let held = Arc::clone(&self.free).try_acquire_many_owned(mib).ok();
        Ok(held.map(|held| Permit { _held: held, bytes: u64::from(mib) * MIB }))
    }

    /// Takes what reading `bytes` needs, waiting for it without holding a thread. Callers bound the wait.
    ///
    /// # Errors
    /// More than the whole budget, or than a limit.
    pub async fn take(&self, bytes: &[u8], limits: &Limits) -> Result<Permit, ReadError> {
        self.wait(self.mib_of(bytes, limits, false)?).await
    }

    /// As [`Budget::take`], for a profile that turned out larger than it says: the most that is allowed.
    ///
    /// # Errors
    /// More than a limit.
    pub async fn take_whole(&self, bytes: &[u8], limits: &Limits) -> Result<Permit, ReadError> {
        self.wait(self.mib_of(bytes, limits, true)?).await
    }

    async fn wait(&self, mib: u32) -> Result<Permit, ReadError> {
        match Arc::clone(&self.free).acquire_many_owned(mib).await {
            Ok(held) => Ok(Permit { _held: held, bytes: u64::from(mib) * MIB }),
            // The semaphore is never closed.
            Err(_) => Err(ReadError::Limit { limit: LimitName::Inflated, number: 0 }),
        }
    }
}

impl Permit {
    /// The limits with `inflated` lowered to what was taken.
    #[must_use]
    pub fn limits(&self, limits: &Limits) -> Limits {
        Limits { inflated: limits.inflated.min(self.bytes), ..*limits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{PprofHeader, Profile, read_pprof, write_pprof};

    #[test]
    fn refuses_a_profile_larger_than_the_budget_by_name() {
        let error = Budget::new(1).try_take(&vec![0; 2 << 20], &Limits::default()).unwrap_err();
        assert_eq!(error, ReadError::Limit { limit: LimitName::Inflated, number: 1 << 20 });
    }

    #[test]
    fn gives_back_what_is_dropped() {
        let (budget, limits) = (Budget::new(2), Limits::default());
        let first = budget.try_take(&vec![0; 3 << 19], &limits).unwrap();
        assert!(first.is_some());
        assert!(budget.try_take(b"small", &limits).unwrap().is_none());
        drop(first);
        assert!(budget.try_take(b"small", &limits).unwrap().is_some());
    }

    #[tokio::test]
    async fn holds_a_profile_to_what_it_claims() {
        let (budget, limits) = (Budget::new(4), Limits::default());
        // Two members: the trailer tells of the second only.
        let large = {
            let header = PprofHeader { comments: vec!["x".repeat(2 << 20)], ..PprofHeader::default() };
            write_pprof(&Profile::default(), &header)
        };
        let two = [large.clone(), write_pprof(&Profile::default(), &PprofHeader::default())].concat();
        let permit = budget.take(&two, &limits).await.unwrap();
        let error = read_pprof(&two, &permit.limits(&limits)).unwrap_err();
        assert_eq!(error, ReadError::Limit { limit: LimitName::Inflated, number: 1 << 20 });
        drop(permit);
        let permit = budget.take_whole(&two, &limits).await.unwrap();
        let read = read_pprof(&two, &permit.limits(&limits));
        assert!(!matches!(read, Err(ReadError::Limit { .. })), "{read:?}");
    }
}

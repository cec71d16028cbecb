//! The locks that threads wait for, one by one.

use rustc_hash::FxHashMap;

use super::{Path, ResponsibleSearch};
use crate::kernel::percent_of;
use crate::verdict::category::Category;

/// How many locks are named.
const NAMED: usize = 5;

/// A lock, named after the function that takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct LockWait {
    /// The function, as the source spells it.
    pub function: String,
    /// Its share of the wait for locks, percent.
    pub percent: f64,
    /// Milliseconds waited for it per second, where the time is known.
    pub wait_ms_per_second: Option<f64>,
}

/// The locks that threads wait for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Locks {
    /// The five with most wait, heaviest first.
    pub named: Vec<LockWait>,
    /// How many others there are.
    pub more: usize,
}

impl ResponsibleSearch<'_, '_> {
    /// The locks that the ticks claimed as `category` wait for. `wait_ms_per_second` is what all of them amount to.
    pub(in crate::verdict::findings) fn locks(&self, category: Category, wait_ms_per_second: Option<f64>) -> Locks {
        let paths = self.claimed.get(category as usize).map_or(&[][..], Vec::as_slice);
        let whole = paths.iter().map(|path| path.ticks).sum();
        let mut waits: FxHashMap<&str, i64> = FxHashMap::default();
        for path in paths {
            if let Some(function) = self.taker(path, category) {
                *waits.entry(function).or_default() += path.ticks;
            }
        }
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let named = waits.iter().take(NAMED).map(|(function, ticks)| {
            let percent = percent_of(*ticks, whole);
            let wait_ms_per_second = wait_ms_per_second.map(|ms| ms * percent / 100.0);
            LockWait { function: (*function).to_owned(), percent, wait_ms_per_second }
        });
        Locks { named: named.collect(), more: waits.len().saturating_sub(NAMED) }
    }

    /// The function that takes the lock: the application's nearest to it, or else a library's, or else what is blocked.
    fn taker(&self, path: &Path<'_>, category: Category) -> Option<&str> {
        let mut candidates = path.frames.iter().filter(|f| self.may_be_responsible(**f, Some(category)));
        let own = candidates.clone().find(|f| self.is_own(**f));
        let taker = own.or_else(|| candidates.next()).or_else(|| path.frames.first())?;
        Some(self.profile.name(*taker))
    }
}

//! Assessments that are kept together.

use uuid::Uuid;

use super::domain::NewAssessment;
use super::port::HistorySor;
use crate::kernel::{Call, PortError, PortResult, RowId, Trace};

/// An assessment that was recorded earlier and is delivered now, perhaps not for the first time.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The key of the assessment: the same key again is the same assessment. The key of the entry does not count.
    pub key: Uuid,
    /// The trace of the request that it was recorded for.
    pub trace: Option<Trace>,
    /// The assessment.
    pub entry: NewAssessment,
}

impl Recorded {
    /// The assessment under its key, to be kept alone.
    pub fn into_new(self) -> NewAssessment {
        NewAssessment { idempotency_key: Some(self.key), ..self.entry }
    }
}

/// The most entries that are kept together.
pub const MAX_BATCH: usize = 500;

/// Entries that are kept together: 1 to [`MAX_BATCH`].
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(try_from = "Vec<T>")]
pub struct Batch<T>(Vec<T>);

/// So many entries are no [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must hold 1 to {MAX_BATCH} entries, holds {0}")]
pub struct NoBatch(usize);

impl<T> Batch<T> {
    /// The entries, in order.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T> TryFrom<Vec<T>> for Batch<T> {
    type Error = NoBatch;

    fn try_from(entries: Vec<T>) -> Result<Self, NoBatch> {
        if (1..=MAX_BATCH).contains(&entries.len()) { Ok(Self(entries)) } else { Err(NoBatch(entries.len())) }
    }
}

/// Keeps the valid ones of up to [`MAX_BATCH`] entries, and returns the result for each, in order.
pub(super) async fn create_valid<E>(
    history: &dyn HistorySor,
    call: &Call,
    entries: Vec<Result<Recorded, E>>,
) -> PortResult<Vec<Result<PortResult<RowId>, E>>> {
    let mut valid = Vec::with_capacity(entries.len());
    let entries: Vec<_> = entries.into_iter().map(|entry| entry.map(|entry| valid.push(entry))).collect();
    let results = match Batch::try_from(valid) {
        Ok(batch) => history.create_all(call, batch).await?,
        // None is valid.
        Err(NoBatch(_)) => Vec::new(),
    };
    let mut results = results.into_iter();
    let mut result = || results.next().unwrap_or_else(|| Err(PortError::Internal("an entry has no result".to_owned())));
    Ok(entries.into_iter().map(|entry| entry.map(|()| result())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1, None)]
    #[case(500, None)]
    #[case(0, Some("must hold 1 to 500 entries, holds 0"))]
    #[case(501, Some("must hold 1 to 500 entries, holds 501"))]
    fn a_batch_holds_one_entry_at_least_and_500_at_most(#[case] entries: usize, #[case] error: Option<&str>) {
        let batch = Batch::try_from(vec![(); entries]);
        assert_eq!(
            batch.map(|batch| batch.into_inner().len()).map_err(|e| e.to_string()),
            error.map_or(Ok(entries), |e| Err(e.to_owned()))
        );
    }
}

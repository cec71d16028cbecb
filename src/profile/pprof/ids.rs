//! The ids of messages.

use crate::profile::limits::ReadError;

/// The place of an id among ids that count up from 1.
#[inline]
pub(super) fn place(id: u64) -> Option<usize> {
    usize::try_from(id.checked_sub(1)?).ok()
}

/// Ids of messages → their places. Nearly always 1, 2, 3…, which needs no table.
#[derive(Default)]
pub(super) struct Ids {
    /// Of each message, its id; empty while they count up from 1.
    listed: Vec<(u64, u32)>,
    count: u32,
}

impl Ids {
    /// Adds a message. Without an id it is known by its place, as .NET's profiler has it.
    #[inline]
    pub(super) fn push(&mut self, id: u64) {
        self.count += 1;
        if !self.listed.is_empty() || (id != u64::from(self.count) && id != 0) {
            self.list(id);
        }
    }

    #[cold]
    fn list(&mut self, id: u64) {
        if self.listed.is_empty() {
            self.listed = (0..self.count - 1).map(|place| (u64::from(place) + 1, place)).collect();
        }
        let id = if id == 0 { u64::from(self.count) } else { id };
        self.listed.push((id, self.count - 1));
    }

    /// Prepares the ids for lookup.
    pub(super) fn seal(&mut self, what: &str) -> Result<(), ReadError> {
        self.listed.sort_unstable();
        match self.listed.windows(2).find(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            Some(pair) => {
                let id = pair.first().map_or(0, |(id, _)| *id);
                Err(ReadError::malformed(format!("two {what}s have the id {id}"), 0))
            }
            None => Ok(()),
        }
    }

    #[inline]
    pub(super) fn place(&self, id: u64) -> Option<usize> {
        if self.listed.is_empty() {
            return place(id);
        }
        let at = self.listed.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.listed.get(at).map(|(_, place)| *place as usize)
    }

    /// Whether they count up from 1, so that an id is its place.
    pub(super) fn count_up(&self) -> bool {
        self.listed.is_empty()
    }
}

//! What a category's ticks come from: the causes that the catalogue tells apart.

use super::advice::Advice;
use crate::verdict::category::Category;

/// The place of a cause in its catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verdict) struct CauseIndex(pub(super) u8);

impl CauseIndex {
    /// The place as an index into an array of all causes.
    pub(in crate::verdict) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One thing that a category's ticks may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The id, unique in the catalogue.
    pub id: Box<str>,
    /// The category whose ticks it explains.
    pub category: Category,
    /// What it is, in words that follow "most of it is".
    pub phrase: Box<str>,
    /// Whether it explains all of its category beneath it, whatever cause frames nearer the leaf have: a handshake signs.
    pub covers: bool,
    /// What to do where it leads, in place of the category's advice.
    pub advice: Option<Advice>,
}

//! Which callees let a wrapper claim a stack.

use crate::verdict::category::Category;

/// The kinds of frames between the leaf and a wrapper. A wrapper may claim only if there are at most four.
#[derive(Default)]
pub(super) struct CalleeKinds {
    seen: [(u64, Option<Category>); 4],
    len: usize,
}

impl CalleeKinds {
    /// Whether there are more kinds than any wrapper may claim.
    pub(super) fn allows_none(&self) -> bool {
        self.len > self.seen.len()
    }

    /// Adds a frame of that package and category.
    pub(super) fn add(&mut self, package: u64, category: Option<Category>) {
        if self.allows_none() {
            return;
        }
        let known = self.seen.get(..self.len.min(4)).unwrap_or(&[]);
        if known.contains(&(package, category)) {
            return;
        }
        if let Some(free) = self.seen.get_mut(self.len) {
            *free = (package, category);
        }
        self.len = (self.len + 1).min(5);
    }

    /// Whether a wrapper of that package and category may claim these callees.
    pub(super) fn allow(&self, package: u64, category: Category) -> bool {
        self.seen
            .get(..self.len)
            .is_some_and(|seen| seen.iter().all(|(p, c)| package != 0 && *p == package || *c == Some(category)))
    }
}

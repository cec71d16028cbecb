//! The positions of the messages of one kind.

use std::ops::Range;

/// Bytes to a run where they are many: what is held of each kind stays an eighth of what is read.
const BYTES_TO_A_RUN: usize = 64;

/// Runs of messages of one kind, in the order they were sent. Where there are too many, the last one goes on to the end
/// and has others between.
#[derive(Debug)]
pub(super) struct Runs {
    runs: Vec<(u32, u32)>,
    most: usize,
}

impl Runs {
    /// Of that many bytes.
    pub(super) fn within(bytes: usize) -> Self {
        Self { runs: Vec::new(), most: (bytes / BYTES_TO_A_RUN).max(1) }
    }

    /// Adds messages that lie behind all others.
    #[expect(clippy::cast_possible_truncation, reason = "a piece is under 4 GiB")]
    pub(super) fn add(&mut self, start: usize, end: usize) {
        let (start, end) = (start as u32, end as u32);
        let full = self.runs.len() >= self.most;
        match self.runs.last_mut() {
            Some((_, last)) if full || *last == start => *last = end,
            _ => self.runs.push((start, end)),
        }
    }

    /// Each run.
    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.runs.iter().map(|(start, end)| *start as usize..*end as usize)
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.iter().map(|run| run.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_neighbours_and_widens_the_last_where_there_are_too_many() {
        let mut runs = Runs::within(3 * BYTES_TO_A_RUN);
        for start in [0, 10, 30, 50, 70, 90] {
            runs.add(start, start + 10);
        }
        assert_eq!(runs.iter().collect::<Vec<_>>(), [0..20, 30..40, 50..100]);
        assert_eq!(runs.bytes(), 80);
    }

    #[test]
    fn has_a_run_for_the_few_bytes_of_a_small_profile() {
        let mut runs = Runs::within(5);
        assert_eq!(runs.bytes(), 0);
        runs.add(0, 2);
        runs.add(3, 5);
        assert_eq!((runs.iter().next(), runs.iter().count()), (Some(0..5), 1));
    }
}

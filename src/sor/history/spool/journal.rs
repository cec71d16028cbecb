//! The segments of this process: appended to at the end, delivered from the front, others' files adopted in between.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

use super::segment::{EXTENSION, Segment};
use super::{Fsync, SpoolError, SpoolSettings};
use crate::kernel::IdSource;

/// A file that grows over this is closed and followed by a new one, so that what is delivered can be removed.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Where refused entries go, below the spool's directory.
const REJECTED: &str = "rejected";

/// Why an entry was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// The limit is reached.
    Full,
    /// The write failed.
    Io(io::Error),
}

/// One of the first pending entries.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) segment: u64,
    pub(super) line: Vec<u8>,
}

/// What is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pending {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

pub(super) struct Journal {
    settings: SpoolSettings,
    /// Segments in the order they are delivered, numbered; the last is the one that is appended to.
    segments: VecDeque<(u64, Segment)>,
    numbers: u64,
    ids: Arc<dyn IdSource>,
    rejected: Option<File>,
    pending: Pending,
    /// Whether the directory got a file since it was last forced to the disk.
    directory_dirty: bool,
}

impl Journal {
    /// A journal in a directory, or in memory.
    pub(super) fn open(settings: SpoolSettings, ids: Arc<dyn IdSource>) -> Result<Self, SpoolError> {
        let mut journal = Self {
            settings,
            segments: VecDeque::new(),
            numbers: 0,
            ids,
            rejected: None,
            pending: Pending::default(),
            directory_dirty: false,
        };
        let directory = journal.settings.directory.clone();
        let made = directory.as_ref().map_or(Ok(()), |directory| std::fs::create_dir_all(directory.join(REJECTED)));
        made.and_then(|()| journal.begin_segment())
            .map_err(|said| SpoolError::NotWritable { directory: directory.unwrap_or_default(), said })?;
        Ok(journal)
    }

    /// Goes on in a new segment.
    fn begin_segment(&mut self) -> io::Result<()> {
        let segment = match &self.settings.directory {
            None => Segment::in_memory(),
            Some(directory) => Segment::create(directory, &self.ids.next().to_string())?,
        };
        match (&self.settings.directory, self.settings.fsync) {
            (Some(directory), Fsync::Always) => File::open(directory)?.sync_all()?,
            _ => self.directory_dirty = true,
        }
        let at = self.segments.len();
        self.insert(at, segment);
        Ok(())
    }

    fn insert(&mut self, at: usize, segment: Segment) {
        self.pending.entries += segment.pending();
        self.pending.bytes += segment.pending_bytes();
        self.segments.insert(at, (self.numbers, segment));
        self.numbers += 1;
    }

    /// Takes over segments of others: what came first is delivered first, so before the one that is appended to.
    pub(super) fn adopt(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.insert(self.segments.len().saturating_sub(1), segment);
        }
    }

    /// Adds an entry by one write; answers the file it is in.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<Option<Arc<File>>, AppendError> {
        if self.pending.bytes.saturating_add(line.len() as u64) > self.settings.max_bytes {
            return Err(AppendError::Full);
        }
        if self.segments.back().is_none_or(|(_, last)| last.end() >= SEGMENT_BYTES)
            && let Err(error) = self.begin_segment()
        {
            // Without a new file the old one grows on.
            tracing::warn!(%error, "no further spool file can be made");
        }
        let (_, last) = self.segments.back_mut().ok_or_else(|| AppendError::Io(io::ErrorKind::NotFound.into()))?;
        last.append(line).map_err(AppendError::Io)?;
        self.pending.entries += 1;
        self.pending.bytes += line.len() as u64;
        Ok(last.file())
    }

    /// Whether the file that is appended to takes anything.
    pub(super) fn probe(&self) -> io::Result<()> {
        self.segments.back().map_or(Err(io::ErrorKind::NotFound.into()), |(_, last)| last.probe())
    }

    pub(super) fn pending(&self) -> Pending {
        self.pending
    }

    /// The first pending entries: at most so many, and of so many bytes unless the first alone has more.
    ///
    /// # Errors
    /// Names the segment of the first entry where that cannot be read back.
    pub(super) fn peek(&self, entries: usize, bytes: usize) -> Result<Vec<Front>, (u64, io::Error)> {
        let (mut first, mut size) = (Vec::new(), 0);
        let all = self.segments.iter().flat_map(|(number, segment)| segment.lines().map(|line| (*number, line)));
        for (segment, line) in all.take(entries) {
            let line = match line {
                Ok(line) => line,
                Err(error) if first.is_empty() => return Err((segment, error)),
                Err(_) => break,
            };
            size += line.len();
            if size > bytes && !first.is_empty() {
                break;
            }
            first.push(Front { segment, line });
        }
        Ok(first)
    }

    /// Removes the first pending entry of a segment, and frees the space of empty segments.
    pub(super) fn done(&mut self, number: u64) {
        let last = self.segments.len().saturating_sub(1);
        let Some(at) = self.segments.iter().position(|(n, _)| *n == number) else { return };
        let Some((_, segment)) = self.segments.get_mut(at) else { return };
        let before = (segment.pending(), segment.pending_bytes());
        segment.done();
        self.pending.entries -= before.0 - segment.pending();
        self.pending.bytes -= before.1 - segment.pending_bytes();
        if segment.pending() > 0 {
            return;
        }
        let freed = if at == last { segment.reset() } else { segment.remove() };
        if let Err(error) = freed {
            tracing::warn!(%error, "delivered entries stay in their spool file, they may be delivered again");
        }
        if at != last {
            self.segments.remove(at);
        }
    }

    /// Keeps a refused entry aside, in the same form: moved back into the spool's directory, the file is tried again.
    pub(super) fn reject(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(directory) = &self.settings.directory else { return Ok(()) };
        if self.rejected.is_none() {
            let path = directory.join(REJECTED).join(format!("{}.{EXTENSION}", self.ids.next()));
            self.rejected = Some(OpenOptions::new().append(true).create_new(true).open(path)?);
        }
        self.rejected.as_mut().map_or(Ok(()), |file| file.write_all(line))
    }

    /// The files that were written since they were last asked for, to be forced to the disk.
    pub(super) fn take_dirty(&mut self) -> Vec<Arc<File>> {
        let mut files: Vec<_> = self.segments.iter_mut().filter_map(|(_, segment)| segment.take_dirty()).collect();
        if !files.is_empty() && std::mem::take(&mut self.directory_dirty) {
            files.extend(self.settings.directory.as_ref().and_then(|path| File::open(path).ok()).map(Arc::new));
        }
        files
    }

    /// Removes this process's file where nothing is pending, at the end.
    pub(super) fn close(&mut self) {
        if self.pending.entries == 0 {
            for (_, segment) in self.segments.drain(..) {
                let _ = segment.remove();
            }
        }
    }
}

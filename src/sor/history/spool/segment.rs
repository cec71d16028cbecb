//! One file of the spool, locked while this process lives, or its replacement in memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Line, first};

/// How files that hold entries are named.
pub(super) const EXTENSION: &str = "spool";

#[derive(Debug)]
enum Store {
    File { file: Arc<File>, path: PathBuf },
    Memory(Vec<u8>),
}

/// What is written to see whether a file takes anything: less than an entry, and no line.
const PROBE: [u8; 4096] = [b' '; 4096];

/// Where an entry stands.
#[derive(Debug, Clone, Copy)]
struct ByteRange {
    offset: u64,
    length: usize,
}

/// A run of entries in the order they came, of which the first ones may be delivered already.
#[derive(Debug)]
pub(super) struct Segment {
    store: Store,
    /// Where the next entry goes.
    end: u64,
    pending: VecDeque<ByteRange>,
    /// Bytes of the pending entries.
    pending_bytes: u64,
    /// Written since it was last forced to the disk.
    dirty: bool,
}

/// What was found in a file of another process, besides its entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Lines that are no entries.
    pub(super) broken_lines: u64,
    /// Bytes of an entry that was cut off.
    pub(super) torn_bytes: u64,
}

impl Segment {
    /// An empty one in memory.
    pub(super) fn in_memory() -> Self {
        Self::new(Store::Memory(Vec::new()))
    }

    fn new(store: Store) -> Self {
        Self { store, end: 0, pending: VecDeque::new(), pending_bytes: 0, dirty: false }
    }

    /// An empty, locked file. It gets its name only once it is locked, so that no other process takes it for an
    /// abandoned one.
    pub(super) fn create(directory: &Path, name: &str) -> io::Result<Self> {
        let (hidden, path) = (directory.join(format!("{name}.new")), directory.join(format!("{name}.{EXTENSION}")));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&hidden)?;
        let named = file.try_lock().map_err(io::Error::from).and_then(|()| std::fs::rename(&hidden, &path));
        if let Err(error) = named {
            let _ = std::fs::remove_file(&hidden);
            return Err(error);
        }
        Ok(Self::new(Store::File { file: Arc::new(file), path }))
    }

    /// Takes over an abandoned file: its whole entries are pending again, a truncated one is removed. `None` if another
    /// process holds it or was faster.
    pub(super) fn adopt(path: &Path) -> io::Result<Option<(Self, Damage)>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // Between opening and locking, its former owner may have delivered and removed it.
        let here = std::fs::metadata(path).ok().map(|there| there.ino());
        if here != Some(file.metadata()?.ino()) {
            return Ok(None);
        }
        let bytes = std::fs::read(path)?;
        let mut segment = Self::new(Store::File { file: Arc::new(file), path: path.to_owned() });
        let mut damage = Damage::default();
        let mut rest = bytes.as_slice();
        while let Some(line) = first(rest) {
            let length = match line {
                Line::Whole { length, .. } => {
                    segment.push(ByteRange { offset: segment.end, length });
                    length
                }
                Line::Broken { length } => {
                    damage.broken_lines += 1;
                    length
                }
                Line::Torn => {
                    damage.torn_bytes = rest.len() as u64;
                    break;
                }
            };
            segment.end += length as u64;
            rest = rest.get(length..).unwrap_or_default();
        }
        if damage.torn_bytes > 0 {
            segment.truncate(segment.end)?;
        }
        Ok(Some((segment, damage)))
    }

    /// Bytes written, delivered or not.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    pub(super) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    fn push(&mut self, span: ByteRange) {
        self.pending_bytes += span.length as u64;
        self.pending.push_back(span);
    }

    /// Adds an entry with one write. What a failed write left is truncated, now or by the process that takes over the
    /// file, and the next entry is written over it.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(bytes) => bytes.extend_from_slice(line),
            Store::File { file, .. } => {
                let written = file.write_at(line, self.end);
                if !matches!(written, Ok(length) if length == line.len()) {
                    let _ = file.set_len(self.end);
                    return Err(written.err().unwrap_or_else(|| io::ErrorKind::StorageFull.into()));
                }
            }
        }
        self.push(ByteRange { offset: self.end, length: line.len() });
        self.end += line.len() as u64;
        self.dirty = true;
        Ok(())
    }

    /// Whether an entry could be appended: the file is where it was and takes bytes, which are cut off again.
    pub(super) fn probe(&self) -> io::Result<()> {
        let Store::File { file, path } = &self.store else { return Ok(()) };
        if std::fs::metadata(path)?.ino() != file.metadata()?.ino() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let written = file.write_at(&PROBE, self.end);
        file.set_len(self.end)?;
        if written? < PROBE.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// The lines of the pending entries.
    pub(super) fn lines(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        self.pending.iter().map(|span| match &self.store {
            Store::File { file, .. } => {
                let mut line = vec![0; span.length];
                file.read_exact_at(&mut line, span.offset)?;
                Ok(line)
            }
            Store::Memory(bytes) => {
                let start = usize::try_from(span.offset).unwrap_or(usize::MAX);
                let line = bytes.get(start..start.saturating_add(span.length));
                line.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        })
    }

    /// Removes the first pending entry.
    pub(super) fn done(&mut self) {
        if let Some(span) = self.pending.pop_front() {
            self.pending_bytes -= span.length as u64;
        }
    }

    /// Frees the space of what is delivered, where nothing else is left.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.truncate(0)?;
        self.end = 0;
        Ok(())
    }

    fn truncate(&mut self, end: u64) -> io::Result<()> {
        match &mut self.store {
            Store::File { file, .. } => file.set_len(end),
            Store::Memory(bytes) => {
                bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
                bytes.shrink_to(1 << 20);
                Ok(())
            }
        }
    }

    /// Removes the file. The lock goes with this value.
    pub(super) fn remove(&self) -> io::Result<()> {
        match &self.store {
            Store::File { path, .. } => std::fs::remove_file(path),
            Store::Memory(_) => Ok(()),
        }
    }

    /// The file, to be forced to the disk without holding up who appends.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        match &self.store {
            Store::File { file, .. } => Some(Arc::clone(file)),
            Store::Memory(_) => None,
        }
    }

    /// The file, if it was written since it was last asked for here.
    pub(super) fn take_dirty(&mut self) -> Option<Arc<File>> {
        std::mem::take(&mut self.dirty).then(|| self.file()).flatten()
    }
}

/// Takes over all abandoned files of a spool, the oldest first. Files without entries are removed.
pub(super) fn adopt_all(directory: &Path) -> Vec<Segment> {
    let found = files(directory).unwrap_or_else(|error| {
        tracing::warn!(%error, directory = %directory.display(), "the spool's directory cannot be listed");
        Vec::new()
    });
    let mut segments = Vec::new();
    for path in found {
        let file = path.display();
        match Segment::adopt(&path) {
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, %file, "a spool file cannot be adopted"),
            Ok(Some((segment, Damage { broken_lines, torn_bytes }))) => {
                let entries = segment.pending();
                if entries > 0 || broken_lines > 0 {
                    tracing::info!(%file, entries, broken_lines, torn_bytes, "a spool file is adopted");
                }
                if entries > 0 {
                    segments.push(segment);
                } else {
                    let _ = segment.remove();
                }
            }
        }
    }
    segments
}

/// The files of a spool in the order in which they were made, locked or not.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

//! Files beside the settings that the operator changes while the server runs: read as a whole, and read again when they
//! change.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use serde::de::DeserializeOwned;

/// Why a file is refused. It is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFile {
    /// It cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// It is over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// A line of it is wrong.
    #[error("line {line}: {why}")]
    Line {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Where the lines of a text end.
#[derive(Debug)]
pub struct Lines(Vec<usize>);

impl Lines {
    /// The line, from 1 on, in which this byte of the text is.
    pub fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }

    /// The error of what begins at this byte.
    pub fn wrong(&self, offset: usize, why: impl Into<String>) -> InvalidFile {
        InvalidFile::Line { line: self.at(offset), why: why.into() }
    }
}

/// Reads the text of a file of at most so many bytes.
///
/// # Errors
/// It cannot be read, is longer, or is not UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String, InvalidFile> {
    let unreadable = |why: &dyn fmt::Display| InvalidFile::Unreadable { path: path.to_owned(), why: why.to_string() };
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(InvalidFile::TooLarge(format!("the file is over {max_bytes} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| unreadable(&"is not UTF-8"))
}

/// Reads TOML, with the lines of the text.
///
/// # Errors
/// Names the line that is wrong.
pub fn read_toml<T: DeserializeOwned>(text: &str) -> Result<(T, Lines), InvalidFile> {
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
    let lines = Lines(ends.collect());
    match toml::from_str(text) {
        Ok(value) => Ok((value, lines)),
        Err(error) => Err(lines.wrong(error.span().map_or(0, |span| span.start), error.message())),
    }
}

/// What tells whether a file has to be read again: when it was changed, its size, and which file it is.
type Seen = (SystemTime, u64, u64);

fn seen(path: &Path) -> Option<Seen> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// Reads what a file says.
type Read<T> = dyn Fn(&Path) -> Result<T, InvalidFile> + Send + Sync;

/// What a file says, for as long as the server runs. Where the file becomes bad, what it said before stays.
pub struct WatchedFile<T> {
    path: PathBuf,
    what: &'static str,
    read: Box<Read<T>>,
    state: RwLock<State<T>>,
}

struct State<T> {
    content: Arc<T>,
    seen: Option<Seen>,
    problem: Option<String>,
}

impl<T> WatchedFile<T> {
    /// Reads a file for the first time. `what` it is of, such as `tokens`, is said in the log.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn open(
        path: PathBuf,
        what: &'static str,
        read: impl Fn(&Path) -> Result<T, InvalidFile> + Send + Sync + 'static,
    ) -> Result<Self, InvalidFile> {
        let seen = seen(&path);
        let content = Arc::new(read(&path)?);
        Ok(Self { path, what, read: Box::new(read), state: RwLock::new(State { content, seen, problem: None }) })
    }

    /// What it said when it was good last.
    pub fn content(&self) -> Arc<T> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).content)
    }

    /// Why it is refused now; `None` where it is good.
    pub fn problem(&self) -> Option<String> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Reads the file again, if it was changed.
    pub fn reload(&self) {
        let now = seen(&self.path);
        if now.is_some() && now == self.state.read().unwrap_or_else(PoisonError::into_inner).seen {
            return;
        }
        let read = (self.read)(&self.path);
        let (path, what) = (self.path.display(), self.what);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.seen = now;
        match read {
            Ok(content) => {
                state.content = Arc::new(content);
                state.problem = None;
                tracing::info!(%path, "the file of {what} was read again");
            }
            Err(error) => {
                let problem = error.to_string();
                if state.problem.as_ref() != Some(&problem) {
                    tracing::error!(%path, %error, "the file of {what} is refused, those read before stay");
                }
                state.problem = Some(problem);
            }
        }
    }
}

impl<T> fmt::Debug for WatchedFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_becomes_bad_leaves_what_it_said_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("numbers");
        fs::write(&path, "one = 1").unwrap();
        let read = |path: &Path| Ok(read_toml::<toml::Table>(&read_text(path, 10)?)?.0);
        let file = WatchedFile::open(path.clone(), "numbers", read).unwrap();
        let said = || (file.content().len(), file.problem());
        fs::write(&path, "o = 1\nt = 2").unwrap();
        file.reload();
        assert_eq!(said(), (1, Some("the file is over 10 bytes".to_owned())));
        fs::write(&path, "o=1\nt=x").unwrap();
        file.reload();
        assert_eq!(said().0, 1);
        assert!(said().1.unwrap().starts_with("line 2: "), "{:?}", said().1);
        fs::write(&path, "o=1\nt=2").unwrap();
        file.reload();
        assert_eq!(said(), (2, None));
        fs::remove_file(&path).unwrap();
        file.reload();
        assert_eq!(said().0, 2);
        assert!(said().1.unwrap().contains("No such file"));
    }

    #[test]
    fn a_missing_file_is_refused_at_once() {
        let opened = WatchedFile::open("/none".into(), "nothing", |path| read_text(path, 1));
        assert!(matches!(opened, Err(InvalidFile::Unreadable { .. })));
    }
}

//! Judges a file: what it is, is told by its content.

use std::io::Read;
use std::path::Path;

use chrono::TimeDelta;

use crate::bor::triage::TriageBody;
use crate::cli::Exit;
use crate::kernel::{AppName, MAX_WINDOW, ProfileType, TimeWindow};
use crate::profile::{Limits, ReadError, SampleType, read_flamebearer, read_folded, read_pprof};
use crate::sor::profile_data::{FileProfile, MergedProfile};
use crate::verdict::Rules;

/// Why a file was not judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Unreadable { path: String, source: ReadError },
    #[error("{path} holds no {kind} profile: its sample types are {found}")]
    NoSuchKind { path: String, kind: String, found: String },
}

impl FileError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } | Self::Unreadable { .. } => Exit::NoData,
            Self::NoSuchKind { .. } => Exit::Usage,
        }
    }
}

/// The triage of a file.
pub(super) fn judge(
    rules: &Rules,
    path: &Path,
    app: Option<AppName>,
    kind: Option<ProfileType>,
    top: usize,
) -> Result<TriageBody, FileError> {
    let shown = path.display().to_string();
    let bytes = bytes_of(path).map_err(|source| FileError::Io { path: shown.clone(), source })?;
    let read = read(&bytes, kind).map_err(|source| FileError::Unreadable { path: shown.clone(), source })?;
    let (file, window) = read;
    let chosen = choose(&file, kind);
    if chosen.is_empty() {
        let types = file.sample_types().iter().map(|t| format!("{} ({})", t.name, t.unit));
        let found = types.collect::<Vec<_>>().join(", ");
        let kind = kind.map_or("known", ProfileType::as_str).to_owned();
        let found = if found.is_empty() { "none".to_owned() } else { found };
        return Err(FileError::NoSuchKind { path: shown, kind, found });
    }
    let app = app.unwrap_or_else(|| name_of(path));
    // Agents send sample types that they did not record beside those they did.
    let (recorded, empty): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(_, merged)| merged.profile.total(0) != 0);
    let profiles = if recorded.is_empty() { empty } else { recorded };
    Ok(TriageBody::of_profiles(rules, &app, window, profiles, top))
}

fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path)
}

fn name_of(path: &Path) -> AppName {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or("");
    let name = stem.parse().or_else(|_| "file".parse());
    #[expect(clippy::expect_used, reason = "the text is a name")]
    name.expect("file is a name")
}

/// The profile, and the window it says it is of.
fn read(bytes: &[u8], kind: Option<ProfileType>) -> Result<(FileProfile, Option<TimeWindow>), ReadError> {
    let limits = Limits::default();
    Ok(match format_of(bytes) {
        Format::Flamebearer => {
            let file = read_flamebearer(bytes, &limits)?;
            (FileProfile::plain(file.profile, file.truncated_ticks), None)
        }
        Format::Folded => (FileProfile::plain(read_folded(bytes, folded_type(kind), &limits)?, 0), None),
        Format::Pprof => {
            let file = read_pprof(bytes, &limits)?;
            // Servers make up the time of what they merged: a window of years is none.
            let duration = file.duration.filter(|d| *d > TimeDelta::zero() && *d <= MAX_WINDOW);
            let window = file.time.zip(duration).and_then(|(time, d)| TimeWindow::new(time, time + d).ok());
            (FileProfile::of_pprof(file), window)
        }
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Format {
    Pprof,
    Folded,
    Flamebearer,
}

/// Told by content: JSON begins with a brace, folded stacks are text whose lines end in a number, all else is pprof.
fn format_of(bytes: &[u8]) -> Format {
    let start = bytes.trim_ascii_start();
    if start.starts_with(b"{") {
        return Format::Flamebearer;
    }
    let line = start.split(|b| *b == b'\n').next().unwrap_or(&[]).trim_ascii_end();
    let ends_in_number = || {
        let text = std::str::from_utf8(line).ok().and_then(|line| line.rsplit_once([' ', '\t']));
        text.is_some_and(|(stack, n)| !stack.contains('\0') && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    if ends_in_number() { Format::Folded } else { Format::Pprof }
}

/// Folded stacks do not say what they count: samples, unless the kind says bytes.
fn folded_type(kind: Option<ProfileType>) -> SampleType {
    match kind {
        Some(ProfileType::Alloc) => SampleType::new("alloc_space", "bytes"),
        Some(ProfileType::Inuse) => SampleType::new("inuse_space", "bytes"),
        Some(ProfileType::Lock) => SampleType::new("contentions", "count"),
        Some(ProfileType::Wall) => SampleType::new("wall", "count"),
        Some(ProfileType::Goroutine) => SampleType::new("goroutine", "count"),
        Some(ProfileType::Exception) => SampleType::new("exception", "count"),
        Some(ProfileType::Cpu) | None => SampleType::new("samples", "count"),
    }
}

/// What to judge: the kind given; else cpu and alloc, else the first that is there.
fn choose(file: &FileProfile, kind: Option<ProfileType>) -> Vec<(ProfileType, MergedProfile)> {
    use ProfileType::{Alloc, Cpu, Exception, Goroutine, Inuse, Lock, Wall};
    let find = |kind| file.merged(kind).map(|merged| (kind, merged));
    if let Some(kind) = kind {
        return find(kind).into_iter().collect();
    }
    let first: Vec<_> = [Cpu, Alloc].into_iter().filter_map(find).collect();
    if first.is_empty() {
        [Wall, Inuse, Lock, Goroutine, Exception].into_iter().find_map(find).into_iter().collect()
    } else {
        first
    }
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

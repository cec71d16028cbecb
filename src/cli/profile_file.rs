//! Profiles from files. The content of a file shows its format, or else its name.

mod format;

use std::io::Read;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use self::format::looks_like;
pub(super) use self::format::{Format, format_of};
use super::Exit;
use crate::kernel::{AppName, MAX_WINDOW, ProfileType, TimeWindow};
use crate::profile::{
    JfrContext, Profile, ReadError, ReadLimits, SPEEDSCOPE_BYTES, SPEEDSCOPE_SAMPLES, SPEEDSCOPE_TIME, SampleType,
    read_cpuprofile, read_flamebearer, read_jfr, read_pprof, read_speedscope, read_tree, read_trie,
    read_weighted_folded,
};
use crate::sor::profile_data::{FileProfile, MergedProfile};

/// The profile of a file without sample types.
const NOTHING: &str = "none";

/// Why a file cannot be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{path}: {said}")]
    Io { path: String, said: std::io::Error },
    #[error("{path}: {why}")]
    Unreadable { path: String, why: ReadError },
    #[error(
        "{path}: this looks like {looks_like}; read are pprof, JFR recordings, folded stacks, flame graph JSON (flamebearer), speedscope, CPU profiles of V8 (.cpuprofile), and Pyroscope's formats in files named .trie or .tree"
    )]
    Foreign { path: String, looks_like: &'static str },
    #[error("{path} holds no {kind} profile: its sample types are {found}")]
    NoSuchKind { path: String, kind: String, found: String },
    #[error(
        "{path} does not say what its values count, so no approved limit can be held against it: say it by --type, such as --type cpu"
    )]
    NoKindForLimits { path: String },
}

impl FileError {
    /// The error for a file that a reader refused: the reason if its format is read, or else what the file looks like.
    pub(super) fn unreadable(path: String, format: Format, bytes: &[u8], why: ReadError) -> Self {
        let looks_like = match (&why, format) {
            (ReadError::Limit { .. }, _) => None,
            (_, Format::Flamebearer | Format::Pprof) => looks_like(bytes),
            _ => None,
        };
        match looks_like {
            Some(looks_like) => Self::Foreign { path, looks_like },
            None => Self::Unreadable { path, why },
        }
    }

    /// The error for a file that holds nothing.
    pub(super) fn empty(path: String) -> Self {
        Self::NoSuchKind { path, kind: "known".to_owned(), found: NOTHING.to_owned() }
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Io { .. } | Self::Unreadable { .. } | Self::Foreign { .. } => Exit::NoData,
            // An empty file is not wrong usage.
            Self::NoSuchKind { found, .. } if found == NOTHING => Exit::NoData,
            Self::NoSuchKind { .. } | Self::NoKindForLimits { .. } => Exit::Usage,
        }
    }
}

/// What was read from a file.
pub(super) struct ReadFile {
    file: FileProfile,
    /// When it was taken, if the file says so.
    pub(super) window: Option<TimeWindow>,
}

impl ReadFile {
    /// Reads a file, or standard input if the path is `-`. The kind says what the values count where the file does not.
    pub(super) fn at(path: &Path, kind: Option<ProfileType>) -> Result<Self, FileError> {
        let shown = path.display().to_string();
        let bytes = bytes_of(path).map_err(|said| FileError::Io { path: shown.clone(), said })?;
        let format = format_of(path, &bytes);
        let (file, window) =
            read(format, &bytes, kind).map_err(|why| FileError::unreadable(shown, format, &bytes, why))?;
        Ok(Self { file, window })
    }

    /// The profile to judge: of the given kind, or else cpu and alloc, or else the first kind of the file. Where nothing
    /// says what the values count they are samples.
    pub(super) fn choose(&self, kind: Option<ProfileType>) -> Vec<(ProfileType, MergedProfile)> {
        choose(&self.file, kind)
    }

    /// The error for a file without the kind, or without any.
    pub(super) fn lacks(&self, path: &Path, kind: Option<ProfileType>) -> FileError {
        let types = self.file.sample_types().iter().map(|t| format!("{} ({})", t.name, t.unit));
        let found = types.collect::<Vec<_>>().join(", ");
        FileError::NoSuchKind {
            path: path.display().to_string(),
            kind: kind.map_or("known", ProfileType::as_str).to_owned(),
            found: if found.is_empty() { NOTHING.to_owned() } else { found },
        }
    }
}

/// The content of a file, or of standard input if the path is `-`.
pub(super) fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(path)
}

/// The file's name without its extensions.
pub(super) fn name_of(path: &Path) -> AppName {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or("");
    let name = stem.parse().or_else(|_| "file".parse());
    #[expect(clippy::expect_used, reason = "the text is a name")]
    name.expect("file is a name")
}

/// The profile, and its window according to the file.
fn read(
    format: Format,
    bytes: &[u8],
    kind: Option<ProfileType>,
) -> Result<(FileProfile, Option<TimeWindow>), ReadError> {
    let limits = &ReadLimits::default();
    let profile = match format {
        Format::Pprof => {
            let file = read_pprof(bytes, limits)?;
            let window = window_of(file.time, file.duration);
            return Ok((FileProfile::of_pprof(file), window));
        }
        Format::Jfr => {
            let recording = read_jfr(bytes, &JfrContext::default(), limits)?;
            let window = window_of(recording.time, recording.duration);
            return Ok((FileProfile::of_recording(recording), window));
        }
        Format::Flamebearer => {
            let file = read_flamebearer(bytes, limits)?;
            return Ok((FileProfile::plain(file.profile, file.truncated_ticks), None));
        }
        Format::Folded => read_weighted_folded(bytes, folded_type(kind), limits)?,
        Format::Trie => read_trie(bytes, folded_type(kind), limits)?,
        Format::Tree => read_tree(bytes, folded_type(kind), limits)?,
        Format::Speedscope => said_to_be(kind, read_speedscope(bytes, limits)?),
        Format::CpuProfile => read_cpuprofile(bytes, limits)?,
    };
    Ok((FileProfile::plain(profile, 0), None))
}

/// The profile of a speedscope file under the sample type that the kind means, if one of its own fits. It says in which
/// unit it counts but not what.
fn said_to_be(kind: Option<ProfileType>, profile: Profile) -> Profile {
    use ProfileType::{Alloc, Cpu, Exception, Goroutine, Inuse, Lock, Samples, Wall};
    let (name, fitting) = match kind {
        None | Some(Samples) => return profile,
        Some(Cpu) => ("cpu", SPEEDSCOPE_TIME),
        Some(Wall) => ("wall", SPEEDSCOPE_TIME),
        Some(Lock) => ("delay", SPEEDSCOPE_TIME),
        Some(Alloc) => ("alloc_space", SPEEDSCOPE_BYTES),
        Some(Inuse) => ("inuse_space", SPEEDSCOPE_BYTES),
        Some(Goroutine) => ("goroutine", SPEEDSCOPE_SAMPLES),
        Some(Exception) => ("exception", SPEEDSCOPE_SAMPLES),
    };
    // Samples without a unit may count anything.
    let place = [fitting, SPEEDSCOPE_SAMPLES].into_iter().find_map(|(name, unit)| {
        profile.sample_types().iter().position(|sample_type| sample_type.name == name && sample_type.unit == unit)
    });
    match place.and_then(|place| Some((place, profile.sample_types().get(place)?.unit.clone()))) {
        Some((place, unit)) => {
            profile.under([SampleType::new(name, unit)], |values| [values.get(place).copied().unwrap_or(0)])
        }
        None => profile,
    }
}

/// The window of a file that says when it was taken. Servers invent the time of merged profiles: a window of years is not
/// real.
fn window_of(time: Option<DateTime<Utc>>, duration: Option<TimeDelta>) -> Option<TimeWindow> {
    let duration = duration.filter(|d| *d > TimeDelta::zero() && *d <= MAX_WINDOW);
    time.zip(duration).and_then(|(time, d)| TimeWindow::new(time, time + d).ok())
}

/// Folded stacks do not say what they count, so their sample type has no unit.
pub(super) fn folded_type(kind: Option<ProfileType>) -> SampleType {
    let name = match kind {
        Some(ProfileType::Alloc) => "alloc_space",
        Some(ProfileType::Inuse) => "inuse_space",
        Some(ProfileType::Lock) => "contentions",
        Some(ProfileType::Wall) => "wall",
        Some(ProfileType::Goroutine) => "goroutine",
        Some(ProfileType::Exception) => "exception",
        Some(ProfileType::Cpu) => "cpu",
        Some(ProfileType::Samples) | None => "samples",
    };
    SampleType::new(name, "")
}

fn choose(file: &FileProfile, kind: Option<ProfileType>) -> Vec<(ProfileType, MergedProfile)> {
    use ProfileType::{Alloc, Cpu, Exception, Goroutine, Inuse, Lock, Samples, Wall};
    let find = |kind| file.merged(kind).map(|merged| (kind, merged));
    if let Some(kind) = kind {
        return find(kind).into_iter().collect();
    }
    let first: Vec<_> = [Cpu, Alloc].into_iter().filter_map(find).collect();
    if first.is_empty() {
        [Wall, Inuse, Lock, Goroutine, Exception, Samples].into_iter().find_map(find).into_iter().collect()
    } else {
        first
    }
}

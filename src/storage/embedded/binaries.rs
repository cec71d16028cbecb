//! Finds PostgreSQL's programs: in the configured directory, those that were downloaded, or the system's.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EmbeddedError;

/// The major versions that are served.
pub(super) const MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

/// A directory that holds `initdb` and `postgres` of one major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// The programs in a directory, if they are there and print their version.
    pub(super) fn at(dir: &Path) -> Option<Self> {
        let postgres = dir.join("postgres").canonicalize().ok()?;
        let dir = postgres.parent()?.to_path_buf();
        if !dir.join("initdb").is_file() {
            return None;
        }
        let said = Command::new(&postgres).arg("--version").stdin(Stdio::null()).output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&said.stdout))?;
        Some(Self { dir, major })
    }

    /// Their major version.
    pub(super) fn major(&self) -> u32 {
        self.major
    }

    /// The directory that holds them.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of one program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The first of these directories whose programs fit: any served version, or exactly that of an existing cluster.
    pub(super) fn first_fitting(dirs: &[PathBuf], wanted: Option<u32>) -> Option<Self> {
        dirs.iter()
            .filter_map(|dir| Self::at(dir))
            .find(|found| wanted.map_or(MAJORS.contains(&found.major), |wanted| wanted == found.major))
    }

    /// The programs in a configured directory. They must exist and have a supported version.
    pub(super) fn configured(dir: &Path, wanted: Option<u32>, cluster: &Path) -> Result<Self, EmbeddedError> {
        let candidates = [dir.to_path_buf(), dir.join("bin")];
        let found = candidates
            .iter()
            .find_map(|dir| Self::at(dir))
            .ok_or_else(|| EmbeddedError::ConfiguredBinaries(dir.to_path_buf()))?;
        match wanted {
            Some(wanted) if wanted != found.major => {
                Err(EmbeddedError::OtherMajor { cluster: cluster.to_path_buf(), made_by: wanted, found: found.major })
            }
            None if !MAJORS.contains(&found.major) => Err(EmbeddedError::ConfiguredMajor(found.major)),
            _ => Ok(found),
        }
    }
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0)` → 15.
fn major_of(said: &str) -> Option<u32> {
    let version = said.split_once("(PostgreSQL) ")?.1;
    version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// The directories of earlier downloads, the newest version first.
pub(super) fn downloaded(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|a, b| b.0.cmp(&a.0));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// `PATH`, then where systems usually put PostgreSQL, the newest version first.
pub(super) fn of_the_system(path: Option<&OsStr>) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    dirs.retain(|dir| dir.is_absolute());
    for major in MAJORS.rev() {
        dirs.extend(
            [
                format!("/usr/lib/postgresql/{major}/bin"),
                format!("/usr/lib64/pgsql-{major}/bin"),
                format!("/usr/pgsql-{major}/bin"),
                format!("/usr/libexec/postgresql{major}"),
                format!("/opt/homebrew/opt/postgresql@{major}/bin"),
                format!("/usr/local/opt/postgresql@{major}/bin"),
                format!("/Library/PostgreSQL/{major}/bin"),
                format!("/Applications/Postgres.app/Contents/Versions/{major}/bin"),
            ]
            .map(PathBuf::from),
        );
    }
    dirs.extend(["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    dirs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("nonsense"), None);
    }

    #[test]
    fn the_newest_download_comes_first() {
        let tmp = tempfile::tempdir().unwrap();
        for version in ["17.9.0", "18.1.0", "17.10.0", "unpacking"] {
            std::fs::create_dir(tmp.path().join(version)).unwrap();
        }
        let names: Vec<_> = downloaded(tmp.path())
            .iter()
            .map(|dir| dir.strip_prefix(tmp.path()).unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["18.1.0/bin", "17.10.0/bin", "17.9.0/bin"]);
    }

    #[test]
    fn relative_entries_of_path_are_not_searched() {
        let dirs = of_the_system(Some(OsStr::new(".:/opt/pg/bin:bin")));
        assert_eq!(dirs.first(), Some(&PathBuf::from("/opt/pg/bin")));
        assert!(dirs.iter().all(|dir| dir.is_absolute()));
    }
}

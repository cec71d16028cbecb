//! Test data beside the repository, which most machines do not have.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file or folder of the test data in `SHARED_DIR` (`../shared` if not set). `None` where it is not there, which is
/// written to standard error itself, past what test runners hide of tests that pass.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found = std::env::var_os("SHARED_DIR").map_or_else(beside, PathBuf::from).join(path);
    if found.exists() {
        return Some(found);
    }
    let _ = writeln!(std::io::stderr(), "skipped, as test data is missing: {}", found.display());
    None
}

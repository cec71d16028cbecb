//! The user that the database runs as. PostgreSQL refuses to run as root, so root runs it as another user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// The users that root may run the database as, the better first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user other than the one we run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to run as; `None` where this process is not root and keeps its own.
    pub(super) fn to_drop_to() -> Result<Option<Self>, EmbeddedError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        CANDIDATES.iter().find_map(|name| Self::parse(&passwd, name)).map(Some).ok_or(EmbeddedError::NoAccount)
    }

    fn parse(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next()? != name {
                return None;
            }
            let uid = fields.nth(1)?.parse().ok().filter(|uid| *uid != 0)?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self { name: name.to_owned(), uid, gid })
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes a command run as this user, in its group alone.
    pub(super) fn run(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives it a path and all that is below; links are given, not followed.
    pub(super) fn own(&self, path: &Path) -> std::io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            return std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid));
        }
        if metadata.uid() != self.uid || metadata.gid() != self.gid {
            chown(path, Some(self.uid), Some(self.gid))?;
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }

    /// Gives it one path, not what is below.
    pub(super) fn own_one(&self, path: &Path) -> std::io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// The outermost directory on the way to `path` that this user cannot enter.
    pub(super) fn barred(&self, path: &Path) -> Option<PathBuf> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find(|dir| !self.may_enter(dir)).map(Path::to_path_buf)
    }

    /// Whether the mode bits let this user enter a directory (access lists are not read).
    pub(super) fn may_enter(&self, dir: &Path) -> bool {
        fs::metadata(dir).is_ok_and(|found| {
            let shift = if found.uid() == self.uid {
                6
            } else if found.gid() == self.gid {
                3
            } else {
                0
            };
            found.permissions().mode() >> shift & 0o1 == 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/:/sbin/nologin\n";

    #[test]
    fn an_account_is_read_by_its_whole_name() {
        let nobody = Account::parse(PASSWD, "nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
        assert_eq!(Account::parse(PASSWD, "nobod"), None);
    }

    #[test]
    fn root_is_no_account_to_drop_to() {
        assert_eq!(Account::parse(PASSWD, "root"), None);
    }

    #[test]
    fn a_closed_parent_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        fs::set_permissions(tmp.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let closed = tmp.path().join("closed");
        let inner = closed.join("inner");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Account { name: "stranger".into(), uid: 54_321, gid: 54_321 };
        assert_eq!(stranger.barred(&inner), Some(closed.clone()));
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(stranger.barred(&inner), None);
    }
}

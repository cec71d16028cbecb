use std::path::{Path, PathBuf};

/// Why there is no embedded database.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// This process is root, and there is no user to run the database as.
    #[error(
        "PostgreSQL refuses to run as root and neither user `postgres` nor `nobody` exists: create one, run as a plain user, or set DATABASE_URL"
    )]
    NoAccount,
    /// The database's user cannot enter a directory above the data directory.
    #[error(
        "the user `{account}`, as whom the database runs, cannot enter {}: choose another DATA_DIR, or open that directory with chmod o+x", dir.display()
    )]
    Barred {
        /// The outermost closed directory.
        dir: PathBuf,
        /// The user.
        account: String,
    },
    /// Another server holds the directory.
    #[error("{} is in use by another flamewarden (process {holder}): stop it, or give this one its own DATA_DIR", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// The configured directory holds no PostgreSQL.
    #[error("no initdb and postgres in the configured directory {}", .0.display())]
    ConfiguredBinaries(PathBuf),
    /// The configured directory holds a PostgreSQL that is not served.
    #[error("the configured PostgreSQL is version {0}; 15 to 18 are served")]
    ConfiguredMajor(u32),
    /// The configured programs do not fit the cluster.
    #[error(
        "{} was made by PostgreSQL {made_by} and the configured programs are of version {found}: configure those of version {made_by}, or use another DATA_DIR", cluster.display()
    )]
    OtherMajor {
        /// The cluster.
        cluster: PathBuf,
        /// Which version made it.
        made_by: u32,
        /// Which version was configured.
        found: u32,
    },
    /// The cluster is of a version that is not served.
    #[error(
        "{} was made by PostgreSQL {made_by}, and 15 to 18 are served: upgrade it with pg_upgrade, or use another DATA_DIR", cluster.display()
    )]
    UnservedMajor {
        /// The cluster.
        cluster: PathBuf,
        /// What its `PG_VERSION` says.
        made_by: String,
    },
    /// There are no programs, and none can be downloaded.
    #[error(
        "no PostgreSQL {wanted} was found on this machine, and none could be downloaded ({why}). Three ways out: install PostgreSQL {wanted} (Debian: apt-get install postgresql), or point DATABASE_URL at a server that runs elsewhere, or start once where the network is open so that it is downloaded into {}", dir.display()
    )]
    NoBinaries {
        /// The version sought, in words.
        wanted: String,
        /// Why none was downloaded.
        why: String,
        /// Where a download would go.
        dir: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb could not make a cluster in {}: {said}", dir.display())]
    Initdb {
        /// Where.
        dir: PathBuf,
        /// What it said.
        said: String,
    },
    /// The postmaster ended while it was starting.
    #[error("the embedded database did not start; {} ends with: {tail}", log.display())]
    Died {
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// A postmaster of a killed server does not stop.
    #[error("process {pid} still serves {} and does not stop", cluster.display())]
    LeftBehind {
        /// The postmaster.
        pid: i32,
        /// The cluster.
        cluster: PathBuf,
    },
    /// There is a cluster, but its password is missing.
    #[error("{} is gone, and the cluster beside it lets nobody in without: bring it back, or use another DATA_DIR", .0.display())]
    PasswordLost(PathBuf),
    /// The data directory cannot be made, or nothing can be written in it.
    #[error("DATA_DIR {} cannot be used: {said}; point DATA_DIR to a directory that this user may write", path.display())]
    DataDir {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        said: std::io::Error,
    },
    /// The system said no.
    #[error("cannot {what} {}: {said}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        said: std::io::Error,
    },
}

impl EmbeddedError {
    pub(super) fn io(what: &'static str, path: &Path, said: std::io::Error) -> Self {
        Self::Io { what, path: path.to_path_buf(), said }
    }
}

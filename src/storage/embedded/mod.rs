//! The embedded PostgreSQL: a private cluster in the data directory, for users who have no database of their own.
//!
//! `<data dir>/postgres/` holds the cluster (`data`), its password, its log and the lock that keeps a second server out;
//! `<data dir>/postgresql/<version>/` holds downloaded programs. It listens on the loopback alone, on a free port, with
//! a random password and durable settings. It lives as long as the server: it is started again when it dies and stopped
//! last; one that a killed server left is stopped by its pid file before the next start.

mod account;
mod binaries;
mod download;
mod error;
mod process;

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

use account::Account;
use binaries::Binaries;
pub use error::EmbeddedError;
use process::{Launch, Postmaster};

/// The role and the database that the server uses.
const NAME: &str = "flamewarden";

/// How to run the embedded database.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// The server's data directory.
    pub data_dir: PathBuf,
    /// A directory that was configured for `initdb` and `postgres`.
    pub binaries: Option<PathBuf>,
    /// Whether `PATH` and the usual system paths are searched.
    pub search_system: bool,
    /// Whether programs may be downloaded where none are found.
    pub allow_download: bool,
    /// Whether a commit waits for the disk. `false` is for tests alone.
    pub durable: bool,
}

impl EmbeddedSettings {
    /// The usual settings for a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), binaries: None, search_system: true, allow_download: true, durable: true }
    }
}

/// The paths of one embedded database.
#[derive(Debug)]
struct Place {
    data_dir: PathBuf,
    home: PathBuf,
    cluster: PathBuf,
    downloads: PathBuf,
}

/// How often, and at what interval, a lock is tried again. A process that this one is just starting holds its open
/// files too, until it runs its own program.
const LOCK_TRIES: (u32, Duration) = (10, Duration::from_millis(20));

fn lock_patiently(file: &File) -> Result<(), TryLockError> {
    let (tries, pause) = LOCK_TRIES;
    for _ in 1..tries {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(pause),
            answer => return answer,
        }
    }
    file.try_lock()
}

impl Place {
    /// Makes the directories; from here on all paths are absolute and without links.
    fn make(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let unusable = |said| EmbeddedError::DataDir { path: data_dir.to_path_buf(), said };
        fs::create_dir_all(data_dir).map_err(unusable)?;
        let data_dir = data_dir.canonicalize().map_err(unusable)?;
        let home = data_dir.join("postgres");
        fs::create_dir_all(&home).map_err(unusable)?;
        Ok(Self { cluster: home.join("data"), downloads: data_dir.join("postgresql"), home, data_dir })
    }

    /// Takes the lock that lives as long as the file is open, or the process.
    fn lock(&self) -> Result<File, EmbeddedError> {
        let path = self.home.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| EmbeddedError::io("open", &path, e))?;
        match lock_patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "unknown".to_owned() } else { holder.trim().to_owned() };
                return Err(EmbeddedError::InUse { dir: self.data_dir.clone(), holder });
            }
            Err(TryLockError::Error(e)) => return Err(EmbeddedError::io("lock", &path, e)),
        }
        let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(|e| EmbeddedError::io("write", &path, e))?;
        Ok(file)
    }

    /// The major version of the cluster. `None` if there is none yet.
    fn made_by(&self) -> Result<Option<u32>, EmbeddedError> {
        let path = self.cluster.join("PG_VERSION");
        let said = match fs::read_to_string(&path) {
            Ok(said) => said.trim().to_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(EmbeddedError::io("read", &path, e)),
        };
        match said.parse().ok().filter(|major| binaries::MAJORS.contains(major)) {
            Some(major) => Ok(Some(major)),
            None => Err(EmbeddedError::UnservedMajor { cluster: self.cluster.clone(), made_by: said }),
        }
    }

    /// Lets the database's user enter the cluster's directory, and makes it the owner of the database's files.
    fn hand_over(&self, account: &Account) -> Result<(), EmbeddedError> {
        if let Some(dir) = self.data_dir.parent().and_then(|parent| account.barred(parent)) {
            return Err(EmbeddedError::Barred { dir, account: account.name().to_owned() });
        }
        if !account.may_enter(&self.data_dir) {
            account.own_one(&self.data_dir).map_err(|e| EmbeddedError::io("re-own", &self.data_dir, e))?;
        }
        account.own(&self.home).map_err(|e| EmbeddedError::io("re-own", &self.home, e))
    }

    /// The password. It is generated at the first start and readable by the owner only.
    fn password(&self) -> Result<SecretString, EmbeddedError> {
        let path = self.home.join("password");
        let io = |e| EmbeddedError::io("keep the password in", &path, e);
        match fs::read_to_string(&path) {
            Ok(kept) if !kept.is_empty() => return Ok(SecretString::from(kept)),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(io(e)),
        }
        if self.made_by()?.is_some() {
            return Err(EmbeddedError::PasswordLost(path));
        }
        let mut bytes = [0_u8; 24];
        File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).map_err(io)?;
        let password = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path).map_err(io)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
        file.write_all(password.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        Ok(SecretString::from(password))
    }
}

/// A private PostgreSQL that lives as long as this value.
#[derive(Debug)]
pub struct Embedded {
    postmaster: Postmaster,
    options: PgConnectOptions,
    major: u32,
    binaries: PathBuf,
    cluster: PathBuf,
    _lock: File,
}

impl Embedded {
    /// Starts the database of a data directory and waits until it takes connections; makes it at the first start.
    ///
    /// # Errors
    /// Each names what stands in the way and what to do; none is worth a retry.
    pub async fn start(settings: EmbeddedSettings) -> Result<Self, EmbeddedError> {
        let place = Place::make(&settings.data_dir)?;
        let lock = place.lock()?;
        let made_by = place.made_by()?;
        let found = find(&settings, &place, made_by).await?;
        let started = tokio::task::spawn_blocking(move || Self::start_found(&settings, &place, found, lock)).await;
        started.map_err(|e| EmbeddedError::io("start", Path::new("postgres"), std::io::Error::other(e)))?
    }

    fn start_found(
        settings: &EmbeddedSettings,
        place: &Place,
        found: Binaries,
        lock: File,
    ) -> Result<Self, EmbeddedError> {
        let account = Account::to_drop_to()?;
        let password = place.password()?;
        if let Some(account) = &account {
            place.hand_over(account)?;
        }
        let mut launch = Launch {
            account,
            cluster: place.cluster.clone(),
            log: place.home.join("log"),
            port: free_port()?,
            settings: postgres_settings(settings.durable),
            binaries: found,
        };
        if place.made_by()?.is_none() {
            initdb(&launch, place, settings.durable)?;
        }
        process::stop_left_behind(&launch.cluster)?;
        let major = launch.binaries.major();
        let binaries = launch.binaries.dir().to_path_buf();
        let mut tries = 0;
        let (postmaster, port) = loop {
            match Postmaster::start(launch.clone()) {
                Ok(postmaster) => break (postmaster, launch.port),
                // The port was taken meanwhile, or backends of a killed database have not ended yet.
                Err(EmbeddedError::Died { tail, .. }) if tries < 20 && is_passing(&tail) => {
                    tries += 1;
                    launch.port = free_port()?;
                    std::thread::sleep(std::time::Duration::from_millis(50 * tries));
                }
                Err(error) => return Err(error),
            }
        };
        let options = options(port, &password);
        Ok(Self { postmaster, options, major, binaries, cluster: place.cluster.clone(), _lock: lock })
    }

    /// Whether a data directory holds a cluster.
    pub fn has_cluster(data_dir: &Path) -> bool {
        data_dir.join("postgres").join("data").join("PG_VERSION").exists()
    }

    /// How to connect to the database of a server that runs on this directory now, for a tool of the same user.
    pub fn options_of_running(data_dir: &Path) -> Option<PgConnectOptions> {
        let home = data_dir.canonicalize().ok()?.join("postgres");
        let port = process::PidFile::of(&home.join("data"))?.port?;
        let password = SecretString::from(fs::read_to_string(home.join("password")).ok()?);
        Some(options(port, &password))
    }

    /// How to connect to it.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Its major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Where its programs are.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// The directory of its cluster.
    pub fn cluster(&self) -> &Path {
        &self.cluster
    }

    /// The postmaster's process id, unless it is down just now.
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.pid()
    }

    /// How often it died and was started again.
    pub fn restarts(&self) -> u64 {
        self.postmaster.restarts()
    }

    /// Stops it by a fast shutdown and waits until it is gone. Dropping the value does the same, on the caller's thread.
    pub async fn stop(self) {
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

fn options(port: u16, password: &SecretString) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(NAME)
        .password(password.expose_secret())
        .database(NAME)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}

/// The programs: configured, downloaded before, the system's.
async fn find(settings: &EmbeddedSettings, place: &Place, wanted: Option<u32>) -> Result<Binaries, EmbeddedError> {
    if let Some(dir) = &settings.binaries {
        return Binaries::configured(dir, wanted, &place.cluster);
    }
    let mut dirs = binaries::downloaded(&place.downloads);
    if settings.search_system {
        dirs.extend(binaries::of_the_system(std::env::var_os("PATH").as_deref()));
    }
    if let Some(found) = Binaries::first_fitting(&dirs, wanted) {
        return Ok(found);
    }
    let why = if settings.allow_download {
        match download::fetch(wanted, &place.downloads).await {
            Ok(found) => return Ok(found),
            Err(why) => why,
        }
    } else {
        "downloads are switched off".to_owned()
    };
    let wanted = wanted.map_or_else(|| "15 to 18".to_owned(), |wanted| wanted.to_string());
    Err(EmbeddedError::NoBinaries { wanted, why, dir: place.downloads.clone() })
}

/// Makes a cluster and its database in a temporary directory and moves it into place as a whole, so that a start that
/// is killed leaves no incomplete cluster.
fn initdb(launch: &Launch, place: &Place, durable: bool) -> Result<(), EmbeddedError> {
    let unfinished = place.home.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|e| EmbeddedError::io("remove", &unfinished, e))?;
    }
    let mut command: Command = launch.command("initdb");
    command.arg("-D").arg(&unfinished).arg(format!("--username={NAME}"));
    command.arg("--pwfile").arg(place.home.join("password"));
    command.args(["--encoding=UTF8", "--locale=C", "--data-checksums"]);
    if durable {
        command.arg("--auth=scram-sha-256");
    } else {
        // Tests connect often, and the slow hash is slower still in an unoptimized build.
        command.args(["--auth=md5", "--no-sync"]);
    }
    let failed = |said: &[u8]| {
        let said = String::from_utf8_lossy(said).trim().to_owned();
        EmbeddedError::Initdb { dir: place.cluster.clone(), said }
    };
    let said = command.output().map_err(|e| EmbeddedError::io("run", &launch.binaries.program("initdb"), e))?;
    if !said.status.success() {
        return Err(failed(&said.stderr));
    }
    let mut command = launch.command("postgres");
    command.arg("--single").arg("-D").arg(&unfinished).args(["-c", "exit_on_error=on", "postgres"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let run = |mut command: Command| {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "CREATE DATABASE {NAME}")?;
        }
        child.wait_with_output()
    };
    let said = run(command).map_err(|e| EmbeddedError::io("run", &launch.binaries.program("postgres"), e))?;
    if !said.status.success() {
        return Err(failed(&said.stderr));
    }
    fs::rename(&unfinished, &place.cluster).map_err(|e| EmbeddedError::io("make", &place.cluster, e))
}

/// Whether a start failed for a reason that passes by itself. Only the text of PostgreSQL's log tells.
fn is_passing(log: &str) -> bool {
    ["could not bind", "could not create any TCP/IP sockets", "pre-existing shared memory block"]
        .iter()
        .any(|known| log.contains(known))
}

/// A free port of the loopback interface.
fn free_port() -> Result<u16, EmbeddedError> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(bound.map_err(|e| EmbeddedError::io("find a free port on", Path::new("127.0.0.1"), e))?.port())
}

/// Little memory, loopback only, and no log output.
fn postgres_settings(durable: bool) -> Vec<(String, String)> {
    let mut settings = vec![
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "100"),
        ("shared_buffers", "64MB"),
        ("work_mem", "8MB"),
        ("maintenance_work_mem", "64MB"),
        ("max_wal_size", "512MB"),
        ("min_wal_size", "64MB"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("wal_compression", "on"),
        ("max_parallel_workers_per_gather", "0"),
        ("log_checkpoints", "off"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    // A commit reaches the system at once in any case: only a power cut may lose it where this is off.
    let on = if durable { "on" } else { "off" };
    settings.extend([("synchronous_commit", "on"), ("fsync", on), ("full_page_writes", on)]);
    settings.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

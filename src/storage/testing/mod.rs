//! Databases for tests: one private cluster per test process, one fresh database per test.
//!
//! The cluster and its directory go when the process ends, however it ends: a small shell holds the other end of a pipe
//! and cleans up when the pipe closes.
//!
//! With `FLAMEWARDEN_TEST_POSTGRES=newest` it is a cluster of the newest version served, downloaded once, whatever the
//! system has.
//!
//! With `FLAMEWARDEN_TEST_POOLER=transaction` databases are reached through a PgBouncer of its own.
//!
//! Not a part of the library: its tests, the integration tests and benches each compile this file.

mod pgbouncer;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::config::Pooler;
use crate::storage::{self, Db, Embedded, EmbeddedSettings, PoolSettings, migrate};

const TEMPLATE: &str = "flamewarden";

/// A database of its own for one test, migrated and empty. It is dropped with this value.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    /// The database.
    pub(crate) db: Db,
    name: String,
}

impl TestDatabase {
    fn open(name: String) -> Self {
        let settings = PoolSettings { pooler: pooler(), ..PoolSettings::of_size(5) };
        let options = cluster().options_behind(pooler()).database(&name);
        Self { db: Db::open(options, settings), name }
    }

    /// How to connect to it, past any pooler.
    pub(crate) fn connect_options(&self) -> PgConnectOptions {
        cluster().options.clone().database(&self.name)
    }

    /// How to connect to it through PgBouncer.
    pub(crate) fn options_behind_pgbouncer(&self) -> PgConnectOptions {
        cluster().options_behind(Pooler::Transaction).database(&self.name)
    }

    /// Its URL, for the settings of a server; also whether it is behind [`pooler`].
    pub(crate) fn url(&self) -> String {
        cluster().options_behind(pooler()).database(&self.name).to_url_lossy().to_string()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let _ = cluster().drops.send(std::mem::take(&mut self.name));
    }
}

/// A fresh database, copied from the migrated template.
pub(crate) async fn database() -> TestDatabase {
    let test = TestDatabase::open(copy(TEMPLATE).await);
    test.db.prepare(false).await.expect("migrated template");
    test
}

/// A fresh database without any table.
pub(crate) async fn empty_database() -> TestDatabase {
    TestDatabase::open(copy("template1").await)
}

/// The pooler that this run puts in front of databases.
pub(crate) fn pooler() -> Pooler {
    match std::env::var("FLAMEWARDEN_TEST_POOLER").as_deref() {
        Ok("transaction") => Pooler::Transaction,
        _ => Pooler::None,
    }
}

/// A cluster of its own for a test that kills, stops or starts one; it and its directory go with this value.
#[derive(Debug)]
pub(crate) struct PrivateCluster {
    /// The running database; `None` once a test has taken it.
    pub(crate) embedded: Option<Embedded>,
    directory: PathBuf,
    _watchdog: Watchdog,
}

impl PrivateCluster {
    /// Makes a directory without a cluster in it yet.
    pub(crate) fn unstarted() -> Self {
        let directory = temporary_directory();
        let watchdog = Watchdog::over(&directory);
        Self { embedded: None, directory, _watchdog: watchdog }
    }

    /// Makes and starts a cluster.
    pub(crate) async fn start() -> Self {
        let mut cluster = Self::unstarted();
        cluster.embedded = Some(Embedded::start(cluster.settings()).await.expect("embedded PostgreSQL"));
        cluster
    }

    /// The settings to start it, or another server, on this directory.
    pub(crate) fn settings(&self) -> EmbeddedSettings {
        EmbeddedSettings { durable: false, ..EmbeddedSettings::new(&self.directory) }
    }

    /// Its data directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        drop(self.embedded.take());
    }
}

async fn copy(template: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let cluster = tokio::task::spawn_blocking(cluster).await.expect("cluster");
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = cluster.maintenance().connect().await.expect("maintenance connection");
    let sql = AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"));
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("copy of the template");
    connection.close().await.expect("close");
    name
}

struct Cluster {
    options: PgConnectOptions,
    directory: PathBuf,
    pgbouncer: OnceLock<u16>,
    drops: Sender<String>,
    _embedded: Embedded,
    _watchdog: Watchdog,
}

impl Cluster {
    fn options_behind(&self, pooler: Pooler) -> PgConnectOptions {
        let options = storage::options_behind(pooler, self.options.clone());
        match pooler {
            Pooler::None => options,
            Pooler::Transaction => {
                options.port(*self.pgbouncer.get_or_init(|| pgbouncer::start(&self.directory, &self.options)))
            }
        }
    }

    fn maintenance(&self) -> PgConnectOptions {
        self.options.clone().database("postgres")
    }
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| std::thread::spawn(start).join().expect("cluster of this test process"))
}

/// Starts the cluster on a thread of its own, whose runtime stays to drop databases.
fn start() -> Cluster {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let directory = temporary_directory();
    let watchdog = Watchdog::over(&directory);
    let (embedded, options) = runtime.block_on(async {
        let newest = std::env::var("FLAMEWARDEN_TEST_POSTGRES").is_ok_and(|version| version == "newest");
        if newest {
            share_downloads(&directory).expect("directory of downloads");
        }
        let settings = EmbeddedSettings { durable: false, search_system: !newest, ..EmbeddedSettings::new(&directory) };
        let embedded = Embedded::start(settings).await.expect("embedded PostgreSQL");
        let options = embedded.connect_options();
        let mut connection = options.connect().await.expect("connection");
        migrate::up(&mut connection, None).await.expect("migrations");
        connection.close().await.expect("close");
        (embedded, options)
    });
    let (drops, names) = channel::<String>();
    let maintenance = options.clone().database("postgres");
    std::thread::spawn(move || {
        for name in names {
            let sql = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            runtime.block_on(async {
                if let Ok(mut connection) = maintenance.connect().await {
                    let _ = sqlx::raw_sql(sql).execute(&mut connection).await;
                    let _ = connection.close().await;
                }
            });
        }
    });
    Cluster { options, directory, pgbouncer: OnceLock::new(), drops, _embedded: embedded, _watchdog: watchdog }
}

/// Keeps what this data directory downloads for the next test process too.
fn share_downloads(directory: &Path) -> std::io::Result<()> {
    let shared = std::env::temp_dir().join("flamewarden-test-postgresql");
    std::fs::create_dir_all(&shared)?;
    std::os::unix::fs::symlink(shared, directory.join("postgresql"))
}

fn temporary_directory() -> PathBuf {
    use std::os::unix::fs::DirBuilderExt;
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("flamewarden-test-{}-{number}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o755).create(&path).expect("temporary directory");
    path
}

/// A shell that stops the cluster of a directory and its PgBouncer, and removes the directory when this process is gone.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Watches over a data directory.
    pub(crate) fn over(directory: &Path) -> Self {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("watchdog");
        Self { shell }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Waits for the pipe to close; immediate shutdown is enough for what is removed next.
const SCRIPT: &str = r#"
cd / && read -r _
if read -r pid < "$1/pgbouncer.pid"; then kill -QUIT "$pid"; fi
file="$1/postgres/data/postmaster.pid"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if read -r pid < "$file"; then
        kill -QUIT "$pid"
        n=0
        while [ $n -lt 100 ] && kill -0 "$pid"; do sleep 0.05; n=$((n + 1)); done
    fi
    rm -rf "$1" && exit 0
    sleep 0.2
done
"#;

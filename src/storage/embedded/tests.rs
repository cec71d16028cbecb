use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use sqlx::{ConnectOptions, Connection};

use super::*;
use crate::storage::testing::PrivateCluster;
use crate::storage::{Db, PoolSettings, Repeat};

async fn execute(embedded: &Embedded, sql: &'static str) {
    let mut connection = embedded.connect_options().connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

async fn number(embedded: &Embedded, sql: &'static str) -> i64 {
    let mut connection = embedded.connect_options().connect().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// What a process needs to be taken for gone. A child of ours stays in the table until it is waited for.
fn runs(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// A server killed with -9: its lock and its threads are gone, its postmaster is not.
fn forget(embedded: Embedded) -> u32 {
    let pid = embedded.pid().unwrap();
    let Embedded { postmaster, _lock: lock, .. } = embedded;
    postmaster.abandon();
    drop(lock);
    pid
}

#[tokio::test]
async fn rows_outlive_a_stop_and_the_second_start_is_fast() {
    let mut cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.take().unwrap();
    execute(&embedded, "CREATE TABLE t AS SELECT 7::bigint AS a").await;
    let pid = embedded.pid().unwrap();
    embedded.stop().await;
    assert!(!runs(pid));

    let begun = Instant::now();
    let embedded = Embedded::start(cluster.settings()).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(number(&embedded, "SELECT a FROM t").await, 7);
    // Some 150 ms on an idle machine; this bound holds on a busy one too.
    assert!(took < Duration::from_secs(5), "{took:?}");
    embedded.stop().await;
}

#[tokio::test]
async fn it_listens_on_the_loopback_alone_and_wants_the_password() {
    let cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.as_ref().unwrap();
    let mut connection = embedded.connect_options().connect().await.unwrap();
    let setting = "SELECT current_setting('listen_addresses') || ',' || current_setting('unix_socket_directories')";
    let listens: String = sqlx::query_scalar(setting).fetch_one(&mut connection).await.unwrap();
    assert_eq!(listens, "127.0.0.1,");
    let refused = embedded.connect_options().password("guess").connect().await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "28P01");
    let kept = fs::metadata(cluster.directory().join("postgres/password")).unwrap();
    assert_eq!(kept.mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_lost_password_is_named() {
    let mut cluster = PrivateCluster::start().await;
    cluster.embedded.take().unwrap().stop().await;
    let password = cluster.directory().join("postgres/password");
    fs::remove_file(&password).unwrap();
    let error = Embedded::start(cluster.settings()).await.unwrap_err();
    assert!(matches!(&error, EmbeddedError::PasswordLost(path) if *path == password), "{error}");
}

#[tokio::test]
async fn outside_of_tests_passwords_are_hashed_slowly() {
    let mut cluster = PrivateCluster::unstarted();
    let embedded = Embedded::start(EmbeddedSettings { durable: true, ..cluster.settings() }).await.unwrap();
    let mut connection = embedded.connect_options().connect().await.unwrap();
    let kept = "SELECT rolpassword FROM pg_authid WHERE rolname = current_user";
    let kept: String = sqlx::query_scalar(kept).fetch_one(&mut connection).await.unwrap();
    assert!(kept.starts_with("SCRAM-SHA-256$"), "{kept}");
    let rules = "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'";
    assert_eq!(number(&embedded, rules).await, 0);
    connection.close().await.unwrap();
    cluster.embedded = Some(embedded);
}

#[test]
fn commits_wait_for_the_disk_unless_a_test_says_otherwise() {
    let durable = postgres_settings(true);
    for key in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert!(durable.contains(&(key.to_owned(), "on".to_owned())), "{key}");
    }
    assert!(EmbeddedSettings::new("/x").durable);
}

#[tokio::test]
async fn as_root_it_runs_as_a_plain_user_who_owns_its_directory_alone() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let cluster = PrivateCluster::start().await;
    let pid = cluster.embedded.as_ref().unwrap().pid().unwrap();
    let process = fs::metadata(format!("/proc/{pid}")).unwrap();
    assert_ne!(process.uid(), 0);
    let data = fs::metadata(cluster.directory().join("postgres/data")).unwrap();
    assert_eq!((data.uid(), data.mode() & 0o777), (process.uid(), 0o700));
    assert_eq!(fs::metadata(cluster.directory()).unwrap().uid(), 0, "it was open already");
    assert_eq!(fs::metadata(cluster.directory().parent().unwrap()).unwrap().uid(), 0);
}

#[tokio::test]
async fn as_root_a_closed_parent_is_named() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    let cluster = PrivateCluster::unstarted();
    let closed = cluster.directory().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let settings = EmbeddedSettings { data_dir: closed.join("data"), ..cluster.settings() };
    let error = Embedded::start(settings).await.unwrap_err();
    assert!(matches!(&error, EmbeddedError::Barred { dir, .. } if *dir == closed), "{error}");
    assert!(error.to_string().contains(&*closed.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn a_second_server_on_the_directory_is_refused_and_told_who_holds_it() {
    let cluster = PrivateCluster::start().await;
    let error = Embedded::start(cluster.settings()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is in use by another flamewarden (process {}): stop it, or give this one its own DATA_DIR",
            cluster.directory().display(),
            std::process::id()
        )
    );
    let shared = Embedded::options_of_running(cluster.directory()).unwrap();
    shared.connect().await.unwrap();
}

#[tokio::test]
async fn a_database_killed_under_a_running_server_comes_back_with_its_rows() {
    let cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.as_ref().unwrap();
    let db = Db::open(embedded.connect_options(), PoolSettings::of_size(2));
    let run = |sql: &'static str| {
        let db = db.clone();
        async move {
            db.run(Repeat::Safe, move |c| Box::pin(async move { sqlx::query_scalar::<_, i64>(sql).fetch_one(c).await }))
                .await
        }
    };
    execute(embedded, "CREATE TABLE t AS SELECT 7::bigint AS a").await;
    assert_eq!(run("SELECT a FROM t").await.unwrap(), 7);
    let before = embedded.pid().unwrap();
    kill(before);
    let back = async {
        while embedded.restarts() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), back).await.unwrap();
    assert_ne!(embedded.pid(), Some(before));
    assert_eq!(run("SELECT a FROM t").await.unwrap(), 7, "the pool finds it again, on the same port");
}

#[tokio::test]
async fn a_database_left_by_a_killed_server_is_stopped_and_its_rows_are_kept() {
    let mut cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.take().unwrap();
    execute(&embedded, "CREATE TABLE t AS SELECT 7::bigint AS a").await;
    let left = forget(embedded);
    assert!(runs(left));
    let embedded = Embedded::start(cluster.settings()).await.unwrap();
    assert!(!runs(left));
    assert_eq!(number(&embedded, "SELECT a FROM t").await, 7);
    embedded.stop().await;
}

#[tokio::test]
async fn after_server_and_database_were_both_killed_it_recovers() {
    let mut cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.take().unwrap();
    execute(&embedded, "CREATE TABLE t AS SELECT 7::bigint AS a; CHECKPOINT; INSERT INTO t VALUES (8)").await;
    kill(forget(embedded));
    let embedded = Embedded::start(cluster.settings()).await.unwrap();
    assert_eq!(number(&embedded, "SELECT count(*) FROM t").await, 2);
    embedded.stop().await;
}

#[tokio::test]
async fn a_cluster_of_a_version_that_is_not_served_is_named() {
    let cluster = PrivateCluster::unstarted();
    let data = cluster.directory().join("postgres/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "14\n").unwrap();
    let error = Embedded::start(cluster.settings()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} was made by PostgreSQL 14, and 15 to 18 are served: upgrade it with pg_upgrade, or use another DATA_DIR",
            data.display()
        )
    );
}

#[tokio::test]
async fn a_cluster_is_never_served_by_programs_of_another_version() {
    let cluster = PrivateCluster::start().await;
    let embedded = cluster.embedded.as_ref().unwrap();
    let made_by = if embedded.major() == 17 { 16 } else { 17 };
    let other = PrivateCluster::unstarted();
    let data = other.directory().join("postgres/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), format!("{made_by}\n")).unwrap();

    let configured = EmbeddedSettings { binaries: Some(embedded.binaries().to_path_buf()), ..other.settings() };
    let error = Embedded::start(configured).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedError::OtherMajor { made_by: m, found, .. } if m == made_by && found == embedded.major())
    );

    let found = Binaries::first_fitting(&[embedded.binaries().to_path_buf()], Some(made_by));
    assert_eq!(found, None);
}

#[tokio::test]
async fn without_programs_and_network_there_are_three_ways_out() {
    let cluster = PrivateCluster::unstarted();
    let settings = EmbeddedSettings { search_system: false, allow_download: false, ..cluster.settings() };
    let error = Embedded::start(settings).await.unwrap_err().to_string();
    for part in [
        "no PostgreSQL 15 to 18 was found",
        "install PostgreSQL",
        "DATABASE_URL",
        "start once where the network is open",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_configured_directory_without_programs_is_named() {
    let cluster = PrivateCluster::unstarted();
    let settings = EmbeddedSettings { binaries: Some("/nowhere/bin".into()), ..cluster.settings() };
    let error = Embedded::start(settings).await.unwrap_err();
    assert_eq!(error.to_string(), "no initdb and postgres in the configured directory /nowhere/bin");
}

#[tokio::test]
async fn an_initdb_that_was_killed_leaves_nothing_that_looks_like_a_cluster() {
    let cluster = PrivateCluster::unstarted();
    let unfinished = cluster.directory().join("postgres/data.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let embedded = Embedded::start(cluster.settings()).await.unwrap();
    assert!(!unfinished.exists());
    embedded.stop().await;
}

/// Skipped without a network. `DOWNLOAD_TESTS=1` makes that an error.
#[tokio::test]
async fn programs_are_downloaded_once_where_the_system_has_none() {
    let mut cluster = PrivateCluster::unstarted();
    let settings = EmbeddedSettings { search_system: false, ..cluster.settings() };
    let embedded = match Embedded::start(settings.clone()).await {
        Err(error @ EmbeddedError::NoBinaries { .. }) if std::env::var_os("DOWNLOAD_TESTS").is_none() => {
            println!("skipped, no network: {error}");
            return;
        }
        started => started.unwrap(),
    };
    assert_eq!(embedded.major(), *binaries::MAJORS.end());
    assert!(embedded.binaries().starts_with(cluster.directory().canonicalize().unwrap().join("postgresql")));
    let db = Db::open(embedded.connect_options(), PoolSettings::of_size(2));
    db.prepare(true).await.unwrap();
    embedded.stop().await;

    let again = EmbeddedSettings { allow_download: false, ..settings };
    cluster.embedded = Some(Embedded::start(again).await.unwrap());
    let major = cluster.embedded.as_ref().unwrap().major();
    assert_eq!(major, *binaries::MAJORS.end(), "the cluster keeps its version");
}

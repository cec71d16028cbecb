//! A private PgBouncer in transaction mode, in front of the cluster of this test process.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// Where Debian puts it, which is not in everybody's `PATH`.
const DEBIAN: &str = "/usr/sbin/pgbouncer";
const PROGRAM: &str = "pgbouncer";

/// Starts it for the cluster in this directory and returns its port. The watchdog of the directory stops it, by
/// `pgbouncer.pid`.
pub(super) fn start(directory: &Path, cluster: &PgConnectOptions) -> u16 {
    let (config, users) = (directory.join("pgbouncer.ini"), directory.join("pgbouncer.users"));
    let url = cluster.to_url_lossy();
    let password = percent_decode_str(url.password().expect("password of the cluster")).decode_utf8_lossy();
    fs::write(&users, format!("\"{}\" \"{password}\"\n", url.username())).expect("users of PgBouncer");
    // It refuses to run as root, as PostgreSQL does: both run as the user that owns the cluster.
    let owner = fs::metadata(directory.join("postgres")).expect("directory of the cluster");
    chown(&users, Some(owner.uid()), Some(owner.gid())).expect("owner of PgBouncer's users");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).expect("mode of PgBouncer's users");
    for _ in 0..20 {
        let port = free_port();
        fs::write(&config, settings(cluster.get_port(), port, &users)).expect("settings of PgBouncer");
        let log = File::create(directory.join("pgbouncer.log")).expect("log of PgBouncer");
        let program = if Path::new(DEBIAN).exists() { DEBIAN } else { PROGRAM };
        let mut command = Command::new(program);
        command.arg(&config).stderr(log).uid(owner.uid()).gid(owner.gid()).process_group(0);
        let mut child = command.spawn().expect("pgbouncer must be installed: apt-get install pgbouncer");
        fs::write(directory.join("pgbouncer.pid"), format!("{}\n", child.id())).expect("pid of PgBouncer");
        if listens(&mut child, port) {
            return port;
        }
    }
    panic!("PgBouncer does not start: {}", fs::read_to_string(directory.join("pgbouncer.log")).unwrap_or_default());
}

/// Few sessions, taken in turn, so that work that leaves something in one is found out.
fn settings(cluster: u16, port: u16, users: &Path) -> String {
    let mut text = format!("[databases]\n* = host=127.0.0.1 port={cluster}\n[pgbouncer]\n");
    for (key, value) in [
        ("pool_mode", "transaction"),
        ("default_pool_size", "3"),
        ("server_round_robin", "1"),
        ("server_idle_timeout", "5"),
        ("max_client_conn", "2000"),
        ("listen_addr", "127.0.0.1"),
        ("listen_port", &port.to_string()),
        ("unix_socket_dir", ""),
        ("auth_type", "scram-sha-256"),
        ("auth_file", &users.display().to_string()),
        ("log_connections", "0"),
        ("log_disconnections", "0"),
    ] {
        let _ = writeln!(text, "{key} = {value}");
    }
    text
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("free port").port()
}

/// Waits until it listens. `false` if it ended, for example because its port was taken.
fn listens(child: &mut Child, port: u16) -> bool {
    loop {
        if child.try_wait().expect("state of PgBouncer").is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

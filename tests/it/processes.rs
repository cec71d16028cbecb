//! Real processes of the real binary, each on a port and a data directory of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// A free port, below those that systems assign by themselves. It stays this process's until its end: a lock keeps other test
/// processes from it, also while the server on it is being restarted.
pub(crate) fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let locks = std::env::temp_dir().join("flamewarden-test-ports");
    std::fs::create_dir_all(&locks).unwrap();
    let mut taken = TAKEN.lock().unwrap();
    let port = (20_000..30_000).find(|port| {
        let lock = File::create(locks.join(port.to_string())).unwrap();
        // A second lock of the same process is refused too.
        let is_free = lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok();
        if is_free {
            taken.push(lock);
        }
        is_free
    });
    port.expect("a free port from 20000 to 29999")
}

/// Waits until a condition holds, at most a minute.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl FnMut() -> F) {
    until_within(Duration::from_mins(1), what, holds).await;
}

/// Waits until a condition holds, at most so long.
pub(crate) async fn until_within<F: Future<Output = bool>>(limit: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let wait = async {
        while !holds().await {
            tick.tick().await;
        }
    };
    assert!(tokio::time::timeout(limit, wait).await.is_ok(), "waited {limit:?} for {what}");
}

/// One process of the server.
pub(crate) struct Node {
    pub(crate) url: String,
    data_dir: PathBuf,
    settings: Vec<(String, String)>,
    client: reqwest::Client,
    child: Child,
}

impl Node {
    /// Starts a server with a port and a data directory.
    pub(crate) fn start(port: u16, data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(data_dir).unwrap();
        let mut settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        settings.push(("PORT".to_owned(), port.to_string()));
        let child = Self::spawn(data_dir, &settings);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { url: format!("http://127.0.0.1:{port}"), data_dir: data_dir.to_owned(), settings, client, child }
    }

    fn spawn(data_dir: &Path, settings: &[(String, String)]) -> Child {
        let log = File::options().create(true).append(true).open(data_dir.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        let inherited = std::env::vars().map(|(key, _)| key).filter(|key| {
            key.starts_with("DB_") || key.starts_with("FLAMEWARDEN") || key.ends_with("_URL") || key == "FUNCTION"
        });
        for key in inherited {
            command.env_remove(key);
        }
        command
            .env("DATA_DIR", data_dir)
            .env("SELF_PROFILE", "false")
            .envs(settings.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// The largest resident memory it ever had, in MiB. `None` if the system does not tell.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1_024)
    }

    /// The client for its calls.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Waits until `/ready` answers 200.
    pub(crate) async fn ready(&self) {
        let url = format!("{}/ready", self.url);
        let ready = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            // A request that reaches a server that is about to end may never be answered.
            let ask = || self.client.get(&url).timeout(Duration::from_secs(5)).send();
            while !ask().await.is_ok_and(|answer| answer.status() == 200) {
                tick.tick().await;
            }
        };
        let within = tokio::time::timeout(Duration::from_mins(1), ready).await;
        assert!(within.is_ok(), "{} is not ready within a minute; its log: {}", self.url, self.log());
    }

    /// The body of a GET that must answer 200.
    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// `kill -9`.
    pub(crate) fn kill_nine(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("log")).unwrap()
    }

    /// Waits until it ends by itself. Returns its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let wait = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), wait).await.expect("it does not end")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "SIG{name}");
    }

    /// Sends SIGTERM and waits until it has ended. Returns its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.ended().await
    }

    /// Starts it again with the same settings.
    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(&self.data_dir, &self.settings);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SIGTERM first, so that a server with an embedded database stops that too.
        if let Ok(None) = self.child.try_wait() {
            // One that a test has stopped goes on, so that it can end.
            for signal in ["TERM", "CONT"] {
                let _ = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
            }
        }
        let _ = self.child.wait();
    }
}

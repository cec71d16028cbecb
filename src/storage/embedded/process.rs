//! The postmaster as a process: started, watched, started again when it dies, stopped; and the one a killed server left.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::EmbeddedError;
use super::account::Account;
use super::binaries::Binaries;

/// How often a start or stop is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How long a start may take: after a crash the log is replayed first.
const START_LIMIT: Duration = Duration::from_mins(5);
/// How long a fast shutdown may take before it is made an immediate one.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The longest pause between two starts of a database that keeps dying.
const RESTART_PAUSE: Duration = Duration::from_secs(5);
/// Past this size the log of earlier runs is put aside.
const LOG_LIMIT: u64 = 4 << 20;

/// What it takes to start the postmaster.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub(super) binaries: Binaries,
    pub(super) account: Option<Account>,
    /// The cluster's directory (`PGDATA`).
    pub(super) cluster: PathBuf,
    pub(super) log: PathBuf,
    pub(super) port: u16,
    pub(super) settings: Vec<(String, String)>,
}

impl Launch {
    /// A program of this PostgreSQL, run as its user and without variables of our environment that could affect it.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").env("TZ", "UTC");
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", path);
        }
        command.stdin(Stdio::null()).current_dir("/");
        if let Some(account) = &self.account {
            account.run(&mut command);
        }
        command
    }

    fn spawn(&self) -> Result<Child, EmbeddedError> {
        let log = self.open_log().map_err(|e| EmbeddedError::io("open the log", &self.log, e))?;
        let log_too = log.try_clone().map_err(|e| EmbeddedError::io("open the log", &self.log, e))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.cluster);
        for (key, value) in &self.settings {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        command.arg("-c").arg(format!("port={}", self.port));
        // A group of its own: Ctrl-C in a terminal reaches the server alone, which stops the database last.
        command.process_group(0).stdout(log).stderr(log_too);
        command.spawn().map_err(|e| EmbeddedError::io("run", &self.binaries.program("postgres"), e))
    }

    fn open_log(&self) -> std::io::Result<File> {
        if fs::metadata(&self.log).is_ok_and(|found| found.len() > LOG_LIMIT) {
            fs::rename(&self.log, self.log.with_extension("old"))?;
        }
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    /// Starts it and waits until it takes connections.
    fn start(&self) -> Result<Child, EmbeddedError> {
        let before = fs::metadata(&self.log).map_or(0, |found| found.len());
        let mut child = self.spawn()?;
        let begun = Instant::now();
        loop {
            if PidFile::of(&self.cluster).is_some_and(|found| found.ready && found.pid == Pid::from_child(&child)) {
                return Ok(child);
            }
            let exited = child.try_wait().map_err(|e| EmbeddedError::io("wait for", &self.cluster, e))?;
            if exited.is_some() {
                return Err(EmbeddedError::Died { log: self.log.clone(), tail: self.tail(before) });
            }
            if begun.elapsed() > START_LIMIT {
                stop_child(&mut child);
                return Err(EmbeddedError::Died { log: self.log.clone(), tail: "no answer for 5 minutes".into() });
            }
            thread::sleep(POLL);
        }
    }

    /// What was logged since.
    fn tail(&self, since: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut log = File::open(&self.log)?;
            let length = log.metadata()?.len();
            let from = if since <= length { since } else { 0 };
            log.seek(SeekFrom::Start(from.max(length.saturating_sub(4_096))))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_default()
    }
}

/// The postmaster while this server lives.
#[derive(Debug)]
pub(super) struct Postmaster {
    watched: Arc<Watched>,
    watcher: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Watched {
    state: Mutex<State>,
    stop_said: Condvar,
}

#[derive(Debug)]
struct State {
    child: Option<Child>,
    stopping: bool,
    restarts: u64,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postmaster {
    /// Starts it, and from now on starts it again whenever it dies.
    pub(super) fn start(launch: Launch) -> Result<Self, EmbeddedError> {
        let child = launch.start()?;
        let watched = Arc::new(Watched {
            state: Mutex::new(State { child: Some(child), stopping: false, restarts: 0 }),
            stop_said: Condvar::new(),
        });
        let for_watcher = Arc::clone(&watched);
        let watcher = thread::Builder::new()
            .name("postgres-watcher".into())
            .spawn(move || watch(&for_watcher, &launch))
            .map_err(|e| EmbeddedError::io("watch", Path::new("postgres"), e))?;
        Ok(Self { watched, watcher: Some(watcher) })
    }

    /// Its process id, unless it is down just now.
    pub(super) fn pid(&self) -> Option<u32> {
        self.watched.lock().child.as_ref().map(Child::id)
    }

    /// How often it died and was started again.
    pub(super) fn restarts(&self) -> u64 {
        self.watched.lock().restarts
    }

    /// Leaves it running unwatched, as a killed server does.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        self.watched.lock().stopping = true;
        std::mem::forget(self);
    }

    /// Stops it by a fast shutdown and waits until it is gone.
    pub(super) fn stop(&mut self) {
        {
            let mut state = self.watched.lock();
            state.stopping = true;
            if let Some(child) = state.child.as_mut() {
                stop_child(child);
            }
            self.watched.stop_said.notify_all();
        }
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for the child's end without releasing its pid, so that no other process is signalled.
fn watch(watched: &Watched, launch: &Launch) {
    let mut pause = Duration::from_millis(100);
    loop {
        let pid = watched.lock().child.as_ref().map(Pid::from_child);
        if let Some(pid) = pid {
            while let Err(rustix::io::Errno::INTR) =
                waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            {}
        }
        let mut state = watched.lock();
        if let Some(mut child) = state.child.take() {
            let status = child.wait();
            if !state.stopping {
                tracing::error!(?status, "the embedded database died; it is started again");
            }
        }
        if state.stopping {
            return;
        }
        state = watched.stop_said.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        if state.stopping {
            return;
        }
        drop(state);
        match launch.start() {
            Ok(mut child) => {
                let mut state = watched.lock();
                if state.stopping {
                    stop_child(&mut child);
                    return;
                }
                state.child = Some(child);
                state.restarts += 1;
                pause = Duration::from_millis(100);
                tracing::info!("the embedded database is back");
            }
            Err(error) => {
                tracing::warn!(%error, "the embedded database does not start; it is tried again");
                pause = (pause * 2).min(RESTART_PAUSE);
            }
        }
    }
}

/// Fast shutdown, after a while immediate shutdown.
fn stop_child(child: &mut Child) {
    let pid = Pid::from_child(child);
    for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
        let _ = kill_process(pid, signal);
        let until = Instant::now() + STOP_LIMIT;
        while Instant::now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// What `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: Pid,
    pub(super) port: Option<u16>,
    ready: bool,
}

impl PidFile {
    pub(super) fn of(cluster: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::path(cluster)).ok()?)
    }

    fn path(cluster: &Path) -> PathBuf {
        cluster.join("postmaster.pid")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        // Single-user servers and those still starting write a negative or bare pid.
        let pid = lines.next()?.trim().parse::<i32>().ok().and_then(i32::checked_abs).and_then(Pid::from_raw)?;
        let port = lines.nth(2).and_then(|port| port.trim().parse().ok());
        let ready = lines.nth(3).is_some_and(|status| status.trim() == "ready");
        Some(Self { pid, port, ready })
    }
}

/// Stops the postmaster that a killed server left on this directory. Another process that has its pid by now is left
/// alone.
pub(super) fn stop_left_behind(cluster: &Path) -> Result<(), EmbeddedError> {
    let Some(PidFile { pid, .. }) = PidFile::of(cluster) else { return Ok(()) };
    if serves(pid, cluster) {
        tracing::warn!(pid = pid.as_raw_nonzero().get(), "a database left by a killed server is stopped");
        for signal in [Signal::INT, Signal::QUIT] {
            let _ = kill_process(pid, signal);
            let until = Instant::now() + STOP_LIMIT;
            while Instant::now() < until {
                if !serves(pid, cluster) {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
        }
        return Err(EmbeddedError::LeftBehind { pid: pid.as_raw_nonzero().get(), cluster: cluster.to_path_buf() });
    }
    disown(pid, cluster)
}

/// PostgreSQL refuses to start while any process has the pid of a stale file, as happens in containers where pids are
/// few. It overlooks its own parent's, so the file is given ours; removing it would also remove the key of the shared
/// memory by which it sees that backends of the dead one still run.
fn disown(pid: Pid, cluster: &Path) -> Result<(), EmbeddedError> {
    if rustix::process::test_kill_process(pid).is_err() {
        return Ok(());
    }
    let path = PidFile::path(cluster);
    let text = fs::read_to_string(&path).map_err(|e| EmbeddedError::io("read", &path, e))?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(&path, format!("{}\n{rest}", std::process::id())).map_err(|e| EmbeddedError::io("write", &path, e))
}

/// Whether the process is a postmaster of this directory, by its working directory or else by its command line.
fn serves(pid: Pid, cluster: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    if Path::new("/proc/self").exists() {
        return fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == cluster)
            && fs::read_link(process.join("exe")).is_ok_and(|exe| exe.file_name().is_some_and(is_postgres));
    }
    let listed = Command::new("ps").args(["-o", "args=", "-p"]).arg(pid.as_raw_nonzero().to_string()).output();
    listed.is_ok_and(|listed| {
        let line = String::from_utf8_lossy(&listed.stdout).into_owned();
        line.contains("postgres") && line.contains(&*cluster.to_string_lossy())
    })
}

/// An upgraded package leaves `postgres (deleted)`.
fn is_postgres(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().split(' ').next() == Some("postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_says_when_the_postmaster_is_ready() {
        let text = "4711\n/data\n1700000000\n5432\n\n127.0.0.1\n  1234 5678\nready   \n";
        assert_eq!(
            PidFile::parse(text),
            Some(PidFile { pid: Pid::from_raw(4711).unwrap(), port: Some(5432), ready: true })
        );
        let starting = text.replace("ready   ", "starting");
        assert!(!PidFile::parse(&starting).unwrap().ready);
        assert!(!PidFile::parse("4711\n/data\n").unwrap().ready);
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn a_stranger_who_has_the_pid_by_now_is_not_stopped() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("postmaster.pid");
        let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(&path, format!("{}\n/elsewhere\n1\n5432\n\n\n 1 2\nready\n", stranger.id())).unwrap();
        stop_left_behind(tmp.path()).unwrap();
        assert!(stranger.try_wait().unwrap().is_none(), "the stranger was killed");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n/elsewhere\n1\n5432\n\n\n 1 2\nready\n", std::process::id()));
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

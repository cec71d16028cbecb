//! Profiles the server with Pyroscope's own profiler. So there is always one real application to look at, and a real
//! client uses the receivers every ten seconds.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pyroscope::PyroscopeAgent;
use pyroscope::backend::{Backend, BackendConfig, BackendImpl, Pprof, PprofConfig, Report, ReportBatch, ThreadTag};
use pyroscope::pyroscope::{PyroscopeAgentBuilder, PyroscopeAgentRunning, PyroscopeConfig};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::config::{Credentials, Settings};
use crate::identity::Token;
use crate::kernel::FunctionName;

/// The app name of the server.
const APP: &str = "flamewarden";

/// Samples per second of CPU time.
const RATE_HZ: u32 = 100;

/// How often the profiler sends what it saw. It sends at whole multiples of this since the epoch.
const UPLOAD_EVERY: Duration = Duration::from_secs(10);

/// How long a server that stops waits for its profiler to send its last profile.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Where a profiler sends its profiles, and as what.
#[derive(Debug, Clone)]
pub struct ProfilerTarget {
    /// The server that takes them: its base address, without a slash at the end.
    pub url: String,
    /// The app they are of.
    pub app: String,
    /// Labels of the series.
    pub labels: Vec<(&'static str, String)>,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// What the server asks for.
    pub credentials: Option<Credentials>,
}

impl ProfilerTarget {
    /// This server's: into its own receiver, which listens at `address` and knows it by `token`, or the Pyroscope server
    /// it reads from.
    pub fn of_server(settings: &Settings, address: SocketAddr, functions: &str, token: &Token) -> Self {
        let instance = format!("{}:{}", host_name().unwrap_or_else(|| address.ip().to_string()), address.port());
        let labels = vec![("function", functions.to_owned()), ("instance", instance)];
        let app = APP.to_owned();
        if let Some(url) = &settings.pyroscope.url {
            return Self {
                // The SDK appends its path to what stands here.
                url: url.as_str().trim_end_matches('/').to_owned(),
                app,
                labels,
                tenant: settings.pyroscope.tenant.clone(),
                credentials: settings.pyroscope.credentials.clone(),
            };
        }
        let credentials = Some(Credentials::Token(token.secret()));
        Self { url: own(address), app, labels, tenant: None, credentials }
    }
}

/// How this server reaches itself.
fn own(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr =
            if address.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    format!("http://{address}")
}

fn host_name() -> Option<String> {
    let name = std::env::var("HOSTNAME").ok().or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A profiler at work in this process, on threads of its own. There can be one at a time: its clock is the process's.
#[derive(Debug)]
pub struct Profiler {
    stop: mpsc::Sender<()>,
    started: Option<oneshot::Receiver<()>>,
    stopped: oneshot::Receiver<()>,
}

impl Profiler {
    /// Starts profiling. If the profiler cannot start, that is a warning in the log when it happens.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(target: ProfilerTarget) -> std::io::Result<Self> {
        let (stop, asked_to_stop) = mpsc::channel::<()>();
        let (begun, started) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        thread::Builder::new().name("profiler".to_owned()).spawn(move || {
            match agent(&target) {
                Ok(agent) => {
                    let _ = begun.send(());
                    tracing::info!(app = target.app, url = target.url, "profiling this process");
                    // An error means that the sender is gone, so the time has come as well.
                    let _ = asked_to_stop.recv();
                    match agent.stop() {
                        Ok(agent) => agent.shutdown(),
                        Err(error) => tracing::warn!(%error, "the profiler did not stop as it should"),
                    }
                }
                Err(error) => tracing::warn!(%error, "this process cannot be profiled"),
            }
            let _ = done.send(());
        })?;
        Ok(Self { stop, started: Some(started), stopped })
    }

    /// Leaves it running until the process ends, for a server that receives its own profiles and no longer accepts any.
    pub fn abandon(self) {
        std::mem::forget(self.stop);
    }

    /// Waits until the profiler is at work; answers false if it never will be. It reads the program's debug information
    /// first, which takes seconds in a build for development.
    pub async fn started(&mut self) -> bool {
        match self.started.take() {
            Some(started) => started.await.is_ok(),
            None => true,
        }
    }

    /// Sends the last profile and stops, on the profiler's own threads. Returns when that is done or takes too long.
    pub async fn stop(self) {
        if !self.stop_within(STOP_WITHIN).await {
            tracing::warn!("the profiler did not stop in time");
        }
    }

    /// The same with another limit; answers whether it was kept.
    pub async fn stop_within(self, limit: Duration) -> bool {
        let _ = self.stop.send(());
        tokio::time::timeout(limit, self.stopped).await.is_ok()
    }
}

/// The SDK's sampler, which lets go of the program's debug information as soon as frames have their names: mapped and
/// parsed, it would be most of what an idle server holds. Reading it again takes about 150 ms of CPU for each profile
/// that has samples.
struct Sampler(Pprof<'static>);

impl Backend for Sampler {
    fn initialize(&mut self) -> pyroscope::Result<()> {
        self.0.initialize()?;
        backtrace::clear_symbol_cache();
        Ok(())
    }

    fn shutdown(self: Box<Self>) -> pyroscope::Result<()> {
        Box::new(self.0).shutdown()
    }

    fn report(&mut self) -> pyroscope::Result<ReportBatch> {
        let batch = self.0.report();
        backtrace::clear_symbol_cache();
        batch
    }

    fn add_tag(&self, tag: ThreadTag) -> pyroscope::Result<()> {
        self.0.add_tag(tag)
    }

    fn remove_tag(&self, tag: ThreadTag) -> pyroscope::Result<()> {
        self.0.remove_tag(tag)
    }
}

fn agent(target: &ProfilerTarget) -> pyroscope::Result<PyroscopeAgent<PyroscopeAgentRunning>> {
    let sdk = PyroscopeConfig::default();
    let backend =
        BackendImpl::new(Box::new(Sampler(Pprof::new(PprofConfig { sample_rate: RATE_HZ }, BackendConfig::default()))));
    let mut builder =
        PyroscopeAgentBuilder::new(&target.url, &target.app, RATE_HZ, sdk.spy_name, sdk.spy_version, backend)
            .upload_interval(UPLOAD_EVERY)
            .func(with_short_names)
            .tags(target.labels.iter().map(|(name, value)| (*name, value.as_str())).collect());
    if let Some(tenant) = &target.tenant {
        builder = builder.tenant_id(tenant.clone());
    }
    builder = match &target.credentials {
        None => builder,
        Some(Credentials::Basic(pair)) => {
            let (user, password) = split(pair);
            builder.basic_auth(user, password)
        }
        Some(Credentials::Token(token)) => {
            let bearer = format!("Bearer {}", token.expose_secret());
            builder.http_headers([("Authorization".to_owned(), bearer)].into())
        }
    };
    builder.build()?.start()
}

/// Names of generic code can be tens of thousands of bytes long, which receivers refuse. They are cut.
fn with_short_names(report: Report) -> Report {
    let mut short = Report::new(HashMap::with_capacity(report.data.len())).metadata(report.metadata);
    for (mut stack, count) in report.data {
        for name in stack.frames.iter_mut().filter_map(|frame| frame.name.as_mut()) {
            shorten(name);
        }
        short.record_with_count(stack, count);
    }
    short
}

fn shorten(name: &mut String) {
    const MARK: char = '…';
    if name.len() > FunctionName::MAX_BYTES {
        name.truncate(name.floor_char_boundary(FunctionName::MAX_BYTES - MARK.len_utf8()));
        name.push(MARK);
    }
}

fn split(pair: &SecretString) -> (&str, &str) {
    let pair = pair.expose_secret();
    pair.split_once(':').unwrap_or((pair, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn debug_information_is_let_go_of_after_each_profile() {
        let program = std::env::current_exe().unwrap();
        let mapped = || {
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().filter(|line| line.contains(program.to_str().unwrap())).count()
        };
        let before = mapped();
        let mut sampler = Sampler(Pprof::new(PprofConfig { sample_rate: RATE_HZ }, BackendConfig::default()));
        sampler.initialize().unwrap();
        assert_eq!(mapped(), before);
        backtrace::resolve(shorten as *mut _, |_| {});
        assert!(mapped() > before, "naming a frame maps the program");
        sampler.report().unwrap();
        assert_eq!(mapped(), before);
    }

    #[test]
    fn names_are_cut_to_what_a_baseline_can_name() {
        let mut name = "é".repeat(2_000);
        shorten(&mut name);
        assert_eq!((name.len(), name.chars().last()), (1_999, Some('…')));
        assert!(name.parse::<FunctionName>().is_ok());
    }

    #[rstest]
    #[case("127.0.0.1:8080", "http://127.0.0.1:8080")]
    #[case("0.0.0.0:80", "http://127.0.0.1:80")]
    #[case("[::]:8080", "http://[::1]:8080")]
    #[case("10.1.2.3:8080", "http://10.1.2.3:8080")]
    fn a_server_reaches_itself_where_it_listens(#[case] address: &str, #[case] url: &str) {
        assert_eq!(own(address.parse().unwrap()), url);
    }
}

//! Load on one target, and what it cost its process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use flamewarden::kernel::{Clock, SystemClock};
use reqwest::{Client, RequestBuilder};

use crate::process::{cpu_us, memory_mib};

type Ask = dyn Fn(&Client, u64) -> RequestBuilder + Send + Sync;

/// A server under load.
pub(crate) struct Target {
    pub(crate) name: String,
    pid: u32,
    url: String,
    /// Makes the request with that number.
    ask: Arc<Ask>,
    asked: Arc<AtomicU64>,
    client: Client,
}

/// The number of windows before the first comes again.
const WINDOWS: u64 = 40;

/// The figures of one run.
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_us: f64,
    pub(crate) errors: u64,
}

impl Target {
    pub(crate) fn new(name: &str, pid: u32, url: &str) -> Self {
        let asked = url.to_owned();
        Self {
            name: name.to_owned(),
            pid,
            url: url.to_owned(),
            ask: Arc::new(move |client, _| client.get(&asked)),
            asked: Arc::default(),
            // The cost of compressed answers is measured with one target only.
            client: Client::builder().no_gzip().build().unwrap_or_default(),
        }
    }

    /// The same, with other requests, which are made from their number.
    pub(crate) fn asking(self, ask: impl Fn(&Client, u64) -> RequestBuilder + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), ..self }
    }

    /// The same, with a client that accepts gzip.
    pub(crate) fn taking_gzip(self) -> Self {
        Self { client: Client::new(), ..self }
    }

    /// The same, with a window of its own for each request, so that none shares the work of another.
    pub(crate) fn with_windows(self) -> Result<Self> {
        let (url, hour_ago) = (self.url.clone(), u64::try_from(SystemClock.now().timestamp())? - 3_600);
        Ok(self.asking(move |client, n| client.get(format!("{url}&from={}", hour_ago + n % WINDOWS))))
    }

    /// Waits until the target answers 200.
    pub(crate) async fn ready(&self) -> Result<()> {
        for _ in 0..600 {
            if let Ok(answer) = self.client.get(&self.url).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("{} does not answer at {}", self.name, self.url)
    }

    pub(crate) fn resident_mib(&self) -> Result<f64> {
        memory_mib(self.pid, "VmRSS:")
    }

    /// Keeps `concurrency` requests in flight for this long.
    pub(crate) async fn run(&self, concurrency: usize, duration: Duration) -> Result<Figures> {
        let errors = Arc::new(AtomicU64::new(0));
        let (cpu, start) = (cpu_us(self.pid)?, Instant::now());
        let workers: Vec<_> = (0..concurrency)
            .map(|_| {
                let (client, ask, errors) = (self.client.clone(), Arc::clone(&self.ask), Arc::clone(&errors));
                let asked = Arc::clone(&self.asked);
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while start.elapsed() < duration {
                        let request = ask(&client, asked.fetch_add(1, Ordering::Relaxed));
                        let sent = Instant::now();
                        let ok = match request.send().await {
                            Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
                            Err(_) => false,
                        };
                        latencies.push(sent.elapsed().as_secs_f64() * 1_000.0);
                        errors.fetch_add(u64::from(!ok), Ordering::Relaxed);
                    }
                    latencies
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for worker in workers {
            latencies.extend(worker.await?);
        }
        let (cpu, wall) = (cpu_us(self.pid)? - cpu, start.elapsed().as_secs_f64());
        latencies.sort_by(f64::total_cmp);
        let at = |share: usize| latencies.get(latencies.len() * share / 100).copied().unwrap_or(0.0);
        Ok(Figures {
            per_second: latencies.len() as f64 / wall,
            p50_ms: at(50),
            p99_ms: at(99),
            cpu_us: cpu / latencies.len() as f64,
            errors: errors.load(Ordering::Relaxed),
        })
    }
}

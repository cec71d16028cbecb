use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Name of the counter of requests by how their callers were known, and whether they were admitted.
pub const AUTH_REQUESTS: &str = "auth_requests_total";

/// Name of the histogram of requests, in seconds, by method, route pattern and status.
pub const REQUEST_DURATION: &str = "http_request_duration_seconds";

const BUCKETS_S: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// The metrics of this process, recorded from the first call on. `None` if something else records them.
    pub fn of_process() -> Option<Self> {
        static INSTALLED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        INSTALLED.get_or_init(install).clone().map(Self)
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Sums up what was recorded, every few seconds, so that memory stays bounded when metrics are not scraped.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }

    /// How often [`Metrics::upkeep`] is due.
    pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);
}

fn install() -> Option<PrometheusHandle> {
    let installed = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_S)
        .and_then(PrometheusBuilder::install_recorder);
    match installed {
        Ok(handle) => {
            metrics::describe_histogram!(
                REQUEST_DURATION,
                metrics::Unit::Seconds,
                "Time to answer, by method, route pattern and status"
            );
            metrics::describe_counter!(AUTH_REQUESTS, "Requests by how their callers were known, and the outcome");
            Some(handle)
        }
        Err(error) => {
            tracing::warn!(%error, "metrics cannot be recorded");
            None
        }
    }
}

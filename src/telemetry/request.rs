//! What is counted while one request is served: its id, its queries, its calls to other servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::spans::Recording;

tokio::task_local! {
    static CURRENT: Arc<RequestScope>;
}

/// The request that the current task serves.
#[derive(Debug, Default)]
pub struct RequestScope {
    id: Option<Arc<str>>,
    queries: AtomicU64,
    query_us: AtomicU64,
    upstream_calls: AtomicU64,
    upstream_us: AtomicU64,
    recording: Option<Arc<Recording>>,
}

impl RequestScope {
    /// A scope for a request of that id, whose spans are gathered where it is recorded.
    pub fn recorded(id: impl Into<Arc<str>>, recording: Option<Arc<Recording>>) -> Arc<Self> {
        Arc::new(Self { id: Some(id.into()), recording, ..Self::default() })
    }

    /// A scope for work that no request asked for.
    pub fn of_work(recording: Arc<Recording>) -> Arc<Self> {
        Arc::new(Self { recording: Some(recording), ..Self::default() })
    }

    /// Where the spans of the current task are gathered; `None` where it is not recorded.
    pub(super) fn recording() -> Option<Arc<Recording>> {
        CURRENT.try_with(|scope| scope.recording.clone()).ok().flatten()
    }

    /// Runs a future as part of this request. Tasks spawned within must be scoped again.
    pub async fn run<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// The scope the current task runs in, to hand on to a spawned task.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Queries run and microseconds spent in them.
    pub fn queries(&self) -> (u64, u64) {
        (self.queries.load(Ordering::Relaxed), self.query_us.load(Ordering::Relaxed))
    }

    /// Calls to other servers and microseconds spent in them.
    pub fn upstream_calls(&self) -> (u64, u64) {
        (self.upstream_calls.load(Ordering::Relaxed), self.upstream_us.load(Ordering::Relaxed))
    }
}

/// The id of the request that the current task serves.
pub fn request_id() -> Option<Arc<str>> {
    CURRENT.try_with(|scope| scope.id.clone()).ok().flatten()
}

/// Counts a query until the guard is dropped.
pub fn query() -> impl Drop {
    Counted { count: |s| &s.queries, time: |s| &s.query_us, start: Instant::now() }
}

/// Counts a call to another server until the guard is dropped.
pub fn upstream_call() -> impl Drop {
    Counted { count: |s| &s.upstream_calls, time: |s| &s.upstream_us, start: Instant::now() }
}

struct Counted {
    count: fn(&RequestScope) -> &AtomicU64,
    time: fn(&RequestScope) -> &AtomicU64,
    start: Instant,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let _ = CURRENT.try_with(|scope| {
            (self.count)(scope).fetch_add(1, Ordering::Relaxed);
            (self.time)(scope).fetch_add(us, Ordering::Relaxed);
        });
    }
}

//! What a request or a job was made of: spans, gathered while it goes on and handed in when it is done.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::request::RequestScope;
use crate::kernel::{PortError, Trace};

/// The most spans of a request that are kept, its own included. The rest are left out.
const MOST_SPANS: usize = 256;
/// Odd, so that no two spans of a request get the same id.
const STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

tokio::task_local! {
    /// The span that the current task works on.
    static SPAN: u64;
}

/// An operation that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedSpan {
    /// What was done.
    pub kind: Cow<'static, str>,
    /// The app that it was done for; empty: for none.
    pub app: String,
    /// Its id.
    pub id: u64,
    /// The span that it is part of.
    pub parent: Option<u64>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// Why it failed.
    pub error: Option<&'static str>,
}

/// A request or a job that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedTrace {
    /// The trace that it is part of.
    pub trace_id: u128,
    /// Who asked.
    pub user: String,
    /// Its spans. The last one is its own.
    pub spans: Vec<TracedSpan>,
}

/// What a request or a job is about to do.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// A request, by its method and path.
    Request(&'a str, &'a str),
    /// A job, by its name.
    Job(&'a str),
    /// Assessments that were spooled are delivered to the history.
    Delivery,
}

/// Takes what requests and jobs were made of.
pub trait TraceSink: Send + Sync {
    /// Begins to gather spans; `None` where this work is not recorded. `given` is the trace that the caller said.
    fn begin(&self, work: Work<'_>, given: Option<Trace>) -> Option<Arc<Recording>>;

    /// Takes what was gathered. It does not wait.
    fn end(&self, trace: FinishedTrace);
}

/// The spans of a request or a job that goes on.
#[derive(Debug)]
pub struct Recording {
    kind: Cow<'static, str>,
    trace_id: u128,
    parent: Option<u64>,
    own: u64,
    made: AtomicU64,
    began: (Instant, DateTime<Utc>),
    spans: Mutex<Vec<TracedSpan>>,
}

impl Recording {
    /// Of work of this kind that begins now, in the trace that the caller said, else in one of this id. `own` is the id of its
    /// own span, of which those within are made.
    pub fn new(
        kind: Cow<'static, str>,
        given: Option<Trace>,
        (trace_id, own): (u128, u64),
        now: DateTime<Utc>,
    ) -> Arc<Self> {
        Arc::new(Self {
            kind,
            trace_id: given.map_or(trace_id, Trace::trace_id),
            parent: given.map(Trace::parent_id),
            own: own.max(1),
            made: AtomicU64::new(0),
            began: (Instant::now(), now),
            spans: Mutex::default(),
        })
    }

    /// The trace.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    fn next_id(&self) -> u64 {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        self.own.wrapping_add(number.wrapping_mul(STRIDE)).max(1)
    }

    fn at(&self, instant: Instant) -> DateTime<Utc> {
        let (instant_of_start, start) = self.began;
        start + TimeDelta::from_std(instant.saturating_duration_since(instant_of_start)).unwrap_or_default()
    }

    fn add(&self, span: TracedSpan) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        // One is left for its own.
        if spans.len() + 1 < MOST_SPANS {
            spans.push(span);
        }
    }

    /// What was gathered, and the span of the work itself.
    pub fn finish(&self, app: String, user: String, error: Option<&'static str>) -> FinishedTrace {
        let mut spans = std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        spans.push(TracedSpan {
            kind: self.kind.clone(),
            app,
            id: self.own,
            parent: self.parent,
            started_at: self.began.1,
            took: self.began.0.elapsed(),
            error,
        });
        FinishedTrace { trace_id: self.trace_id, user, spans }
    }
}

/// The trace and the span that the current task works on, for calls to other servers.
pub fn outgoing_trace() -> Option<Trace> {
    let recording = RequestScope::recording()?;
    let span = SPAN.try_with(|span| *span).unwrap_or(recording.own);
    Some(Trace::of(recording.trace_id, span))
}

/// Does something as a span of the request that the current task serves, if that is recorded.
///
/// # Errors
/// Those of the work.
pub async fn span<T, E: Failure>(
    kind: &'static str,
    app: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(recording) = RequestScope::recording() else { return work.await };
    let parent = SPAN.try_with(|span| *span).unwrap_or(recording.own);
    let mut open =
        Open { id: recording.next_id(), recording, kind, app, parent, start: Instant::now(), error: Some("cancelled") };
    let done = SPAN.scope(open.id, work).await;
    open.error = done.as_ref().err().and_then(Failure::code);
    done
}

/// Does work that no request asked for, and hands in what it was made of. `given` is the trace that it is part of, if it is of one.
///
/// # Errors
/// Those of the work.
pub async fn recorded<T, E: Failure>(
    sink: &dyn TraceSink,
    (kind, given): (Work<'_>, Option<Trace>),
    (app, user): (&str, &str),
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(recording) = sink.begin(kind, given) else { return work.await };
    let done = RequestScope::of_work(Arc::clone(&recording)).run(work).await;
    sink.end(recording.finish(app.to_owned(), user.to_owned(), done.as_ref().err().and_then(Failure::code)));
    done
}

/// A span that goes on. It is kept when it is dropped, also where its work is given up.
struct Open<'a> {
    recording: Arc<Recording>,
    kind: &'static str,
    app: &'a str,
    id: u64,
    parent: u64,
    start: Instant,
    error: Option<&'static str>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.recording.add(TracedSpan {
            kind: Cow::Borrowed(self.kind),
            app: self.app.to_owned(),
            id: self.id,
            parent: Some(self.parent),
            started_at: self.recording.at(self.start),
            took: self.start.elapsed(),
            error: self.error,
        });
    }
}

/// An error of a span.
pub trait Failure {
    /// Its name, where the span has failed: a question that was wrong is none.
    fn code(&self) -> Option<&'static str>;
}

impl Failure for PortError {
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Conflict(_) | Self::Invalid(_) => None,
            Self::Unavailable(_) => Some("unavailable"),
            Self::Starting(_) => Some("starting"),
            Self::Denied(_) => Some("denied"),
            Self::Timeout(_) => Some("timeout"),
            Self::Overloaded { .. } => Some("overloaded"),
            Self::Cancelled => Some("cancelled"),
            Self::Internal(_) => Some("internal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(given: Option<Trace>) -> Arc<Recording> {
        Recording::new("triage".into(), given, (7, 100), DateTime::UNIX_EPOCH)
    }

    async fn within<T>(recording: &Arc<Recording>, work: impl Future<Output = T>) -> T {
        RequestScope::recorded("r", Some(Arc::clone(recording))).run(work).await
    }

    #[tokio::test]
    async fn spans_are_children_of_what_they_are_part_of() {
        let recording = recording(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()));
        let outgoing = within(&recording, async {
            span("baseline.read", "shop", async { Ok::<_, PortError>(()) }).await.unwrap();
            span("profile.fetch", "shop", async {
                span("pyroscope.query", "", async { Err::<(), _>(PortError::Timeout("late".into())) })
                    .await
                    .unwrap_err();
                Ok::<_, PortError>(outgoing_trace().unwrap())
            })
            .await
            .unwrap()
        })
        .await;
        let trace = recording.finish("shop".into(), "ana".into(), None);
        assert_eq!(trace.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        let shown: Vec<_> = trace.spans.iter().map(|span| (&*span.kind, &*span.app, span.error)).collect();
        let expected = [
            ("baseline.read", "shop", None),
            ("pyroscope.query", "", Some("timeout")),
            ("profile.fetch", "shop", None),
            ("triage", "shop", None),
        ];
        assert_eq!(shown, expected);
        let [baseline, query, fetch, own] = &trace.spans[..] else { panic!("{trace:?}") };
        assert_eq!((own.id, own.parent), (100, Some(0x00f0_67aa_0ba9_02b7)));
        assert_eq!([baseline.parent, query.parent, fetch.parent], [Some(100), Some(fetch.id), Some(100)]);
        assert_eq!((outgoing.trace_id(), outgoing.parent_id()), (trace.trace_id, fetch.id));
    }

    #[tokio::test]
    async fn work_that_is_given_up_is_a_span_that_was_cancelled() {
        let recording = recording(None);
        within(&recording, async {
            let never = span("profile.fetch", "", std::future::pending::<Result<(), PortError>>());
            tokio::time::timeout(Duration::from_millis(1), never).await.unwrap_err();
        })
        .await;
        assert_eq!(recording.finish(String::new(), String::new(), None).spans[0].error, Some("cancelled"));
    }

    #[tokio::test]
    async fn at_most_256_spans_are_kept_with_that_of_the_request() {
        let recording = recording(None);
        within(&recording, async {
            for _ in 0..300 {
                span("baseline.read", "", async { Ok::<_, PortError>(()) }).await.unwrap();
            }
        })
        .await;
        let spans = recording.finish(String::new(), String::new(), Some("internal")).spans;
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.id).collect();
        assert_eq!((spans.len(), ids.len(), &*spans[255].kind), (256, 256, "triage"));
    }

    #[tokio::test]
    async fn nothing_is_gathered_where_nothing_is_recorded() {
        assert_eq!(span("x", "", async { Ok::<_, PortError>(1) }).await, Ok(1));
        assert_eq!(outgoing_trace(), None);
    }
}

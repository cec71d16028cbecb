//! What is recorded and what is dropped, and how it is written, by a clock that stands still.

use std::time::Duration;

use chrono::DateTime;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::kernel::{FixedClock, PortError, SequentialIds};
use crate::sor::performance::{MockOperationSor, RecordedBatch};

fn recorder(per_second: u32, most_rows: usize) -> (Arc<Recorder>, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(DateTime::UNIX_EPOCH));
    let ids = Arc::new(SequentialIds::default());
    (Arc::new(Recorder::new(Arc::clone(&clock) as Arc<dyn Clock>, ids, per_second, most_rows)), clock)
}

const FAST: Pace = Pace {
    gather: Duration::from_millis(1),
    least_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(4),
    flush: Duration::from_millis(50),
};

#[test]
fn a_server_gathers_for_a_second_and_has_two_at_its_end() {
    let Pace { gather, least_pause, longest_pause, flush } = Pace::OF_SERVERS;
    let expected = [1_000, 100, 30_000, 2_000].map(Duration::from_millis);
    assert_eq!([gather, least_pause, longest_pause, flush], expected);
}

const TRIAGE: Work<'_> = Work::Request("GET", "/triage/shop");

/// Records a triage with so many spans.
fn record(recorder: &Recorder, spans: usize) -> bool {
    let Some(recording) = recorder.begin(TRIAGE, None) else { return false };
    let mut trace = recording.finish("shop".to_owned(), "open:local".to_owned(), None);
    trace.spans = vec![trace.spans[0].clone(); spans];
    recorder.end(trace);
    true
}

fn done(accepted: usize) -> RecordedBatch {
    RecordedBatch { accepted, over: 0, rejected: Vec::new() }
}

#[test]
fn requests_are_recorded_by_what_they_do() {
    for (method, path, expected) in [
        ("GET", "/triage/shop", Some("triage")),
        ("GET", "/fleet/hotspots", Some("hotspots")),
        ("GET", "/profiles/apps", Some("profile.discover")),
        ("GET", "/profiles/shop/diff", Some("profile.fetch")),
        ("POST", "/baselines", Some("baseline.write")),
        ("GET", "/baselines/shop", Some("baseline.read")),
        ("POST", "/history/batch", Some("history.write")),
        ("PUT", "/services/shop", Some("registry.write")),
        ("POST", "/rules/test", Some("rule.evaluate")),
        ("DELETE", "/rules/1", Some("rule.write")),
        ("POST", "/ingest", None),
        ("GET", "/health", None),
        ("GET", "/metrics", None),
        ("GET", "/performance/traces", None),
        ("POST", "/v1/traces", None),
        ("POST", "/core/schedule/lead", None),
        ("GET", "/", None),
    ] {
        assert_eq!(rows::kind_of(Work::Request(method, path)).as_deref(), expected, "{method} {path}");
    }
    assert_eq!(rows::kind_of(Work::Job("audit_chain")).as_deref(), Some("job.audit_chain"));
    assert_eq!(rows::kind_of(Work::Delivery).as_deref(), Some("history.deliver"));
}

#[test]
fn a_second_has_so_many_rows_and_two_may_be_saved() {
    let (recorder, clock) = recorder(10, 1_000);
    // 20 rows are there: the third begins with what is left, and is recorded whole.
    assert_eq!(
        [record(&recorder, 9), record(&recorder, 10), record(&recorder, 10), record(&recorder, 1)],
        [true, true, true, false]
    );
    assert_eq!(recorder.health().0, RecorderHealth { queued: 29, dropped: 1 });
    clock.advance(TimeDelta::milliseconds(900));
    assert!(!record(&recorder, 1), "9 are owed");
    clock.advance(TimeDelta::milliseconds(100));
    assert!(record(&recorder, 1));
    assert_eq!(recorder.health(), (RecorderHealth { queued: 30, dropped: 2 }, true));
    clock.advance(TimeDelta::minutes(6));
    assert!(!recorder.health().1, "it was long ago");
}

#[test]
fn a_full_queue_keeps_the_older_traces_whole() {
    let (recorder, _) = recorder(100_000, 300);
    for spans in [200, 101, 100, 1] {
        record(&recorder, spans);
    }
    assert_eq!(recorder.health(), (RecorderHealth { queued: 300, dropped: 102 }, true));
    let mut state = recorder.state();
    let sizes = |taken: Vec<FinishedTrace>| taken.iter().map(|trace| trace.spans.len()).collect::<Vec<_>>();
    assert_eq!(sizes(state.queue.take(250)), [200]);
    assert_eq!(sizes(state.queue.take(50)), [100], "one that is larger goes alone");
    assert_eq!((sizes(state.queue.take(50)), state.queue.rows()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_batch_that_fails_is_repeated_under_its_key() {
    let (recorder, _) = recorder(1_000, 1_000);
    record(&recorder, 3);
    let keys = Arc::new(Mutex::new(Vec::new()));
    let mut port = MockOperationSor::new();
    let seen = Arc::clone(&keys);
    port.expect_record_all().returning(move |_, batch, key| {
        let mut seen = seen.lock().unwrap();
        seen.push((key.unwrap(), batch.metrics.len()));
        if seen.len() < 4 { Err(PortError::Unavailable("away".to_owned())) } else { Ok(done(3)) }
    });
    let stop = CancellationToken::new();
    let writing = tokio::spawn(write(Arc::clone(&recorder), Arc::new(port), FAST, stop.clone()));
    let sent = async |count: usize| {
        while keys.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    sent(4).await;
    let first = keys.lock().unwrap()[0];
    assert_eq!(*keys.lock().unwrap(), [first; 4]);
    // Others get another one.
    record(&recorder, 1);
    sent(5).await;
    assert_ne!(keys.lock().unwrap()[4].0, first.0);
    stop.cancel();
    writing.await.unwrap();
    assert_eq!(recorder.health().0, RecorderHealth { queued: 0, dropped: 0 });
}

#[tokio::test]
async fn what_waits_is_written_at_the_stop_or_counted() {
    let (recorder, _) = recorder(1_000, 1_000);
    record(&recorder, 2);
    let mut port = MockOperationSor::new();
    port.expect_record_all().times(1).returning(|_, _, _| Ok(done(2)));
    let stop = CancellationToken::new();
    stop.cancel();
    write(Arc::clone(&recorder), Arc::new(port), FAST, stop.clone()).await;
    assert_eq!(recorder.health().0, RecorderHealth { queued: 0, dropped: 0 });

    record(&recorder, 400);
    record(&recorder, 200);
    let mut away = MockOperationSor::new();
    away.expect_record_all().returning(|_, _, _| Err(PortError::Unavailable("away".to_owned())));
    write(Arc::clone(&recorder), Arc::new(away), FAST, stop).await;
    assert_eq!(recorder.health().0.dropped, 600);
}

#[tokio::test]
async fn what_is_refused_is_dropped_and_does_not_stop_others() {
    let (recorder, _) = recorder(1_000, 1_000);
    record(&recorder, 2);
    let mut port = MockOperationSor::new();
    port.expect_record_all().times(1).returning(|_, _, _| Err(PortError::Invalid("no".to_owned())));
    let stop = CancellationToken::new();
    stop.cancel();
    write(Arc::clone(&recorder), Arc::new(port), FAST, stop).await;
    assert_eq!(recorder.health().0, RecorderHealth { queued: 0, dropped: 2 });
}

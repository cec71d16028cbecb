//! Entries that are delivered together.

use super::*;
use crate::sor::history::Recommendation;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("d{n}")).collect()
}

/// A spool with entries that another process left behind.
async fn left(directory: &TempDir, diagnoses: &[impl AsRef<str>]) {
    let spool = open(directory, &down());
    record(&spool, diagnoses).await;
    kill(spool).await;
}

#[tokio::test]
async fn what_waits_is_delivered_500_at_once_and_in_order() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    left(&directory, &names(1_001)).await;
    let spool = open(&directory, &inner);
    assert_eq!(spool.flush(Duration::from_secs(60)).await, 0);
    assert_eq!(inner.diagnoses(), names(1_001));
    assert_eq!((inner.batches.lock().unwrap().as_slice(), spool.health().delivered), ([500, 500].as_slice(), 1_001));
}

#[tokio::test]
async fn long_entries_come_in_batches_of_a_megabyte() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    let spool = open(&directory, &down());
    let long = Recommendation::fitting(&"x".repeat(60_000));
    for name in names(40) {
        let entry = NewAssessment { recommendation: Some(long.clone()), ..new("shop", &name) };
        spool.record(&CALL, entry).await.unwrap();
    }
    kill(spool).await;
    let spool = open(&directory, &inner);
    assert_eq!(spool.flush(Duration::from_secs(60)).await, 0);
    assert_eq!((inner.batches.lock().unwrap().as_slice(), inner.diagnoses()), ([16, 16, 8].as_slice(), names(40)));
}

#[tokio::test]
async fn refused_entries_of_a_batch_are_set_aside_and_the_others_delivered_once() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.refuses.lock().unwrap() =
        vec![("b", PortError::Invalid("no".into())), ("d", PortError::Conflict("no".into()))];
    left(&directory, &["a", "b", "c", "d", "e"]).await;
    let spool = open(&directory, &inner);
    assert_eq!(spool.flush(Duration::from_secs(60)).await, 0);
    assert_eq!(inner.diagnoses(), ["a", "c", "e"]);
    assert_eq!((spool.health().delivered, spool.health().rejected), (3, 2));
    assert_eq!(inner.calls.load(Ordering::Relaxed), 5);
    let aside = refused::rejected(&directory);
    assert_eq!(aside.lines().count(), 2, "{aside}");
}

#[tokio::test]
async fn one_entry_that_breaks_history_is_found_in_a_batch() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.refuses.lock().unwrap() = vec![("d700", PortError::Internal("500".into()))];
    left(&directory, &names(1_000)).await;
    let spool = open(&directory, &inner);
    assert_eq!(spool.flush(Duration::from_secs(60)).await, 0);
    let others: Vec<_> = names(1_000).into_iter().filter(|name| name != "d700").collect();
    assert_eq!(inner.diagnoses(), others);
    assert_eq!((spool.health().delivered, spool.health().rejected), (999, 1));
    assert!(refused::rejected(&directory).contains("\"diagnosis\":\"d700\""));
}

#[tokio::test]
async fn after_a_failure_batches_are_smaller_and_grow_again() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.failures.lock().unwrap() = vec![PortError::Timeout("slow".into())].into();
    left(&directory, &names(1_000)).await;
    let spool = open(&directory, &inner);
    assert_eq!(spool.flush(Duration::from_secs(60)).await, 0);
    assert_eq!(inner.diagnoses(), names(1_000));
    assert_eq!(inner.batches.lock().unwrap().as_slice(), [500, 62, 124, 248, 496, 70]);
    assert!(!spool.health().stalled);
}

#[tokio::test]
async fn an_entry_that_is_not_understood_is_set_aside_and_holds_up_nothing() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    left(&directory, &["a", "b"]).await;
    let file = &files(&directory)[0];
    let lines = std::fs::read_to_string(file).unwrap();
    let (first, second) = lines.split_once('\n').unwrap();
    let strange = String::from_utf8(frame("{\"key\":7}")).unwrap();
    std::fs::write(file, format!("{first}\n{strange}{second}")).unwrap();
    let spool = open(&directory, &inner);
    assert_eq!(spool.flush(Duration::from_secs(60)).await, 0);
    assert_eq!((inner.diagnoses(), spool.health().rejected), (vec!["a".to_owned(), "b".to_owned()], 1));
    assert_eq!(refused::rejected(&directory), strange);
}

#[tokio::test]
async fn a_delivery_belongs_to_the_trace_that_its_entry_was_recorded_in() {
    let trace: Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let call = Call::default().traced(Some(trace));
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    let spool = open(&directory, &inner);
    spool.record(&call, new("shop", "alone")).await.unwrap();
    inner.keeps(&["alone"]).await;
    kill(spool).await;
    let spool = open(&directory, &down());
    spool.record(&call, new("shop", "traced")).await.unwrap();
    // As files of older versions hold entries.
    record(&spool, &["plain"]).await;
    kill(spool).await;
    let spool = open(&directory, &inner);
    inner.keeps(&["alone", "traced", "plain"]).await;
    assert_eq!(inner.traces.lock().unwrap().as_slice(), [Some(trace), Some(trace), None]);
    kill(spool).await;
}

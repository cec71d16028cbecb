//! What a history that does not take an entry means for it and for the others.

use super::*;

pub(super) fn rejected(directory: &TempDir) -> String {
    let files = std::fs::read_dir(directory.path().join("spool/rejected")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn tries_again_while_history_is_down_then_delivers_all_in_order() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a"]).await;
    inner.called(5).await;
    record(&spool, &["b"]).await;
    assert!(spool.health().stalled);
    assert_eq!(spool.health().pending_entries, 2);
    inner.down.store(false, Ordering::Relaxed);
    inner.keeps(&["a", "b"]).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    assert!(!spool.health().stalled);
}

#[tokio::test]
async fn what_history_refuses_is_set_aside_and_holds_up_nothing() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.refuses.lock().unwrap() =
        vec![("b", PortError::Invalid("no".into())), ("c", PortError::Conflict("no".into()))];
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b", "c", "d"]).await;
    inner.keeps(&["a", "d"]).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    assert_eq!(spool.health().rejected, 2);
    let aside = rejected(&directory);
    assert_eq!(aside.lines().count(), 2);
    assert!(aside.contains("\"diagnosis\":\"b\"") && aside.contains("\"diagnosis\":\"c\""), "{aside}");
}

#[tokio::test]
async fn a_refused_file_moved_back_is_tried_again() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.refuses.lock().unwrap() = vec![("a", PortError::Invalid("no".into()))];
    let spool = open(&directory, &inner);
    record(&spool, &["a"]).await;
    inner.called(1).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    let aside = std::fs::read_dir(directory.path().join("spool/rejected")).unwrap().next().unwrap().unwrap();
    std::fs::rename(aside.path(), directory.path().join("spool").join(aside.file_name())).unwrap();
    inner.refuses.lock().unwrap().clear();
    drop(spool);
    let spool = open(&directory, &inner);
    inner.keeps(&["a"]).await;
    kill(spool).await;
}

#[tokio::test]
async fn one_entry_that_breaks_history_is_set_aside_when_the_next_one_passes() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.refuses.lock().unwrap() = vec![("a", PortError::Internal("500".into()))];
    let spool = open(&directory, &inner);
    record(&spool, &["a"]).await;
    inner.called(9).await;
    assert_eq!((spool.health().rejected, spool.health().pending_entries), (0, 1), "it may be history that is ill");
    record(&spool, &["b"]).await;
    inner.keeps(&["b"]).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    assert_eq!((spool.health().rejected, inner.diagnoses()), (1, vec!["b".to_owned()]));
}

#[tokio::test]
async fn refused_credentials_are_history_being_away() {
    let (directory, inner) = (directory(), Arc::new(Fake::default()));
    *inner.failures.lock().unwrap() = vec![PortError::Denied("401".into()); 3].into();
    let spool = open(&directory, &inner);
    record(&spool, &["a"]).await;
    inner.keeps(&["a"]).await;
    assert_eq!(spool.health().rejected, 0);
    kill(spool).await;
}

//! Files of other processes: killed ones, ended ones, and running ones.

use super::*;
use crate::kernel::CALL;

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b"]).await;
    kill(spool).await;
    let inner = Arc::new(Fake::default());
    let spool = open(&directory, &inner);
    record(&spool, &["c"]).await;
    inner.keeps(&["a", "b", "c"]).await;
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    assert_eq!(files(&directory), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_and_whole_entries_are_kept() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b", "c"]).await;
    kill(spool).await;
    let file = &files(&directory)[0];
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() - 5]).unwrap();
    let two: usize = String::from_utf8(bytes).unwrap().lines().take(2).map(|line| line.len() + 1).sum();
    let spool = open(&directory, &inner);
    assert_eq!(spool.health().pending_entries, 2);
    assert_eq!(std::fs::metadata(file).unwrap().len(), two as u64);
    inner.down.store(false, Ordering::Relaxed);
    inner.keeps(&["a", "b"]).await;
    kill(spool).await;
}

#[tokio::test]
async fn a_broken_line_costs_only_itself() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b", "c"]).await;
    kill(spool).await;
    let file = &files(&directory)[0];
    let text = std::fs::read_to_string(file).unwrap().replace("\"diagnosis\":\"b\"", "\"diagnosis\":\"x\"");
    std::fs::write(file, text).unwrap();
    inner.down.store(false, Ordering::Relaxed);
    let spool = open(&directory, &inner);
    inner.keeps(&["a", "c"]).await;
    kill(spool).await;
}

#[tokio::test]
async fn an_entry_delivered_but_not_freed_is_delivered_again_without_harm() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b"]).await;
    let file = files(&directory)[0].clone();
    let bytes = std::fs::read(&file).unwrap();
    inner.down.store(false, Ordering::Relaxed);
    inner.keeps(&["a", "b"]).await;
    kill(spool).await;
    std::fs::write(&file, bytes).unwrap();
    let calls = inner.calls.load(Ordering::Relaxed);
    let spool = open(&directory, &inner);
    inner.called(calls + 2).await;
    assert_eq!(inner.diagnoses(), ["a", "b"]);
    kill(spool).await;
}

#[tokio::test]
async fn two_processes_have_a_file_each_and_leave_the_others_alone() {
    let (directory, first_inner, second_inner) = (directory(), down(), down());
    let first = open(&directory, &first_inner);
    record(&first, &["a"]).await;
    let second = open(&directory, &second_inner);
    record(&second, &["b"]).await;
    assert_eq!(files(&directory).len(), 2);
    second_inner.down.store(false, Ordering::Relaxed);
    second_inner.keeps(&["b"]).await;
    assert_eq!(first.health().pending_entries, 1);
    // The one that lives on takes over from the one that dies, without a restart.
    kill(first).await;
    second_inner.keeps(&["b", "a"]).await;
    assert_eq!(second.flush(Duration::from_secs(10)).await, 0);
    assert_eq!((files(&directory).len(), first_inner.diagnoses().len()), (0, 0));
}

#[tokio::test]
async fn files_are_followed_by_new_ones_and_removed_when_delivered() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    let long = crate::sor::history::Recommendation::fitting(&"x".repeat(60_000));
    for n in 0..150 {
        let entry = NewAssessment { recommendation: Some(long.clone()), ..new("shop", &format!("d{n}")) };
        spool.record(&CALL, entry).await.unwrap();
    }
    assert_eq!(files(&directory).len(), 3, "9 MB in files of 4 MiB");
    inner.down.store(false, Ordering::Relaxed);
    inner.until(|fake| fake.diagnoses().len() == 150).await;
    let expected: Vec<_> = (0..150).map(|n| format!("d{n}")).collect();
    assert_eq!(inner.diagnoses(), expected);
    assert_eq!(spool.flush(Duration::from_secs(10)).await, 0);
    assert_eq!(files(&directory).len(), 0);
}

#[tokio::test]
async fn a_flush_that_runs_out_of_time_leaves_entries_for_the_next_process() {
    let (directory, inner) = (directory(), down());
    let spool = open(&directory, &inner);
    record(&spool, &["a", "b"]).await;
    assert_eq!(spool.flush(Duration::from_millis(20)).await, 2);
    drop(spool);
    inner.down.store(false, Ordering::Relaxed);
    let spool = open(&directory, &inner);
    inner.keeps(&["a", "b"]).await;
    kill(spool).await;
}

#[tokio::test]
async fn a_flush_does_not_wait_out_a_long_pause() {
    let (directory, inner) = (directory(), down());
    let hour = Duration::from_hours(1);
    let pace = Pace { first_pause: hour, longest_pause: hour, ..QUICK };
    let spool = open_paced(settings(directory.path()), &inner, pace).unwrap();
    record(&spool, &["a"]).await;
    inner.called(1).await;
    inner.down.store(false, Ordering::Relaxed);
    assert_eq!(spool.flush(Duration::from_mins(1)).await, 0);
    assert_eq!(inner.diagnoses(), ["a"]);
}

use std::io;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use super::{PortError, PortResult};

/// Threads per core: one piece of work may be long, and the others should not wait for it.
const PER_CORE: usize = 2;
/// They are never stopped, because threads that come and go leave memory behind.
const KEPT: Duration = Duration::MAX;

static THREADS: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| threads(available_parallelism().map_or(1, usize::from) * PER_CORE));

/// Runs heavy work on a few threads that the whole process shares, in the order in which it comes. More work at a time
/// than there are cores would only take more memory. Work whose caller has gone is not started.
///
/// # Errors
/// `Internal`, with `what` was being done, where the work panicked.
pub async fn offload<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> PortResult<T> {
    match THREADS.as_ref() {
        Ok(threads) => run_on(threads, what, work).await,
        Err(error) => Err(PortError::Internal(format!("{what}: no threads for it: {error}"))),
    }
}

/// This runtime exists only for its threads for blocking work.
fn threads(number: usize) -> io::Result<Runtime> {
    Builder::new_current_thread().max_blocking_threads(number).thread_keep_alive(KEPT).thread_name("work").build()
}

async fn run_on<T: Send + 'static>(
    threads: &Runtime,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> PortResult<T> {
    let done = AbortOnDropHandle::new(threads.spawn_blocking(work));
    // The panic hook logs the text, where it happens.
    done.await.map_err(|_| PortError::Internal(format!("{what}: panicked")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Barrier};

    use futures::future::{FutureExt, join_all};

    use super::*;

    #[tokio::test]
    async fn says_what_was_being_done_when_work_panicked() {
        let lost: PortResult<()> = offload("reading a profile", || panic!("of its own")).await;
        assert_eq!(lost, Err(PortError::Internal("reading a profile: panicked".to_owned())));
        assert_eq!(offload("counting", || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn work_waits_for_a_thread_and_is_not_begun_for_nobody() {
        let (threads, held) = (threads(2).unwrap(), Arc::new(Barrier::new(3)));
        let hold = || {
            let held = Arc::clone(&held);
            run_on(&threads, "holding", move || held.wait())
        };
        let mut holding = Box::pin(join_all([hold(), hold()]));
        assert!(holding.as_mut().now_or_never().is_none());
        let begun = Arc::new(AtomicBool::new(false));
        let begin = Arc::clone(&begun);
        let given_up = run_on(&threads, "beginning", move || begin.store(true, Ordering::Relaxed));
        assert!(given_up.now_or_never().is_none());
        let mut others = Box::pin(join_all((0..5).map(|n| run_on(&threads, "counting", move || n))));
        assert!(others.as_mut().now_or_never().is_none());
        held.wait();
        holding.await;
        assert_eq!(others.await, (0..5).map(Ok).collect::<Vec<_>>());
        assert!(!begun.load(Ordering::Relaxed));
        threads.shutdown_background();
    }
}

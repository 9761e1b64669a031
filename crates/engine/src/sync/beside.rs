//! Work on another thread, beside a future of this task.

use std::panic::resume_unwind;
use std::pin::pin;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::block_in_place;

use super::has_other_threads;

/// Runs `work`, which blocks, on a thread of its own, and `future` on this one meanwhile. This task
/// blocks no longer than `work`: afterwards it waits for the future as any other does, so a caller
/// may stop waiting. On a runtime of one thread, as in simulations, and where the system gives no
/// thread, the one comes after the other.
pub(super) async fn beside<T: Send, U>(
    work: impl Fn() -> T + Sync,
    future: impl Future<Output = U>,
) -> (T, U) {
    if !has_other_threads() {
        return (work(), future.await);
    }
    let mut future = pin!(future);
    let (worked, came) = block_in_place(|| {
        let (running, ended) = oneshot::channel::<()>();
        thread::scope(|scope| {
            let worker = thread::Builder::new().spawn_scoped(scope, || {
                let worked = work();
                drop(running);
                worked
            });
            let Ok(worker) = worker else { return (work(), None) };
            let came = Handle::current().block_on(async {
                tokio::select! {
                    came = &mut future => Some(came),
                    _ = ended => None,
                }
            });
            (worker.join().unwrap_or_else(|panic| resume_unwind(panic)), came)
        })
    });
    match came {
        Some(came) => (worked, came),
        None => (worked, future.await),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn each_goes_on_while_the_other_waits() {
        let (tell, told) = mpsc::channel();
        let told = Mutex::new(told);
        let future = async {
            tokio::task::yield_now().await;
            tell.send("the future").unwrap();
            "came"
        };
        // The work ends only since the future goes on meanwhile.
        let work = || told.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(beside(work, future).await, ("the future", "came"));
        // And the future, since the work has ended.
        let ended = Notify::new();
        let future = async { ended.notified().await };
        assert_eq!(beside(|| ended.notify_one(), future).await, ((), ()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_that_stops_waiting_waits_for_the_work_alone() {
        let (tell, told) = mpsc::channel();
        let both = beside(move || tell.send(()).unwrap(), std::future::pending::<()>());
        let waited = tokio::time::timeout(Duration::from_millis(1), both).await;
        assert!(waited.is_err(), "the future never comes");
        told.recv().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_thread_does_one_after_the_other() {
        assert_eq!(beside(|| 1, async { 2 }).await, (1, 2));
    }
}

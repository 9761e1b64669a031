//! Files that are read at the same time.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{ScopedJoinHandle, scope};

/// Does the same with each of some items, on several threads; the results are in the order of the
/// items. With one thread nothing is done beside the caller.
pub fn each<T: Sync, R: Send>(threads: NonZeroUsize, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.get().min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        done.extend(others.into_iter().flat_map(result_of));
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does three reads at the same time. The result does not depend on which of them ends first.
pub fn at_once<A: Send, B: Send, C>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
    third: impl FnOnce() -> C,
) -> (A, B, C) {
    scope(|scope| {
        let (one, other) = (scope.spawn(one), scope.spawn(other));
        let third = third();
        (result_of(one), result_of(other), third)
    })
}

/// Result of a thread, or the panic that ended it.
fn result_of<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items_whatever_the_threads() {
        let items: Vec<u64> = (0..100).collect();
        let wanted: Vec<u64> = items.iter().map(|item| item * item).collect();
        for threads in [1, 2, 7] {
            assert_eq!(each(NonZeroUsize::new(threads).unwrap(), &items, |item| item * item), wanted);
        }
        assert!(each(NonZeroUsize::MIN, &[], |_: &u64| ()).is_empty());
    }
}

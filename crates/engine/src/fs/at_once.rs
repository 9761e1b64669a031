//! Files that are read at the same time.

use std::thread::{ScopedJoinHandle, scope};

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

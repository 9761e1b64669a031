//! A limit on the memory that the program keeps without needing it.
//!
//! glibc gives each thread a heap of its own, and returns little of what was freed in one. A fetch
//! whose buffers wandered between threads held 188 MB, of which 60 were in use; an idle daemon held
//! all that its first look at the vault had needed. So there are two heaps, and free memory at
//! their ends is returned at once.
//!
//! Beside `local_vault::map` the only place with `unsafe`. The call takes two numbers and touches
//! no memory of ours; it is made before there is another thread. If it is refused, more memory is
//! kept and nothing else is different.

/// Sets the limit; call it before anything else.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "see the head of this file")]
pub fn keep_little() {
    /// The number of heaps for all threads together.
    const HEAPS: i32 = 2;
    /// Free bytes that may stay at the end of a heap.
    const FREE: i32 = 64 << 10;
    for (what, value) in [(libc::M_ARENA_MAX, HEAPS), (libc::M_TRIM_THRESHOLD, FREE)] {
        // SAFETY: mallopt(3) is given constants that it knows, and no other thread runs yet.
        let _taken = unsafe { libc::mallopt(what, value) };
    }
}

/// Other systems return free memory by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn keep_little() {}

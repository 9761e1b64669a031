//! How much memory the program keeps that it no longer needs.
//!
//! glibc gives each thread a heap of its own and gives back little of what was freed in one. A fetch whose buffers wander between
//! threads held 188 MB of which 60 were in use, and an idle daemon all that its first look at the vault had needed. So there are two
//! heaps, and what is free at their ends goes back at once.
//!
//! Beside `local_vault::map` the only place with `unsafe`. The call takes two numbers and touches no memory of ours; it is made
//! before there is another thread. Where it is refused, more memory is kept and nothing else is different.

/// To be called first of all.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "see the head of this file")]
pub fn keep_little() {
    /// Heaps for all threads together.
    const HEAPS: i32 = 2;
    /// Bytes that may stay free at the end of one.
    const FREE: i32 = 64 << 10;
    for (what, value) in [(libc::M_ARENA_MAX, HEAPS), (libc::M_TRIM_THRESHOLD, FREE)] {
        // SAFETY: mallopt(3) is given constants that it knows, and no other thread runs yet.
        let _taken = unsafe { libc::mallopt(what, value) };
    }
}

/// Other systems give back what is free by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn keep_little() {}

//! The program's memory: a limit on what it keeps without needing it, and who may look at it.
//!
//! glibc gives each thread a heap of its own, and returns little of what was freed in one. A fetch
//! whose buffers wandered between threads held 188 MB, of which 60 were in use; an idle daemon held
//! all that its first look at the vault had needed. With two heaps a run over a million files, which
//! looks at them on one thread and reads the log on another, held 570 MB instead of 450. So there is
//! one heap, and free memory at its end is returned at once. Threads that share it cost a twentieth
//! of a run with nothing to do over 100,000 files, and nothing that could be measured elsewhere.
//! Free memory in its middle stays, a third of all after a whole look at 100,000 files: a daemon
//! gives it back after that.
//!
//! Keys of the bucket are in it, so nobody gets it in a core file, and no other process of the user
//! may look into it.
//!
//! Beside `local_vault::map` the only place with `unsafe`. The calls take numbers and touch no
//! memory of ours; those that change how memory is got are made before there is another thread. If
//! one is refused, more memory is kept, or could be looked at, and nothing else is different.

#[cfg(target_os = "linux")]
use rustix::process::DumpableBehavior;

/// Sets the limit; call it before anything else.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "see the head of this file")]
pub fn keep_little() {
    /// The number of heaps for all threads together.
    const HEAPS: i32 = 1;
    /// Free bytes that may stay at its end.
    const FREE: i32 = 64 << 10;
    for (what, value) in [(libc::M_ARENA_MAX, HEAPS), (libc::M_TRIM_THRESHOLD, FREE)] {
        // SAFETY: mallopt(3) is given constants that it knows, and no other thread runs yet.
        let _taken = unsafe { libc::mallopt(what, value) };
    }
}

/// Other systems return free memory by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn keep_little() {}

/// Gives free memory back, wherever in the heap it is. It takes milliseconds for each 100 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "see the head of this file")]
pub fn give_back() {
    // SAFETY: malloc_trim(3) may be called at any time and by any thread; it is given a number.
    let _gave = unsafe { libc::malloc_trim(0) };
}

/// Other systems return free memory by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn give_back() {}

/// Keeps this process's memory to itself; call it before anything else.
#[cfg(target_os = "linux")]
pub fn keep_to_itself() {
    let _taken = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// On other systems, memory is in a core file only where the user asks for one.
#[cfg(not(target_os = "linux"))]
pub const fn keep_to_itself() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_in_no_core_file() {
        let dumpable = || rustix::process::dumpable_behavior().unwrap();
        assert_eq!(dumpable(), DumpableBehavior::Dumpable);
        keep_to_itself();
        assert_eq!(dumpable(), DumpableBehavior::NotDumpable);
    }
}

//! SQLite databases as contents: names, head, and the bytes that tell nothing of what is stored.
//!
//! A database is known by its first 16 bytes. What it holds may stand in two more files beside it,
//! until they are folded in; a third is an index of shared memory. SQLite changes some bytes of the
//! head with every transaction, whatever it stores: counters that tell caches of a change, the
//! version of the library, and whether there is a WAL. In the vault they have fixed values, so that
//! one state has one content, on whichever device and by whichever way it came there. Pure.

/// Endings of the names of files beside a database: its WAL, its rollback journal, and shared
/// memory.
pub const COMPANIONS: [&str; 3] = ["-wal", "-journal", "-shm"];
/// Length of a database's head.
pub const HEAD: usize = 100;

/// First bytes of a database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// First bytes of a WAL, but for the last, which tells the order of bytes in its checksums.
const WAL_MAGIC: [u8; 3] = [0x37, 0x7f, 0x06];
/// First bytes of a rollback journal.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Length of a WAL without a page.
const WAL_HEAD: u64 = 32;

/// The first version of SQLite whose head has all the fields of today.
const LIBRARY: u32 = 3_007_000;

/// True for the first bytes of a database.
#[must_use]
pub fn is_database(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The name that a companion belongs to, if this could be one.
#[must_use]
pub fn main_of(name: &str) -> Option<&str> {
    let stem = COMPANIONS.iter().find_map(|ending| name.strip_suffix(ending))?;
    (!stem.is_empty() && !stem.ends_with('/')).then_some(stem)
}

/// True for a WAL of this length that may hold pages.
#[must_use]
pub const fn holds_wal(size: u64) -> bool {
    size > WAL_HEAD
}

/// True for the first bytes of a journal that may have to be rolled back. Those of a journal that
/// is kept for the next transaction are zero; and so are those of one by which nothing was changed
/// yet.
#[must_use]
pub fn holds_journal(head: &[u8]) -> bool {
    head.iter().take(JOURNAL_MAGIC.len()).any(|byte| *byte != 0)
}

/// True for the first bytes of a WAL or of a journal.
#[must_use]
pub fn is_companion(head: &[u8]) -> bool {
    head.starts_with(&WAL_MAGIC) || head.starts_with(&JOURNAL_MAGIC)
}

/// Gives the head of a database of `size` bytes its fixed values. Anything else stays as it is.
pub fn settle_head(head: &mut [u8], size: u64) {
    if head.len() < HEAD || !is_database(head) {
        return;
    }
    // The number of pages counts only if both counters are the same, as they will be.
    let page = match number(head, 16) >> 16 {
        1 => 65_536,
        page => page,
    };
    let counted = number(head, 24) == number(head, 92) && number(head, 28) != 0;
    let whole = u32::try_from(size / u64::from(page.max(1))).unwrap_or_default();
    let pages = if counted { number(head, 28) } else { whole }.to_be_bytes();
    let (one, library) = (1_u32.to_be_bytes(), LIBRARY.to_be_bytes());
    let fields: [(usize, &[u8]); 6] =
        [(18, &[1, 1]), (24, &one), (28, &pages), (40, &one), (92, &one), (96, &library)];
    for (at, bytes) in fields {
        if let Some(place) = head.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

/// The number that stands at `at`.
fn number(head: &[u8], at: usize) -> u32 {
    let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_be_bytes(bytes.unwrap_or_default())
}

#[cfg(test)]
mod tests;

//! Limits on what a bucket may hold. docs/FORMAT.md has the same table.
//!
//! Anyone who can write to the bucket can write anything, so a reader allocates for no claim that
//! it has not checked against one of these. They are wide: today's writers stay far below them, and
//! a writer refuses an object that no reader would take, before any device relies on it. A lower
//! limit would lock devices out of existing vaults, so limits only ever rise, with a format that
//! says so.

/// Bytes of a vault header.
pub const HEADER_STORED: u64 = 1 << 20;
/// Bytes of a commit. One with a million new files has 82 MB; a merge is stored uncompressed.
pub const COMMIT_STORED: u64 = 256 << 20;
/// Bytes of a commit's plaintext.
pub const COMMIT_UNPACKED: u64 = 512 << 20;
/// Bytes of a checkpoint, and of its plaintext.
pub const CHECKPOINT_STORED: u64 = 32 << 20;
/// Bytes of the state that a checkpoint stands for.
pub const STATE: u64 = 2 << 30;
/// Plaintext of a packed object beyond [`FREELY_UNPACKED`] in bytes, for each byte that is stored.
pub const UNPACKED_PER_BYTE: u64 = 256;
/// Bytes that any packed object may unpack to.
pub const FREELY_UNPACKED: u64 = 1 << 20;
/// Memory for the window of a packed object, as a power of two.
pub const WINDOW_LOG: u32 = 24;
/// Bytes of one text in a commit, checkpoint or header.
pub const TEXT: usize = 16 << 10;

/// Highest generation: so keys always have 16 digits, and a number that follows it is still one.
pub const GENERATION: u64 = 999_999_999_999_999;
/// Commits without parents in the past of one head.
pub const ROOTS: usize = 16;
/// Changes in a commit; also files of its conflicts, all of them together.
pub const CHANGES: usize = 1 << 20;
/// Recipes in a commit.
pub const RECIPES: usize = 1 << 20;
/// Packs that a commit adds.
pub const PACKS: usize = 1 << 17;
/// Packs, commits or conflicts in any other list of a commit.
pub const LISTED: usize = 1 << 20;
/// Features that a commit needs.
pub const NEEDS: usize = 64;
/// Values in members that a reader may ignore.
pub const EXT_VALUES: usize = 4096;
/// Chunks of the state that a checkpoint stands for.
pub const PIECES: usize = 1 << 18;

/// Groups of a vault.
pub const GROUPS: usize = 64;
/// Patterns of all groups together.
pub const PATTERNS: usize = 512;
/// Bytes of one pattern.
pub const PATTERN: usize = 512;
/// Bytes of all patterns together: they bound the cost of compiling them.
pub const PATTERN_BYTES: usize = 16 << 10;

/// Bytes of a pack: the size at which one is handed over, its last chunk, and its table.
pub const PACK_STORED: u64 = 24 << 20;
/// Chunks of a pack.
pub const PACK_CHUNKS: usize = 1 << 19;
/// Stored bytes of the pack that a commit may hold itself: their digits are one text.
pub const ENCLOSED: u64 = (TEXT / 2) as u64;
/// Chunks of such a pack.
pub const ENCLOSED_CHUNKS: usize = 1 << 10;
/// Bytes of a chunk, in any vault.
pub const CHUNK: u32 = 4 << 20;
/// Bytes of the shortest chunk that is not a file's last, in any vault.
pub const SHORTEST_CHUNK: u32 = 1 << 8;
/// Bytes that the chunks of one read of a pack unpack to.
pub const READ_UNPACKED: u64 = 16 << 20;
/// Bytes of the chunks that are gathered in memory, such as lists of chunks.
pub const GATHERED: u64 = 64 << 20;
/// Levels of lists above the chunks of a file.
pub const RECIPE_DEPTH: u8 = 4;
/// Parts of a recipe that stand in the commit.
pub const RECIPE_PARTS: usize = 128;
/// Bytes of a file: those of 16 million files add up to less than 2^64.
pub const FILE: u64 = 1 << 40;
/// Rows of a file.
pub const ROWS: u64 = 1 << 40;

//! Acts of honest users beside an adversary.

use cogzy_engine::model::Digest;
use cogzy_testkit::rng::Rng;

use super::FILES;
use crate::chance;
use crate::disk::UserOp;
use crate::world::World;

/// Some 256 KiB: such a file is of several chunks, and has a recipe.
const LARGE: u64 = 8 << 10;

/// Saves one of the files, now and then as a large one.
pub(super) fn edit(world: &World, rng: &mut Rng, at: usize) {
    let path = (*rng.pick(&FILES)).to_owned();
    let mut bytes = chance::content(rng, &world.oracle.versions, None, &path);
    if rng.one_in(4) {
        enlarge(world, &mut bytes);
    }
    world.user(at, &UserOp::Replace(path, bytes));
}

/// A large version of one of the files, which nobody has saved yet.
pub(super) fn large(world: &World, rng: &mut Rng) -> (String, Vec<u8>) {
    let path = (*rng.pick(&FILES)).to_owned();
    let mut bytes = chance::content(rng, &world.oracle.versions, None, &path);
    enlarge(world, &mut bytes);
    (path, bytes)
}

fn enlarge(world: &World, bytes: &mut Vec<u8>) {
    let versions = &world.oracle.versions;
    let number = versions.fresh();
    let block = |at: u64| *Digest::of(&[number.to_le_bytes(), at.to_le_bytes()].concat()).as_bytes();
    bytes.extend((0..LARGE).flat_map(block));
    versions.add(bytes, None);
}

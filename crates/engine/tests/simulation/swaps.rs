//! Swaps of the places that a vault's names lead to: a folder becomes a link and a folder again;
//! the root's path leads to nothing or to another folder. They have a random stream of their own,
//! so that they change no other step.

use crate::disk::{Mounted, Stands, UserOp};
use crate::world::World;
use cogzy_testkit::rng::Rng;

const FOLDERS: [&str; 5] = ["traces", "traces/deep", "notes", "private", "vectors"];

/// Makes the swaps before step `number`, if there are any; in a `sound` world no disk goes away.
pub fn step(world: &World, seed: u64, number: usize, sound: bool) {
    let rng = &mut Rng::stream(seed, &format!("swaps {number}"));
    let at = rng.below(world.devices.len());
    let disk = &world.devices[at].disk;
    let folder = (*rng.pick(&FOLDERS)).to_owned();
    let stands = *rng.pick(&[Stands::Nothing, Stands::Other, Stands::Other]);
    let calls = if rng.chance(50) { 60 } else { 400 };
    let soon = u64::try_from(rng.below(calls)).unwrap();
    match rng.below(100) {
        0..5 => world.user(at, &UserOp::LinkFolder(folder)),
        5..12 => world.put_right(at),
        12..20 => {
            let mut site = disk.site();
            site.swaps = vec![(soon, UserOp::LinkFolder(folder.clone()))];
            if rng.chance(50) {
                site.swaps.insert(0, (u64::try_from(rng.below(6)).unwrap(), UserOp::Unlink(folder)));
            }
        }
        20..23 if !sound => world.user(at, &UserOp::Root(stands)),
        23..28 if !sound => disk.site().swaps = vec![(soon, UserOp::Root(stands))],
        28..40 => world.user(at, &UserOp::Root(Stands::Vault)),
        _ => {}
    }
    mounts(world, seed, number, sound);
}

/// The disk inside a vault goes away and comes back, or another one is there; and a file gets
/// rights of its own.
fn mounts(world: &World, seed: u64, number: usize, sound: bool) {
    let rng = &mut Rng::stream(seed, &format!("mounts {number}"));
    let at = rng.below(world.devices.len());
    let disk = &world.devices[at].disk;
    let there = *rng.pick(&[Mounted::Nothing, Mounted::Other]);
    let soon = u64::try_from(rng.below(400)).unwrap();
    let path = (*rng.pick(&["traces/a.json", "notes/x.txt"])).to_owned();
    match rng.below(100) {
        0..6 if !sound => world.user(at, &UserOp::Mount(there)),
        6..12 if !sound => disk.site().swaps = vec![(soon, UserOp::Mount(there))],
        12..24 => world.user(at, &UserOp::Mount(Mounted::Own)),
        24..32 => world.user(at, &UserOp::Unlock(path)),
        _ => {}
    }
}

impl World {
    /// Removes links, puts the folders back whose places they had taken, and lets the root's path
    /// lead to the vault.
    pub fn put_right(&self, at: usize) {
        let disk = &self.devices[at].disk;
        let mut site = disk.site();
        site.swaps.clear();
        site.state.places.stands = Stands::Vault;
        site.perform(&UserOp::Mount(Mounted::Own), disk);
        for link in site.links() {
            site.perform(&UserOp::Unlink(link), disk);
        }
    }

    /// True while the root's path leads elsewhere.
    pub fn is_away(&self, at: usize) -> bool {
        self.devices[at].disk.site().state.places.stands != Stands::Vault
    }
}

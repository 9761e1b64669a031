//! Mass losses: more files go or change than a person means to lose.
//!
//! A loss is judged by its share of the files that *stood*. For a change that comes in, these are
//! the base. For one that goes out they are the reference, which slides: the base, or the remote
//! where another device's deletion is held here and it has fewer files, with the files put back that
//! commits of this device have taken from it within the last day ([`Input::losses`]).
//! So a loss is one run, however many commits it is spread over, and once a run has reached its
//! share, every later loss is held too. The engine keeps these losses durable; without them today's
//! base is the reference.
//!
//! | what | held above |
//! |---|---|
//! | deleted, of `min_files` or more | `max_delete_percent` |
//! | deleted, of any number | nine tenths: all but the last few |
//! | deleted or changed, of `min_files` or more | two thirds, or `max_delete_percent` if that is more |
//!
//! Changes have a share of their own, since an app rewrites its files as a matter of course, and
//! every version stays in the history.
//!
//! Not counted:
//! - Derived members. They are computed again.
//! - Content that moves ([`super::moves`]).
//! - Changes that a person approved, restored, undid, resolved or reset, and those that a pull
//!   brought: they are in no losses ([`super::losses()`]).
//! - Files that come and go. An app that rotates its traces deletes as many files of a folder as it
//!   makes, and all of them within a day. So a new file *makes up* for one file that went from the
//!   same top-level folder, before it or with it. It does not make up for one that goes later: a
//!   vault that was filled this morning may still lose everything by accident this afternoon. One
//!   commit that deletes more than its share is held whatever comes with it.
//!
//! New files do not make up for files whose place they take. Ransomware does that when it renames
//! the files that it encrypts: such new files carry the old name (`x.json` to `x.json.locked`), or
//! at least `min_files` of them come in one commit with as many deletions, under any names. They
//! are part of the change then, and are held with it. Names that have not settled count, since a
//! deletion is seen before the file that replaces it.

use super::tally::Tally;
use super::{Brakes, Input, Reason, Share, Step};
use crate::model::VaultPath;

/// Percentage that counts as everything, however few files there are.
const EVERYTHING: usize = 90;

/// Steps that a mass loss holds.
pub(super) struct Mass<'a> {
    pub(super) reason: Reason,
    pub(super) steps: Vec<&'a Step>,
}

impl<'a> Tally<'a> {
    /// The steps to hold, if they are a mass.
    pub(super) fn judge(&self, input: &Input, steps: &[&'a Step], brakes: Brakes) -> Option<Mass<'a>> {
        let (gone, stood, run) = (self.gone(), self.stood(), self.gone_in_run(brakes));
        let percent = usize::from(brakes.max_delete_percent);
        let most = |lost: usize, of: usize| of >= brakes.min_files && lost * 100 > of * percent;
        let all = |lost: usize, of: usize| lost * 100 >= of * percent.max(EVERYTHING);
        let deleted = |lost, of| most(lost, of) || all(lost, of);
        let deletes = gone > 0 && (deleted(gone, self.agreed) || deleted(run, stood));
        let touched = gone + self.changed.len();
        let two_thirds = |lost: usize, of: usize| most(lost, of) && lost * 3 > of * 2;
        let touches = two_thirds(touched, self.agreed) || two_thirds(run + self.changed_in_run(), stood);
        let reason = match () {
            () if deletes && !self.is_exchange() => Reason::MassDelete,
            () if deletes || (touched > 0 && touches) => Reason::MassChange,
            () => return None,
        };
        let held_before = |path: &VaultPath| {
            let item = input.groups.item(path);
            input.held.iter().any(|held| held.reason == reason && held.items.contains(&item))
        };
        let replacing = self.replacing(&held_before, brakes);
        let changes = |path: &VaultPath| reason == Reason::MassChange && self.changed.contains(path);
        let held = |path: &VaultPath| self.goes(path) || replacing.contains(path) || changes(path);
        let steps = steps.iter().copied().filter(|step| step.files.iter().any(|file| held(&file.path)));
        Some(Mass { reason, steps: steps.collect() })
    }

    /// Share of the vault that a hold for `reason` covers.
    pub(super) fn share(&self, reason: Reason) -> Share {
        let changes = reason == Reason::MassChange;
        let gone = self.gone() + self.gone_before.len();
        let (changed, now) = if changes { (self.changed_in_run(), self.changed.len()) } else { (0, 0) };
        Share {
            files: gone + changed,
            of: self.stood(),
            slowly: gone + changed > self.gone() + now,
            replaced: changes && gone > changed && self.is_exchange(),
        }
    }
}

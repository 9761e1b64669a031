//! Events for listeners: each change once, not once per cycle.
//!
//! Commits are announced from the log, so that none is missed, whichever process ran the cycle that
//! brought it. The last announced state is kept with the events themselves: a restart neither
//! repeats nor forgets.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::control::events::Events;
use cogzy_client::documents::{
    ChangeEvent, ConflictEvent, ErrorDocument, EventBody, EventDocument, HoldDocument, LeftOutDocument,
    State, StatusDocument,
};
use cogzy_engine::model::{Commit, CommitKey, Conflict, ConflictId};
use cogzy_engine::sync::{Clash, Engine};

/// The largest number of paths that a change names.
const MAX_PATHS: usize = 100;
/// The largest number of new errors that are announced one by one after a cycle.
const MAX_ERRORS: usize = 100;
/// Key of the last announced commit.
const COMMIT: &str = "told-commit";
/// Key of the holds and errors that were announced and are still there.
const OPEN: &str = "told-open";
/// Key of the announced conflicts, the newest at the end. A merge lists again the ones that one
/// side had kept.
const CONFLICTS: &str = "told-conflicts";
/// Key of the announced groups without some of their derived members.
const LEFT_OUT: &str = "told-left-out";
/// The largest number of conflicts to remember.
const MAX_CONFLICTS: usize = 1000;

/// The difference between the status and the announcements so far.
#[derive(Debug)]
pub(super) struct Announcer {
    events: Events,
    commit: Option<CommitKey>,
    generation: Option<u64>,
    open: BTreeSet<String>,
    conflicts: Vec<String>,
    left_out: Vec<LeftOutDocument>,
    /// Clashes in merges of this device, by the conflicts that keep what lost.
    clashes: Vec<(ConflictId, Clash)>,
    state: State,
}

impl Announcer {
    /// An announcer that goes on where the last daemon stopped; the board begins with `state`.
    pub(super) fn new(events: Events, state: State) -> Self {
        let commit = events.cursor(COMMIT).and_then(|text| CommitKey::parse(&text));
        let open = events.cursor(OPEN).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let conflicts = events.cursor(CONFLICTS).and_then(|text| serde_json::from_str(&text).ok());
        let left_out = events.cursor(LEFT_OUT).and_then(|text| serde_json::from_str(&text).ok());
        let (conflicts, left_out) = (conflicts.unwrap_or_default(), left_out.unwrap_or_default());
        Self { events, commit, generation: None, open, conflicts, left_out, clashes: Vec::new(), state }
    }

    /// Announces the news of a cycle that left `status` behind; errors of the paths in `passing` go
    /// away by themselves. Returns the announced events.
    pub(super) async fn cycle(
        &mut self,
        engine: &mut Engine,
        status: &StatusDocument,
        passing: &BTreeSet<String>,
    ) -> Vec<Arc<EventDocument>> {
        let (mut bodies, mut cursors) = (Vec::new(), Vec::new());
        let (mut commit, mut conflicts) = (self.commit, self.conflicts.clone());
        if self.generation != Some(status.generation) {
            match engine.news(self.commit).await {
                Ok(news) => {
                    // A conflict that was merged right away is none to a person.
                    let decided: BTreeSet<ConflictId> = news
                        .commits
                        .iter()
                        .flat_map(|(_, commit)| &commit.resolved)
                        .map(|one| one.id)
                        .collect();
                    for (key, commit) in &news.commits {
                        bodies.push(EventBody::Change(change(*key, commit)));
                        let open = commit.kept.iter().filter(|conflict| !decided.contains(&conflict.id));
                        for mut conflict in open.map(kept) {
                            let of = |(id, _): &&(ConflictId, Clash)| id.to_string() == conflict.conflict;
                            let clashes = self.clashes.iter().filter(of);
                            conflict.clashes = clashes.map(|(_, clash)| clash.clone()).collect();
                            if !conflicts.contains(&conflict.conflict) {
                                conflicts.push(conflict.conflict.clone());
                                bodies.push(EventBody::Conflict(conflict));
                            }
                        }
                    }
                    commit = news.agreed;
                }
                // The vault or the bucket cannot be read. The status says so, and the news waits
                // until they can.
                Err(error) => tracing::debug!(%error, "what has moved cannot be told yet"),
            }
        }
        if let Some(key) = commit.filter(|_| commit != self.commit) {
            cursors.push((COMMIT, key.to_string()));
        }
        if conflicts != self.conflicts {
            conflicts.drain(..conflicts.len().saturating_sub(MAX_CONFLICTS));
            cursors.push((CONFLICTS, serde_json::to_string(&conflicts).unwrap_or_default()));
        }
        let open = self.wrong(status, passing, &mut bodies);
        if open != self.open {
            cursors.push((OPEN, serde_json::to_string(&open).unwrap_or_default()));
        }
        if status.left_out != self.left_out {
            bodies.extend(left_out(&self.left_out, &status.left_out).map(EventBody::LeftOut));
            cursors.push((LEFT_OUT, serde_json::to_string(&status.left_out).unwrap_or_default()));
        }
        if status.state != self.state {
            bodies.push(EventBody::State { state: status.state, was: self.state });
        }
        let Some(told) = self.events.publish(bodies, &cursors) else { return Vec::new() };
        self.generation = (commit.map_or(0, |key| key.seq) == status.generation).then_some(status.generation);
        (self.commit, self.open, self.conflicts, self.state) = (commit, open, conflicts, status.state);
        self.left_out.clone_from(&status.left_out);
        self.clashes.clear();
        told
    }

    /// Takes what clashed in merges, for the events of their conflicts.
    pub(super) fn heard(&mut self, clashes: &[(ConflictId, Clash)]) {
        self.clashes.extend_from_slice(clashes);
    }

    /// Announces a new verdict, if it is one.
    pub(super) fn state(&mut self, state: State) {
        if state != self.state {
            let body = EventBody::State { state, was: self.state };
            if self.events.publish(vec![body], &[]).is_some() {
                self.state = state;
            }
        }
    }

    /// Adds the holds and errors that were not there before to `bodies`. Returns the keys of all
    /// that are there now.
    fn wrong(
        &self,
        status: &StatusDocument,
        passing: &BTreeSet<String>,
        bodies: &mut Vec<EventBody>,
    ) -> BTreeSet<String> {
        let mut open = BTreeSet::new();
        for hold in &status.holds {
            let HoldDocument { id, .. } = hold;
            let key = format!("hold {id}");
            if !self.open.contains(&key) && !open.contains(&key) {
                bodies.push(EventBody::Hold { hold: hold.clone() });
            }
            open.insert(key);
        }
        // Being offline is a state, not an error; for more than a day it is one.
        let told = |error: &&ErrorDocument| {
            let passes = error.path.as_ref().is_some_and(|path| passing.contains(path));
            !passes && (error.alarm || status.state != State::Offline)
        };
        let mut new = 0;
        for error in status.errors.iter().filter(told) {
            let key = format!("error {} {}", error.path.as_deref().unwrap_or_default(), error.message);
            if !self.open.contains(&key) && !open.contains(&key) {
                new += 1;
                if new <= MAX_ERRORS {
                    bodies.push(EventBody::Error { error: error.clone() });
                }
            }
            open.insert(key);
        }
        if new > MAX_ERRORS {
            // A hook for each of them, and all kept events pushed out, would help nobody.
            let message = format!("{} more paths are not synced", new - MAX_ERRORS);
            let error = ErrorDocument::of(&message, "`cogzy-vault status --json` names them");
            bodies.push(EventBody::Error { error });
        }
        open
    }
}

/// The groups of which other derived members are missing now, or the program for them is in another
/// state.
fn left_out<'a>(
    was: &'a [LeftOutDocument],
    is: &'a [LeftOutDocument],
) -> impl Iterator<Item = LeftOutDocument> {
    let of = |list: &'a [LeftOutDocument], group: &str| list.iter().find(|one| one.group == group);
    let over = was.iter().filter(move |one| of(is, &one.group).is_none());
    let over = over.map(|one| LeftOutDocument { left_out: Vec::new(), ..one.clone() });
    is.iter().filter(|one| !was.contains(one)).cloned().chain(over)
}

fn change(key: CommitKey, commit: &Commit) -> ChangeEvent {
    ChangeEvent {
        generation: key.seq,
        commit: key.to_string(),
        transaction: commit.txn.map(|txn| txn.to_string()),
        device: commit.device.as_ref().map(|device| device.name.clone()),
        paths: commit.changes.iter().take(MAX_PATHS).map(|change| change.path.to_string()).collect(),
        files: commit.changes.len(),
    }
}

fn kept(conflict: &Conflict) -> ConflictEvent {
    ConflictEvent {
        conflict: conflict.id.to_string(),
        item: conflict.item.to_string(),
        device: conflict.origin.as_ref().map(|origin| origin.device.clone()),
        next: format!("cogzy-vault conflicts show {}", conflict.id.short()),
        clashes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{board, events};

    #[test]
    fn of_many_new_errors_the_others_are_counted_and_none_is_told_again_or_while_it_passes() {
        let folder = tempfile::tempdir().unwrap();
        let mut announcer = Announcer::new(events::tests::events(folder.path()), State::InSync);
        let error =
            |n: u32| ErrorDocument { path: Some(format!("traces/{n}")), ..ErrorDocument::of("m", "n") };
        let status = StatusDocument { errors: (0..160).map(error).collect(), ..board::tests::status() };
        let passing = (0..10).map(|n| format!("traces/{n}")).collect();
        let mut bodies = Vec::new();
        announcer.open = announcer.wrong(&status, &passing, &mut bodies);
        assert_eq!((bodies.len(), announcer.open.len()), (MAX_ERRORS + 1, 150));
        let Some(EventBody::Error { error }) = bodies.pop() else { panic!("it is none") };
        assert_eq!((error.path, error.message.as_str()), (None, "50 more paths are not synced"));
        let mut again = Vec::new();
        announcer.wrong(&status, &BTreeSet::new(), &mut again);
        assert_eq!(again.len(), 10, "they do not pass any more");
    }
}

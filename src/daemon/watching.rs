//! The watcher of the vault: begun, extended to new folders, and shown where it is blind. Without it
//! a scan finds everything, only later.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::{Course, Daemon};
use cogzy_client::documents::UnwatchedDocument;
use cogzy_engine::vault::{Watch, WatchError, WatchEvent};

impl Daemon {
    /// Starts the watcher. Without it a scan finds everything, only later.
    pub(super) fn watch(&self, hints: mpsc::Sender<WatchEvent>, course: &mut Course) -> Option<Watch> {
        let lost = Arc::clone(&course.lost);
        let on_event = move |event| {
            if hints.try_send(event).is_err() {
                lost.store(true, Ordering::Relaxed);
            }
        };
        let layout = self.engine.layout();
        match Watch::start(self.grip.disk.as_ref(), layout, &self.filter, on_event) {
            Ok(watch) => {
                course.blind = false;
                self.show_blind(watch.blind(), course);
                Some(watch)
            }
            Err(error) => {
                if !std::mem::replace(&mut course.blind, true) {
                    tracing::warn!(%error, "going on without a watcher: the vault is scanned at every poll");
                }
                self.show_blind(&BTreeMap::from([(layout.root().to_owned(), error)]), course);
                None
            }
        }
    }

    /// Watches folders that are new since the last scan, and tries again the others.
    pub(super) fn watch_more(&self, watch: Option<&mut Watch>, course: &mut Course) {
        // Without any watch a new one is tried after each scan.
        let Some(watch) = watch else {
            course.rewatch = true;
            return;
        };
        match watch.refresh(self.grip.disk.as_ref()) {
            Ok(any) => {
                if any {
                    course.scheduler.touch(self.clock.monotonic(), None);
                }
                self.show_blind(watch.blind(), course);
            }
            Err(error) => {
                let root = self.grip.layout.root().to_owned();
                self.show_blind(&BTreeMap::from([(root, error)]), course);
            }
        }
    }

    /// Shows the folders that cannot be watched; they are scanned at every poll.
    fn show_blind(&self, blind: &BTreeMap<PathBuf, WatchError>, course: &mut Course) {
        course.scheduler.watching(blind.is_empty());
        let unwatched: Vec<UnwatchedDocument> = blind
            .iter()
            .map(|(path, why)| UnwatchedDocument { path: path.clone(), why: why.to_string() })
            .collect();
        if self.board.read().unwatched == unwatched {
            return;
        }
        match blind.values().next() {
            Some(error) => tracing::warn!(
                folders = blind.len(),
                %error,
                "not everything is watched: these folders are scanned at every poll"
            ),
            None => tracing::info!("everything is watched again"),
        }
        self.board.update(|status| status.unwatched = unwatched);
    }
}

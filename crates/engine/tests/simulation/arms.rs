//! Marks of what plans do, for the coverage.

use cogzy_engine::model::Item;
use cogzy_engine::plan::{Action, Plan};
use cogzy_engine::sync::{Progress, Watcher};

use crate::trace::Trace;

/// Marks the arms of the plan that were taken.
pub struct Arms(pub Trace);

impl Watcher for Arms {
    fn progress(&self, _: Progress) {}

    fn named(&self, _: usize) {
        self.0.mark("scan: some places");
    }

    fn planned(&self, plan: &Plan) {
        for step in &plan.steps {
            let action = match step.action {
                Action::Push => "push",
                Action::Pull => "pull",
                Action::Conflict(_) => "conflict",
                Action::Adopt => "adopt",
                Action::KeepLocal => "keep local",
            };
            let item = if matches!(step.item, Item::Group(_)) { "a group" } else { "a file" };
            self.0.mark(format!("plan: {action} {item}"));
        }
        let held = plan.holds.iter().map(|hold| ("held", hold));
        let approved = plan.approved.iter().map(|hold| ("approved", hold));
        let rejected = plan.rejected.iter().map(|hold| ("rejected", hold));
        for (what, hold) in held.chain(approved).chain(rejected) {
            self.0.mark(format!("plan: {what} {:?} {:?}", hold.reason, hold.direction));
        }
        if !plan.waiting.is_empty() {
            self.0.mark("plan: waiting");
        }
    }
}

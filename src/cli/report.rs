//! A cycle in words: its result, or its plan.

use super::exit::Exit;
use super::output::{Output, Tone, count, size, thousands};
use cogzy_client::documents::{ActionDocument, FileStepDocument, HoldDocument, PlanDocument, SyncDocument};
use cogzy_engine::model::ConflictId;
use cogzy_engine::sync::{Trouble, Weight};

/// The number of lines of one kind that are printed of a long list.
const SHOWN: usize = 20;

/// How much of a long list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Its head, and the number of the others.
    Head,
    /// All of it.
    All,
}

impl Extent {
    const fn most(self) -> usize {
        match self {
            Self::Head => SHOWN,
            Self::All => usize::MAX,
        }
    }
}

/// Prints the result of a cycle, or its plan, and returns the code to end with.
pub fn show(document: &SyncDocument, extent: Extent, output: &mut Output) -> Exit {
    output.json(document);
    match &document.plan {
        Some(plan) => tell_plan(plan, &document.holds, extent, output),
        None => tell_result(document, extent, output),
    }
    exit_of(document)
}

fn tell_plan(plan: &PlanDocument, holds: &[HoldDocument], extent: Extent, output: &mut Output) {
    let mut lines = Vec::new();
    for step in &plan.steps {
        let what = match step.action {
            ActionDocument::Push => "push",
            ActionDocument::Pull => "pull",
            ActionDocument::Conflict(_) => {
                "conflict, the remote's version will stand and the local one be kept aside"
            }
            ActionDocument::KeepLocal => "stays as it is here",
            ActionDocument::Adopt => continue,
        };
        lines.push(format!("{what}: {}", step.item));
        for FileStepDocument { path, from, to } in &step.files {
            let change = match (from, to) {
                (None, _) => "new",
                (_, None) => "deleted",
                _ => "changed",
            };
            lines.push(format!("    {change:8} {path}"));
        }
    }
    let waits = plan.waiting.iter().map(|waiting| format!("waits: {} ({})", waiting.item, waiting.why));
    lines.extend(waits);
    if lines.is_empty() && holds.is_empty() {
        output.line("nothing to do");
    }
    if lines.len() > extent.most() {
        output.line(summary(plan));
    }
    list(&lines, extent, "`cogzy-vault sync --dry-run --all`", |line| output.line(line));
    tell_holds(holds, output);
}

/// Counts of what a plan would do.
fn summary(plan: &PlanDocument) -> String {
    let files = |wanted: fn(&ActionDocument) -> bool| {
        let steps = plan.steps.iter().filter(|step| wanted(&step.action));
        steps.map(|step| step.files.len()).sum::<usize>()
    };
    let parts = [
        (files(|action| matches!(action, ActionDocument::Push)), "to send"),
        (files(|action| matches!(action, ActionDocument::Pull)), "to fetch"),
        (files(|action| matches!(action, ActionDocument::Conflict(_))), "in conflict"),
        (plan.waiting.len(), "waiting"),
    ];
    let told = parts.iter().filter(|(number, _)| *number > 0);
    told.map(|(number, what)| format!("{} {what}", count(*number, "file"))).collect::<Vec<_>>().join(", ")
}

/// Prints the head of a list and the number of its other lines, which `all` prints.
fn list(lines: &[String], extent: Extent, all: &str, mut print: impl FnMut(&str)) {
    lines.iter().take(extent.most()).for_each(|line| print(line));
    if let Some(more) = lines.len().checked_sub(extent.most()).filter(|more| *more > 0) {
        print(&format!("and {} more: {all} lists them", thousands(more as u64)));
    }
}

/// Prints the result of a cycle, long lists by their heads.
pub fn tell(report: &SyncDocument, output: &mut Output) {
    tell_result(report, Extent::Head, output);
}

fn tell_result(report: &SyncDocument, extent: Extent, output: &mut Output) {
    let SyncDocument { pushed, pulled, deleted_local, deleted_remote, .. } = *report;
    let parts = [
        (pushed, "sent"),
        (pulled, "fetched"),
        (deleted_remote, "deleted there"),
        (deleted_local, "deleted here"),
    ];
    let moved: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", thousands(*count as u64)))
        .collect();
    let moved = if moved.is_empty() { "nothing to send or fetch".to_owned() } else { moved.join(", ") };
    let transfer = report.transfer;
    output.note(format!(
        "generation {}: {moved} ({} up, {} down, {} requests)",
        report.generation,
        size(transfer.bytes_up),
        size(transfer.bytes_down),
        thousands(transfer.requests),
    ));
    for item in &report.reverted {
        output.note(format!(
            "a program saved {item} as it was before the last pull: what had come was kept, too"
        ));
    }
    for item in &report.merged {
        output.note(match item.strip_prefix("file:") {
            Some(path) => format!("merged: {path}"),
            None => format!("merged, memory by memory: {item}"),
        });
    }
    let kept = |conflict: &ConflictId| {
        format!(
            "conflict: the remote's version stands, the local one is kept: `cogzy-vault conflicts show {}`",
            conflict.short()
        )
    };
    let conflicts: Vec<String> = report.conflicts.iter().map(kept).collect();
    list(&conflicts, extent, "`cogzy-vault conflicts`", |line| output.toned(Tone::Warning, line));
    let of = |what: &str, wanted: fn(Weight) -> bool| -> Vec<String> {
        let problems = report.problems.iter().filter(|problem| wanted(problem.weight));
        problems.map(|Trouble { path, message, .. }| format!("{what}: {}", named(path, message))).collect()
    };
    let all = "`cogzy-vault sync --all`";
    let warned = of("synced, but", |weight| matches!(weight, Weight::Warned | Weight::Stale));
    list(&warned, extent, all, |line| output.toned(Tone::Warning, line));
    let left_out = of("left out", Weight::left_out);
    list(&left_out, extent, all, |line| output.toned(Tone::Warning, line));
    let skipped = of("skipped", |weight| weight == Weight::Skipped);
    list(&skipped, extent, all, |line| output.note(line));
    if let Some(aside) = &report.aside {
        let text = format!(
            "set aside: {} in the bucket, not as this vault's devices make them: `cogzy-vault status`",
            count(aside.count, "object")
        );
        output.toned(Tone::Warning, text);
    }
    tell_holds(&report.holds, output);
}

/// A message about a path. Many messages begin with the name themselves.
pub fn named(path: &str, message: &str) -> String {
    let is_named = message.strip_prefix(path).is_some_and(|rest| rest.starts_with([':', ' ']));
    if is_named { message.to_owned() } else { format!("{path}: {message}") }
}

/// Prints the holds, each with both ways to decide it.
pub fn tell_holds(holds: &[HoldDocument], output: &mut Output) {
    for hold in holds {
        output.toned(Tone::Warning, format!("held: {}", hold.reason));
        ways(hold).iter().for_each(|way| output.line(way));
    }
}

/// Both ways to decide a hold, each with what it does.
pub fn ways(hold: &HoldDocument) -> [String; 2] {
    let HoldDocument { next, approving, reject, rejecting, .. } = hold;
    let other =
        reject.as_ref().map_or_else(|| rejecting.clone(), |reject| format!("{reject}    {rejecting}"));
    [format!("  next: {next}    {approving}"), format!("    or: {other}")]
        .map(|way| way.trim_end().to_owned())
}

/// The code to end with after a cycle.
pub fn exit_of(report: &SyncDocument) -> Exit {
    if !report.holds.is_empty() {
        Exit::Held
    } else if report.problems.iter().any(|problem| problem.weight.left_out()) {
        Exit::Partial
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests;

//! A cycle in words: its result, or its plan.

use super::exit::Exit;
use super::output::{Output, Tone, count, size, thousands};
use cogzy_client::documents::{ActionDocument, FileStepDocument, HoldDocument, PlanDocument, SyncDocument};
use cogzy_engine::sync::Weight;

/// Prints the result of a cycle, or its plan, and returns the code to end with.
pub fn show(document: &SyncDocument, output: &mut Output) -> Exit {
    output.json(document);
    match &document.plan {
        Some(plan) => tell_plan(plan, &document.holds, output),
        None => tell(document, output),
    }
    exit_of(document)
}

fn tell_plan(plan: &PlanDocument, holds: &[HoldDocument], output: &mut Output) {
    let mut any = false;
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
        any = true;
        output.line(format!("{what}: {}", step.item));
        for FileStepDocument { path, from, to } in &step.files {
            let change = match (from, to) {
                (None, _) => "new",
                (_, None) => "deleted",
                _ => "changed",
            };
            output.line(format!("    {change:8} {path}"));
        }
    }
    for waiting in &plan.waiting {
        any = true;
        output.line(format!("waits: {} ({})", waiting.item, waiting.why));
    }
    tell_holds(holds, output);
    if !any && holds.is_empty() {
        output.line("nothing to do");
    }
}

/// Prints the result of a cycle.
pub fn tell(report: &SyncDocument, output: &mut Output) {
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
    for conflict in &report.conflicts {
        let text = format!(
            "conflict: the remote's version stands, the local one is kept: `cogzy-vault conflicts show {}`",
            conflict.short()
        );
        output.toned(Tone::Warning, text);
    }
    for problem in report.problems.iter().filter(|problem| problem.weight == Weight::Warned) {
        output.toned(Tone::Warning, format!("synced, but: {}: {}", problem.path, problem.message));
    }
    for problem in report.problems.iter().filter(|problem| problem.weight.left_out()) {
        output.toned(Tone::Warning, format!("left out: {}: {}", problem.path, problem.message));
    }
    for problem in report.problems.iter().filter(|problem| problem.weight == Weight::Skipped) {
        output.note(format!("skipped: {}: {}", problem.path, problem.message));
    }
    if let Some(aside) = &report.aside {
        let text = format!(
            "set aside: {} in the bucket that no device of this vault made: cogzy-vault status",
            count(aside.count, "object")
        );
        output.toned(Tone::Warning, text);
    }
    tell_holds(&report.holds, output);
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

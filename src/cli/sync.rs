//! `cogzy-vault sync`

use std::time::Duration;

use serde_json::json;

use super::app::{App, Shown, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, size, thousands};
use crate::paths::machine_id;
use crate::plan::{Action, Hold};
use crate::sync::{Engine, Report, Request, Weight};

/// How often what has not settled is waited for.
const TRIES: usize = 4;
/// Clocks of file systems tick more coarsely than ours.
const MARGIN: Duration = Duration::from_millis(50);

/// Sync now: one whole cycle, with progress
///
/// Through the daemon if one runs, else by itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Also send rebuilt indexes
    #[arg(long)]
    pub derived: bool,
}

/// One cycle, or what it would do.
///
/// # Errors
/// What stops the cycle.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let lock = app.lock()?;
    let exit = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        engine.claim_device(&machine_id())?;
        if args.dry_run {
            dry_run(&mut engine, args, output).await
        } else {
            cycle(app, &mut engine, args, output).await
        }
    });
    drop(lock);
    exit
}

async fn dry_run(engine: &mut Engine, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let shown = Shown::on(output);
    let survey = engine.dry_run(args.derived, &shown).await?;
    drop(shown);
    output.json(&json!({ "schema": 1, "plan": survey.plan }));
    for step in &survey.plan.steps {
        let what = match step.action {
            Action::Push => "push",
            Action::Pull => "pull",
            Action::Conflict(_) => "pull, keep the local version",
            Action::Adopt => continue,
            Action::KeepLocal => "stays as it is here",
        };
        output.line(format!("{what}: {}", step.item));
        for file in &step.files {
            let change = match (file.from, file.to) {
                (None, Some(_)) => "new",
                (Some(_), None) => "deleted",
                _ => "changed",
            };
            output.line(format!("    {change:8} {}", file.path));
        }
    }
    for waiting in &survey.plan.waiting {
        output.line(format!("waits: {} ({})", waiting.item, waiting.why));
    }
    tell_holds(&survey.plan.holds, output);
    if survey.plan.is_quiet() && survey.plan.holds.is_empty() && survey.plan.waiting.is_empty() {
        output.line("nothing to do");
    }
    Ok(if survey.plan.holds.is_empty() { Exit::Done } else { Exit::Held })
}

async fn cycle(app: &App, engine: &mut Engine, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let request = Request { derived: args.derived, ..Request::FULL };
    let settle = app.config().sync.settle;
    let mut whole = Report::default();
    for _ in 0..=TRIES {
        let shown = Shown::on(output);
        let report = engine.cycle(request, &shown).await?;
        drop(shown);
        whole = report.after(&whole);
        if !whole.again() {
            break;
        }
        // What was written a moment ago, or displaced a moment ago, is looked at again when it has settled.
        tokio::time::sleep(settle + MARGIN).await;
    }
    engine.note_success();
    output.json(&document(&whole));
    tell(&whole, output);
    Ok(exit_of(&whole))
}

fn document(report: &Report) -> serde_json::Value {
    json!({
        "schema": 1,
        "generation": report.generation,
        "pushed": report.pushed,
        "pulled": report.pulled,
        "deleted_local": report.deleted_local,
        "deleted_remote": report.deleted_remote,
        "conflicts": report.conflicts,
        "holds": holds_document(&report.holds),
        "problems": report.problems,
        "transfer": report.transfer,
    })
}

/// Holds as every document shows them.
#[must_use]
pub fn holds_document(holds: &[Hold]) -> Vec<serde_json::Value> {
    let document = |hold: &Hold| {
        json!({
            "id": hold.id,
            "reason": hold.to_string(),
            "items": hold.items.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "next": format!("cogzy-vault approve {}", hold.id),
        })
    };
    holds.iter().map(document).collect()
}

fn tell(report: &Report, output: &mut Output) {
    let Report { pushed, pulled, deleted_local, deleted_remote, .. } = *report;
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
            "conflict: the remote's version stands, the local one is kept: cogzy-vault conflicts show {}",
            conflict.short()
        );
        output.toned(Tone::Warning, text);
    }
    for problem in report.problems.iter().filter(|problem| problem.weight != Weight::Skipped) {
        output.toned(Tone::Warning, format!("left out: {}: {}", problem.path, problem.message));
    }
    for problem in report.problems.iter().filter(|problem| problem.weight == Weight::Skipped) {
        output.note(format!("skipped: {}: {}", problem.path, problem.message));
    }
    tell_holds(&report.holds, output);
}

/// Says what is held, and the command that decides it.
pub fn tell_holds(holds: &[Hold], output: &mut Output) {
    for hold in holds {
        output.toned(Tone::Warning, format!("held: {hold}"));
        output.line(format!(
            "      cogzy-vault approve {0}    (or: cogzy-vault approve --reject {0})",
            hold.id
        ));
    }
}

fn exit_of(report: &Report) -> Exit {
    if !report.holds.is_empty() {
        Exit::Held
    } else if report.problems.iter().any(|problem| problem.weight != Weight::Skipped) {
        Exit::Partial
    } else {
        Exit::Done
    }
}

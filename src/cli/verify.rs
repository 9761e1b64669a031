//! `cogzy-vault verify`

use super::app::App;
use super::ask;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, count};
use super::progress::{ProgressWatcher, through_daemon};
use crate::control::jobs;
use cogzy_client::documents::{AsideDocument, VerifyDocument, VerifyRequest};
use cogzy_client::socket;
use cogzy_engine::sync::{Lost, Repaired};

/// Check the local files against the manifest, and the bucket against its own commits
///
/// Through the daemon if one runs, which goes on syncing meanwhile (but for a repair); else by
/// itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read every pack
    #[arg(long)]
    pub deep: bool,
    /// Put right what can be: local files from the bucket, the bucket from what is here. Reads
    /// every pack
    #[arg(long)]
    pub repair: bool,
    /// Give up what no repair could bring back: the lost files go back to their last version that
    /// can be read, or go. Asks first, and says what goes
    #[arg(long, requires = "repair")]
    pub give_up: bool,
    /// Give it up without asking
    #[arg(long, requires = "give_up")]
    pub yes: bool,
}

/// Checks everything and prints the faults.
///
/// # Errors
/// If the checks cannot run.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let Args { deep, repair, .. } = *args;
    let document = request(app, &VerifyRequest { deep, repair, give_up: None }, output)?;
    let is_lost = document.verified.faults.iter().any(|fault| fault.path.starts_with("packs/"));
    let document = match args.give_up && (is_lost || !document.verified.lost.is_empty()) {
        true => give_up(app, args, document, output)?,
        false => Some(document),
    };
    let Some(document) = document else { return Ok(Exit::Corrupt) };
    output.json(&document);
    Ok(tell_all(&document, output))
}

fn request(app: &App, request: &VerifyRequest, output: &Output) -> Result<VerifyDocument, Failure> {
    app.cycle(
        async || {
            let mut engine = app.engine().await?;
            Ok(jobs::verify(&mut engine, request, &ProgressWatcher::on(output)).await?)
        },
        async || through_daemon(&app.socket, output, socket::post(&app.socket, "/v1/verify", request)).await,
    )
}

/// Gives up what a repair has left lost, once the user has agreed. None if the answer is no.
fn give_up(
    app: &App,
    args: &Args,
    document: VerifyDocument,
    output: &mut Output,
) -> Result<Option<VerifyDocument>, Failure> {
    let VerifyDocument { verified, repaired, .. } = document;
    if !args.yes {
        tell(&repaired.unwrap_or_default(), output);
        tell_given_up("would be given up", &verified.lost, Some(verified.generation), output);
        output.line("a device that is away may still have these bytes: what it has comes back with it");
        if !ask::is_possible(output) {
            let why = "giving up needs confirmation: nothing was given up";
            return Err(Failure::new(Exit::Usage, why).next("cogzy-vault verify --repair --give-up --yes"));
        }
        if !ask::agrees("give this up for good?", output) {
            output.line("nothing was given up");
            return Ok(None);
        }
    }
    let give_up = Some(verified.lost);
    request(app, &VerifyRequest { deep: true, repair: true, give_up }, output).map(Some)
}

/// Prints the findings.
fn tell_all(document: &VerifyDocument, output: &mut Output) -> Exit {
    let VerifyDocument { verified, repaired, .. } = document;
    if let Some(repaired) = repaired {
        tell(repaired, output);
        tell_given_up("given up now", &repaired.given_up, None, output);
    }
    if repaired.as_ref().is_none_or(|repaired| repaired.given_up.is_empty()) {
        tell_given_up("given up", &verified.given_up, None, output);
    }
    for fault in &verified.faults {
        output.toned(Tone::Bad, format!("damaged: {}: {}", fault.path, fault.message));
    }
    if let Some(aside) = AsideDocument::of(&verified.aside) {
        for object in &aside.objects {
            output.toned(Tone::Warning, format!("set aside: {}: {}", object.key, object.why));
        }
        output.note(format!(
            "{} in the bucket, not as this vault's devices make them",
            count(aside.count, "object")
        ));
        output.note(aside.next);
    }
    tell_lost(&verified.lost, repaired.is_some(), output);
    let packs = count(verified.packs, "pack");
    let packs = if verified.deep { format!("{packs} read") } else { format!("{packs} there") };
    output.note(format!(
        "generation {}: {} hashed, {} and {packs}, {}",
        verified.generation,
        count(verified.files, "file"),
        count(verified.commits, "commit"),
        count(verified.faults.len(), "fault"),
    ));
    let unsent = match verified.differing {
        0 => String::new(),
        1 => "; 1 file differs here: `cogzy-vault sync --dry-run` says how".to_owned(),
        many => format!("; {many} files differ here: `cogzy-vault sync --dry-run` says how"),
    };
    if verified.faults.is_empty() {
        output.toned(Tone::Good, format!("the backup is sound{unsent}"));
        return Exit::Done;
    }
    output.note(format!("not everything is sound{unsent}"));
    match repaired {
        None => output.note("`cogzy-vault verify --repair` puts right what can be"),
        Some(_) if verified.lost.is_empty() => {}
        Some(_) => output.note("`cogzy-vault verify --repair --give-up` gives up what nobody has any more"),
    }
    Exit::Corrupt
}

fn tell(repaired: &Repaired, output: &mut Output) {
    for name in repaired.files.iter().chain(&repaired.objects) {
        output.toned(Tone::Good, format!("repaired: {name}"));
    }
    for name in &repaired.sent {
        output.toned(Tone::Good, format!("sent again: {name}"));
    }
    for name in &repaired.partly {
        output.line(format!("repaired as far as its bytes could be found: {name}"));
    }
    for name in &repaired.dismissed {
        output.line(format!("told of no more: {name}"));
    }
    for name in &repaired.dropped {
        output.toned(Tone::Good, format!("deleted, for the commits say the same: {name}"));
    }
}

/// Prints versions that were given up, or would be, and what comes in their place. `newest` is the
/// newest generation, in which a lost file would go.
fn tell_given_up(what: &str, lost: &[Lost], newest: Option<u64>, output: &mut Output) {
    for lost in lost {
        let goes = Some(lost.to) == newest && !lost.path.starts_with("conflict ");
        let instead = match lost.readable {
            Some(generation) => format!("; that of generation {generation} stands again"),
            None if goes => "; nothing older can be read, so the file goes".to_owned(),
            None => String::new(),
        };
        output.line(format!("{what}: {}, {}{instead}", lost.path, generations(lost)));
    }
}

fn generations(Lost { from, to, .. }: &Lost) -> String {
    if from == to { format!("generation {from}") } else { format!("generations {from} to {to}") }
}

/// Prints the versions that the bucket cannot give any more. Before a repair, this device may still
/// have them.
fn tell_lost(lost: &[Lost], is_repaired: bool, output: &mut Output) {
    let what = if is_repaired { "lost" } else { "not to be had from the bucket" };
    for lost in lost {
        output.toned(Tone::Bad, format!("{what}: {}, {}", lost.path, generations(lost)));
    }
    if is_repaired && !lost.is_empty() {
        output.line("another device may still have these bytes: run `cogzy-vault verify --repair` there too");
    }
}

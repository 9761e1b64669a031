//! `cogzy-vault approve`

use super::app::{App, Shown, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::plan::{Hold, Reason};

/// Let a held change pass, or decide the other way
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The hold's id, or how it begins; not needed where only one is open
    pub hold: Option<String>,
    /// Decide the other way: an outgoing change is undone here, an incoming one is overruled
    #[arg(long)]
    pub reject: bool,
}

/// Notes the decision and runs the cycle that carries it out.
///
/// # Errors
/// Where no hold, or more than one, fits; what stops the cycle.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let lock = app.lock()?;
    let sync = super::sync::Args { dry_run: false, derived: false };
    let decided: Result<(), Failure> = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        let shown = Shown::on(output);
        let holds = engine.dry_run(false, &shown).await?.plan.holds;
        drop(shown);
        let hold = pick(&holds, args.hold.as_deref())?;
        let (approved, rejected) =
            if args.reject { (vec![], vec![hold.id]) } else { (vec![hold.id], vec![]) };
        if args.reject && hold.reason == Reason::Filter {
            return Err(Failure::new(Exit::Held, "filters are settings: only you can change them back")
                .next("edit `filter` in the file that `cogzy-vault config path` names"));
        }
        engine.decide(&approved, &rejected)?;
        Ok(())
    });
    drop(lock);
    decided?;
    super::sync::run(app, &sync, output)
}

fn pick<'a>(holds: &'a [Hold], id: Option<&str>) -> Result<&'a Hold, Failure> {
    let fitting: Vec<&Hold> =
        holds.iter().filter(|hold| id.is_none_or(|id| hold.id.to_string().starts_with(id))).collect();
    match (fitting.as_slice(), id) {
        ([one], _) => Ok(one),
        ([], None) => Err(Failure::new(Exit::Usage, "nothing is held").next("cogzy-vault status")),
        ([], Some(id)) => {
            Err(Failure::new(Exit::Usage, format!("no hold is named {id}"))
                .next("cogzy-vault status lists them"))
        }
        (many, _) => {
            let list = many.iter().map(|hold| format!("\n    {}  {hold}", hold.id)).collect::<String>();
            Err(Failure::new(Exit::Usage, format!("more than one hold is open:{list}"))
                .next("cogzy-vault approve ID"))
        }
    }
}

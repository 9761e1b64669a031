//! `cogzy-vault config`

use super::app::App;
use super::documents::{ConfigCheckDocument, ConfigDocument, ConfigPathDocument};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone};
use cogzy_client::documents::SchemaVersion;
use cogzy_engine::vault::Filter;

/// Show or check the configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The action.
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// An action on the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
pub enum ConfigAction {
    /// Show every key, its value, and where that comes from
    Show,
    /// Check it, and say what is wrong
    Check,
    /// Say where its file is
    Path,
}

/// Shows or checks the configuration; reading it was most of the check.
///
/// # Errors
/// If the filters do not compile.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (file, file_exists) = (app.loaded.file.as_path(), app.loaded.file_exists);
    match args.action {
        ConfigAction::Show => {
            let keys = app.loaded.keys.iter().map(|(key, shown)| (*key, shown.into())).collect();
            output.json(&ConfigDocument { schema: SchemaVersion, file, keys });
            let rows: Vec<[String; 3]> = app
                .loaded
                .keys
                .iter()
                .map(|(key, shown)| [(*key).to_owned(), shown.value.clone(), format!("# {}", shown.source)])
                .collect();
            output.table(&rows);
        }
        ConfigAction::Check => {
            let filter = &app.config().filter;
            Filter::new(&filter.include, &filter.exclude)?;
            output.json(&ConfigCheckDocument { schema: SchemaVersion, ok: true, file, file_exists });
            let of = if file_exists { "" } else { " (there is no such file: these are the defaults)" };
            output.toned(Tone::Good, format!("the configuration is good: {}{of}", file.display()));
        }
        ConfigAction::Path => {
            output.json(&ConfigPathDocument { schema: SchemaVersion, file, file_exists });
            output.line(file.display());
        }
    }
    Ok(Exit::Done)
}

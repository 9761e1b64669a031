//! A restore, an undo and the decision of a conflict in words.

use super::exit::Exit;
use super::output::{Output, Tone};
use super::report;
use cogzy_client::documents::RewriteDocument;

/// Says what a job did, and gives the code to end with.
pub fn tell(document: &RewriteDocument, what: &str, output: &mut Output) -> Exit {
    output.json(document);
    match document.generation {
        Some(generation) => output.toned(
            Tone::Good,
            format!(
                "generation {generation}: {what}, {} files changed, {} deleted",
                document.changed, document.deleted
            ),
        ),
        None => output.line(format!("{what}: everything stands like that already, no generation was made")),
    }
    for path in &document.beside {
        output.line(format!("    {path}"));
    }
    report::tell(&document.sync, output);
    report::exit_of(&document.sync)
}

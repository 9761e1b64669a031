//! The result of a restore, an undo or a decision in words.

use super::exit::Exit;
use super::output::{Output, Tone};
use super::report;
use cogzy_client::documents::RewriteDocument;

/// Prints the result, and returns the code to end with.
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
        None if document.put_back > 0 => {}
        None => output.line(format!("{what}: everything stands like that already, no generation was made")),
    }
    if document.put_back > 0 {
        let count = match document.put_back {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        output.toned(
            Tone::Good,
            format!("{what}: {count} on this device did not hold what the backup has, and do again; what stood there is in sync/trash"),
        );
    }
    for path in &document.beside {
        output.line(format!("    {path}"));
    }
    report::tell(&document.sync, output);
    report::exit_of(&document.sync)
}

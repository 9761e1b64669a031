//! The result of a restore, an undo or a decision in words.

use super::exit::Exit;
use super::output::{Output, Tone, count};
use super::report;
use cogzy_client::documents::RewriteDocument;

/// Prints the result, and returns the code to end with.
pub fn tell(document: &RewriteDocument, what: &str, output: &mut Output) -> Exit {
    output.json(document);
    match document.generation {
        Some(generation) => output.toned(
            Tone::Good,
            format!(
                "generation {generation}: {what}, {} changed, {} deleted",
                count(document.changed, "file"),
                document.deleted
            ),
        ),
        None if document.put_back > 0 => {}
        None => output.line(format!("{what}: everything stands like that already, no generation was made")),
    }
    if document.put_back > 0 {
        let verb = if document.put_back == 1 { "does" } else { "do" };
        let count = count(document.put_back, "file");
        output.toned(
            Tone::Good,
            format!("{what}: {count} on this device did not hold what the backup has, and {verb} again; what stood there is in sync/trash"),
        );
    }
    for path in &document.beside {
        output.line(format!("    {path}"));
    }
    report::tell(&document.sync, output);
    report::exit_of(&document.sync)
}

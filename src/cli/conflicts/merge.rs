//! `conflicts resolve --keep merged`

use crate::cli::app::App;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::job::perform;
use crate::cli::output::{Output, count};
use crate::cli::rewritten::tell;
use cogzy_client::documents::{KeptVersion, ResolveRequest, RewriteDocument};
use cogzy_engine::model::Conflict;
use cogzy_engine::sync::{Clash, Ranks};

/// The largest number of clashes that are printed for people.
const SHOWN: usize = 20;

/// Merges the two versions of a conflict.
pub(super) fn decide(
    app: &App,
    conflict: &Conflict,
    yes: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let id = conflict.id;
    let request = ResolveRequest { keep: KeptVersion::Merged, yes };
    let resource = format!("/v1/conflicts/{id}/resolve");
    let document: RewriteDocument = perform(app, &resource, &request, output, async |engine, watcher| {
        Ok(RewriteDocument::from(&engine.merge_conflict(id, yes, watcher).await?))
    })?;
    let exit = tell(&document, &format!("conflict {} decided, both versions are merged", id.short()), output);
    clashes(&document.clashes, output);
    if document.generation.is_some() {
        output.note(
            "the version that was set aside is in sync/trash on the devices that have it, and in the history",
        );
    }
    Ok(exit)
}

fn clashes(clashes: &[Clash], output: &mut Output) {
    if clashes.is_empty() {
        return;
    }
    output.line(format!("{} changed on both sides, and this was left out:", count(clashes.len(), "value")));
    for clash in clashes.iter().take(SHOWN) {
        output.line(format!("    {}", told(clash)));
    }
    if clashes.len() > SHOWN {
        output.line(format!("    and {} more: --json has them", clashes.len() - SHOWN));
    }
}

/// One clash in a line.
fn told(clash: &Clash) -> String {
    let what = match (&clash.id, &clash.field) {
        (Some(id), Some(field)) => format!("memory {id:?}, {field}"),
        (Some(id), None) => format!("memory {id:?}"),
        (None, field) => format!("{} of the whole file", field.as_deref().unwrap_or_default()),
    };
    let words = if clash.words.is_empty() { String::new() } else { format!(" ({})", clash.words) };
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let higher = clash.ranks.as_ref().filter(|ranks| ranks.here_wins);
    if let Some(Ranks { here, there, .. }) = higher {
        let ranks = format!("{} ranks before {}", value(here), value(there));
        return format!(
            "{what}{words}: left out {}, stands {}, for {ranks}",
            value(&clash.there),
            value(&clash.here)
        );
    }
    let stands = if clash.there.is_none() && clash.field.is_none() {
        "it was deleted".to_owned()
    } else {
        value(&clash.there)
    };
    format!("{what}{words}: left out {}, stands {stands}", value(&clash.here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clash_is_one_line() {
        let text = |text: &str| Some(text.to_owned());
        let field = Clash {
            id: text("n1"),
            words: "What I like".to_owned(),
            field: text("tags"),
            here: text("[1]"),
            there: None,
            ranks: None,
        };
        assert_eq!(told(&field), "memory \"n1\", tags (What I like): left out [1], stands nothing");
        let whole = Clash { field: None, words: String::new(), ..field.clone() };
        assert_eq!(told(&whole), "memory \"n1\": left out [1], stands it was deleted");
        let ranks = Some(Ranks { here: text("user"), there: None, here_wins: true });
        assert_eq!(
            told(&Clash { ranks, ..field.clone() }),
            "memory \"n1\", tags (What I like): left out nothing, stands [1], for user ranks before nothing"
        );
        let of_the_file = Clash { id: None, words: String::new(), there: text("2"), ..field };
        assert_eq!(told(&of_the_file), "tags of the whole file: left out [1], stands 2");
    }
}

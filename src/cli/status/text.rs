//! A status in words: the verdict first (only an alarm comes before it), then the transfers, the
//! open decisions and the errors, each with the next command. A pure function, so that tests can
//! pin the words.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::output::{ProgressStep, StyledLine, Tone, count, duration, size};
use crate::cli::report::{named, ways};
use cogzy_client::documents::{
    AsideDocument, ErrorDocument, LeftOutDocument, RebuildState, State, StatusDocument, UnwatchedDocument,
};
use cogzy_engine::sync::Amount;

/// The longest lists that are shown whole.
const HEAD: usize = 20;

/// The words for `status` at `now_ms`, in milliseconds since the Unix epoch.
pub(super) fn lines(status: &StatusDocument, now_ms: u64) -> Vec<StyledLine> {
    let (alarms, errors): (Vec<_>, Vec<_>) = status.errors.iter().partition(|error| error.alarm);
    let mut lines: Vec<StyledLine> = alarms.into_iter().flat_map(|alarm| told(alarm, now_ms)).collect();
    lines.push(verdict(status, now_ms));
    let mut plain = |text: String| lines.push(StyledLine::plain(text));
    match status.state {
        State::Stopped => {
            plain(
                "  next: `cogzy-vault service install`, or `cogzy-vault sync` for one cycle now".to_owned(),
            );
        }
        State::Paused => {
            plain("  next: cogzy-vault resume".to_owned());
            for path in &status.open {
                plain(format!(
                    "  the vault's disk stays in use, for {} is open: to unmount it, stop the daemon (`cogzy-vault service stop`, or Ctrl-C where it runs)",
                    path.display()
                ));
            }
        }
        _ => {}
    }
    if attention(status) {
        plain(format!("  otherwise in sync · {}", standing(status, now_ms)));
    }
    let conflicts_told = status.state == State::InSync;
    for (what, amount) in [("to send", status.pending.up), ("to fetch", status.pending.down)] {
        if amount.files > 0 {
            plain(format!("  {what}: {}", files(amount)));
        }
    }
    if status.conflicts > 0 && !conflicts_told {
        lines.push(conflicts(status));
    }
    for hold in status.holds.iter().take(HEAD) {
        lines.push(StyledLine::toned(Tone::Warning, format!("! held: {}", hold.reason)));
        lines.extend(ways(hold).map(StyledLine::plain));
    }
    lines.extend(others(status.holds.len(), "more held change"));
    lines.extend(errors.iter().take(HEAD).flat_map(|error| told(error, now_ms)));
    lines.extend(others(errors.len(), "more path"));
    lines.extend(status.left_out.iter().flat_map(without));
    lines.extend(unwatched(&status.unwatched));
    lines.extend(status.aside.iter().flat_map(|aside| set_aside(aside, now_ms)));
    lines.push(StyledLine::plain(format!(
        "  generation {} · {} · {}",
        status.generation,
        status.remote,
        status.vault.display()
    )));
    lines
}

/// The number of those that a long list does not show.
fn others(all: usize, what: &str) -> Option<StyledLine> {
    let more = all.checked_sub(HEAD).filter(|more| *more > 0)?;
    let text = format!("  and {}: `cogzy-vault status --json` lists them", count(more, what));
    Some(StyledLine::plain(text))
}

fn told(error: &ErrorDocument, now_ms: u64) -> Vec<StyledLine> {
    let message =
        error.path.as_ref().map_or_else(|| error.message.clone(), |path| named(path, &error.message));
    let tries = tries(error.attempts, error.next_retry.as_deref(), now_ms);
    if error.waits {
        return vec![StyledLine::toned(Tone::Warning, format!("… {message}{tries}"))];
    }
    vec![
        StyledLine::toned(Tone::Bad, format!("✗ {message}")),
        StyledLine::plain(format!("  next: {}{tries}", error.next)),
    ]
}

/// Derived members that a group lacks, and the next thing to do.
fn without(left_out: &LeftOutDocument) -> Vec<StyledLine> {
    let LeftOutDocument { group, left_out, rebuild, .. } = left_out;
    let text = format!("! {group} is without {}, left out of a merge", left_out.join(", "));
    let line = rebuild.as_ref().and_then(|run| run.last_line.as_deref());
    let line = line.map_or_else(String::new, |line| format!(": {line}"));
    let next = match rebuild.as_ref().map(|run| run.state) {
        None => "let the app compute it again; it is then sent by itself".to_owned(),
        Some(RebuildState::Running) => "`hooks.rebuild` computes it again now".to_owned(),
        Some(RebuildState::Done) => {
            format!("`hooks.rebuild` has ended{line}; what it wrote is sent once it fits")
        }
        Some(RebuildState::Failed) => {
            format!("see to `hooks.rebuild`, which failed{line}; it is tried again in an hour")
        }
    };
    vec![StyledLine::toned(Tone::Warning, text), StyledLine::plain(format!("  next: {next}"))]
}

/// The first folder that cannot be watched, and the number of the others.
fn unwatched(folders: &[UnwatchedDocument]) -> Option<StyledLine> {
    let first = folders.first()?;
    let more = match folders.len() - 1 {
        0 => String::new(),
        more => format!(" (and {})", count(more, "folder")),
    };
    let text = format!("! changes are noticed only by a scan: {}{more}", first.why);
    Some(StyledLine::toned(Tone::Warning, text))
}

/// Objects that are not as this vault's devices make them, each with the reason.
fn set_aside(aside: &AsideDocument, now_ms: u64) -> Vec<StyledLine> {
    let what = count(aside.count, "object");
    let text =
        format!("! set aside: {what} in the bucket, not as this vault's devices make them; syncing goes on");
    let mut lines = vec![StyledLine::toned(Tone::Warning, text)];
    lines.extend(aside.objects.iter().map(|object| {
        let since = millis(&object.since)
            .map_or_else(String::new, |then| format!(", seen {} ago", since(then, now_ms)));
        StyledLine::plain(format!("    {}: {}{since}", object.key, object.why))
    }));
    let more = aside.count - aside.objects.len().min(aside.count);
    if more > 0 {
        lines.push(StyledLine::plain(format!("    and {} more", count(more, "object"))));
    }
    lines.push(StyledLine::plain(format!("  next: {}", aside.next)));
    lines
}

fn verdict(status: &StatusDocument, now_ms: u64) -> StyledLine {
    let standing = standing(status, now_ms);
    let (tone, text) = match status.state {
        State::InSync if status.conflicts > 0 => return conflicts(status),
        _ if attention(status) => (Tone::Warning, format!("! {}, told below", left_out(status))),
        State::InSync => (Tone::Good, format!("✓ in sync · {standing}")),
        State::Pending if status.pending.up.files + status.pending.down.files > 0 => {
            (Tone::Warning, format!("⟳ changes wait · {standing}"))
        }
        State::Pending => (Tone::Warning, format!("⟳ changes wait to settle · {standing}")),
        State::Syncing => (
            Tone::Warning,
            match &status.progress {
                Some(progress) => format!("⟳ {}", ProgressStep::from(progress)),
                None => "⟳ comparing both sides".to_owned(),
            },
        ),
        State::Offline => (Tone::Warning, format!("… offline, the remote is out of reach · {standing}")),
        State::Held => {
            let what = count(status.holds.len().max(1), "change");
            (Tone::Warning, format!("! {what} held, waiting for you · {standing}"))
        }
        State::Paused => (Tone::Warning, format!("‖ paused · {standing}")),
        State::Error => (Tone::Bad, format!("✗ the last sync did not go through · {standing}")),
        State::Stopped => (Tone::Warning, format!("■ no daemon runs · {standing}")),
    };
    StyledLine::toned(tone, text)
}

/// True if all else is in sync, and yet something needs attention.
fn attention(status: &StatusDocument) -> bool {
    let wrong = status.errors.iter().any(|error| error.path.is_some() && !error.waits);
    let only_paths = status.errors.iter().all(|error| error.path.is_some());
    match status.state {
        State::InSync => status.conflicts > 0 || wrong,
        State::Error => wrong && only_paths,
        _ => false,
    }
}

fn left_out(status: &StatusDocument) -> String {
    let problems = status.errors.iter().filter(|error| error.path.is_some() && !error.waits);
    count(problems.count(), "problem")
}

fn conflicts(status: &StatusDocument) -> StyledLine {
    let text = format!("! {} kept: `cogzy-vault conflicts`", count(status.conflicts, "conflict"));
    StyledLine::toned(Tone::Warning, text)
}

fn standing(status: &StatusDocument, now_ms: u64) -> String {
    let ago = match status.last_sync.as_deref().and_then(millis) {
        None => "never synced".to_owned(),
        Some(then) if status.state == State::InSync => format!("{} ago", since(then, now_ms)),
        Some(then) => format!("synced {} ago", since(then, now_ms)),
    };
    format!("{} · {ago}", count(status.files, "file"))
}

fn files(amount: Amount) -> String {
    let files = count(amount.files, "file");
    // Of what waits only the number is known.
    if amount.bytes == 0 { files } else { format!("{files}, {}", size(amount.bytes)) }
}

/// The number of attempts, and the time of the next one.
fn tries(attempts: u32, next_retry: Option<&str>, now_ms: u64) -> String {
    let tried = if attempts > 1 { format!("tried {attempts} times") } else { String::new() };
    let again = next_retry.and_then(millis).map(|at| match at.saturating_sub(now_ms) {
        0 => "next try now".to_owned(),
        wait => format!("next try in {}", duration(Duration::from_millis(wait))),
    });
    let parts: Vec<String> =
        [Some(tried), again].into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn since(then_ms: u64, now_ms: u64) -> String {
    duration(Duration::from_millis(now_ms.saturating_sub(then_ms)))
}

fn millis(moment: &str) -> Option<u64> {
    u64::try_from(moment.parse::<Timestamp>().ok()?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests;

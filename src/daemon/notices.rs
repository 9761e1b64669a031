//! Desktop notifications: what a person should hear of although nobody looks.
//!
//! These are conflicts, holds, and a sync that has failed for a day. Each is announced once, across
//! restarts too ([`super::announce`]); what comes at once is told in one notice, so that a hundred
//! conflicts are no hundred notices. The program of the desktop shows them, as a hook is run; where
//! none shows them, nothing is missed: status, log and hooks have the same.

use std::sync::Arc;

use cogzy_client::documents::{EventBody, EventDocument};

/// A title, and the text below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) title: String,
    pub(super) text: String,
}

impl Notice {
    fn new(title: String, text: &str) -> Self {
        Self { title, text: plain(text) }
    }
}

/// The notices for events that came at once.
pub(super) fn of(events: &[Arc<EventDocument>]) -> Vec<Notice> {
    let bodies = || events.iter().map(|event| &event.body);
    let conflicts: Vec<_> = bodies()
        .filter_map(|body| match body {
            EventBody::Conflict(conflict) => Some((conflict.item.as_str(), conflict.next.as_str())),
            _ => None,
        })
        .collect();
    let holds: Vec<_> = bodies()
        .filter_map(|body| match body {
            EventBody::Hold { hold } => Some((hold.reason.as_str(), hold.next.as_str())),
            _ => None,
        })
        .collect();
    let alarms = bodies().filter_map(|body| match body {
        EventBody::Error { error } if error.alarm => {
            Some(Notice::new(format!("Cogzy: {}", error.message), &error.next))
        }
        _ => None,
    });
    let conflict = |count: usize| match count {
        1 => ("Cogzy: a version was set aside".to_owned(), ""),
        count => (format!("Cogzy: {count} versions were set aside"), "`cogzy-vault conflicts` lists them"),
    };
    let hold = |count: usize| match count {
        1 => ("Cogzy: a change waits for you".to_owned(), ""),
        count => (format!("Cogzy: {count} changes wait for you"), "`cogzy-vault status` lists them"),
    };
    let told = [told(&conflicts, conflict), told(&holds, hold)];
    told.into_iter().flatten().chain(alarms).collect()
}

/// One notice for all of a kind: the only one by its own words, more of them by their number.
fn told(all: &[(&str, &str)], words: fn(usize) -> (String, &'static str)) -> Option<Notice> {
    let (title, many) = words(all.len());
    match all {
        [] => None,
        [(what, next)] => Some(Notice::new(title, &format!("{what}\n{next}"))),
        _ => Some(Notice::new(title, many)),
    }
}

/// A text without what a desktop may take for markup.
fn plain(text: &str) -> String {
    let replaced = |c: char| match c {
        '<' => '‹',
        '>' => '›',
        '&' => '＆',
        '\n' => '\n',
        c if c.is_control() => '�',
        c => c,
    };
    text.chars().map(replaced).collect()
}

#[cfg(test)]
mod tests;

//! The bytes that reach the two streams.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use cogzy_engine::sync::{self, Phase};

/// A stream that can be inspected, and that fails on demand.
#[derive(Clone, Default)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    error: Option<ErrorKind>,
}

impl Stream {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.error {
            Some(kind) => Err(kind.into()),
            None => self.bytes.lock().unwrap().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn output(out: &Stream, err: &Stream) -> Output {
    Output {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        json: false,
        again: Again::default(),
        answered: false,
        quiet: false,
        color: false,
        terminal: false,
        colors_errors: false,
        failed: None,
        closed: false,
    }
}

fn say_everything(output: &mut Output) {
    output.line("line");
    output.toned(Tone::Good, "good");
    output.note("note");
    output.table(&[["a".to_owned(), "b".to_owned()]]);
    output.json(&serde_json::json!({"schema": 1}));
    output.error("broken", Some("cogzy-vault sync"));
}

#[test]
fn json_is_alone_on_standard_output() {
    let (out, err) = (Stream::default(), Stream::default());
    say_everything(&mut Output { json: true, ..output(&out, &err) });
    assert_eq!(out.text(), "{\"schema\":1}\n");
    assert_eq!(err.text(), "error: broken\nnext:  cogzy-vault sync\n");
}

#[test]
fn text_goes_without_json_and_quiet_leaves_out_the_notes() {
    let out = Stream::default();
    say_everything(&mut output(&out, &Stream::default()));
    assert_eq!(out.text(), "line\ngood\nnote\na  b\n");
    let out = Stream::default();
    say_everything(&mut Output { quiet: true, color: true, ..output(&out, &Stream::default()) });
    assert_eq!(out.text(), "line\n\u{1b}[32mgood\u{1b}[0m\na  b\n");
}

#[test]
fn columns_stand_below_each_other() {
    let out = Stream::default();
    let row = |one: &str, other: &str| [one.to_owned(), other.to_owned()];
    output(&out, &Stream::default()).table(&[row("id", "what"), row("ärger", "x\ny"), row("last", "")]);
    assert_eq!(out.text(), "id     what\närger  x\\u{a}y\nlast\n");
    let (out, long) = (Stream::default(), "x".repeat(WIDEST + 1));
    output(&out, &Stream::default()).table(&[row("key", "what"), row(&long, "what")]);
    assert_eq!(out.text(), format!("key  what\n{long}  what\n"));
}

#[test]
fn a_reader_that_stops_is_no_error_and_a_full_disk_is() {
    let closed = Stream { error: Some(ErrorKind::BrokenPipe), ..Stream::default() };
    let mut output_to_pipe = output(&closed, &closed);
    say_everything(&mut output_to_pipe);
    assert!(output_to_pipe.finish().is_ok());

    let full = Stream { error: Some(ErrorKind::StorageFull), ..Stream::default() };
    let mut output_to_disk = output(&full, &Stream::default());
    say_everything(&mut output_to_disk);
    assert_eq!(output_to_disk.finish().unwrap_err().kind(), ErrorKind::StorageFull);
}

#[test]
fn progress_without_a_terminal_is_a_line_now_and_then() {
    let err = Stream::default();
    let mut progress = ProgressDisplay::lines(Box::new(err.clone()));
    let step = |phase, files: (usize, usize)| {
        let (files_done, files_total) = files;
        let (bytes_done, bytes_total) = (files_done as u64 * 1000, files_total as u64 * 1000);
        let progress = sync::Progress { phase, files_done, files_total, bytes_done, bytes_total };
        ProgressStep { progress, left: None, rate: None }
    };
    for done in 0..=250 {
        progress.show(step(Phase::Upload, (done, 250)));
    }
    // More and more bytes of what is nearly there, and the end again and again.
    (0..15).for_each(|_| progress.show(step(Phase::Upload, (250, 250))));
    progress.show(step(Phase::Apply, (1, 2)));
    let text = err.text();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("uploading 100/250 · 100/250 kB\n"), "{text}");
    assert!(text.ends_with("uploading 250/250 · 250/250 kB\napplying 1/2 · 1/2 kB\n"), "{text}");
}

#[test]
fn lines_that_change_are_drawn_in_the_place_of_the_last_ones() {
    let out = Stream::default();
    let mut output = output(&out, &Stream::default());
    let mut live = Live::drawn();
    let line = |text: &str| StyledLine::plain(text);
    live.show(&mut output, true, &[line("first"), line("second")], None);
    live.show(&mut output, false, &[line("third")], None);
    assert_eq!(out.text(), "first\nsecond\n\u{1b}[2A\r\u{1b}[Jthird\n");
}

proptest! {
    #[test]
    fn nothing_that_commands_a_terminal_gets_through(text in "(\\PC|\u{1b}|\r|\u{7}|\u{202e}|\u{9b}){0,20}") {
        let (out, err) = (Stream::default(), Stream::default());
        let mut output = output(&out, &err);
        output.line(&text);
        output.error(&text, Some(&text));
        output.table(&[[text]]);
        let all = out.text() + &err.text();
        prop_assert!(!all.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{all:?}");
    }
}

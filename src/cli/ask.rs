//! Questions before something that cannot be taken back.

use std::io::{IsTerminal, stdin};

use super::output::Output;

/// True if somebody can be asked.
pub fn is_possible(output: &Output) -> bool {
    !output.is_json() && stdin().is_terminal()
}

/// Asks a question. True if the answer is yes.
pub fn agrees(question: &str, output: &mut Output) -> bool {
    output.line(format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

//! The keys in `credentials.env`, for a daemon that was not started by systemd: no other manager
//! reads that file.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::Environment;

/// Starts this process anew with the variables of `file` that it lacks, if there are any. The
/// environment decides, as everywhere: what it has stays.
///
/// # Errors
/// If the file cannot be read, or the program cannot be started.
pub(super) fn take(file: &Path, environment: &Environment) -> Result<(), Failure> {
    let failed = |what: &str, error: io::Error| {
        let text = format!("{what} {}: {error}", file.display());
        Failure::new(Exit::Internal, text).next("cogzy-vault doctor")
    };
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|error| failed("the keys cannot be read from", error))?,
    };
    let missing: Vec<(&str, &str)> = variables(&text).filter(|(name, _)| !environment.has(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let program =
        std::env::current_exe().map_err(|error| failed("nothing starts with the keys of", error))?;
    let error = Command::new(program).args(std::env::args_os().skip(1)).envs(missing).exec();
    Err(failed("nothing starts with the keys of", error))
}

/// Names and values, as systemd reads such a file.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs =
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim()));
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    pairs.filter(move |(name, _)| is_name(name)).map(|(name, value)| (name, unquoted(value)))
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn a_file_is_read_as_systemd_does() {
        let text = "# a comment\n; another\n\nB2_APPLICATION_KEY_ID=004a\n B2_APPLICATION_KEY = 'K0 04=/+'\nno variable\n1X=y\na b=c\nEMPTY=\nQ=\"x\"\n";
        let expected = [
            ("B2_APPLICATION_KEY_ID", "004a"),
            ("B2_APPLICATION_KEY", "K0 04=/+"),
            ("EMPTY", ""),
            ("Q", "x"),
        ];
        assert_eq!(variables(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_is_started_where_the_environment_has_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials.env");
        let empty = (OsString::from("EMPTY"), OsString::new());
        let environment: Environment = [empty].into_iter().collect();
        take(&file, &environment).unwrap();
        std::fs::write(&file, "EMPTY=x\n").unwrap();
        take(&file, &environment).unwrap();
    }
}

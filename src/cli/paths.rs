//! Paths as people type them: of this machine, and of the vault.

use std::path::{Component, Path, PathBuf};

use super::exit::Exit;
use super::failure::Failure;
use cogzy_engine::model::{PathError, VaultPath};

/// A path of this machine, made absolute from the current folder: a program that starts later may
/// run elsewhere.
///
/// # Errors
/// If it is not Unicode.
pub fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err("the current folder's name is not valid Unicode".to_owned()),
    }
}

/// A folder of this machine to write to, by the name that the system gives it: links and `..` on the
/// way there are followed, so that it shows if it lies in the vault. It need not exist.
///
/// # Errors
/// If it is not Unicode.
pub fn target(text: &str) -> Result<PathBuf, String> {
    let mut real = PathBuf::new();
    for part in absolute(text)?.components() {
        // A folder that is made on the way has only the one above it.
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
        real = std::fs::canonicalize(&real).unwrap_or(real);
    }
    match real.to_str() {
        Some(_) => Ok(real),
        None => Err("the folder's name is not valid Unicode".to_owned()),
    }
}

/// A path of the vault at `root`, typed from the vault's root or with the root in front.
///
/// # Errors
/// If no vault can hold such a path.
pub fn vault_path(root: &Path, text: &str) -> Result<VaultPath, PathError> {
    let typed = Path::new(text);
    let below = typed.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or(text);
    VaultPath::new(below.trim_start_matches("./").trim_end_matches('/'))
}

/// Paths of the vault at `root`, typed in the same way.
///
/// # Errors
/// If no vault can hold one of them.
pub fn vault_paths(root: &Path, typed: &[String]) -> Result<Vec<VaultPath>, Failure> {
    let parsed = typed.iter().map(|text| vault_path(root, text));
    parsed.collect::<Result<_, _>>().map_err(|error| Failure::new(Exit::Usage, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_the_name_that_the_system_gives_it() {
        let folder = cogzy_testkit::fresh_folder();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("vault/inner")).unwrap();
        std::os::unix::fs::symlink(root.join("vault/inner"), root.join("link")).unwrap();
        for (typed, is) in [
            ("out", "out"),
            ("link/out", "vault/inner/out"),
            ("link/../out", "vault/out"),
            ("vault/../out/new", "out/new"),
            ("none/../vault/out", "vault/out"),
            ("none/../link/out", "vault/inner/out"),
        ] {
            let typed = root.join(typed);
            assert_eq!(target(typed.to_str().unwrap()).unwrap(), root.join(is));
        }
    }

    #[test]
    fn paths_may_begin_with_the_root() {
        let path = |text| vault_path(Path::new("/v"), text).map(|path| path.to_string());
        for text in ["corpus/x", "/v/corpus/x", "./corpus/x", "corpus/x/"] {
            assert_eq!(path(text).unwrap(), "corpus/x");
        }
        assert!(path("/elsewhere/x").is_err() && path("../x").is_err());
    }
}

//! Rules for the project's sources.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Name, Source};

/// The longest file.
const FILE: usize = 400;
/// The longest function.
const FUNCTION: usize = 80;
/// The most arguments a function takes.
const ARGUMENTS: usize = 6;
/// Name by which `main.rs` knows the modules beside it.
const PROGRAM: &str = "cogzy_vault";

/// A place where a rule does not hold, and what is wrong there.
pub type Found = BTreeMap<String, String>;

/// Modules, and the modules that each of them may name. Those of another crate have its name before
/// them: `cogzy_engine::model`; what such a crate has at its root is named by the crate alone.
pub type Table<'a> = &'a [(&'a str, &'a [&'a str])];

/// Modules that name what `table` does not let them name.
///
/// # Panics
/// If a module is not in the table: its author decides who may use it.
#[must_use]
pub fn imports(sources: &[Source], table: Table<'_>) -> Found {
    let table: BTreeMap<&str, &[&str]> = table.iter().copied().collect();
    let mut found = Found::new();
    for source in sources {
        let module = source.module.first().map_or("", String::as_str);
        let may = table.get(module).unwrap_or_else(|| panic!("{module:?} is not in the table"));
        for name in &source.names {
            if let Some(used) = module_named_by(name, &table)
                && used != module
                && !may.contains(&used.as_str())
            {
                found.insert(format!("{}: {used}", source.file), format!("line {}", name.line));
            }
        }
    }
    found
}

/// The module that a path leads into, where it is one of the project's.
fn module_named_by(name: &Name, table: &BTreeMap<&str, &[&str]>) -> Option<String> {
    let [root, module, ..] = &name.parts[..] else { return None };
    match root.as_str() {
        "crate" | PROGRAM => table.contains_key(module.as_str()).then(|| module.clone()),
        other if !other.starts_with("cogzy_") => None,
        other if module.starts_with(char::is_uppercase) => Some(other.to_owned()),
        other => Some(format!("{other}::{module}")),
    }
}

/// Sources that name something with an effect: those whose files begin with one of `pure`, and what
/// begins with one of `effects`.
#[must_use]
pub fn effects(sources: &[Source], pure: &[&str], effects: &[&str]) -> Found {
    let mut found = Found::new();
    for source in sources.iter().filter(|source| pure.iter().any(|part| source.file.starts_with(part))) {
        for name in &source.names {
            let path = name.parts.join("::") + "::";
            let effect = effects.iter().find(|effect| path.starts_with(&format!("{effect}::")));
            if let Some(effect) = effect {
                found.insert(format!("{}: {effect}", source.file), format!("line {}", name.line));
            }
        }
    }
    for part in pure {
        assert!(sources.iter().any(|source| source.file.starts_with(part)), "there is no {part}");
    }
    found
}

/// Files and functions that are more than one idea.
#[must_use]
pub fn sizes(sources: &[Source]) -> Found {
    let mut found = Found::new();
    for Source { file, lines, functions, .. } in sources {
        if *lines > FILE {
            found.insert(file.clone(), format!("{lines} lines, at most {FILE}"));
        }
        for function in functions {
            let place = || format!("{file}: {}", function.name);
            if function.lines > FUNCTION {
                found.insert(place(), format!("{} lines, at most {FUNCTION}", function.lines));
            }
            if function.arguments > ARGUMENTS {
                found.insert(place(), format!("{} arguments, at most {ARGUMENTS}", function.arguments));
            }
        }
    }
    found
}

/// Lines of the middle file, and of the function that is longer than nine in ten.
#[must_use]
pub fn usual_sizes(sources: &[Source]) -> (usize, usize) {
    let files = sources.iter().map(|source| source.lines).collect();
    let functions = sources.iter().flat_map(|source| source.functions.iter().map(|one| one.lines)).collect();
    (at_percent(files, 50), at_percent(functions, 90))
}

fn at_percent(mut of: Vec<usize>, percent: usize) -> usize {
    of.sort_unstable();
    of[(of.len() - 1) * percent / 100]
}

/// Asserts that a rule holds everywhere but at the `excused` places, and that each of those still
/// needs it.
///
/// # Panics
/// If it does not.
pub fn assert_holds(found: &Found, excused: &[&str]) {
    let excused: BTreeSet<&str> = excused.iter().copied().collect();
    let wrong: Vec<_> = found.iter().filter(|(place, _)| !excused.contains(place.as_str())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let stale: Vec<_> = excused.iter().filter(|place| !found.contains_key(**place)).collect();
    assert!(stale.is_empty(), "no longer to be excused: {stale:#?}");
}

//! The project's own sources, read as the compiler reads them and without what is only built for
//! tests.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A source file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path below the project's folder.
    pub file: String,
    /// Module that it holds, from the root of its crate.
    pub module: Vec<String>,
    /// Its lines.
    pub lines: usize,
    /// Its functions, methods among them.
    pub functions: Vec<Function>,
    /// Paths of two parts or more in its code.
    pub names: BTreeSet<Name>,
}

/// A function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Lines from its signature to its closing brace.
    pub lines: usize,
    /// Its arguments, `self` not counted.
    pub arguments: usize,
}

/// A path in the code, from its root: `["crate", "model", "Digest"]` or `["std", "fs"]`. What it
/// says with `self` and `super` is resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Its parts.
    pub parts: Vec<String>,
    /// Line in the file.
    pub line: usize,
}

/// Reads all sources of the crate in `folder`, below the project's folder `project`.
#[must_use]
pub fn sources(project: &Path, folder: &str) -> Vec<Source> {
    let root = project.join(folder).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut tests = Vec::new();
    let mut sources: Vec<Source> = files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let module = module_of(path.strip_prefix(&root).unwrap());
            let file = path.strip_prefix(project).unwrap().to_str().unwrap().to_owned();
            let mut reading = Reading::new(module);
            reading.items(parsed(&file, &text));
            tests.append(&mut reading.tests);
            let Reading { module, functions, names, test_lines, .. } = reading;
            Source { file, module, lines: text.lines().count() - test_lines, functions, names }
        })
        .collect();
    sources.retain(|source| !tests.iter().any(|test: &Vec<String>| source.module.starts_with(test)));
    sources
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

fn parsed(file: &str, text: &str) -> Vec<TokenTree> {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
    tokens.into_iter().collect()
}

/// The module of a file, by its path below `src`.
fn module_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
    let mut module: Vec<String> = parts.collect();
    module.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
    module
}

/// A file as far as it was read.
struct Reading {
    /// The module that it is in.
    module: Vec<String>,
    functions: Vec<Function>,
    names: BTreeSet<Name>,
    /// Lines of test modules.
    test_lines: usize,
    /// Test modules in files of their own.
    tests: Vec<Vec<String>>,
}

impl Reading {
    fn new(module: Vec<String>) -> Self {
        Self { module, functions: Vec::new(), names: BTreeSet::new(), test_lines: 0, tests: Vec::new() }
    }

    /// Reads on, test modules left out.
    fn items(&mut self, trees: Vec<TokenTree>) {
        let mut at = 0;
        while at < trees.len() {
            if let Some(length) = self.test_module(&trees[at..]) {
                at += length;
                continue;
            }
            if let Some(function) = function(&trees[at..]) {
                self.functions.push(function);
            }
            if let Some(name) = inline_module(&trees[at..]) {
                self.module.push(name);
                self.inside(&trees[at + 2]);
                self.module.pop();
                at += 3;
                continue;
            }
            let length = self.path(&trees[at..], &[]);
            if length == 0 {
                self.inside(&trees[at]);
            }
            at += length.max(1);
        }
    }

    fn inside(&mut self, tree: &TokenTree) {
        if let TokenTree::Group(group) = tree {
            self.items(group.stream().into_iter().collect());
        }
    }

    /// Skips a test module and gives the number of its trees, where one begins here.
    fn test_module(&mut self, trees: &[TokenTree]) -> Option<usize> {
        let [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] = trees else { return None };
        if hash.as_char() != '#' || attribute.stream().to_string().replace(' ', "") != "cfg(test)" {
            return None;
        }
        // Between the two only a visibility.
        let at = trees.iter().take(5).position(|tree| is_word(tree, "mod"))?;
        let name = trees.get(at + 1)?.to_string();
        match trees.get(at + 2)? {
            TokenTree::Group(body) => {
                let lines = body.span_close().end().line - hash.span().start().line + 1;
                self.test_lines += lines;
            }
            _ => self.tests.push([self.module.as_slice(), &[name]].concat()),
        }
        Some(at + 3)
    }

    /// Notes the path that begins here and, where it ends in a list, the paths of that list. How
    /// many trees it takes; none where there is no path.
    fn path(&mut self, trees: &[TokenTree], before: &[String]) -> usize {
        let (mut parts, mut at) = (before.to_vec(), 0);
        let Some(first) = trees.first() else { return 0 };
        let line = first.span().start().line;
        loop {
            match trees.get(at) {
                Some(TokenTree::Ident(part)) => parts.push(part.to_string()),
                Some(TokenTree::Group(list)) if at > 0 && list.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = list.stream().into_iter().collect();
                    for each in inner.split(|tree| is_mark(tree, ',')) {
                        self.path(each, &parts);
                    }
                    return at + 1;
                }
                _ => break,
            }
            at += 1;
            match trees.get(at..at + 2) {
                Some([one, other]) if is_mark(one, ':') && is_mark(other, ':') => at += 2,
                _ => break,
            }
        }
        if at > 1 || !before.is_empty() {
            self.names.insert(Name { parts: self.resolved(parts), line });
        }
        at
    }

    /// The same path from the root of the crate.
    fn resolved(&self, mut parts: Vec<String>) -> Vec<String> {
        let up = parts.iter().take_while(|part| *part == "super").count();
        if up == 0 && parts[0] != "self" {
            return parts;
        }
        let rest = parts.split_off(up.max(1));
        let kept = self.module.len().saturating_sub(up);
        [&["crate".to_owned()], &self.module[..kept], &rest].concat()
    }
}

fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == word)
}

fn is_mark(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// The name of the module that begins here and has its body in the same file.
fn inline_module(trees: &[TokenTree]) -> Option<String> {
    match trees {
        [word, TokenTree::Ident(name), TokenTree::Group(_), ..] if is_word(word, "mod") => {
            Some(name.to_string())
        }
        _ => None,
    }
}

/// The function that begins here.
fn function(trees: &[TokenTree]) -> Option<Function> {
    let [word, TokenTree::Ident(name), rest @ ..] = trees else { return None };
    if !is_word(word, "fn") {
        return None;
    }
    let mut arguments = None;
    for (at, depth) in depths(rest) {
        let end = match &rest[at] {
            TokenTree::Group(list) if arguments.is_none() && depth == 0 => {
                arguments = Some(count_arguments(list.stream()));
                continue;
            }
            TokenTree::Group(body) if arguments.is_some() && body.delimiter() == Delimiter::Brace => {
                body.span_close().end().line
            }
            end if is_mark(end, ';') => end.span().end().line,
            _ => continue,
        };
        let lines = end - word.span().start().line + 1;
        return Some(Function { name: name.to_string(), lines, arguments: arguments? });
    }
    None
}

/// Each tree with how many `<` are open there.
fn depths(trees: &[TokenTree]) -> impl Iterator<Item = (usize, usize)> {
    let (mut depth, mut arrow) = (0_usize, false);
    trees.iter().enumerate().map(move |(at, tree)| {
        if let TokenTree::Punct(punct) = tree {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !arrow => depth -= 1,
                _ => {}
            }
            arrow = punct.as_char() == '-' && punct.spacing() == Spacing::Joint;
        } else {
            arrow = false;
        }
        (at, depth)
    })
}

fn count_arguments(list: TokenStream) -> usize {
    let trees: Vec<TokenTree> = list.into_iter().collect();
    let commas = depths(&trees).filter(|(at, depth)| *depth == 0 && is_mark(&trees[*at], ','));
    let ends: Vec<usize> = commas.map(|(at, _)| at).chain([trees.len()]).collect();
    let starts = [0].into_iter().chain(ends.iter().map(|end| end + 1));
    let arguments = starts.zip(&ends).filter_map(|(start, end)| trees.get(start..*end));
    let is_self = |argument: &[TokenTree]| {
        let pattern = argument.iter().take_while(|tree| !is_mark(tree, ':'));
        pattern.into_iter().any(|tree| is_word(tree, "self"))
    };
    arguments.filter(|argument| !argument.is_empty() && !is_self(argument)).count()
}

#[cfg(test)]
mod tests;

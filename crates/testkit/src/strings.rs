//! The texts in the project's own sources: what the program can say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Literal, TokenStream, TokenTree};

/// A string literal outside of tests, comments and attributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text {
    /// Path of its file below the project's folder.
    pub file: String,
    /// The string, with its placeholders as they are written.
    pub text: String,
}

/// The attribute whose strings a user reads. Help texts are doc comments, and clap has them.
const SPOKEN: &str = "error";

/// Reads the texts of the crate in `folder`, below the project's folder `project`.
#[must_use]
pub fn texts(project: &Path, folder: &str) -> BTreeSet<Text> {
    let mut files = Vec::new();
    collect(&project.join(folder).join("src"), &mut files);
    let mut texts = BTreeSet::new();
    for path in files {
        let file = path.strip_prefix(project).unwrap().to_str().unwrap().to_owned();
        if file.ends_with("tests.rs") || file.contains("/tests/") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        read(tokens, &mut |text| {
            texts.insert(Text { file: file.clone(), text });
        });
    }
    texts
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

fn read(tokens: TokenStream, found: &mut impl FnMut(String)) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        let attribute = match &trees[at..] {
            [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] if hash.as_char() == '#' => {
                Some(attribute.stream())
            }
            // Of the whole file or module.
            [TokenTree::Punct(hash), TokenTree::Punct(mark), TokenTree::Group(_), ..]
                if (hash.as_char(), mark.as_char()) == ('#', '!') =>
            {
                at += 3;
                continue;
            }
            _ => None,
        };
        match attribute {
            Some(attribute) if attribute.to_string().replace(' ', "") == "cfg(test)" => {
                at += 2 + length_of_item(&trees[at + 2..]);
            }
            Some(attribute) => {
                let name = attribute.clone().into_iter().next().map(|name| name.to_string());
                if name.as_deref() == Some(SPOKEN) {
                    read(attribute, found);
                }
                at += 2;
            }
            None => {
                match &trees[at] {
                    TokenTree::Group(group) => read(group.stream(), found),
                    TokenTree::Literal(literal) => unquoted(literal).into_iter().for_each(&mut *found),
                    _ => {}
                }
                at += 1;
            }
        }
    }
}

/// The number of trees up to the end of the item that begins here: its body or its semicolon.
fn length_of_item(trees: &[TokenTree]) -> usize {
    let end = trees.iter().position(|tree| match tree {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    });
    end.map_or(trees.len(), |end| end + 1)
}

/// The value of a string literal; none of another one.
fn unquoted(literal: &Literal) -> Option<String> {
    let written = literal.to_string();
    if let Some(raw) = written.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        return Some(raw.get(hashes + 1..raw.len() - hashes - 1)?.to_owned());
    }
    let inner = written.strip_prefix('"')?.strip_suffix('"')?;
    let (mut text, mut chars) = (String::new(), inner.chars().peekable());
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next()? {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            '0' => text.push('\0'),
            '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            'u' => {
                let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                text.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                text.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
            }
            other => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests;

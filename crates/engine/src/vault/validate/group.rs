//! Checks that the files of a group belong together: a pure function over the facts of each.
//!
//! Files belong together by name: `vectors/nodes.npy` belongs to `corpus/nodes.json`. Only existing
//! files are compared. A corpus without vectors, or vectors without an index, has none yet, which
//! is no fault.

use std::collections::BTreeMap;
use std::fmt;

use super::npy::shape_text;
use crate::model::{Facts, VaultPath, stem};

/// Fault in a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Path of the file.
    pub path: VaultPath,
    /// Description for people.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.why)
    }
}

/// Faults among the members of a group, in order of paths.
#[must_use]
pub fn check(members: &BTreeMap<VaultPath, Facts>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, facts) in members {
        let why = match facts {
            Facts::Broken { why } => Some(format!("is damaged: {why}")),
            Facts::Matrix { shape, dtype, unreal } => matrix(members, path, shape, dtype).or_else(|| {
                unreal
                    .as_ref()
                    .map(|at| format!("holds {} in row {}, column {}", at.value, at.row, at.column))
            }),
            Facts::Index { family: Some(_), dim, rows } => index(members, path, *dim, *rows),
            Facts::Clusters { assigned, highest } => clusters(members, *assigned, *highest),
            Facts::Corpus { .. } | Facts::Index { .. } => None,
        };
        faults.extend(why.map(|why| Fault { path: path.clone(), why }));
    }
    faults
}

fn corpora(members: &BTreeMap<VaultPath, Facts>) -> impl Iterator<Item = (&VaultPath, u64)> {
    members.iter().filter_map(|(path, facts)| match facts {
        Facts::Corpus { count } => Some((path, *count)),
        _ => None,
    })
}

/// Matrices of vectors: path, rows, dimensions.
fn vectors(members: &BTreeMap<VaultPath, Facts>) -> impl Iterator<Item = (&VaultPath, u64, u64)> {
    members.iter().filter_map(|(path, facts)| match facts {
        Facts::Matrix { shape, .. } => match shape.as_slice() {
            [rows, dim] => Some((path, *rows, *dim)),
            _ => None,
        },
        _ => None,
    })
}

fn matrix(
    members: &BTreeMap<VaultPath, Facts>,
    path: &VaultPath,
    shape: &[u64],
    dtype: &str,
) -> Option<String> {
    let (corpus, count) = corpora(members).find(|(corpus, _)| stem(corpus) == stem(path))?;
    let [rows, dim] = shape else {
        return Some(format!(
            "has the shape {}: vectors stand in two dimensions, one row each",
            shape_text(shape)
        ));
    };
    if !dtype.contains('f') {
        return Some(format!("holds elements of type {dtype}: vectors are of <f2, <f4 or <f8"));
    }
    if *rows != count {
        return Some(format!("has {rows} rows, but {corpus} has {count} entries"));
    }
    (*dim == 0).then(|| "has vectors of no dimension".to_owned())
}

fn index(members: &BTreeMap<VaultPath, Facts>, path: &VaultPath, dim: u64, rows: u64) -> Option<String> {
    let all: Vec<_> = vectors(members).collect();
    let of_name: Vec<_> = all.iter().filter(|(matrix, ..)| stem(matrix) == stem(path)).collect();
    let candidates: Vec<_> = if of_name.is_empty() { all.iter().collect() } else { of_name };
    match candidates.as_slice() {
        [] => {
            let (corpus, count) = only(corpora(members))?;
            (rows != count).then(|| format!("has {rows} vectors, but {corpus} has {count} entries"))
        }
        fitting if fitting.iter().any(|(_, its_rows, its_dim)| (*its_rows, *its_dim) == (rows, dim)) => None,
        [(matrix, its_rows, _), ..] if *its_rows != rows => {
            Some(format!("has {rows} vectors, but {matrix} has {its_rows} rows"))
        }
        [(matrix, _, its_dim), ..] => {
            Some(format!("has vectors of {dim} dimensions, but {matrix} has {its_dim} columns"))
        }
    }
}

fn clusters(
    members: &BTreeMap<VaultPath, Facts>,
    assigned: Option<u64>,
    highest: Option<u64>,
) -> Option<String> {
    let (corpus, count) = only(corpora(members))?;
    match (assigned, highest) {
        (Some(assigned), _) if assigned != count => {
            Some(format!("assigns {assigned} nodes, but {corpus} has {count} entries"))
        }
        (_, Some(highest)) if highest >= count => {
            Some(format!("names node {highest}, but {corpus} has {count} entries, counted from 0"))
        }
        _ => None,
    }
}

/// Returns the item if there is exactly one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

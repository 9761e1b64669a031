//! Acts of a user on a vault.

use std::fmt;

use cogzy_engine::model::Digest;

use super::{Mounted, Stands};

/// An act of a user. Paths are relative to the vault.
#[derive(Debug, Clone)]
pub enum UserOp {
    /// Writes a temporary file and renames it.
    Replace(String, Vec<u8>),
    /// Writes over the file as it is.
    Rewrite(String, Vec<u8>),
    Append(String, Vec<u8>),
    Delete(String),
    /// Replaces all of these at once: one state of a group.
    Together(Vec<(String, Vec<u8>)>),
    DeleteTogether(Vec<String>),
    RenameFolder(String, String),
    /// Takes the right to read away, or gives it back.
    Lock(String),
    Unlock(String),
    /// Other bytes of the same length, and the old time put back.
    Disguise(String, u8),
    /// Another letter case for the file's name.
    Recase(String),
    /// A link to a folder of the vault, in the place of what is there.
    Link(String),
    /// Takes a link away.
    Unlink(String),
    DeleteFolder(String),
    /// Moves a folder out of the vault and puts a link in its place.
    LinkFolder(String),
    /// The root's path leads elsewhere from now on.
    Root(Stands),
    /// The disk inside the vault goes away, or comes back, or another one is there.
    Mount(Mounted),
    /// A program opens the file and will write to it later.
    Hold(String),
    WriteHeld(Vec<u8>),
}

impl fmt::Display for UserOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = |bytes: &[u8]| Digest::of(bytes).to_string()[..8].to_owned();
        match self {
            Self::Replace(path, bytes) => write!(f, "replaces {path} by {}", digest(bytes)),
            Self::Rewrite(path, bytes) => write!(f, "rewrites {path} to {}", digest(bytes)),
            Self::Append(path, bytes) => write!(f, "appends {} bytes to {path}", bytes.len()),
            Self::Delete(path) => write!(f, "deletes {path}"),
            Self::Together(files) => {
                let files: Vec<String> =
                    files.iter().map(|(path, bytes)| format!("{path} {}", digest(bytes))).collect();
                write!(f, "replaces together {}", files.join(", "))
            }
            Self::DeleteTogether(paths) => write!(f, "deletes together {}", paths.join(", ")),
            Self::RenameFolder(from, to) => write!(f, "renames folder {from} to {to}"),
            Self::Lock(path) => write!(f, "makes {path} unreadable"),
            Self::Unlock(path) => write!(f, "makes {path} readable"),
            Self::Disguise(path, _) => write!(f, "changes {path} and keeps its time"),
            Self::Recase(path) => write!(f, "renames {path} in letter case only"),
            Self::Link(path) => write!(f, "puts a link at {path}"),
            Self::Unlink(path) => write!(f, "takes the link at {path} away"),
            Self::DeleteFolder(path) => write!(f, "deletes all in {path}"),
            Self::LinkFolder(path) => write!(f, "moves {path} away and puts a link there"),
            Self::Root(stands) => write!(f, "has the root's path lead to: {stands:?}"),
            Self::Mount(there) => write!(f, "has mounted inside the vault: {there:?}"),
            Self::Hold(path) => write!(f, "opens {path}"),
            Self::WriteHeld(bytes) => write!(f, "writes {} bytes to an open file", bytes.len()),
        }
    }
}

impl UserOp {
    /// Places of which a watcher hears. It hears nothing of mounts, and of an open file only later.
    pub fn places(&self) -> Vec<String> {
        match self {
            Self::Replace(path, _)
            | Self::Rewrite(path, _)
            | Self::Append(path, _)
            | Self::Delete(path)
            | Self::Lock(path)
            | Self::Unlock(path)
            | Self::Disguise(path, _)
            | Self::Recase(path)
            | Self::Link(path)
            | Self::Unlink(path)
            | Self::DeleteFolder(path)
            | Self::LinkFolder(path)
            | Self::Hold(path) => vec![path.clone()],
            Self::Together(files) => files.iter().map(|(path, _)| path.clone()).collect(),
            Self::DeleteTogether(paths) => paths.clone(),
            Self::RenameFolder(from, to) => vec![from.clone(), to.clone()],
            Self::Root(_) | Self::Mount(_) | Self::WriteHeld(_) => Vec::new(),
        }
    }

    /// Its name in what was reached.
    pub const fn mark(&self) -> &'static str {
        match self {
            Self::Replace(..) => "user: temp + rename",
            Self::Rewrite(..) => "user: rewrite in place",
            Self::Append(..) => "user: append",
            Self::Delete(..) => "user: delete",
            Self::Together(..) => "user: group update",
            Self::DeleteTogether(..) => "user: group delete",
            Self::RenameFolder(..) => "user: folder rename",
            Self::Lock(..) | Self::Unlock(..) => "user: chmod",
            Self::Disguise(..) => "user: edit that keeps size and time",
            Self::Recase(..) => "user: rename of case alone",
            Self::Link(..) | Self::Unlink(..) => "user: symbolic link",
            Self::DeleteFolder(..) => "user: folder delete",
            Self::LinkFolder(..) => "user: a folder becomes a link",
            Self::Root(..) => "user: another folder at the root's path",
            Self::Mount(..) => "user: mount",
            Self::Hold(..) => "user: open",
            Self::WriteHeld(..) => "user: write to an open file",
        }
    }
}

//! Where a path leads: outside the vault, to its root, or to a name in an open folder of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::CWD;

use crate::fs::at::At;

/// Target of a path.
pub(super) enum Way<'a> {
    Outside,
    Root,
    /// Below the root, along these names.
    Below(&'a Path),
}

/// An open folder.
pub(super) enum Folder {
    /// The working directory, where whole paths are resolved.
    Here,
    Root(Arc<OwnedFd>),
    Open(OwnedFd),
}

/// A name in an open folder.
pub(super) struct Place<'a> {
    pub folder: Folder,
    pub name: &'a Path,
}

impl Place<'_> {
    pub fn at(&self) -> At<'_> {
        At { folder: self.folder.as_fd(), name: self.name }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Here => CWD,
            Self::Root(folder) => folder.as_fd(),
            Self::Open(folder) => folder.as_fd(),
        }
    }
}

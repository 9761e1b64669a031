//! Errors in stored content.

use super::{PackError, RecipeError};
use crate::model::Digest;

/// Content that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A pack, or a chunk in it, is damaged.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A list of chunks is damaged.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The chunks are whole, and make another content.
    #[error("the recipe of {} is wrong: its chunks make other bytes", .0.short())]
    Other(Digest),
}

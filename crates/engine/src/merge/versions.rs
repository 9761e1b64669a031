//! The versions as they are read: each for itself, large ones at the same time.

use super::document::Document;
use super::rows::{self, Rows};
use super::table::Table;
use super::{File, Names, Side, Unmerged, Version};
use crate::fs::at_once;
use crate::model::Digest;
use crate::vault::validate::{Block, Kind};

/// One version as it was read.
pub(super) struct Read<'a> {
    pub document: Document<'a>,
    /// None for an index whose rows are not understood.
    pub rows: Vec<Option<Rows<'a>>>,
    /// Digest of each row over all arrays.
    digests: Vec<Digest>,
}

/// Bytes of a version from which on all versions are read at the same time.
pub(super) const LARGE: u64 = 16 << 20;

impl<'a> Read<'a> {
    /// Reads the base, the version here and the one there.
    pub fn all(
        names: &Names,
        base: Option<&Side<'a>>,
        here: &Side<'a>,
        there: &Side<'a>,
    ) -> Result<(Option<Self>, Self, Self), Unmerged> {
        let read_base = || base.map(|base| Self::of(names, base, Version::Base));
        let read_here = || Self::of(names, here, Version::Here);
        let read_there = || Self::of(names, there, Version::There);
        let (base, here, there) = if there.len() < LARGE {
            (read_base(), read_here(), read_there())
        } else {
            at_once(read_base, read_here, read_there)
        };
        Ok((base.transpose()?, here?, there?))
    }

    fn of(names: &Names, side: &Side<'a>, version: Version) -> Result<Self, Unmerged> {
        if !names.rows.iter().any(|(kind, _)| *kind == Kind::Matrix) {
            return Err(Unmerged::NoVectors { version });
        }
        let block = |file: &File<'a>| Block::new(file.file, file.len);
        let document = Document::read(block(&side.corpus), names, version)?;
        let entries = document.entries.len();
        let mut rows = Vec::with_capacity(names.rows.len());
        for (file, (kind, name)) in side.rows.iter().zip(&names.rows) {
            rows.push(match Rows::of_entries(block(file), kind, (version, name), entries) {
                Err(Unmerged::Io(error)) => return Err(error.into()),
                Err(_) if *kind == Kind::Index => None,
                read => Some(read?),
            });
        }
        let arrays = rows.iter().zip(&names.rows).filter(|(_, (kind, _))| *kind == Kind::Matrix);
        let digests = rows::digests(arrays.filter_map(|(rows, _)| rows.as_ref()), entries)?;
        Ok(Self { document, rows, digests })
    }

    pub fn table(&self) -> Result<Table<'_>, Unmerged> {
        Table::new(&self.document, &self.digests)
    }

    pub fn must_be_like(&self, other: &Self, names: &Names) -> Result<(), Unmerged> {
        let shape = |read: &Self| (read.document.shape, read.document.frame.key.is_some());
        if shape(self) != shape(other) {
            return Err(Unmerged::OtherShape);
        }
        let pairs = self.rows.iter().zip(&other.rows).zip(&names.rows);
        let arrays = pairs.filter(|(_, (kind, _))| *kind == Kind::Matrix);
        arrays.into_iter().try_for_each(|((ours, theirs), (_, name))| match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours.must_be_alike(theirs, name),
            _ => Ok(()),
        })
    }
}

//! The versions as they are read: each for itself, large ones at the same time.

use std::io;
use std::num::NonZeroUsize;

use super::document::{Document, alike};
use super::rows::Rows;
use super::{File, Names, Side, Unmerged, Version};
use crate::fs::{at_once, each};
use crate::vault::validate::{Block, Kind};

/// One version as it was read.
pub(super) struct Read<'a> {
    pub document: Document<'a>,
    /// None for an index whose rows are not understood.
    pub rows: Vec<Option<Rows<'a>>>,
    /// True for each of [`Read::rows`] that is an array.
    are_arrays: Vec<bool>,
}

/// Places of an entry in two versions. None if one of them does not have it, or nobody asks.
pub(super) type Pair = Option<[usize; 2]>;

/// Bytes of a version from which on all versions are read at the same time.
pub(super) const LARGE: u64 = 16 << 20;
/// Threads that compare entries, and the parts that they share.
const THREADS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const PARTS: usize = 16;
/// Entries that are compared on one thread.
const FEW: usize = 512;

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
        document.must_not_number(|_| true)?;
        let entries = document.entries.len();
        // Before its first memory an app may have an array of another type, or of no columns.
        let begins = version == Version::Base && entries == 0;
        let mut rows = Vec::with_capacity(names.rows.len());
        for (file, (kind, name)) in side.rows.iter().zip(&names.rows).filter(|_| !begins) {
            rows.push(match Rows::of_entries(block(file), kind, (version, name), entries) {
                Err(Unmerged::Io(error)) => return Err(error.into()),
                Err(_) if *kind == Kind::Index => None,
                read => Some(read?),
            });
        }
        let are_arrays = names.rows.iter().map(|(kind, _)| *kind == Kind::Matrix).collect();
        Ok(Self { document, rows, are_arrays })
    }

    /// True if it has the rows of its entries.
    pub fn has_arrays(&self) -> bool {
        self.arrays().next().is_some()
    }

    fn arrays(&self) -> impl Iterator<Item = &Rows<'a>> {
        let arrays = self.rows.iter().zip(&self.are_arrays).filter(|(_, is_array)| **is_array);
        arrays.filter_map(|(rows, _)| rows.as_ref())
    }

    /// True if an index of this version, and that of the other one, have the rows of one array.
    pub fn has_array_of(&self, index: &Rows<'_>, other: &Read<'_>, others: &Rows<'_>) -> io::Result<bool> {
        for (ours, theirs) in self.arrays().zip(other.arrays()) {
            if index.has_rows_of(ours)? && others.has_rows_of(theirs)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// For each pair of entries, of this version and the other one, whether their rows are the same
    /// in all arrays.
    pub fn rows_alike(&self, other: &Read<'_>, pairs: &[Pair]) -> io::Result<Vec<bool>> {
        let arrays: Vec<[&Rows<'_>; 2]> =
            self.arrays().zip(other.arrays()).map(|(ours, theirs)| [ours, theirs]).collect();
        in_parts(pairs, |part| {
            let mut all = vec![true; part.len()];
            for array in &arrays {
                let alike = Rows::alike(*array, part.iter().copied())?;
                all.iter_mut().zip(alike).for_each(|(all, alike)| *all &= alike);
            }
            Ok(all)
        })
    }

    /// For each pair of entries, of this version and the other one, whether their texts have the
    /// same bytes.
    pub fn texts_alike(&self, other: &Read<'_>, pairs: &[Pair]) -> io::Result<Vec<bool>> {
        let value = |of: &Read<'_>, at: usize| of.document.entries.get(at).map(|one| one.value.clone());
        let spans =
            |pair: &Pair| pair.and_then(|[ours, theirs]| Some([value(self, ours)?, value(other, theirs)?]));
        let spans: Vec<_> = pairs.iter().map(spans).collect();
        let blocks = [self.document.block(), other.document.block()];
        in_parts(&spans, |part| alike(blocks, part.iter().cloned()))
    }

    /// True if both hold their entries in the same way.
    pub fn has_shape_of(&self, other: &Self) -> bool {
        let shape = |read: &Self| (read.document.shape, read.document.frame.key.is_some());
        shape(self) == shape(other)
    }

    pub fn must_be_like(&self, other: &Self, names: &Names) -> Result<(), Unmerged> {
        if !self.has_shape_of(other) {
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

/// Compares entries, many of them on several threads.
fn in_parts<T: Sync>(
    pairs: &[T],
    compare: impl Fn(&[T]) -> io::Result<Vec<bool>> + Sync,
) -> io::Result<Vec<bool>> {
    let parts: Vec<&[T]> = pairs.chunks(pairs.len().div_ceil(PARTS).max(FEW)).collect();
    let compared = each(THREADS, &parts, |part| compare(part));
    Ok(compared.into_iter().collect::<io::Result<Vec<_>>>()?.concat())
}

//! Open files.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::fs::{Flush, ReadFile, WriteFile};
use cogzy_engine::model::FileStat;

use super::fs::SimFs;
use super::slots::stat;
use super::state::Ino;

pub struct Reading {
    pub fs: SimFs,
    pub ino: Ino,
    pub at: usize,
}

pub struct Writing {
    pub fs: SimFs,
    pub ino: Ino,
    pub path: PathBuf,
}

impl Read for Reading {
    /// In small steps, so that there is room for a write in between.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const STEP: usize = 32 << 10;
        let (ino, at) = (self.ino, self.at);
        let read = self.fs.look(|site| {
            let bytes = &site.state.node(ino).bytes;
            let rest = bytes.get(at..).unwrap_or_default();
            let count = rest.len().min(buf.len()).min(STEP);
            buf[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })?;
        self.at += read;
        Ok(read)
    }
}

impl ReadFile for Reading {
    fn stat(&self) -> io::Result<FileStat> {
        self.fs.look(|site| Ok(stat(&site.state, self.ino)))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.fs.look(|site| {
            let start = usize::try_from(offset).unwrap();
            let bytes = &site.state.node(self.ino).bytes;
            let part = bytes.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(part);
            Ok(())
        })
    }
}

impl Write for Writing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let ino = self.ino;
        self.fs.effect("write", &[&self.path], true, |state, now| {
            let now = state.stamp(now);
            let node = state.node_mut(ino);
            node.bytes = Arc::new([&node.bytes, buf].concat().into());
            (node.mtime_ns, node.ctime_ns) = (now, now);
            Ok(buf.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writing {
    fn end(&self, what: &'static str, mode: u32, mtime_ms: Option<i64>, sync: bool) -> io::Result<()> {
        let ino = self.ino;
        self.fs.effect(what, &[&self.path], false, |state, now| {
            let (now, tick) = (state.stamp(now), state.kind.tick_ns);
            let node = state.node_mut(ino);
            (node.mode, node.ctime_ns) = (mode & 0o777, now);
            if let Some(ms) = mtime_ms {
                let ns = ms * 1_000_000;
                node.mtime_ns = ns - ns.rem_euclid(tick);
            }
            if sync {
                state.sync_file(ino);
            }
            Ok(())
        })
    }
}

impl WriteFile for Writing {
    fn finish(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        self.end("sync file", mode, mtime_ms, true)
    }

    fn finish_unflushed(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        self.end("end file", mode, mtime_ms, false)
    }
}

/// Files from which on a disk is flushed as a whole: few, so that both ways are tried.
const WORTH_IT: usize = 3;

/// A flush of a disk, begun below a folder of it.
pub struct Flushing {
    fs: SimFs,
    folder: PathBuf,
}

impl Flushing {
    /// One for that many files, on a disk such as ext4.
    pub fn begin(fs: &SimFs, folder: &Path, files: usize) -> Option<Box<dyn Flush>> {
        let kind = fs.disk.site().state.kind;
        let flushing = || Self { fs: fs.clone(), folder: folder.to_owned() };
        (kind.ordered && kind.exchange && files >= WORTH_IT).then(|| Box::new(flushing()) as Box<dyn Flush>)
    }
}

impl Flush for Flushing {
    fn flush(&self) -> io::Result<()> {
        self.fs.effect("flush", &[&self.folder], false, |state, _| {
            state.flush();
            Ok(())
        })
    }
}

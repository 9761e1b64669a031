//! Open files.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use cogzy_engine::fs::{ReadFile, WriteFile};
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

impl WriteFile for Writing {
    fn finish(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        let ino = self.ino;
        self.fs.effect("sync file", &[&self.path], false, |state, now| {
            let (now, tick) = (state.stamp(now), state.kind.tick_ns);
            let node = state.node_mut(ino);
            (node.mode, node.ctime_ns) = (mode & 0o777, now);
            if let Some(ms) = mtime_ms {
                let ns = ms * 1_000_000;
                node.mtime_ns = ns - ns.rem_euclid(tick);
            }
            state.sync_file(ino);
            Ok(())
        })
    }
}

//! Hashes the files that the cache does not know, on several threads.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::walk::Claim;
use super::{
    Cached, Found, Layout, Problem, ProblemKind, Scan, ScanOptions, ScanProgress, Snapshots, settled,
};
use crate::fs::{DatabaseFault, Fs};
use crate::model::{Content, Entry, FileKind, FileStat, VaultPath};
use crate::vault::database::in_parts;
use crate::vault::read::{FileChanged, hash_stable, quiet};

/// Files to be looked at.
pub(super) struct Claims {
    pub claims: Vec<Claim>,
    /// Names on disk of databases beside which something stands.
    pub databases: BTreeSet<String>,
}

struct Job {
    claim: Claim,
    stat: FileStat,
    /// State of a database of which a part stands beside it, with that part.
    parts: Option<FileStat>,
}

/// Fills in the files, the cache and the problems.
pub(super) fn take_in(
    fs: &dyn Fs,
    layout: &Layout,
    options: &ScanOptions,
    Claims { claims, databases }: Claims,
    scan: &mut Scan,
) {
    let mut jobs = Vec::new();
    let mut progress = ScanProgress { files: claims.len() as u64, ..ScanProgress::default() };
    let stats = stats(fs, layout, &claims);
    for (claim, stat) in claims.into_iter().zip(stats) {
        let looked = stat.and_then(|stat| {
            let parts = databases.contains(&claim.on_disk).then(|| layout.root().join(&claim.on_disk));
            Ok((stat, parts.map_or(Ok(None), |place| in_parts(fs, &place, &stat))?))
        });
        match looked {
            Ok((stat, _)) if stat.kind != FileKind::File => scan.problem(claim, ProblemKind::Busy),
            Ok((stat, parts)) => {
                // How long a database is whose parts stand apart, only its snapshot tells.
                let state = |cached: &Cached| match parts {
                    Some(parts) => FileStat { size: cached.stat.size, ..parts },
                    None => stat,
                };
                match options.cache.get(&claim.path) {
                    Some(known) if known.stat == state(known) && known.hashed_ns >= options.rehash_before => {
                        scan.insert(claim.path, stat, parts.is_some(), *known, options);
                    }
                    _ => {
                        progress.to_hash += 1;
                        progress.to_hash_bytes = progress.to_hash_bytes.saturating_add(stat.size);
                        jobs.push(Job { claim, stat, parts });
                    }
                }
            }
            Err(error) if FileChanged::is(&error) => scan.problem(claim, ProblemKind::Busy),
            Err(error) => scan.problem(claim, ProblemKind::Unreadable(error.to_string())),
        }
    }
    (options.progress)(progress);
    let mut outcomes = Vec::with_capacity(jobs.len());
    hash_all(fs, layout, options, &jobs, |at, outcome| {
        progress.hashed += 1;
        let bytes = jobs.get(at).map_or(0, |job| job.stat.size);
        progress.hashed_bytes = progress.hashed_bytes.saturating_add(bytes);
        (options.progress)(progress);
        outcomes.push((at, outcome));
    });
    // Restore the order of the paths.
    outcomes.sort_by_key(|(at, _)| *at);
    for (Job { claim, stat, parts }, (_, outcome)) in jobs.into_iter().zip(outcomes) {
        match outcome {
            Ok(Content { digest, size }) => {
                let state = parts.map_or(stat, |parts| FileStat { size, ..parts });
                let cached = Cached { stat: state, digest, hashed_ns: options.now_ns };
                scan.insert(claim.path, stat, parts.is_some(), cached, options);
            }
            Err(kind) => scan.problem(claim, kind),
        }
    }
}

/// `lstat` of each claim. Neighbours lie in one folder: it is opened once for all of them.
fn stats(fs: &dyn Fs, layout: &Layout, claims: &[Claim]) -> Vec<io::Result<FileStat>> {
    let mut stats = Vec::with_capacity(claims.len());
    for run in claims.chunk_by(|one, other| one.folder() == other.folder()) {
        let folder = layout.root().join(run.first().map(Claim::folder).unwrap_or_default());
        let names: Vec<&OsStr> = run.iter().map(|claim| OsStr::new(claim.name())).collect();
        match fs.lstat_each(&folder, &names) {
            Ok(each) => stats.extend(each),
            Err(error) => {
                stats.extend(names.iter().map(|_| Err(io::Error::new(error.kind(), error.to_string()))));
            }
        }
    }
    stats
}

impl Scan {
    fn problem(&mut self, claim: Claim, kind: ProblemKind) {
        self.problems.push(Problem { path: claim.on_disk, kind });
    }

    /// Takes in a file whose state is `stat`; for a database in parts, the state of all of them is
    /// that of `cached`.
    fn insert(
        &mut self,
        path: VaultPath,
        stat: FileStat,
        in_parts: bool,
        cached: Cached,
        options: &ScanOptions,
    ) {
        let (state, mode) = (cached.stat, stat.mode);
        let (size, mtime_ms) = (state.size, state.mtime_ms());
        let entry = Entry { digest: cached.digest, size, mtime_ms, mode, rows: None };
        // A snapshot stands still: only this process knows it.
        let settled = in_parts || settled(&path, &stat, options);
        if quiet(&state, options.now_ns, options.settle) {
            self.cache.insert(path.clone(), cached);
        }
        if in_parts {
            self.in_parts.insert(path.clone());
        }
        self.files.insert(path, Found { entry, stat, settled });
    }
}

/// Hashes all files and reports each result, in any order.
fn hash_all(
    fs: &dyn Fs,
    layout: &Layout,
    options: &ScanOptions,
    jobs: &[Job],
    mut tell: impl FnMut(usize, Result<Content, ProblemKind>),
) {
    let (threads, snapshots) = (options.threads.get().min(jobs.len()), options.snapshots);
    if threads <= 1 {
        for (at, job) in jobs.iter().enumerate() {
            tell(at, hash(fs, layout, snapshots, job));
        }
        return;
    }
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, done) = (&next, done.clone());
            scope.spawn(move || {
                while let Some((at, job)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(at).map(|job| (at, job))
                } {
                    if done.send((at, hash(fs, layout, snapshots, job))).is_err() {
                        return;
                    }
                }
            });
        }
        // The loop below ends when the last thread has dropped its sender.
        drop(done);
        for (at, outcome) in outcomes {
            tell(at, outcome);
        }
    });
}

fn hash(
    fs: &dyn Fs,
    layout: &Layout,
    snapshots: Option<&Snapshots>,
    job: &Job,
) -> Result<Content, ProblemKind> {
    if job.parts.is_some() {
        let snapshots = snapshots.ok_or(ProblemKind::Busy)?;
        let taken = snapshots.take(&job.claim.path, &layout.root().join(&job.claim.on_disk));
        return taken.map_err(|fault| match fault {
            DatabaseFault::Busy | DatabaseFault::Open(_) => ProblemKind::Busy,
            DatabaseFault::Damaged(why) | DatabaseFault::BadSource(why) => ProblemKind::Database(why),
            DatabaseFault::Disk(error) => ProblemKind::Unreadable(error.to_string()),
        });
    }
    match hash_stable(fs, layout.root(), &job.claim.on_disk, &job.stat) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(ProblemKind::Busy),
        Err(error) => Err(ProblemKind::Unreadable(error.to_string())),
    }
}

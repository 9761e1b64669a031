//! Hashes the files that the cache does not know, on several threads.

use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::walk::Claim;
use super::{Cached, Found, Layout, Problem, ProblemKind, Scan, ScanOptions, ScanProgress, settled};
use crate::fs::Fs;
use crate::model::{Digest, Entry, FileKind, FileStat, VaultPath};
use crate::vault::read::{FileChanged, hash_stable, quiet};

struct Job {
    claim: Claim,
    stat: FileStat,
}

/// Fills in the files, the cache and the problems.
pub(super) fn take_in(
    fs: &dyn Fs,
    layout: &Layout,
    options: &ScanOptions,
    claims: Vec<Claim>,
    scan: &mut Scan,
) {
    let mut jobs = Vec::new();
    let mut progress = ScanProgress { files: claims.len() as u64, ..ScanProgress::default() };
    let stats = stats(fs, layout, &claims);
    for (claim, stat) in claims.into_iter().zip(stats) {
        match stat {
            Ok(stat) if stat.kind != FileKind::File => scan.problem(claim, ProblemKind::Busy),
            Ok(stat) => match options.cache.get(&claim.path) {
                Some(cached) if cached.stat == stat && cached.hashed_ns >= options.rehash_before => {
                    scan.insert(claim.path, stat, *cached, options);
                }
                _ => {
                    progress.to_hash += 1;
                    progress.to_hash_bytes = progress.to_hash_bytes.saturating_add(stat.size);
                    jobs.push(Job { claim, stat });
                }
            },
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
    for (Job { claim, stat }, (_, outcome)) in jobs.into_iter().zip(outcomes) {
        match outcome {
            Ok(digest) => {
                let cached = Cached { stat, digest, hashed_ns: options.now_ns };
                scan.insert(claim.path, stat, cached, options);
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

    fn insert(&mut self, path: VaultPath, stat: FileStat, cached: Cached, options: &ScanOptions) {
        let (size, mtime_ms, mode) = (stat.size, stat.mtime_ms(), stat.mode);
        let entry = Entry { digest: cached.digest, size, mtime_ms, mode, rows: None };
        let settled = settled(&path, &stat, options);
        if quiet(&stat, options.now_ns, options.settle) {
            self.cache.insert(path.clone(), cached);
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
    mut tell: impl FnMut(usize, Result<Digest, ProblemKind>),
) {
    let threads = options.threads.get().min(jobs.len());
    if threads <= 1 {
        for (at, job) in jobs.iter().enumerate() {
            tell(at, hash(fs, layout, job));
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
                    if done.send((at, hash(fs, layout, job))).is_err() {
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

fn hash(fs: &dyn Fs, layout: &Layout, job: &Job) -> Result<Digest, ProblemKind> {
    match hash_stable(fs, layout.root(), &job.claim.on_disk, &job.stat) {
        Ok(Some(content)) => Ok(content.digest),
        Ok(None) => Err(ProblemKind::Busy),
        Err(error) => Err(ProblemKind::Unreadable(error.to_string())),
    }
}

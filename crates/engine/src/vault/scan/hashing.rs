//! Hashes the files that the cache does not know, on several threads.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::walk::Claim;
use super::{Found, Layout, Problem, ProblemKind, Scan, ScanOptions, ScanProgress, Snapshots, settled};
use crate::fs::{DatabaseFault, Fs};
use crate::model::{Cached, Content, Entry, FileKind, FileStat};
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
    /// What the cache says of an earlier state.
    known: Option<Cached>,
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
    let files = claims.len() as u64;
    for (claim, stat) in stats(fs, layout, claims) {
        let known = options.cache.digest_of(&claim.path);
        let looked = stat.and_then(|stat| {
            let parts = databases.contains(claim.on_disk()).then(|| layout.root().join(claim.on_disk()));
            Ok((stat, parts.map_or(Ok(None), |place| in_parts(fs, &place, &stat))?))
        });
        match looked {
            Ok((stat, _)) if stat.kind != FileKind::File => scan.problem(claim, ProblemKind::Busy, known),
            Ok((stat, parts)) => {
                // How long a database is whose parts stand apart, only its snapshot tells.
                let state = |cached: &Cached| match parts {
                    Some(parts) => FileStat { size: cached.stat.size, ..parts },
                    None => stat,
                };
                let job = Job { claim, stat, known, parts };
                match known {
                    Some(known)
                        if known.stat == state(&known) && known.hashed_ns >= options.rehash_before =>
                    {
                        scan.insert(job, known, options);
                    }
                    _ => jobs.push(job),
                }
            }
            Err(error) if FileChanged::is(&error) => scan.problem(claim, ProblemKind::Busy, known),
            Err(error) => scan.problem(claim, ProblemKind::Unreadable(error.to_string()), known),
        }
    }
    scan.take_moved(&mut jobs, options);
    let to_hash_bytes = jobs.iter().fold(0_u64, |sum, job| sum.saturating_add(job.stat.size));
    let mut progress =
        ScanProgress { files, to_hash: jobs.len() as u64, to_hash_bytes, ..ScanProgress::default() };
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
    for (job, (_, outcome)) in jobs.into_iter().zip(outcomes) {
        match outcome {
            Ok(Content { digest, size }) => {
                let state = job.parts.map_or(job.stat, |parts| FileStat { size, ..parts });
                let cached = Cached { stat: state, digest, hashed_ns: options.now_ns };
                scan.insert(job, cached, options);
            }
            Err(kind) => scan.problem(job.claim, kind, job.known),
        }
    }
}

/// Each claim with its `lstat`. Neighbours lie in one folder: it is opened once for all of them.
fn stats<'a>(
    fs: &'a dyn Fs,
    layout: &'a Layout,
    claims: Vec<Claim>,
) -> impl Iterator<Item = (Claim, io::Result<FileStat>)> + 'a {
    let mut claims = claims.into_iter().peekable();
    let runs = std::iter::from_fn(move || {
        let mut run = vec![claims.next()?];
        while let Some(next) =
            claims.next_if(|next| run.first().is_some_and(|first| first.folder() == next.folder()))
        {
            run.push(next);
        }
        Some(run)
    });
    runs.flat_map(move |run| {
        let folder = layout.root().join(run.first().map(Claim::folder).unwrap_or_default());
        let names: Vec<&OsStr> = run.iter().map(|claim| OsStr::new(claim.name())).collect();
        let stats = match fs.lstat_each(&folder, &names) {
            Ok(stats) => stats,
            Err(error) => {
                let again = |_| Err(io::Error::new(error.kind(), error.to_string()));
                names.iter().map(again).collect()
            }
        };
        run.into_iter().zip(stats).collect::<Vec<_>>()
    })
}

impl Scan {
    fn problem(&mut self, claim: Claim, kind: ProblemKind, known: Option<Cached>) {
        self.problems.push(Problem { path: claim.on_disk().to_owned(), kind });
        if known.is_some() {
            self.news.insert(claim.path, None);
        }
    }

    /// Takes in those files that stood at another path when they were hashed, as all do whose folder
    /// was renamed.
    fn take_moved(&mut self, jobs: &mut Vec<Job>, options: &ScanOptions) {
        let is_new = |job: &Job| job.known.is_none() && job.parts.is_none() && job.stat.tells_apart();
        if !jobs.iter().any(is_new) {
            return;
        }
        let fresh = options.cache.unasked().into_iter();
        let left: HashMap<(u64, u64), Cached> = fresh
            .filter(|cached| cached.hashed_ns >= options.rehash_before)
            .map(|cached| ((cached.stat.dev, cached.stat.ino), cached))
            .collect();
        let moved = |job: &Job| {
            let cached = left.get(&(job.stat.dev, job.stat.ino)).copied();
            cached.filter(|cached| is_new(job) && cached.stat == job.stat)
        };
        let mut unknown = Vec::with_capacity(jobs.len());
        for job in std::mem::take(jobs) {
            match moved(&job) {
                Some(cached) => self.insert(job, cached, options),
                None => unknown.push(job),
            }
        }
        *jobs = unknown;
    }

    /// Takes in a file. `cached` is its digest and the state that this is of: for a database in
    /// parts, that of all of them.
    fn insert(&mut self, job: Job, cached: Cached, options: &ScanOptions) {
        let Job { claim: Claim { path, .. }, stat, known, parts } = job;
        let (size, mtime_ms) = (cached.stat.size, cached.stat.mtime_ms());
        let entry = Entry { digest: cached.digest, size, mtime_ms, mode: stat.mode, rows: None };
        // A snapshot stands still: only this process knows it.
        let settled = parts.is_some() || settled(&stat, known.as_ref(), options);
        let lasting = Some(cached).filter(|cached| quiet(&cached.stat, options.now_ns, options.settle));
        if lasting != known {
            self.news.insert(path.clone(), lasting);
        }
        if parts.is_some() {
            self.in_parts.insert(path.clone());
        }
        self.files.insert(path, Found { entry, stat, settled });
    }
}

/// Results that a thread tells at once, and the bytes that it reads meanwhile. Most files are
/// small, and telling of each would cost more than hashing it.
const TOLD: usize = 64;
const READ: u64 = 1 << 20;

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
                let (mut told, mut read) = (Vec::new(), 0);
                while let Some((at, job)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    jobs.get(at).map(|job| (at, job))
                } {
                    told.push((at, hash(fs, layout, snapshots, job)));
                    read += job.stat.size;
                    if told.len() == TOLD || read >= READ {
                        read = 0;
                        if done.send(std::mem::take(&mut told)).is_err() {
                            return;
                        }
                    }
                }
                let _nobody_waits = done.send(told);
            });
        }
        // The loop below ends when the last thread has dropped its sender.
        drop(done);
        for (at, outcome) in outcomes.into_iter().flatten() {
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
        let taken = snapshots.take(&job.claim.path, &layout.root().join(job.claim.on_disk()));
        return taken.map_err(|fault| match fault {
            DatabaseFault::Busy | DatabaseFault::Open(_) => ProblemKind::Busy,
            DatabaseFault::Damaged(why) | DatabaseFault::BadSource(why) => ProblemKind::Database(why),
            DatabaseFault::Disk(error) => ProblemKind::Unreadable(error.to_string()),
        });
    }
    match hash_stable(fs, layout.root(), job.claim.on_disk(), &job.stat) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(ProblemKind::Busy),
        Err(error) => Err(ProblemKind::Unreadable(error.to_string())),
    }
}

//! One life of a device's process: it counts its effects, and may end before a chosen one.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

/// Shared by the disk and the remote of one process. After its end neither does anything for it any
/// more, whatever happens to the device.
#[derive(Debug, Clone)]
pub struct Fuse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    effects: AtomicU64,
    transactions: AtomicU64,
    at: AtomicU64,
    dead: AtomicBool,
    end: Notify,
    observer: OnceLock<Observer>,
}

/// An effect, as an observer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect<'a> {
    /// A call of the disk, and the family of places that it is for.
    Disk(&'a str, &'a str),
    Bucket,
    Transaction,
}

/// Observer of each effect before it takes place; also gets the number of effects before it.
pub struct Observer(pub Box<dyn Fn(u64, Effect<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Fuse {
    pub fn new() -> Self {
        let [effects, transactions, at] = [0, 0, u64::MAX].map(AtomicU64::new);
        Self(Arc::new(Inner {
            effects,
            transactions,
            at,
            dead: AtomicBool::new(false),
            end: Notify::new(),
            observer: OnceLock::new(),
        }))
    }

    /// The process ends before the effect that comes after `effects` more.
    pub fn set(&self, effects: u64) {
        self.0.at.store(self.effects() + effects, Ordering::Relaxed);
    }

    pub fn unset(&self) {
        self.0.at.store(u64::MAX, Ordering::Relaxed);
    }

    pub fn effects(&self) -> u64 {
        self.0.effects.load(Ordering::Relaxed)
    }

    pub fn is_dead(&self) -> bool {
        self.0.dead.load(Ordering::Relaxed)
    }

    /// From now on `observer` is told of every effect before it takes place.
    pub fn observe(&self, observer: Observer) {
        assert!(self.0.observer.set(observer).is_ok(), "a process has one observer");
    }

    /// Lets the observer look; nothing that it looks at may be locked.
    pub fn look(&self, effect: Effect<'_>) {
        if let Some(Observer(observer)) = self.0.observer.get() {
            observer(self.effects(), effect);
        }
    }

    /// True if an effect on the bucket may take place.
    pub fn effect(&self) -> bool {
        self.look(Effect::Bucket);
        self.spend()
    }

    /// The same, for callers that have let the observer look.
    pub fn spend(&self) -> bool {
        if self.is_dead() {
            return false;
        }
        if self.0.effects.fetch_add(1, Ordering::Relaxed) >= self.0.at.load(Ordering::Relaxed) {
            self.end_now();
            return false;
        }
        true
    }

    /// True if a transaction of the cache may take place: an effect, but one that a vault at rest
    /// may have.
    pub fn transaction(&self) -> bool {
        self.look(Effect::Transaction);
        self.0.transactions.fetch_add(1, Ordering::Relaxed);
        self.spend()
    }

    /// Effects on the disk and the bucket.
    pub fn writes(&self) -> u64 {
        self.effects() - self.0.transactions.load(Ordering::Relaxed)
    }

    pub fn end_now(&self) {
        self.0.dead.store(true, Ordering::Relaxed);
        self.0.end.notify_one();
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        while !self.is_dead() {
            self.0.end.notified().await;
        }
    }
}

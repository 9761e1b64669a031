//! The events in their order: a line for each, hashed, and printed for a reader. The same seed
//! gives the same hash.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Names that were reached, and how often.
pub type Marks = BTreeMap<Cow<'static, str>, u64>;

/// Counts what was reached elsewhere, too.
pub fn add(marks: &mut Marks, more: Marks) {
    more.into_iter().for_each(|(name, times)| *marks.entry(name).or_default() += times);
}

/// One trace, shared by everything that takes part in a run.
#[derive(Clone)]
pub struct Trace {
    aloud: bool,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    hasher: blake3::Hasher,
    lines: u64,
    marks: Marks,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

impl Trace {
    pub fn new(aloud: bool) -> Self {
        let inner = Inner { hasher: blake3::Hasher::new(), lines: 0, marks: BTreeMap::new() };
        Self { aloud, inner: Arc::new(Mutex::new(inner)) }
    }

    pub fn note(&self, line: impl fmt::Display) {
        if self.aloud {
            let mut inner = self.inner.lock().unwrap();
            let line = line.to_string();
            inner.lines += 1;
            inner.hasher.update(line.as_bytes()).update(b"\n");
            println!("{:6} {line}", inner.lines);
        }
    }

    /// Counts that something was reached.
    pub fn mark(&self, name: impl Into<Cow<'static, str>>) {
        *self.inner.lock().unwrap().marks.entry(name.into()).or_default() += 1;
    }

    pub fn take_marks(&self) -> Marks {
        std::mem::take(&mut self.inner.lock().unwrap().marks)
    }

    pub fn hash(&self) -> String {
        self.inner.lock().unwrap().hasher.finalize().to_hex()[..16].to_owned()
    }
}

use std::fmt;

/// A hold on a disk: as long as this lives, an ordinary unmount is refused with "busy".
pub struct Pinned {
    _held: Box<dyn Send>,
}

impl Pinned {
    /// A hold that is let go together with `held`.
    #[must_use]
    pub fn new(held: impl Send + 'static) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

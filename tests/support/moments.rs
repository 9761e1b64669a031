//! Moments at which a process is killed.

use std::time::Duration;

use super::process::{Machine, unit};

/// Draws moments to kill at. The length of a run depends on the other load of the machine, so the
/// span that they are drawn from follows the last run: one that ended first makes it shorter, one
/// that was killed a little longer.
pub struct Moments {
    span: Duration,
    killed: usize,
    missed: usize,
}

impl Moments {
    /// The first moment lies within this span.
    pub fn within(span: Duration) -> Self {
        Self { span, killed: 0, missed: 0 }
    }

    /// Runs the program and kills it at a moment that `seed` decides. True if it had not ended by
    /// then.
    pub async fn kill(&mut self, machine: &Machine, seed: &str, args: &[&str]) -> bool {
        let killed = machine.killed_at(self.span.mul_f64(unit(seed)), args).await;
        *(if killed { &mut self.killed } else { &mut self.missed }) += 1;
        self.span = self.span.mul_f64(if killed { 1.1 } else { 0.6 });
        killed
    }

    /// Asserts that enough runs were killed before their end to tell anything.
    pub fn were_enough(&self) {
        let all = self.killed + self.missed;
        assert!(self.killed * 3 >= all, "only {} of {all} runs were killed before their end", self.killed);
    }
}

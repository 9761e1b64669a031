//! Requests that arrive while one is being carried out, and are carried out together after it.
//!
//! Putting one memory in place costs as much as putting a hundred in place. So nobody waits for
//! others to come, and those that have come meanwhile go as one.
//!
//! Invariants: requests are carried out in the order in which they came, one set after the other.
//! Each gets the answer to itself. The one that carries out a set is one of those who wait, on its
//! own thread; if it panics, those of its set are told, and another one goes on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Most requests that are carried out together.
const MOST: usize = 1000;

/// A line of requests.
#[derive(Debug)]
pub(super) struct Gathered<Q, A> {
    line: Mutex<Line<Q, A>>,
    moved: Condvar,
}

#[derive(Debug)]
struct Line<Q, A> {
    next: u64,
    waiting: VecDeque<(u64, Q)>,
    /// True while a set is carried out.
    busy: bool,
    /// Answers that nobody has fetched yet. None for a request whose set was cut short.
    answers: HashMap<u64, Option<A>>,
}

impl<Q, A> Default for Gathered<Q, A> {
    fn default() -> Self {
        let line = Line { next: 0, waiting: VecDeque::new(), busy: false, answers: HashMap::new() };
        Self { line: Mutex::new(line), moved: Condvar::new() }
    }
}

impl<Q, A> Gathered<Q, A> {
    /// Has a request carried out, alone or with others that wait, and waits for its answer. `alike`
    /// tells whether a request may go with those before it; `carry_out` gives the answers in the
    /// order of its requests. None if it was cut short. Blocks.
    pub fn submit(
        &self,
        request: Q,
        alike: impl Fn(&[Q], &Q) -> bool,
        carry_out: impl Fn(Vec<Q>) -> Vec<A>,
    ) -> Option<A> {
        let mut line = self.line();
        let own = line.next;
        line.next += 1;
        line.waiting.push_back((own, request));
        loop {
            if let Some(answer) = line.answers.remove(&own) {
                return answer;
            }
            if line.busy {
                line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            line.busy = true;
            let (numbers, requests) = line.set(&alike);
            drop(line);
            let mut turn = Turn { of: self, numbers, answers: Vec::new() };
            turn.answers = carry_out(requests);
            drop(turn);
            line = self.line();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<Q, A>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> Line<Q, A> {
    /// Takes the first requests that go together.
    fn set(&mut self, alike: &impl Fn(&[Q], &Q) -> bool) -> (Vec<u64>, Vec<Q>) {
        let (mut numbers, mut requests) = (Vec::new(), Vec::new());
        while let Some((number, request)) = self.waiting.pop_front() {
            if !requests.is_empty() && (requests.len() == MOST || !alike(&requests, &request)) {
                self.waiting.push_front((number, request));
                break;
            }
            numbers.push(number);
            requests.push(request);
        }
        (numbers, requests)
    }
}

/// The right to carry out a set. When it ends, the set is answered and the next one may go.
struct Turn<'g, Q, A> {
    of: &'g Gathered<Q, A>,
    numbers: Vec<u64>,
    answers: Vec<A>,
}

impl<Q, A> Drop for Turn<'_, Q, A> {
    fn drop(&mut self) {
        let mut line = self.of.line();
        let mut answers = self.answers.drain(..);
        line.answers.extend(self.numbers.drain(..).map(|number| (number, answers.next())));
        line.busy = false;
        self.of.moved.notify_all();
    }
}

#[cfg(test)]
mod tests;

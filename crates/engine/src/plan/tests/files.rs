//! Single files: every base, local and remote over {absent, A, B, C}, in every mode.

use super::super::{Direction, Waiting, agreed};
use super::*;

const STATES: [Option<&str>; 4] = [None, Some("A"), Some("B"), Some("C")];
const MODES: [Mode; 3] = [Mode::Ordinary, Mode::Joining, Mode::Merge];

/// Decision of a person who has to sort the case out by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Nothing,
    Note,
    Send,
    Take,
    TakeAndKeepMine,
    AskFirst,
}

fn verdict(base: Option<&str>, local: Option<&str>, remote: Option<&str>, mode: Mode) -> Verdict {
    if local == remote {
        return if local == base { Verdict::Nothing } else { Verdict::Note };
    }
    // They differ: the side that still has the old version gives way.
    if remote == base {
        return Verdict::Send;
    }
    if local == base {
        return Verdict::Take;
    }
    match (local, remote) {
        (None, _) => Verdict::Take,
        (Some(_), Some(_)) if base.is_none() && mode == Mode::Joining => Verdict::AskFirst,
        (Some(_), _) => Verdict::TakeAndKeepMine,
    }
}

fn one(state: Option<&str>, touch: i64) -> Tree {
    state.map(|content| (path("f"), touched(entry(content), touch))).into_iter().collect()
}

/// Runs `check` on every case. The three sides have different times, which must not matter.
fn all_cases(mut check: impl FnMut(Case, Verdict)) {
    let mut count = 0;
    for mode in MODES {
        for (base, local, remote) in
            STATES.into_iter().flat_map(|b| STATES.into_iter().flat_map(move |l| STATES.map(|r| (b, l, r))))
        {
            for newer_here in [0, 2] {
                let sides = (one(base, 0), one(local, newer_here), one(remote, 1));
                let case = Case { mode, ..Case::of(sides.0, sides.1, sides.2) };
                check(case, verdict(base, local, remote, mode));
                count += 1;
            }
        }
    }
    assert_eq!(count, 3 * 64 * 2);
}

#[test]
fn every_case_of_a_single_file_is_decided_as_the_design_says() {
    all_cases(|case, verdict| {
        let plan = case.plan();
        let what = format!("{:?} {:?} {:?} {:?}", case.base, case.local, case.remote, case.mode);
        let (local, remote) = (case.local.get(&path("f")).copied(), case.remote.get(&path("f")).copied());
        let kept = Conflict::new(file("f"), vec![crate::model::Kept { path: path("f"), entry: local }], None);
        let change = |from, to| vec![FileStep { path: path("f"), from, to }];
        let expected = match verdict {
            Verdict::Nothing | Verdict::AskFirst => None,
            Verdict::Note => Some((Action::Adopt, Vec::new(), remote)),
            Verdict::Send => Some((Action::Push, change(remote, local), local)),
            Verdict::Take => Some((Action::Pull, change(local, remote), remote)),
            Verdict::TakeAndKeepMine => {
                Some((Action::Conflict(Box::new(kept)), change(local, remote), remote))
            }
        };
        let expected = expected.map(|(action, files, agreed)| Step {
            item: file("f"),
            action,
            files,
            agreed: vec![(path("f"), agreed)],
        });
        assert_eq!(plan.steps, Vec::from_iter(expected), "{what}");
        assert_eq!(plan.waiting, Vec::<Waiting>::new(), "{what}");
        let held: Vec<_> = plan.holds.iter().map(|hold| (hold.reason, hold.direction)).collect();
        let ask = (verdict == Verdict::AskFirst).then_some((Reason::Differs, Direction::Incoming));
        assert_eq!(held, Vec::from_iter(ask), "{what}");
    });
}

#[test]
fn the_record_follows_only_the_steps_that_were_done() {
    all_cases(|case, verdict| {
        let plan = case.plan();
        let done = agreed(&plan, &case.base, &BTreeSet::from([file("f")]));
        let expected = match verdict {
            Verdict::Nothing | Verdict::AskFirst => &case.base,
            Verdict::Send => &case.local,
            Verdict::Note | Verdict::Take | Verdict::TakeAndKeepMine => &case.remote,
        };
        assert_eq!(done, *expected);
        assert_eq!(agreed(&plan, &case.base, &BTreeSet::new()), case.base, "nothing was done yet");
    });
}

#[test]
fn an_approved_join_is_an_ordinary_conflict() {
    all_cases(|mut case, verdict| {
        case.decisions.join = true;
        let joined = case.plan();
        case.mode = Mode::Ordinary;
        assert_eq!(joined.steps, case.plan().steps);
        assert_eq!(joined.approved.len(), usize::from(verdict == Verdict::AskFirst));
        assert!(joined.holds.is_empty());
    });
}

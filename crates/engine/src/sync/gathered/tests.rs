use std::sync::mpsc;
use std::thread;

use super::*;

/// Carries out numbers: the answer to each is the set that it was in.
fn answers(set: &[u32]) -> Vec<Vec<u32>> {
    vec![set.to_vec(); set.len()]
}

/// Has 0 carried out, and while that lasts has the others come, one after the other. Gives the set
/// of each.
fn sets(others: &[u32], alike: fn(&[u32], &u32) -> bool) -> Vec<Vec<u32>> {
    let gathered = Gathered::<u32, Vec<u32>>::default();
    let (begun, begins) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let gathered = &gathered;
        let first = scope.spawn(move || {
            gathered.submit(0, alike, |set| {
                if set == [0] {
                    begun.send(()).unwrap();
                    gone.recv().unwrap();
                }
                answers(&set)
            })
        });
        begins.recv().unwrap();
        let waiting: Vec<_> = others
            .iter()
            .enumerate()
            .map(|(count, other)| {
                let one = scope.spawn(move || gathered.submit(*other, alike, |set| answers(&set)));
                while gathered.line().waiting.len() <= count {
                    thread::yield_now();
                }
                one
            })
            .collect();
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap(), Some(vec![0]));
        waiting.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
    })
}

#[test]
fn what_arrives_while_one_is_carried_out_goes_as_one_after_it() {
    let all: Vec<u32> = (1..20).collect();
    assert_eq!(sets(&all, |_, _| true), answers(&all));
}

#[test]
fn one_that_does_not_go_with_others_keeps_its_place_in_the_line() {
    let alike: fn(&[u32], &u32) -> bool = |taken, next| *next != 3 && !taken.contains(&3);
    assert_eq!(sets(&[1, 2, 3, 4, 5], alike), [vec![1, 2], vec![1, 2], vec![3], vec![4, 5], vec![4, 5]]);
}

#[test]
fn those_of_a_set_that_is_cut_short_are_told_and_the_next_one_goes_on() {
    let gathered = Gathered::<u32, u32>::default();
    let panics = |_: Vec<u32>| -> Vec<u32> { panic!("as if it had a mistake") };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        gathered.submit(1, |_, _| true, panics);
    }));
    assert!(caught.is_err());
    assert_eq!(gathered.submit(2, |_, _| true, |set| set), Some(2));
    assert_eq!(gathered.submit(3, |_, _| true, |_| Vec::new()), None, "no answer is an answer");
}

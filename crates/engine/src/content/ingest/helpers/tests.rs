use super::*;
use crate::content::decode;
use crate::content::test_data::noise;

fn full(seed: usize) -> Batch {
    let mut batch = Batch::default();
    for number in 0.. {
        if batch.is_full() {
            break;
        }
        let chunk = noise(&format!("{seed} {number}"), 1000 + seed * 7919 % 20_000);
        batch.push(Digest::of(&chunk), &chunk);
    }
    batch
}

fn give(helpers: &mut Helpers, batch: Batch) {
    assert!(helpers.is_next_there());
    helpers.give(batch).unwrap();
}

#[test]
fn batches_come_back_encoded_in_the_order_in_which_they_went() {
    let mut helpers = Helpers::new(3);
    let mut first = Vec::new();
    let mut taken = Vec::new();
    let mut take = |helpers: &mut Helpers| {
        let batch = helpers.take().unwrap().unwrap();
        for (id, len, codec, stored) in batch.encoded() {
            let len = u32::try_from(len).unwrap();
            assert_eq!(Digest::of(&decode(codec, stored, len).unwrap()), id);
        }
        taken.push(batch.chunks[0].0);
    };
    for number in 0..50 {
        if helpers.all_busy() {
            take(&mut helpers);
        }
        let batch = full(number);
        first.push(batch.chunks[0].0);
        give(&mut helpers, batch);
    }
    while helpers.at_work() {
        take(&mut helpers);
    }
    assert_eq!((taken, helpers.threads.len()), (first, 3));
    assert!(helpers.take().unwrap().is_none());
}

#[test]
fn a_run_that_is_given_up_leaves_no_thread() {
    let mut helpers = Helpers::new(2);
    while !helpers.all_busy() {
        let batch = full(helpers.order.len());
        give(&mut helpers, batch);
    }
    drop(helpers);
}

#[test]
fn a_chunk_that_cannot_be_encoded_is_an_error_and_no_gap() {
    let mut helpers = Helpers::new(1);
    let mut batch = Batch::default();
    batch.push(Digest::of(b""), b"");
    give(&mut helpers, batch);
    assert!(matches!(helpers.take(), Err(CodecError::Length(0))));
}

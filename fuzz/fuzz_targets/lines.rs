//! Logs and texts that merge line by line: nothing breaks, what one side leaves as it was changes
//! nothing, and of two texts it does not matter which is the one here.

#![no_main]

use std::io::{self, Read, Write};

use cogzy_engine::fs::ReadFile;
use cogzy_engine::merge::{File, Unmerged, append, weave};
use cogzy_engine::model::FileStat;
use libfuzzer_sys::fuzz_target;

struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl ReadFile for Bytes<'_> {
    fn stat(&self) -> io::Result<FileStat> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        let bytes = self.0.get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

type Merge = fn(Option<&File<'_>>, &File<'_>, &File<'_>, &mut dyn Write) -> Result<(), Unmerged>;

fn merged(merge: Merge, [base, here, there]: [&[u8]; 3]) -> Result<Vec<u8>, Unmerged> {
    let held = [Bytes(base), Bytes(here), Bytes(there)];
    let [base, here, there] = [&held[0], &held[1], &held[2]]
        .map(|bytes| File { file: bytes, len: bytes.0.len() as u64 });
    let mut out = Vec::new();
    merge(Some(&base), &here, &there, &mut out)?;
    Ok(out)
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0xff);
    let [Some(base), Some(here), Some(there)] = [(); 3].map(|()| parts.next()) else { return };
    let (one, other) = (merged(weave, [base, here, there]), merged(weave, [base, there, here]));
    assert_eq!(one.ok(), other.ok());
    for side in [here, there] {
        if !side.contains(&0) && !base.contains(&0) {
            assert_eq!(merged(weave, [base, side, base]).unwrap(), side);
        }
    }
    let log = |here: &[u8], there: &[u8]| merged(append, [base, &[base, here].concat(), &[base, there].concat()]);
    if let Ok(log) = log(here, there) {
        assert!(log.starts_with(&[base, there].concat()));
        let again = merged(append, [base, &[base, here].concat(), &log]);
        assert!(again.is_ok_and(|again| again == log), "merged twice");
    }
});

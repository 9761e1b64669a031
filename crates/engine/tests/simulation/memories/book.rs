//! All writes of memories by users, and what each of them knew.

use std::collections::{BTreeMap, BTreeSet};

use cogzy_engine::sync::Report;

use crate::oracle::Check;

/// A memory: a text, whose vector follows it, and a tag, of which no vector knows. Each text and
/// each tag is written once. How often it was read is quiet: of that nothing is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    pub id: String,
    pub text: u32,
    pub tag: u32,
    pub reads: u32,
}

/// Memories by id.
pub type Shown = BTreeMap<String, Memory>;

/// A part of a memory that merges by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Text,
    Tag,
}

impl Memory {
    /// Number of the write that a part shows.
    const fn shows(&self, part: Part) -> u32 {
        match part {
            Part::Text => self.text,
            Part::Tag => self.tag,
        }
    }
}

/// A write of a part of a memory.
#[derive(Debug, Clone)]
struct Write {
    id: String,
    part: Part,
    /// The memory as it was before. None for a new one.
    knew: Option<Memory>,
}

/// All writes, each under its own number, and all deletions.
#[derive(Debug, Default)]
pub struct Book {
    writes: BTreeMap<u32, Write>,
    /// The numbers of the writes of each memory.
    of: BTreeMap<String, Vec<u32>>,
    deleted: BTreeMap<String, Vec<Memory>>,
    /// Memories that the app of each device wrote last.
    wrote: BTreeMap<String, Vec<Memory>>,
    /// Memories that it holds: these, or those it has read since. Some apps look at nothing else.
    held: BTreeMap<String, Vec<Memory>>,
    /// What the engine of each device knows of its app.
    told: BTreeMap<String, Told>,
    /// Deletions of what had come a moment ago, by saves that have nothing of it: they may come from
    /// an app that had not read it, the engine has taken them for that, and said so.
    doubted: Vec<(Memory, Memory)>,
}

/// What an engine knows of its app, and what it does not know yet.
#[derive(Debug, Default)]
struct Told {
    /// Memories in the vault, as the app may have found them. None before the first cycle.
    known: Option<BTreeSet<Says>>,
    /// Memories that cycles have brought since the app wrote, or merged with what it wrote.
    came: Vec<Came>,
    /// Memories that the app has deleted since the last cycle.
    deleted: Vec<Memory>,
    /// True if it has written since the last cycle.
    saved: bool,
    /// True if a cycle has not come to its end.
    is_cut: bool,
}

/// Memories that have come by one cycle.
#[derive(Debug)]
struct Came {
    memories: Vec<Memory>,
    /// True unless they may have come one after the other.
    at_once: bool,
}

/// Id, text and tag of a memory.
type Says = (String, u32, u32);

impl Memory {
    fn says(&self) -> Says {
        (self.id.clone(), self.text, self.tag)
    }
}

impl Told {
    /// Notes what is in the vault and is not known.
    fn sees<'m>(&mut self, memories: impl Iterator<Item = &'m Memory>, at_once: bool) {
        let Some(known) = &mut self.known else { return };
        let memories: Vec<Memory> = memories.filter(|memory| known.insert(memory.says())).cloned().collect();
        if !memories.is_empty() {
            self.came.push(Came { memories, at_once });
        }
    }

    /// A memory as it came, if a save that deletes it has nothing of what came with it or later: it
    /// may come from an app that had not read that.
    fn unread(&self, deleted: &Memory, wrote: &BTreeSet<Says>) -> Option<Memory> {
        let is_it = |memory: &&Memory| memory.id == deleted.id;
        let at = self.came.iter().rposition(|came| came.memories.iter().any(|memory| is_it(&memory)))?;
        let known = self.known.as_ref()?;
        let has = |memory: &Memory| wrote.contains(&memory.says()) && known.contains(&memory.says());
        let later = &self.came[at + usize::from(!self.came[at].at_once)..];
        let is_read = later.iter().flat_map(|came| &came.memories).any(has);
        self.came[at].memories.iter().find(is_it).filter(|_| !is_read).cloned()
    }
}

impl Book {
    fn write(&mut self, id: &str, part: Part, knew: Option<Memory>) -> u32 {
        let number = u32::try_from(self.writes.len()).unwrap() + 1;
        self.writes.insert(number, Write { id: id.to_owned(), part, knew });
        self.of.entry(id.to_owned()).or_default().push(number);
        number
    }

    /// The amount of it, in words.
    pub fn told(&self) -> String {
        format!("{} writes and {} deletions", self.writes.len(), self.deleted.values().flatten().count())
    }

    pub fn adds(&mut self) -> Memory {
        let id = format!("m{}", self.writes.len());
        let [text, tag] = [Part::Text, Part::Tag].map(|part| self.write(&id, part, None));
        Memory { id, text, tag, reads: 0 }
    }

    pub fn changes(&mut self, memory: &mut Memory, part: Part) {
        let number = self.write(&memory.id, part, Some(memory.clone()));
        match part {
            Part::Text => memory.text = number,
            Part::Tag => memory.tag = number,
        }
    }

    /// What the app of a device has in memory, at a moment at which it does not read its files
    /// again.
    pub fn holds(&self, device: &str) -> Option<Vec<Memory>> {
        self.held.get(device).filter(|_| self.writes.len().is_multiple_of(3)).cloned()
    }

    pub fn wrote(&mut self, device: &str, memories: &[Memory]) {
        self.wrote.insert(device.to_owned(), memories.to_vec());
        self.told.entry(device.to_owned()).or_default().saved = true;
        self.reads(device, memories);
    }

    /// The app of a device has read these memories, and has not written yet.
    pub fn reads(&mut self, device: &str, memories: &[Memory]) {
        self.held.insert(device.to_owned(), memories.to_vec());
    }

    /// The app counts that a memory was asked for.
    pub fn counts(&self, memories: &mut [Memory]) {
        let at = self.writes.len() % memories.len();
        memories[at].reads += 1;
    }

    pub fn deletes(&mut self, device: &str, memory: &Memory) {
        self.deleted.entry(memory.id.clone()).or_default().push(memory.clone());
        self.told.entry(device.to_owned()).or_default().deleted.push(memory.clone());
    }

    /// The app of a device finds these memories in the vault.
    pub fn finds(&mut self, device: &str, memories: &[Memory]) {
        let own = self.wrote_by(device);
        let came = memories.iter().filter(|memory| !own.contains(&memory.says()));
        self.told.entry(device.to_owned()).or_default().sees(came, false);
    }

    fn wrote_by(&self, device: &str) -> BTreeSet<Says> {
        self.wrote.get(device).into_iter().flatten().map(Memory::says).collect()
    }

    /// A cycle of a device has not come to its end.
    pub fn is_cut(&mut self, device: &str) {
        self.told.entry(device.to_owned()).or_default().is_cut = true;
    }

    /// A cycle of a device has come to its end, and these memories are there. It may have taken the
    /// last save for one made without what had come.
    pub fn synced(&mut self, device: &str, shown: &Shown, report: &Report) {
        let mut told = self.told.remove(device).unwrap_or_default();
        let own = self.wrote_by(device);
        if !report.reverted.is_empty() {
            let unread = |one: &Memory| Some((told.unread(one, &own)?, one.clone()));
            self.doubted.extend(told.deleted.iter().filter_map(unread));
        }
        let is_plain = report.merged.is_empty() && report.conflicts.is_empty() && report.reverted.is_empty();
        if told.saved {
            told.came.clear();
            // If it was merged instead, it comes again.
            told.known.iter_mut().filter(|_| is_plain).for_each(|known| known.extend(own.clone()));
        }
        told.sees(shown.values(), is_plain && !told.is_cut);
        let known = Some(shown.values().map(Memory::says).collect());
        self.told.insert(device.to_owned(), Told { known, came: told.came, ..Told::default() });
    }

    /// The writes that whoever saw this memory knew of, as far as they are known to be.
    fn past(&self, memory: &Memory) -> BTreeSet<u32> {
        let (mut past, mut open) = (BTreeSet::new(), vec![memory.text, memory.tag]);
        while let Some(number) = open.pop() {
            if past.insert(number)
                && let Some(knew) = self.writes.get(&number).and_then(|write| write.knew.as_ref())
            {
                open.extend([knew.text, knew.tag]);
            }
        }
        past
    }

    /// Writes of the same memory that did not know of the write `number`, and of which it did not
    /// know.
    fn rivals(&self, number: u32) -> impl Iterator<Item = u32> {
        let id = &self.writes[&number].id;
        let knew =
            |number: u32| self.writes[&number].knew.as_ref().map(|knew| self.past(knew)).unwrap_or_default();
        let ours = knew(number);
        let others = self.of[id].iter().copied().filter(move |other| *other != number);
        others.filter(move |other| !ours.contains(other) && !knew(*other).contains(&number))
    }

    /// No write is lost without a word: it is shown, or was known by who replaced or deleted it, or
    /// it stands in a version that waits for a person.
    pub fn no_write_is_lost(&self, shown: &Shown, open: &[Memory]) -> Check {
        let mut there: BTreeSet<u32> = shown.values().flat_map(|memory| self.past(memory)).collect();
        there.extend(open.iter().flat_map(|memory| self.past(memory)));
        there.extend(self.deleted.values().flatten().flat_map(|memory| self.past(memory)));
        match self.writes.iter().find(|(number, _)| !there.contains(number)) {
            Some((number, write)) => Err(format!("write {number} is lost: {write:?}")),
            // Where a version waits, what it deleted does, too.
            None if open.is_empty() => self.nothing_is_gone(shown).and_then(|()| self.nothing_is_old(shown)),
            None => Ok(()),
        }
    }

    /// What waits for a person lost a clash: of each memory that waits, a part was written, or the
    /// whole was deleted, by somebody who did not know of it.
    pub fn only_clashes_wait(&self, shown: &Shown, open: &[Memory]) -> Check {
        let deletions = |id: &str| self.deleted.get(id).into_iter().flatten();
        let clashed = |memory: &&Memory| {
            let unknown =
                |number: u32| deletions(&memory.id).any(|deleted| !self.past(deleted).contains(&number));
            [memory.text, memory.tag]
                .iter()
                .any(|&number| unknown(number) || self.rivals(number).next().is_some())
        };
        match open.iter().find(|memory| !clashed(memory)) {
            Some(memory) => {
                let writes: Vec<_> =
                    self.of[&memory.id].iter().map(|number| (number, &self.writes[number])).collect();
                let stands = shown.get(&memory.id);
                Err(format!("{memory:?} waits, {stands:?} stands, and nothing clashed: {writes:?}"))
            }
            None => Ok(()),
        }
    }

    /// Nothing is gone that nobody deleted.
    pub fn nothing_is_gone(&self, shown: &Shown) -> Check {
        let mut written = self.writes.values().map(|write| &write.id);
        match written.find(|id| !shown.contains_key(*id) && !self.deleted.contains_key(*id)) {
            Some(id) => Err(format!("{id} is gone, and nobody deleted it")),
            None => Ok(()),
        }
    }

    /// Nothing is there that was deleted, and nothing is older than it may be.
    fn nothing_is_old(&self, shown: &Shown) -> Check {
        for memory in shown.values() {
            let known = |deleted: &&Memory| {
                let past = self.past(deleted);
                let is_known = past.contains(&memory.text) && past.contains(&memory.tag);
                is_known && !self.doubted.iter().any(|(_, doubted)| doubted == *deleted)
            };
            if let Some(deleted) = self.deleted.get(&memory.id).and_then(|all| all.iter().find(known)) {
                return Err(format!("{memory:?} is back, deleted as {deleted:?}"));
            }
            self.is_newest(memory)?;
        }
        Ok(())
    }

    /// Nothing that was written over a part of this memory is newer, but for what others wrote at
    /// the same time.
    fn is_newest(&self, memory: &Memory) -> Check {
        for (part, number) in [(Part::Text, memory.text), (Part::Tag, memory.tag)] {
            let over = |write: &Write| {
                write.part == part && write.knew.as_ref().is_some_and(|knew| knew.shows(part) == number)
            };
            let all = self.of[&memory.id].iter().map(|newer| (newer, &self.writes[newer]));
            for (newer, write) in all.filter(|(_, write)| over(write)) {
                // It may have been written and deleted by one save.
                let by_one_save = |(came, deleted): &(Memory, Memory)| {
                    self.past(deleted).contains(newer) && !self.past(came).contains(newer)
                };
                if self.rivals(*newer).next().is_none() && !self.doubted.iter().any(by_one_save) {
                    return Err(format!("{memory:?} is old: nothing clashed with {newer}, {write:?}"));
                }
            }
        }
        Ok(())
    }
}

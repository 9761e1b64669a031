//! The escape of names for disks that cannot hold every name of Unix: a pure table.
//!
//! FAT, exFAT, NTFS and SMB refuse `\ : * ? " < > |`, and a dot or a space at the end of a name is
//! refused or silently cut off. There each of these signs is written as the one that looks like it:
//! the full-width character `：` (U+FF1A) for `:` and so on, `．` (U+FF0E) for a dot and `␠` (U+2420)
//! for a space at the end. A name that really has such a stand-in gets `‛` (U+201B) before it.
//! These are the signs of rclone.
//!
//! Every name has one spelling, and every spelling that such a disk can hold is that of one name.
//! So a run of `‛` counts only directly before a stand-in: `n` of them are `n / 2` that are meant,
//! and an odd one more says that the stand-in itself is meant. Names that have neither a sign nor a
//! stand-in are spelled as they are.
//!
//! No name is `.` or `..`, and no spelling may become one: for names that are only such dots, with
//! or without `‛`, the stand-in itself is the rule and a plain dot the exception.

use std::borrow::Cow;

/// Sign that says: the next character is meant as it is.
const QUOTE: char = '‛';
/// Distance from a sign to the full-width character that stands for it.
const FULL_WIDTH: u32 = 0xfee0;
const SIGNS: [char; 8] = ['\\', ':', '*', '?', '"', '<', '>', '|'];
const FINAL: [(char, char); 2] = [('.', '．'), (' ', '␠')];

/// A character that is a sign or the stand-in of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    sign: char,
    stand_in: char,
    is_sign: bool,
}

/// The pair that a character of a name belongs to. `is_last` is true for the last one.
fn pair(character: char, is_last: bool) -> Option<Pair> {
    let full_width = |sign: char| char::from_u32(u32::from(sign) + FULL_WIDTH);
    let anywhere = SIGNS.iter().filter_map(|&sign| Some((sign, full_width(sign)?)));
    let at_the_end = FINAL.into_iter().filter(|_| is_last);
    let mut all = anywhere.chain(at_the_end);
    let (sign, stand_in) = all.find(|&(sign, stand_in)| [sign, stand_in].contains(&character))?;
    Some(Pair { sign, stand_in, is_sign: character == sign })
}

/// Spelling of a name on such a disk.
#[must_use]
pub fn escape(name: &str) -> Cow<'_, str> {
    respell(name, |pair, quotes, reversed| {
        let odd = pair.is_sign == reversed;
        let quotes = if reversed && pair.is_sign { quotes.checked_sub(1)? } else { quotes };
        Some((pair.stand_in, 2 * quotes + usize::from(odd)))
    })
}

/// Name that a spelling on such a disk stands for. A name that no other one is spelled as, such as
/// one with a plain sign, stands for itself.
#[must_use]
pub fn unescape(spelled: &str) -> Cow<'_, str> {
    respell(spelled, |pair, quotes, reversed| {
        // The disk holds plain signs after all.
        if pair.is_sign {
            return None;
        }
        let odd = quotes % 2 == 1;
        let meant = if odd == reversed { pair.sign } else { pair.stand_in };
        Some((meant, quotes / 2 + usize::from(odd && reversed)))
    })
}

/// True for a name that such a disk cannot hold as it is.
#[must_use]
pub fn has_signs(name: &str) -> bool {
    let last = name.chars().count().saturating_sub(1);
    name.chars().enumerate().any(|(at, one)| pair(one, at == last).is_some_and(|pair| pair.is_sign))
}

/// Replaces each character of a pair, with the quotes before it, by what `new` gives: a character
/// and a number of quotes. The third argument of `new` is true where the rule is reversed.
fn respell(name: &str, new: impl Fn(Pair, usize, bool) -> Option<(char, usize)>) -> Cow<'_, str> {
    let last = name.chars().count().saturating_sub(1);
    let any = name.chars().enumerate().any(|(at, one)| pair(one, at == last).is_some());
    if !any {
        return Cow::Borrowed(name);
    }
    let (mut text, mut quotes) = (String::with_capacity(name.len() + 8), 0);
    for (at, one) in name.chars().enumerate() {
        if one == QUOTE && at != last {
            quotes += 1;
            continue;
        }
        let pair = pair(one, at == last);
        let is_dots = at == last && ["", "."].contains(&text.as_str());
        let reversed = is_dots && pair.is_some_and(|pair| pair.sign == '.');
        let (one, quotes_before) = pair.and_then(|pair| new(pair, quotes, reversed)).unwrap_or((one, quotes));
        text.extend(std::iter::repeat_n(QUOTE, quotes_before));
        text.push(one);
        quotes = 0;
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests;

//! Which key was meant.

/// The key of `known` that `given` is a slip of the finger away from, or that has the same last name in another section.
pub(super) fn nearest(given: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |key: &str| distance(given, key).min(distance(&last(given), &last(key)) + 1);
    let (score, key) = known.map(|key| (score(key), key)).min()?;
    (score <= 1 + given.chars().count() / 5).then_some(key)
}

/// How many characters must be put in, taken out or changed to turn `one` into `other` (Levenshtein 1966). Cut at 64
/// characters: no key is longer.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, c) in one.chars().take(64).enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        let mut next = vec![left];
        for (d, up) in other.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(c != *d)).min(left + 1).min(up + 1);
            diagonal = *up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted() {
        for (one, other, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn slips_and_wrong_sections_are_recognised_and_nothing_else() {
        let known = ["sync.settle", "sync.poll_interval", "remote", "log.level"];
        let nearest = |given| super::nearest(given, known.into_iter());
        assert_eq!(nearest("sync.setle"), Some("sync.settle"));
        assert_eq!(nearest("settle"), Some("sync.settle"));
        assert_eq!(nearest("remot"), Some("remote"));
        assert_eq!(nearest("sync.poll-interval"), Some("sync.poll_interval"));
        assert_eq!(nearest("colour"), None);
    }
}

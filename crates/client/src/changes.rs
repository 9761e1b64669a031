//! Changes among the memories of a group, asked of the daemon.

use std::path::Path;

use crate::documents::{MemoryChangesDocument, NamedGeneration, encoded};
use crate::socket::{ClientError, get};

/// Asks the daemon at `socket` for the memories of a group that differ from generation `since`, as
/// an answer before named it; `0` for all of them. `each` is given page after page. Returns the
/// generation up to which they were told: the next `since`.
///
/// Keep it once all pages are carried out. If the generation is gone ([`ClientError::is_gone`]), read
/// all memories anew.
///
/// # Errors
/// See [`ClientError`].
pub async fn memories_since(
    socket: &Path,
    group: &str,
    since: &str,
    vectors: bool,
    mut each: impl FnMut(MemoryChangesDocument),
) -> Result<NamedGeneration, ClientError> {
    let [group, since] = [group, since].map(encoded);
    let mut resource = format!("/v1/memories?group={group}&since={since}&vectors={vectors}");
    loop {
        let page: MemoryChangesDocument = get(socket, &resource).await?;
        let (next, until) = (page.next.clone(), page.until.clone());
        each(page);
        match next {
            Some(next) => resource = next,
            None => return Ok(until),
        }
    }
}

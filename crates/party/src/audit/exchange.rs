//! What parties show each other of their logs.

use cryptflow_wire::Links;
use serde_json::{Value, json};

use super::Head;
use crate::messages::{SessionError, decode, send};

/// Longest message: a signature is much shorter.
const LONGEST: usize = 2048;

/// Shows the others the head of this party's log, and returns theirs, by party.
///
/// # Errors
/// A link fails, or somebody shows something else.
pub fn exchange(links: &Links, own: &Head) -> Result<Vec<(usize, Head)>, SessionError> {
    for j in links.others() {
        send(links.to(j), own)?;
    }
    let theirs = |j: usize| {
        let bytes = links.to(j).recv_any(LONGEST)?;
        Ok((j, decode(&bytes, links.to(j).peer())?))
    };
    links.others().map(theirs).collect()
}

/// Others' heads, as an entry has them: see [`super::Entry::heads`].
pub fn noted(heads: &[(usize, Head)]) -> Value {
    let one = |(party, head): &(usize, Head)| json!({ "party": party, "digest": hex::encode(head.digest), "signature": hex::encode(&head.signature) });
    heads.iter().map(one).collect()
}

//! What each party says went over its links, and whether that goes together.

use cryptflow_wire::{Chain, Links};
use serde::{Deserialize, Serialize};

use super::Discord;
use crate::messages::SessionError;

/// One direction of a link: number and digest of its messages ([`Chain`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Messages.
    pub messages: u64,
    /// Digest of their tags.
    pub digest: [u8; 32],
}

impl From<Chain> for Flow {
    fn from(chain: Chain) -> Flow {
        Flow { messages: chain.messages, digest: chain.digest }
    }
}

/// What one party saw until the end of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What it sent to each party; nothing to itself.
    pub sent: Vec<Flow>,
    /// What it received from each.
    pub received: Vec<Flow>,
    /// What each party committed to as its parts of the inputs.
    pub inputs: Vec<[u8; 32]>,
}

impl Statement {
    /// What this party saw.
    ///
    /// # Errors
    /// A link is broken, or its frames are not authenticated.
    pub(crate) fn of(links: &Links, inputs: Vec<[u8; 32]>) -> Result<Statement, SessionError> {
        let none = vec![Flow::default(); links.parties()];
        let mut statement = Statement { sent: none.clone(), received: none, inputs };
        for j in links.others() {
            let transcript = links.to(j).transcript()?.ok_or(Discord::NoRecord(j))?;
            (statement.sent[j], statement.received[j]) = (transcript.sent.into(), transcript.received.into());
        }
        Ok(statement)
    }
}

/// Whether the statements of all parties, in order, go together: on every link, one end sent what
/// the other received; and everybody committed to the same inputs towards all.
///
/// # Errors
/// Which two parties disagree, and on what.
pub fn consistent(statements: &[Statement]) -> Result<(), Discord> {
    let parties = statements.len();
    let whole = |s: &Statement| [s.sent.len(), s.received.len(), s.inputs.len()] == [parties; 3];
    if let Some(i) = statements.iter().position(|statement| !whole(statement)) {
        return Err(Discord::Incomplete { party: i, parties });
    }
    for i in 0..parties {
        for j in (0..parties).filter(|&j| j != i) {
            if statements[i].sent[j] != statements[j].received[i] {
                return Err(Discord::Link { from: i, to: j });
            }
            if statements[i].inputs[j] != statements[j].inputs[j] {
                return Err(Discord::Commitment { party: j, towards: i });
            }
        }
    }
    Ok(())
}

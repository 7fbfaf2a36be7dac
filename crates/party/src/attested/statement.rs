//! What each party says went over its links, and whether that goes together.

use cryptflow_wire::{Chain, Links};
use serde::{Deserialize, Serialize};

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
    pub sent: [Flow; 3],
    /// What it received from each.
    pub received: [Flow; 3],
    /// What each party committed to as its parts of the inputs.
    pub inputs: [[u8; 32]; 3],
}

impl Statement {
    /// What this party saw.
    ///
    /// # Errors
    /// A link is broken, or its frames are not authenticated.
    pub(crate) fn of(links: &Links, inputs: [[u8; 32]; 3]) -> Result<Statement, SessionError> {
        let mut statement = Statement { inputs, ..Statement::default() };
        for j in (0..3).filter(|&j| j != links.index()) {
            let transcript = links.to(j).transcript()?.ok_or_else(|| {
                SessionError::Transcript(format!("the link to P{j} keeps no record of its messages"))
            })?;
            (statement.sent[j], statement.received[j]) = (transcript.sent.into(), transcript.received.into());
        }
        Ok(statement)
    }
}

/// Whether the statements of P0, P1 and P2 go together: on every link, one end sent what the other received; and everybody
/// committed to the same inputs towards all.
///
/// # Errors
/// Which two parties disagree, and on what.
pub fn consistent(statements: &[Statement; 3]) -> Result<(), String> {
    for i in 0..3 {
        for j in (0..3).filter(|&j| j != i) {
            if statements[i].sent[j] != statements[j].received[i] {
                return Err(format!(
                    "P{i} and P{j} do not agree on what P{i} sent to P{j}: what went between them was changed, or one of them runs twice"
                ));
            }
            if statements[i].inputs[j] != statements[j].inputs[j] {
                return Err(format!(
                    "P{j} committed to one input towards P{i} and has another: what went between them was changed, or one of them runs twice"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn honest() -> [Statement; 3] {
        let flow = |from: usize, to: usize| Flow { messages: 5, digest: [(10 * from + to) as u8; 32] };
        std::array::from_fn(|i| Statement {
            sent: std::array::from_fn(|j| if i == j { Flow::default() } else { flow(i, j) }),
            received: std::array::from_fn(|j| if i == j { Flow::default() } else { flow(j, i) }),
            inputs: [[1; 32], [2; 32], [3; 32]],
        })
    }

    #[test]
    fn every_disagreement_is_found_and_names_its_parties() {
        assert_eq!(consistent(&honest()), Ok(()));
        for i in 0..3 {
            for j in (0..3).filter(|&j| j != i) {
                type Change = fn(&mut Statement, usize);
                let changes: [Change; 4] = [
                    |s, j| s.sent[j].digest[31] ^= 1,
                    |s, j| s.sent[j].messages += 1,
                    |s, j| s.received[j].digest[0] ^= 1,
                    |s, j| s.inputs[j][7] ^= 1,
                ];
                for change in changes {
                    let mut statements = honest();
                    change(&mut statements[i], j);
                    let error = consistent(&statements).unwrap_err();
                    assert!(error.contains(&format!("P{i}")) && error.contains(&format!("P{j}")), "{error}");
                }
            }
        }
    }
}

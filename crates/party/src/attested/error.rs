//! Why evidence is not believed, and on what parties disagree.

use cryptflow_aramis::{GatherError, Refusal};
use cryptflow_wire::Role;

/// Why somebody is not taken for what they should be.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    /// This party runs where nothing vouches for it.
    #[error("no evidence can be gathered: this party has no hardware to attest with")]
    NoHardware,
    /// This party's hardware does not vouch for it.
    #[error("no evidence can be gathered: {0}")]
    Gather(#[from] GatherError),
    /// A party sent no evidence.
    #[error("{0} gives no evidence of what it runs")]
    NoEvidence(Role),
    /// A party's evidence was refused.
    #[error("the evidence of {peer} is refused: {refusal}")]
    Refused {
        /// Whose.
        peer: Role,
        /// Why.
        refusal: Refusal,
    },
    /// A key that whoever looks on could compute with.
    #[error("{0} sent a session key that gives no secret")]
    WeakKey(Role),
    /// Another instance than the one that was there before.
    #[error("the session key of {0} has changed")]
    OtherInstance(Role),
}

/// On what the parties of a session disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discord {
    /// A link that is not attested.
    #[error("the link to P{0} keeps no record of its messages")]
    NoRecord(usize),
    /// An answer without a statement.
    #[error("a party made no statement of its links")]
    NoStatement,
    /// A statement that leaves something out.
    #[error("P{party} does not state what it saw of each of the {parties} parties")]
    Incomplete {
        /// Whose.
        party: usize,
        /// How many there are.
        parties: usize,
    },
    /// What one end sent is not what the other received.
    #[error(
        "P{from} and P{to} do not agree on what P{from} sent to P{to}: what went between them was changed, or one of them runs twice"
    )]
    Link {
        /// Who sent.
        from: usize,
        /// Who received.
        to: usize,
    },
    /// An input that is not the same towards all.
    #[error(
        "P{party} committed to one input towards P{towards} and has another: what went between them was changed, or one of them runs twice"
    )]
    Commitment {
        /// Whose input.
        party: usize,
        /// Who was told something else.
        towards: usize,
    },
    /// An input that is not the client's.
    #[error("P{0} ran another input than it was given")]
    Input(usize),
    /// Two instances of a party.
    #[error("P{party} runs twice: P{} and P{} do not talk to the same instance of it", peers[0], peers[1])]
    Twice {
        /// Who runs twice.
        party: usize,
        /// Who talk to different ones.
        peers: [usize; 2],
    },
}

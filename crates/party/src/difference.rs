//! [`Difference`]: what two who take part in a session mean differently.

use cryptflow_protocols::ProtocolName;

/// In which point the client and the parties, or two parties, do not mean the same session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The manifest is of a client with another key.
    #[error("the session is another client's")]
    Client,
    /// The party demands evidence, and the client would not look at it.
    #[error("P{0} runs attested sessions only, and the client has no policy")]
    NoPolicy(usize),
    /// The client demands evidence, and the party has none.
    #[error("P{0} attests nothing, and the client demands it")]
    NoEvidence(usize),
    /// The party and the client judge evidence by different rules.
    #[error("P{0} and the client have different attestation policies")]
    Policy(usize),
    /// The party refuses inputs that are not within their bounds, and the client would not have them
    /// looked at.
    #[error(
        "P{0} checks the inputs of its clients, and this client's configuration says session.check_inputs = false"
    )]
    Unchecked(usize),
    /// Another model of the same name was deployed.
    #[error("P{party} keeps another {model:?} than the client means")]
    Model {
        /// The party.
        party: usize,
        /// The model's name.
        model: String,
    },
    /// The weights were shared in a way that the protocol does not understand.
    #[error("{model:?} was deployed for {deployed}, not for {asked}")]
    Sharing {
        /// The model's name.
        model: String,
        /// The protocol that its weights were shared for.
        deployed: ProtocolName,
        /// The protocol that the client asks for.
        asked: ProtocolName,
    },
    /// The weights were shared into another number of pieces than the protocol's sharings have.
    #[error("its weights were shared into {pieces} pieces, and a sharing for {protocol} has {due}")]
    Pieces {
        /// How many pieces there are.
        pieces: usize,
        /// The protocol.
        protocol: ProtocolName,
        /// How many there are to be.
        due: usize,
    },
    /// The manifest has the digest of another program.
    #[error("the program that came is not the one in the manifest")]
    Program,
    /// The manifest has another ring than the program.
    #[error("the manifest says 2^{manifest}, the program 2^{program}")]
    Ring {
        /// K in the manifest.
        manifest: u32,
        /// K in the program.
        program: u32,
    },
    /// Two parties were given different manifests.
    #[error("P{party} and {peer} were asked for different sessions: client, program, weights or protocol")]
    Manifest {
        /// Who noticed.
        party: usize,
        /// The other one, by the name of its link.
        peer: String,
    },
    /// Two parties that attest what they run were given different manifests.
    #[error(
        "P{party} and P{peer} were asked for different sessions: client, program, weights, protocol, widths or policy"
    )]
    AttestedManifest {
        /// Who noticed.
        party: usize,
        /// The other one.
        peer: usize,
    },
}

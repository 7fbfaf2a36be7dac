//! What a client and a party say to each other: a session from its manifest to its last answer.
//!
//! | client | party |
//! |---|---|
//! | [`Request::Setup`] | [`Reply::Ready`], once the parties agree on the manifest |
//! | [`Request::Weights`], then one part a weight | [`Reply::WeightsHeld`] |
//! | [`Request::Inputs`], then one part an input | [`Reply::InputsHeld`] |
//! | [`Request::Go`], once all three hold their parts | [`Reply::Progress`] (P0 only), then [`Reply::Outputs`] |
//! | [`Request::Finish`] | [`Reply::Finished`] |
//!
//! Inputs and Go are repeated, a batch at a time. Who cannot go on aborts its links with its reason.

use std::fmt;
use std::str::FromStr;

use cryptflow_engine::StepRecord;
use cryptflow_porthos::truncation;
use cryptflow_program::{Digest, Operation, Program, Step};
use cryptflow_wire::{Link, WireError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of these messages.
pub const VERSION: u32 = 1;

/// Longest request or reply. The longest are a program and the parts of outputs.
const MESSAGE_LIMIT: usize = 256 << 20;

/// The protocols that the parties can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolName {
    /// Mirror: nobody sees anything; at most one party may be curious.
    Mirror,
    /// Porthos, as published in CrypTFlow: for comparison. At most one party may be curious; a truncation can fail.
    Porthos,
    /// Porthos with a truncation that never fails: 32 bytes an element and one round more.
    PorthosExact,
    /// Fixed point without any protection, every party sees everything: for finding errors.
    Clear,
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolName::Mirror => "mirror",
            ProtocolName::Porthos => "porthos",
            ProtocolName::PorthosExact => "porthos-exact",
            ProtocolName::Clear => "clear",
        })
    }
}

impl FromStr for ProtocolName {
    type Err = String;
    fn from_str(name: &str) -> Result<ProtocolName, String> {
        clap::ValueEnum::from_str(name, false)
    }
}

/// A bound of the probability that a local truncation fails above which a program is not run.
const TOO_LIKELY: f64 = 0.05;

/// A bound of the probability that any truncation of a run fails under Porthos as published. The bounds before a shift are
/// those of the result, shifted back.
pub fn truncation_failure(program: &Program) -> f64 {
    let failure = |step: &Step| {
        let (Operation::Linear { shift, .. } | Operation::ScalePublic { shift, .. }) = step.operation else {
            return 0.0;
        };
        program.values.get(step.output.0).map_or(0.0, |value| {
            let largest = value.low.unsigned_abs().max(value.high.unsigned_abs());
            let len: usize = value.shape.iter().product();
            truncation::failure_probability(len as u64, largest.saturating_mul(1 << shift.min(63)))
        })
    };
    program.steps.iter().map(failure).sum::<f64>().min(1.0)
}

/// Whether a protocol computes every step of a program within its exact range.
///
/// # Errors
/// A step lies outside; it is named.
pub fn supported(protocol: ProtocolName, program: &Program) -> Result<(), SessionError> {
    if protocol == ProtocolName::Porthos {
        let failure = truncation_failure(program);
        if failure > TOO_LIKELY {
            return Err(SessionError::Manifest(format!(
                "a truncation of this program fails with a probability of up to {failure:.1e} under {protocol}, and the output is \
                 garbage then: compile with --weight-bits 15, or run with porthos-exact or mirror, whose truncations never fail"
            )));
        }
    }
    if protocol != ProtocolName::PorthosExact {
        return Ok(());
    }
    for step in &program.steps {
        let Operation::ScalePublic { shift, .. } = step.operation else { continue };
        let Some(value) = program.values.get(step.output.0) else { continue };
        let largest = u128::from(value.low.unsigned_abs().max(value.high.unsigned_abs())) << shift;
        if largest >= 1 << 62 {
            return Err(SessionError::Manifest(format!(
                "{} multiplies values of up to 2^{} before it shifts, and {protocol} truncates exactly below 2^62: compile with \
                 --ring 62, or run with mirror",
                step.name,
                128 - largest.leading_zeros()
            )));
        }
    }
    Ok(())
}

/// What everybody in a session must agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the messages.
    pub version: u32,
    /// Digest of the program.
    pub program: [u8; 32],
    /// The protocol.
    pub protocol: ProtocolName,
    /// K: the ring of wide values has 2^K elements.
    pub ring_bits: u32,
}

impl Manifest {
    /// The manifest of a session that runs a program.
    ///
    /// # Errors
    /// Where the program cannot be written as JSON.
    pub fn new(program: &Program, protocol: ProtocolName) -> Result<Manifest, SessionError> {
        let Digest(digest) = cryptflow_program::digest(program)
            .map_err(|e| SessionError::Message { peer: "this program".into(), reason: e.to_string() })?;
        Ok(Manifest { version: VERSION, program: digest, protocol, ring_bits: program.ring_bits })
    }

    /// What the parties compare.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow session manifest v1");
        hasher.update(&self.version.to_le_bytes());
        hasher.update(&self.program);
        hasher.update(&self.ring_bits.to_le_bytes());
        hasher.update(self.protocol.to_string().as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// From the client to a party.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first message.
    Setup {
        /// What the client wants to run.
        manifest: Manifest,
        /// The program, as JSON.
        program: String,
    },
    /// The party's parts of the weights follow, in the order of their ids.
    Weights,
    /// The party's parts of the inputs of a batch follow, in the program's order.
    Inputs,
    /// All parties hold their inputs: run.
    Go,
    /// That was all.
    Finish,
}

/// From a party to the client.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The parties agree on the manifest, and the protocol's session is open.
    Ready,
    /// All weights were taken.
    WeightsHeld,
    /// All inputs were taken.
    InputsHeld,
    /// P0 has begun this step, counted from 0.
    Progress {
        /// Which step.
        step: u32,
    },
    /// The party's parts of the outputs, in the program's order.
    Outputs {
        /// What the protocol reveals of each output.
        parts: Vec<Vec<u8>>,
        /// What the batch took.
        record: BatchRecord,
    },
    /// The party leaves.
    Finished {
        /// The most memory that its process ever held, in bytes, where the system tells.
        peak_rss: Option<u64>,
    },
}

/// What a batch took, as one party saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// From [`Request::Go`] to the outputs.
    pub seconds: f64,
    /// By how much its round clock moved.
    pub rounds: u64,
    /// Payload bytes that it sent to each party.
    pub sent: [u64; 3],
    /// Step by step.
    pub steps: Vec<StepRecord>,
}

/// What can go wrong in a session, on either side.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A link failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The program stopped.
    #[error(transparent)]
    Engine(#[from] cryptflow_engine::EngineError),
    /// The protocol refuses a part, or the session.
    #[error(transparent)]
    Protocol(#[from] cryptflow_mpc::Error),
    /// A message that cannot be understood, or that is not due.
    #[error("{peer} sent a message that does not belong here: {reason}")]
    Message {
        /// Who sent it.
        peer: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest cannot be agreed to.
    #[error("the session cannot begin: {0}")]
    Manifest(String),
    /// Inputs or weights that do not go with the program.
    #[error("{0}")]
    Operands(String),
}

/// Sends a request or a reply.
pub(crate) fn send(link: &Link, message: &impl Serialize) -> Result<(), SessionError> {
    let bytes = postcard::to_stdvec(message)
        .map_err(|e| SessionError::Message { peer: "this side".into(), reason: e.to_string() })?;
    Ok(link.send(bytes)?)
}

/// Waits for a request or a reply.
pub(crate) fn receive<T: DeserializeOwned>(link: &Link) -> Result<T, SessionError> {
    let bytes = link.recv_any(MESSAGE_LIMIT)?;
    postcard::from_bytes(&bytes).map_err(|e| unexpected(link, e))
}

/// A message that is not the one that is due.
pub(crate) fn unexpected(link: &Link, reason: impl fmt::Display) -> SessionError {
    SessionError::Message { peer: link.peer().into(), reason: reason.to_string() }
}

/// Longest part of a tensor of `len` elements, in any protocol.
pub(crate) fn part_limit(len: usize) -> usize {
    len.saturating_mul(16).saturating_add(4096)
}

/// Number of elements of a shape that a valid program holds.
pub(crate) fn elements(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d))
}

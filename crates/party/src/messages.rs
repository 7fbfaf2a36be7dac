//! What a client and a party say to each other: a session from its manifest to its last answer.
//!
//! | client | party |
//! |---|---|
//! | [`Request::Setup`], where the program was not deployed before | [`Reply::Ready`], once the parties agree on the manifest; from version 8 on [`Reply::ReadyFor`] |
//! | [`Request::Weights`], then one part a weight, where they were not deployed before | [`Reply::WeightsHeld`] |
//! | from version 8 on, before inputs of another number of batches than those before: [`Request::AtOnce`] | |
//! | [`Request::Inputs`], then one part an input | [`Reply::InputsHeld`] |
//! | [`Request::Go`]; where the parts are long, once all hold them | [`Reply::Progress`] (P0 only), then [`Reply::Outputs`] |
//! | from version 7 on, where the parts are small, in place of both: [`Request::Batch`] | as after Go |
//! | from version 7 on, where the client wants time lines, before the first batch: [`Request::Profile`] | [`Reply::Profile`], after the outputs of each batch |
//! | [`Request::Finish`] | [`Reply::Finished`] |
//!
//! Where parties of one machine deal runs ahead, [`Request::Deal`] follows the weights, and a [`Reply::Dealt`] each run.
//!
//! Inputs and Go are repeated, a batch at a time; in between, the client may ask for fresh evidence
//! ([`Request::Attest`]). Who cannot go on aborts its links with its reason.

use std::fmt;
use std::time::Duration;

use cryptflow_engine::StepRecord;
use cryptflow_mpc::definition::Unsupported;
use cryptflow_mpc::keys;
use cryptflow_program::{Digest, Invalid, Program};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::{Link, WireError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use crate::attested::{AttestationError, Discord, Statement};
use crate::code::Code;
use crate::commitments::{Told, Unfit};
use crate::difference::Difference;
use crate::edition::{Edition, NotSpoken};
use crate::limits::Excess;
use crate::profile::Profile;
use crate::receiving::NoRoom;
use crate::stock::StockError;
use crate::store::StoreError;

/// Longest request or reply. The longest are a program and the parts of outputs.
const MESSAGE_LIMIT: usize = 256 << 20;

/// Longest of those that hold neither.
const SHORT: usize = 64 << 10;

/// Most bytes of parts that come within a request.
pub const BATCH_LIMIT: usize = 48 << 10;

/// What everybody in a session must agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the messages: the newest [`Edition`] that all parties and the client speak.
    pub version: u32,
    /// The session's number: 32 random bytes.
    pub session: [u8; 32],
    /// Digest of the program.
    pub program: [u8; 32],
    /// The protocol.
    pub protocol: ProtocolName,
    /// K: the ring of wide values has 2^K elements.
    pub ring_bits: u32,
    /// Digest of the deployment ([`crate::deployment::Deployment::digest`]): program, and
    /// commitments to the parts of the weights. Nothing where the client brings both.
    pub deployment: Option<[u8; 32]>,
    /// Digest of the attestation policy; nothing where nobody attests anything.
    pub policy: Option<[u8; 32]>,
    /// Fingerprint of the client's key; nothing where the parties belong to the client. All parts
    /// of the inputs come from this client, and all parts of the outputs go to it: parties that
    /// served two clients in one session would show one what is made of the other's input.
    pub client: Option<[u8; 32]>,
    /// Whether the parties find out, before each run, whether every input is within its bounds, and
    /// refuse it if not: where the client is somebody else.
    pub check_inputs: bool,
}

impl Manifest {
    /// The manifest of a session that runs a program which the client brings.
    ///
    /// # Errors
    /// Where the program cannot be written as JSON, or the system gives no randomness.
    pub fn new(program: &Program, protocol: ProtocolName) -> Result<Manifest, SessionError> {
        let Digest(digest) = cryptflow_program::digest(program)
            .map_err(|e| SessionError::Message { peer: "this program".into(), reason: e.to_string() })?;
        let mut session = [0; 32];
        keys::random(&mut session)?;
        Ok(Manifest {
            version: Edition::NEWEST.number(),
            session,
            program: digest,
            protocol,
            ring_bits: program.ring_bits,
            deployment: None,
            policy: None,
            client: None,
            check_inputs: false,
        })
    }

    /// What the parties compare.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow session manifest v3");
        hasher.update(&self.version.to_le_bytes());
        hasher.update(&self.session);
        hasher.update(&self.program);
        hasher.update(&self.ring_bits.to_le_bytes());
        for optional in [&self.deployment, &self.policy, &self.client] {
            hasher.update(&[u8::from(optional.is_some())]);
            hasher.update(&optional.unwrap_or_default());
        }
        hasher.update(&[u8::from(self.check_inputs)]);
        hasher.update(self.protocol.name().as_bytes());
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
    Weights {
        /// What keeps them together with the others'.
        told: Told,
    },
    /// The party's parts of the inputs of a batch follow, in the program's order.
    Inputs {
        /// What keeps them together with the others'.
        told: Told,
    },
    /// Run, once all parties hold their inputs, as they find out from one another.
    Go,
    /// The client wants fresh evidence; the messages of [`crate::attested::attest`] follow.
    Attest,
    /// That was all.
    Finish,
    /// Inputs, as in [`Request::Inputs`], with the party's parts, and [`Request::Go`]: from
    /// [`crate::edition::Edition::Seven`] on.
    Batch {
        /// What keeps the parts together with the others'.
        told: Told,
        /// In the program's order; all of them together of [`BATCH_LIMIT`] bytes at most.
        parts: Vec<ByteBuf>,
    },
    /// The client wants the time line of each batch from now on: from
    /// [`crate::edition::Edition::Seven`] on.
    Profile,
    /// Deal runs ahead, for parties that were started for it.
    Deal {
        /// How many.
        runs: u32,
    },
    /// From here on, inputs are those of so many batches, one after another, which run at once, and so are outputs:
    /// from [`crate::edition::Edition::Eight`] on. Without it, of one.
    AtOnce {
        /// How many: no more than any party has said to take.
        runs: u32,
    },
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
        parts: Vec<ByteBuf>,
        /// What the batch took.
        record: BatchRecord,
        /// What went over the party's links, where they are attested.
        statement: Option<Box<Statement>>,
    },
    /// The party leaves.
    Finished {
        /// The most memory that its process ever held, in bytes, where the system tells.
        peak_rss: Option<u64>,
    },
    /// The time line of the batch whose outputs came before.
    Profile(Profile),
    /// A run was dealt ahead; at an evaluator, it is on the disk.
    Dealt {
        /// Which, from 1.
        run: u32,
    },
    /// [`Reply::Ready`], from [`crate::edition::Edition::Eight`] on.
    ReadyFor {
        /// How many batches the party computes at once, at most; at least one.
        runs: u32,
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
    pub sent: Vec<u64>,
    /// Step by step.
    pub steps: Vec<StepRecord>,
    /// What it took, of all that, to find out whether inputs were within their bounds; nothing where
    /// nobody asked.
    pub check: Option<StepRecord>,
}

/// What stands in the way of a session before it begins.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The client is of another version.
    #[error(transparent)]
    Version(#[from] NotSpoken),
    /// What should be a program is none.
    #[error("this is no program: {0}")]
    NoProgram(#[from] serde_json::Error),
    /// A program that breaks its rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A program that the protocol cannot run.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// A deployed model that cannot be run.
    #[error("{model}: {obstacle}")]
    Model {
        /// Its name.
        model: String,
        /// What is wrong with it.
        obstacle: Box<Obstacle>,
    },
    /// A protocol that a party does not run.
    #[error("{party} does not run {protocol}")]
    Protocol {
        /// The party.
        party: String,
        /// The protocol.
        protocol: ProtocolName,
    },
    /// A party has no room for another session now: so many run, and so many clients wait.
    #[error("{taken} sessions run here, and {waiting} clients wait: there is no room for another now")]
    Busy {
        /// Sessions that run.
        taken: usize,
        /// Clients that wait, but for the one that is told this.
        waiting: usize,
    },
    /// As many clients wait as may.
    #[error("{0} clients wait here already (session.max_waiting)")]
    Crowded(usize),
    /// The party is about to stop.
    #[error("this party is being stopped, and begins nothing any more")]
    Leaving,
    /// A session's number that was used already.
    #[error("a session of this number was begun before; none is repeated")]
    Repeated,
    /// Nobody came to the session.
    #[error("no client came")]
    NoClient,
    /// Who asked for the session wants it no more: another party has no room, or refuses.
    #[error("its client took it back before it had begun")]
    TakenBack,
    /// A program that takes more than this party gives.
    #[error(transparent)]
    Excess(#[from] Excess),
    /// Who takes part means different sessions.
    #[error(transparent)]
    Different(#[from] Difference),
}

impl Obstacle {
    /// After which time another attempt may succeed, where that is all that it takes.
    pub(crate) fn passes(&self) -> Option<Duration> {
        match self {
            Obstacle::Busy { .. } => Some(Duration::ZERO),
            Obstacle::Crowded(_) | Obstacle::Leaving => Some(Duration::from_secs(2)),
            // All others are about what was asked for.
            _ => None,
        }
    }
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
    Manifest(#[from] Obstacle),
    /// Parts of a sharing that do not go together.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Inputs that are not within their bounds, by what the parties have found. A party that does not
    /// follow the protocol can have them find that of any input.
    #[error(
        "an input of {owner} is not within the bounds that the program declares: nothing of it is opened. (Where it is \
         within them, a party did not follow the protocol.)"
    )]
    Outside {
        /// Who shared it, by the name of its link.
        owner: String,
    },
    /// Evidence that was refused, or could not be had.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// The parties do not agree on what went between them.
    #[error("{0}; the outputs stay closed")]
    Transcript(#[from] Discord),
    /// A party refuses what it was asked for.
    #[error("{peer} refuses: {reason}")]
    Refused {
        /// Which party.
        peer: String,
        /// What kind of reason it has.
        code: Code,
        /// Its reason.
        reason: String,
    },
    /// A party speaks no edition that this side does.
    #[error(
        "{peer} and this side, which speaks {} of the messages, have none in common: upgrade the older of the two, or let \
         both speak more (session.messages). {peer} says: {reason}",
        most.and_older()
    )]
    NoCommonEdition {
        /// Which party.
        peer: String,
        /// The newest that this side speaks.
        most: Edition,
        /// What the party said last.
        reason: String,
    },
    /// Time lines of batches, in a session of messages that have none.
    #[error(
        "this session speaks version {0} of the messages, in which parties give no time line: it takes parties of a newer \
         release (all of them; `cryptflow status` shows what each speaks)"
    )]
    NoProfile(Edition),
    /// A party cannot now, but may in a while; nothing was begun.
    #[error("{peer} cannot now: {reason}")]
    Later {
        /// Which party.
        peer: String,
        /// Its reason.
        reason: String,
        /// When to ask again, at the earliest.
        after: Duration,
    },
    /// A session that has runs dealt ahead, or takes such, of messages that know of none.
    #[error(
        "this session speaks version {0} of the messages, in which no runs are dealt ahead: it takes participants of a \
         newer release (`cryptflow status` shows what each party speaks)"
    )]
    NotAhead(Edition),
    /// A client without the right to do something.
    #[error("this client may not {0} here")]
    Forbidden(String),
    /// A name that no model can have.
    #[error(
        "{0:?} is no name for a model: up to 64 letters, digits, dots, dashes and underscores, and no dot first"
    )]
    Name(String),
    /// No memory for what a client would bring.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// Runs that were dealt ahead, and cannot be used or made.
    #[error(transparent)]
    Stock(#[from] StockError),
    /// A model that the store does not give, or take.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A party's part of weights that are not the deployed ones, or not the program's.
    #[error("P{party}'s part of the weights of {model:?} {reason}")]
    Weights {
        /// Whose part.
        party: usize,
        /// The model.
        model: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The key of a site that cannot sign.
    #[error(transparent)]
    NoSignature(#[from] cryptflow_wire::tls::NoSignature),
    /// Another client changes a model.
    #[error("client {client} changes the model {model:?} at this moment; try again when that is done")]
    Locked {
        /// Which.
        model: String,
        /// Who.
        client: String,
    },
    /// The party stops, and a client was changing a model.
    #[error(
        "this party is being stopped in the middle of a change of the model {0:?}, which it breaks off: try again when it runs \
         again"
    )]
    Stopping(String),
    /// A model was to be changed by a client that has not asked for the right to do so alone.
    #[error("the model {0:?} was to be changed by a client that has not kept the others out")]
    NotLocked(String),
    /// Inputs or weights that do not go with the program.
    #[error("{0}")]
    Operands(String),
    /// A party that the configuration does not have.
    #[error("there is no P{0}")]
    NoParty(usize),
    /// What ended a session, or kept it from beginning, as its process has told.
    #[error("{reason}")]
    Reported {
        /// What kind of error it is.
        code: Code,
        /// The error.
        reason: String,
    },
    /// A session's process ended before its session, or there is none.
    #[error("the session's process failed: {0}")]
    Process(String),
    /// A mistake in this program.
    #[error("a thread panicked: a mistake in this program, please report it")]
    Panicked,
}

impl SessionError {
    /// Whether the same may succeed a little later, with nothing changed: a party is busy, or is not
    /// there now.
    pub fn passes(&self) -> bool {
        match self {
            SessionError::Later { .. } => true,
            SessionError::Wire(error) => error.passes(),
            // All others stay as they are until somebody does something about them.
            _ => false,
        }
    }
}

/// Sends a request or a reply.
pub fn send(link: &Link, message: &impl Serialize) -> Result<(), SessionError> {
    let bytes = postcard::to_stdvec(message)
        .map_err(|e| SessionError::Message { peer: "this side".into(), reason: e.to_string() })?;
    Ok(link.send(bytes)?)
}

/// Waits for a request or a reply.
pub fn receive<T: DeserializeOwned>(link: &Link) -> Result<T, SessionError> {
    receive_at_most(link, MESSAGE_LIMIT)
}

/// The same of one that holds neither a program nor parts of outputs.
pub fn receive_short<T: DeserializeOwned>(link: &Link) -> Result<T, SessionError> {
    receive_at_most(link, SHORT)
}

fn receive_at_most<T: DeserializeOwned>(link: &Link, limit: usize) -> Result<T, SessionError> {
    decode(&link.recv_any(limit)?, link.peer())
}

/// What `peer` said: all of the bytes, and no other.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], peer: &str) -> Result<T, SessionError> {
    let wrong = |reason: String| SessionError::Message { peer: peer.into(), reason };
    let (message, rest) = postcard::take_from_bytes(bytes).map_err(|e| wrong(e.to_string()))?;
    if !rest.is_empty() {
        return Err(wrong(format!("{} bytes follow after its end", rest.len())));
    }
    Ok(message)
}

/// A message that is not the one that is due.
pub fn unexpected(link: &Link, reason: impl fmt::Display) -> SessionError {
    SessionError::Message { peer: link.peer().into(), reason: reason.to_string() }
}

/// Longest part of a tensor of `len` elements, in any protocol.
pub fn part_limit(len: usize) -> usize {
    len.saturating_mul(16).saturating_add(4096)
}

/// Number of elements of a shape that a valid program holds.
pub fn elements(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d))
}

//! [`Code`]: the kind of an error, in one word that stays the same, for programs. The text beside it is for
//! people, and may change.

use serde::{Deserialize, Serialize};

use cryptflow_engine::EngineError;

use crate::difference::Difference;
use crate::messages::{Obstacle, SessionError};
use crate::stock::StockError;
use crate::store::StoreError;
use cryptflow_wire::WireError;

/// Names the codes, each once. Messages hold them as places in this list: new ones are appended.
macro_rules! codes {
    ($($(#[$help:meta])* $code:ident = $word:literal,)*) => {
        /// What kind of error it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$help])* #[serde(rename = $word)] $code,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The word.
            pub fn word(self) -> &'static str {
                match self { $(Code::$code => $word,)* }
            }
        }
    };
}

codes! {
    /// There is no free place: ask again later.
    Busy = "busy",
    /// This client may not do that.
    Forbidden = "forbidden",
    /// The key of whoever connects is not in the configuration of whom it has reached.
    KeyNotAccepted = "key-not-accepted",
    /// Whoever answers has another key than the one that is written down.
    WrongKey = "wrong-key",
    /// No connection can be made.
    Unreachable = "unreachable",
    /// Somebody says nothing, or nothing moves.
    Timeout = "timeout",
    /// Somebody has left, or the connection broke.
    Gone = "gone",
    /// Somebody gave up, and said why in the text alone.
    Aborted = "aborted",
    /// They speak different versions of the messages.
    DifferentVersion = "different-version",
    /// Their attestation policies differ, or one has none.
    DifferentPolicy = "different-policy",
    /// They keep different models under one name.
    DifferentModel = "different-model",
    /// They mean different sessions, or their settings do not go together.
    DifferentSession = "different-session",
    /// A party does not run the protocol, or the model was deployed for another.
    WrongProtocol = "wrong-protocol",
    /// No model has this name.
    UnknownModel = "unknown-model",
    /// A model has this name already.
    ModelExists = "model-exists",
    /// What a party keeps of the model is damaged.
    DamagedModel = "damaged-model",
    /// A name that no model can have.
    BadName = "bad-name",
    /// What should be a program is none that can be run.
    BadProgram = "bad-program",
    /// The program takes more than a party gives.
    TooLarge = "too-large",
    /// Inputs do not go with the program.
    BadInput = "bad-input",
    /// An input is not within the bounds that the program declares.
    OutOfBounds = "out-of-bounds",
    /// The parts of a sharing do not go together.
    UnfitParts = "unfit-parts",
    /// Evidence is refused, or cannot be had.
    Evidence = "evidence",
    /// The parties do not agree on what went between them.
    Transcript = "transcript",
    /// Bytes were changed on their way.
    Tampered = "tampered",
    /// Clocks are too far apart.
    Clock = "clock",
    /// A message that does not belong where it came.
    BadMessage = "bad-message",
    /// A party's disk, or its log.
    Storage = "storage",
    /// The process of a session failed.
    Process = "process",
    /// The program, or the protocol, stopped while it ran.
    Computation = "computation",
    /// A mistake in this program.
    Internal = "internal",
    /// Any other reason.
    Failed = "failed",
    /// No run that was dealt ahead can be used.
    NoDealtRun = "no-dealt-run",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl From<&WireError> for Code {
    fn from(error: &WireError) -> Code {
        match error {
            WireError::Closed { .. } | WireError::Finished { .. } | WireError::Io { .. } => Code::Gone,
            WireError::Aborted { .. } | WireError::GaveUp { .. } => Code::Aborted,
            WireError::Silent { .. } | WireError::Stalled { .. } => Code::Timeout,
            WireError::Length { .. }
            | WireError::TooLong { .. }
            | WireError::Unasked { .. }
            | WireError::Frame { .. } => Code::BadMessage,
            WireError::Tampered { .. } => Code::Tampered,
            WireError::Connect { .. } | WireError::Rejected { .. } => Code::Unreachable,
            WireError::WrongKey { .. } => Code::WrongKey,
            WireError::KeyNotAccepted { .. } | WireError::NotLetIn { .. } => Code::KeyNotAccepted,
            WireError::Randomness(_) => Code::Internal,
        }
    }
}

impl From<&StoreError> for Code {
    fn from(error: &StoreError) -> Code {
        match error {
            StoreError::Io { .. } | StoreError::NoSpace(_) => Code::Storage,
            StoreError::Damaged { .. } => Code::DamagedModel,
            StoreError::Unknown(_) => Code::UnknownModel,
            StoreError::Exists(_) => Code::ModelExists,
            StoreError::NotStaged { .. }
            | StoreError::NotNew { .. }
            | StoreError::TooFar { .. }
            | StoreError::Gone { .. } => Code::DifferentModel,
        }
    }
}

impl From<&StockError> for Code {
    fn from(error: &StockError) -> Code {
        match error {
            StockError::Io { .. } | StockError::NoSpace { .. } | StockError::Exists(_) => Code::Storage,
            StockError::None(_)
            | StockError::Damaged { .. }
            | StockError::Copied(_)
            | StockError::Held(_)
            | StockError::Different { .. }
            | StockError::Apart { .. }
            | StockError::UsedUp(_) => Code::NoDealtRun,
            StockError::Amount { .. } => Code::BadMessage,
            StockError::Runs(_) => Code::BadInput,
            StockError::Protocol(_) => Code::WrongProtocol,
        }
    }
}

impl From<&Difference> for Code {
    fn from(difference: &Difference) -> Code {
        match difference {
            Difference::NoPolicy(_) | Difference::NoEvidence(_) | Difference::Policy(_) => {
                Code::DifferentPolicy
            }
            Difference::Model { .. } => Code::DifferentModel,
            Difference::Sharing { .. } | Difference::Pieces { .. } => Code::WrongProtocol,
            Difference::Client
            | Difference::Unchecked(_)
            | Difference::Program
            | Difference::Ring { .. }
            | Difference::Manifest { .. }
            | Difference::AttestedManifest { .. } => Code::DifferentSession,
        }
    }
}

impl From<&Obstacle> for Code {
    fn from(obstacle: &Obstacle) -> Code {
        match obstacle {
            Obstacle::Version(_) => Code::DifferentVersion,
            Obstacle::NoProgram(_) | Obstacle::Invalid(_) | Obstacle::Unsupported(_) => Code::BadProgram,
            Obstacle::Model { obstacle, .. } => Code::from(&**obstacle),
            Obstacle::Protocol { .. } => Code::WrongProtocol,
            Obstacle::Busy { .. } | Obstacle::Crowded(_) | Obstacle::Leaving => Code::Busy,
            Obstacle::Repeated => Code::DifferentSession,
            Obstacle::NoClient | Obstacle::TakenBack => Code::Gone,
            Obstacle::Excess(_) => Code::TooLarge,
            Obstacle::Different(difference) => Code::from(difference),
        }
    }
}

impl From<&SessionError> for Code {
    fn from(error: &SessionError) -> Code {
        match error {
            SessionError::Wire(error) => Code::from(error),
            SessionError::Engine(EngineError::Step { source, .. }) => of_protocol(source),
            SessionError::Engine(EngineError::Operands { .. } | EngineError::Output { .. }) => {
                Code::BadProgram
            }
            SessionError::Protocol(error) => of_protocol(error),
            SessionError::Message { .. } => Code::BadMessage,
            SessionError::Manifest(obstacle) => Code::from(obstacle),
            SessionError::Unfit(_) => Code::UnfitParts,
            SessionError::Outside { .. } => Code::OutOfBounds,
            SessionError::Attestation(_) => Code::Evidence,
            SessionError::Transcript(_) => Code::Transcript,
            SessionError::Refused { code, .. } | SessionError::Reported { code, .. } => *code,
            SessionError::NoCommonEdition { .. } | SessionError::NoProfile(_) => Code::DifferentVersion,
            SessionError::Later { .. } => Code::Busy,
            SessionError::Forbidden(_) => Code::Forbidden,
            SessionError::Name(_) => Code::BadName,
            SessionError::Store(error) => Code::from(error),
            SessionError::Stock(error) => Code::from(error),
            SessionError::Weights { .. } => Code::DamagedModel,
            SessionError::NoRoom(_) | SessionError::Locked { .. } => Code::Busy,
            SessionError::NotLocked(_) => Code::BadMessage,
            SessionError::Operands(_) => Code::BadInput,
            SessionError::Process(_) => Code::Process,
            SessionError::NoSignature(_) | SessionError::NoParty(_) | SessionError::Panicked => {
                Code::Internal
            }
        }
    }
}

/// What kind of error a protocol's is: where a link failed in its middle, that of the link.
fn of_protocol(error: &cryptflow_mpc::Error) -> Code {
    match error {
        cryptflow_mpc::Error::Wire(error) => Code::from(error),
        cryptflow_mpc::Error::Outside => Code::OutOfBounds,
        // Whatever else stops it.
        _ => Code::Computation,
    }
}

//! [`Code`]: the kind of an error, in one word that stays the same, for programs. The text beside it is for
//! people, and may change.

use serde::{Deserialize, Serialize};

use cryptflow_engine::EngineError;

use crate::difference::Difference;
use crate::messages::{Obstacle, SessionError};
use crate::stock::StockError;
use crate::store::StoreError;
use cryptflow_wire::{Kind, Reason, WireError};

/// Names the codes, each once: their words, and the numbers that stand for them where somebody gives up a link.
/// Messages hold them as places in this list: new ones are appended.
macro_rules! codes {
    ($($(#[$help:meta])* $code:ident = $word:literal, $kind:expr;)*) => {
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

            /// Gives a link up for something of this kind.
            pub fn reason(self, text: impl Into<String>) -> Reason {
                Reason { kind: self.kind(), text: text.into() }
            }

            /// The number.
            pub fn kind(self) -> Kind {
                match self { $(Code::$code => $kind,)* }
            }
        }
    };
}

codes! {
    /// There is no free place: ask again later.
    Busy = "busy", Kind(16);
    /// This client may not do that.
    Forbidden = "forbidden", Kind(17);
    /// The key of whoever connects is not in the configuration of whom it has reached.
    KeyNotAccepted = "key-not-accepted", Kind::KEY_NOT_ACCEPTED;
    /// Whoever answers has another key than the one that is written down.
    WrongKey = "wrong-key", Kind::WRONG_KEY;
    /// No connection can be made.
    Unreachable = "unreachable", Kind::UNREACHABLE;
    /// Somebody says nothing, or nothing moves.
    Timeout = "timeout", Kind::TIMEOUT;
    /// Somebody has left, or the connection broke.
    Gone = "gone", Kind::GONE;
    /// Somebody gave up, and the text alone says why: its release is an older one, or a newer one with more words.
    Aborted = "aborted", Kind::UNSAID;
    /// They speak different versions of the messages.
    DifferentVersion = "different-version", Kind(18);
    /// Their attestation policies differ, or one has none.
    DifferentPolicy = "different-policy", Kind(19);
    /// They keep different models under one name.
    DifferentModel = "different-model", Kind(20);
    /// They mean different sessions, or their settings do not go together.
    DifferentSession = "different-session", Kind(21);
    /// A party does not run the protocol, or the model was deployed for another.
    WrongProtocol = "wrong-protocol", Kind(22);
    /// No model has this name.
    UnknownModel = "unknown-model", Kind(23);
    /// A model has this name already.
    ModelExists = "model-exists", Kind(24);
    /// What a party keeps of the model is damaged.
    DamagedModel = "damaged-model", Kind(25);
    /// A name that no model can have.
    BadName = "bad-name", Kind(26);
    /// What should be a program is none that can be run.
    BadProgram = "bad-program", Kind(27);
    /// The program takes more than a party gives.
    TooLarge = "too-large", Kind(28);
    /// Inputs do not go with the program.
    BadInput = "bad-input", Kind(29);
    /// An input is not within the bounds that the program declares.
    OutOfBounds = "out-of-bounds", Kind(30);
    /// The parts of a sharing do not go together.
    UnfitParts = "unfit-parts", Kind(31);
    /// Evidence is refused, or cannot be had.
    Evidence = "evidence", Kind(32);
    /// The parties do not agree on what went between them.
    Transcript = "transcript", Kind(33);
    /// Bytes were changed on their way.
    Tampered = "tampered", Kind::TAMPERED;
    /// Clocks are too far apart.
    Clock = "clock", Kind(34);
    /// A message that does not belong where it came.
    BadMessage = "bad-message", Kind::BAD_MESSAGE;
    /// A party's disk, or its log.
    Storage = "storage", Kind(35);
    /// The process of a session failed.
    Process = "process", Kind(36);
    /// The program, or the protocol, stopped while it ran.
    Computation = "computation", Kind(37);
    /// A mistake in this program.
    Internal = "internal", Kind::INTERNAL;
    /// Any other reason.
    Failed = "failed", Kind(38);
    /// No run that was dealt ahead can be used.
    NoDealtRun = "no-dealt-run", Kind(39);
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl From<Kind> for Code {
    /// Of a number that nobody here knows, that somebody gave up.
    fn from(kind: Kind) -> Code {
        Code::ALL.iter().copied().find(|code| code.kind() == kind).unwrap_or(Code::Aborted)
    }
}

impl From<&WireError> for Code {
    fn from(error: &WireError) -> Code {
        Code::from(error.kind())
    }
}

impl From<&SessionError> for Reason {
    fn from(error: &SessionError) -> Reason {
        Code::from(error).reason(error.to_string())
    }
}

impl From<&StoreError> for Code {
    fn from(error: &StoreError) -> Code {
        match error {
            StoreError::Io { .. } | StoreError::NoSpace(_) => Code::Storage,
            StoreError::Damaged { .. } => Code::DamagedModel,
            StoreError::Stock(error) => Code::from(error),
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
            StockError::Io { .. }
            | StockError::NoSpace { .. }
            | StockError::TooMuch { .. }
            | StockError::Exists(_) => Code::Storage,
            StockError::None(_)
            | StockError::Damaged { .. }
            | StockError::Copied(_)
            | StockError::Held(_)
            | StockError::Different { .. }
            | StockError::Apart { .. }
            | StockError::UsedUp(_) => Code::NoDealtRun,
            StockError::Amount { .. } => Code::BadMessage,
            StockError::Runs(_) => Code::BadInput,
            StockError::Protocol(_) | StockError::Attested | StockError::NoEvaluator(_) => {
                Code::WrongProtocol
            }
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
            SessionError::Engine(EngineError::Inputs(error)) | SessionError::Protocol(error) => {
                of_protocol(error)
            }
            SessionError::Message { .. } => Code::BadMessage,
            SessionError::Manifest(obstacle) => Code::from(obstacle),
            SessionError::Unfit(_) => Code::UnfitParts,
            SessionError::Outside { .. } => Code::OutOfBounds,
            SessionError::Attestation(_) => Code::Evidence,
            SessionError::Transcript(_) => Code::Transcript,
            SessionError::Refused { code, .. } | SessionError::Reported { code, .. } => *code,
            SessionError::NoCommonEdition { .. } | SessionError::NoProfile(_) | SessionError::NotAhead(_) => {
                Code::DifferentVersion
            }
            SessionError::Later { .. } => Code::Busy,
            SessionError::Forbidden(_) => Code::Forbidden,
            SessionError::Name(_) => Code::BadName,
            SessionError::Store(error) => Code::from(error),
            SessionError::Stock(error) => Code::from(error),
            SessionError::Weights { .. } => Code::DamagedModel,
            SessionError::NoRoom(_) | SessionError::Locked { .. } | SessionError::Stopping(_) => Code::Busy,
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

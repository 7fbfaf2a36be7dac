//! The [`Protocol`] trait: what a party does for each operation, and [`Owner`]: what the owner of a
//! secret does.

use cryptflow_operation::{Bounds, Operation};
use cryptflow_ring::{GeometryError, Words};
use cryptflow_wire::WireError;

use crate::{Operands, Party};

/// What can go wrong in an operation. None of these carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A link failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Shapes that do not go together.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// A share, as received from its owner, does not have the form that it must have.
    #[error("a share of {name} is malformed: {reason}")]
    Share {
        /// What is shared.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operation's attributes are outside of what the protocol can do exactly.
    #[error("{operation} cannot be computed: {reason}")]
    Range {
        /// The operation.
        operation: &'static str,
        /// Why not.
        reason: String,
    },
    /// An operation without one of its operands: the program was not checked.
    #[error("operand {index} is missing: there are {given}")]
    Operand {
        /// Which operand, from 0.
        index: usize,
        /// How many there are.
        given: usize,
    },
    /// An operation that names a weight which does not exist: the program was not checked.
    #[error("weight {index} is missing: there are {given}")]
    Weight {
        /// Which weight, from 0.
        index: usize,
        /// How many there are.
        given: usize,
    },
    /// An element of an input is outside of its bounds.
    #[error("an input is not within the bounds that the program declares")]
    Outside,
    /// Two parties do not mean the same session.
    #[error(
        "{party} and {other} do not mean the same session, program, protocol, ring and tuning: nothing was computed"
    )]
    Scope {
        /// Who noticed.
        party: Party,
        /// The other one.
        other: Party,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
}

impl Error {
    /// Another number of parts of a secret than there are parties.
    pub fn parts(name: &str, came: usize, due: usize) -> Error {
        Error::Share { name: name.into(), reason: format!("{came} parts came where {due} were due") }
    }

    /// A protocol in which nothing is dealt ahead.
    pub fn ahead(protocol: &'static str) -> Error {
        Error::Range { operation: "dealing ahead", reason: format!("{protocol} has no form for it") }
    }

    /// Links of another number of parties than the protocol has.
    pub fn parties(came: usize, due: usize) -> Error {
        Error::Range {
            operation: "session",
            reason: format!("it is one of {due} parties, and there are {came}"),
        }
    }
}

/// A party's side of a protocol. All parties call the same methods in the same order with the same
/// public arguments; each returns this party's part of the result. Values are flat; shapes travel
/// as arguments where they matter.
///
/// Lengths, order and number of messages follow from the public arguments alone.
pub trait Protocol {
    /// A party's part of a secret tensor.
    type Value: Clone;
    /// A party's part of a secret tensor of the model.
    type Weight;

    /// Which party this is.
    fn party(&self) -> Party;

    /// Takes this party's part of an input of `len` elements over Z_2^ring_bits, as
    /// [`Owner::share_value`] made it. In a run that is dealt ahead it is masked anew, and the dealer has no
    /// part.
    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<Self::Value, Error>;
    /// Takes this party's part of a weight, as [`Owner::share_weight`] made it: for `bits`, those of the largest ring
    /// in which it is used, or for the program's ring. What lies above `bits` need not be kept, and no linear map in a
    /// larger ring can have it.
    fn receive_weight(
        &mut self,
        name: &str,
        len: usize,
        part: Vec<u8>,
        bits: u32,
    ) -> Result<Self::Weight, Error>;
    /// Takes what [`crate::Definition::prepare_weight`] has made of this party's part.
    ///
    /// # Errors
    /// The protocol prepares none.
    fn take_weight(&mut self, words: Words) -> Result<Self::Weight, Error> {
        let _ = words;
        Err(Error::Share { name: "a weight".into(), reason: "this protocol prepares none".into() })
    }
    /// Whether every element of these inputs is within its bounds. Exact for every element of the ring,
    /// where bounds hold at most half of it. One bit comes out; a party that only deals need not hear
    /// it, and goes on in any case.
    ///
    /// # Errors
    /// [`Error::Outside`] where one is not; a link that fails.
    fn require_within(&mut self, inputs: &[(&Self::Value, Bounds)]) -> Result<(), Error>;
    /// This party's message to the client that shall learn `x` (see [`Owner::open`]); empty where
    /// it has nothing to say.
    fn reveal(&mut self, x: &Self::Value) -> Result<Vec<u8>, Error>;

    /// This party's part of an operation's result. What each operation computes, and where it is
    /// exact, is said of [`Operation`]; how it is rounded, by the protocol.
    ///
    /// # Errors
    /// What the protocol cannot compute exactly, shapes that do not go together, a link that fails.
    fn apply(&mut self, operation: &Operation, operands: &Operands<'_, Self>) -> Result<Self::Value, Error>;

    /// Another handle to the same session, for a step beside others ([`Protocol::step`]): they have keys and links in common.
    /// None where steps run one by one.
    fn beside(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// As [`Protocol::apply`], and as [`Protocol::apply`] alone where there is no [`Protocol::beside`]: a step that gives way ([`crate::turn`]) as often as
    /// its cost says that it takes rounds, at every party. Whoever runs several takes them in the same order at every party.
    ///
    /// # Errors
    /// As [`Protocol::apply`].
    fn step(
        &mut self,
        operation: &Operation,
        operands: &Operands<'_, Self>,
    ) -> impl Future<Output = Result<Self::Value, Error>>
    where
        Self: Sized,
    {
        async { self.apply(operation, operands) }
    }

    /// As [`Protocol::require_within`], beside steps.
    ///
    /// # Errors
    /// As [`Protocol::require_within`].
    fn find_within(&mut self, inputs: &[(&Self::Value, Bounds)]) -> impl Future<Output = Result<(), Error>>
    where
        Self: Sized,
    {
        async { self.require_within(inputs) }
    }

    /// Rounds and bytes since the session began, as this party saw them: what it sent, and its
    /// round clock.
    fn metered(&self) -> crate::Cost;
}

/// What the owner of an input or of a model does: no party, no link. The parts go to the parties,
/// in the order of their indices, each over its own authenticated link; an owner never learns a
/// session's keys, and its own randomness is used for one tensor alone.
pub trait Owner {
    /// Shares an input: a part for each party.
    fn share_value(&self, x: &[u64]) -> Result<Vec<Vec<u8>>, Error>;
    /// Shares a weight: a part for each party. `bits` are those of the largest ring in which it is used: what lies
    /// above them may be left out. How long the parts are, [`crate::CostModel::weight`] says.
    fn share_weight(&self, w: &[u64], bits: u32) -> Result<Vec<Vec<u8>>, Error>;
    /// Puts together what the parties' [`Protocol::reveal`] sent, one part of each: signed
    /// integers.
    fn open(&self, len: usize, parts: &[&[u8]]) -> Result<Vec<i64>, Error>;
}

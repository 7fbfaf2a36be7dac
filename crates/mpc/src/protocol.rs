//! The [`Protocol`] trait: what a party does for each operation, and [`Owner`]: what the owner of a secret does.

use cryptflow_ring::{GeometryError, LinearMap, Movement, Window};
use cryptflow_wire::WireError;

use crate::Party;

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
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
}

impl Error {
    /// Another number of parts of a secret than there are parties.
    pub fn parts(name: &str, came: usize, due: usize) -> Error {
        Error::Share { name: name.into(), reason: format!("{came} parts came where {due} were due") }
    }

    /// Links of another number of parties than the protocol has.
    pub fn parties(came: usize, due: usize) -> Error {
        Error::Range {
            operation: "session",
            reason: format!("it is one of {due} parties, and there are {came}"),
        }
    }
}

/// One term `map(x, w)` of a linear operation.
pub struct Term<'a, P: Protocol + ?Sized> {
    /// The map.
    pub map: &'a LinearMap,
    /// Activations.
    pub x: &'a P::Value,
    /// Weights.
    pub w: &'a P::Weight,
}

/// A party's side of a protocol. All parties call the same methods in the same order with the same public arguments;
/// a method returns this party's part of the result. Values are flat; shapes travel as arguments where they matter.
///
/// Lengths, order and number of messages follow from the public arguments alone.
pub trait Protocol {
    /// A party's part of a secret tensor.
    type Value: Clone;
    /// A party's part of a secret tensor of the model.
    type Weight;

    /// The protocol's name, as the user types it.
    fn name(&self) -> &'static str;
    /// Which party this is.
    fn party(&self) -> Party;

    /// Takes this party's part of an input of `len` elements over Z_2^ring_bits, as [`Owner::share_value`] made it.
    fn receive_value(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<Self::Value, Error>;
    /// Takes this party's part of a weight, as [`Owner::share_weight`] made it.
    fn receive_weight(&mut self, name: &str, len: usize, part: Vec<u8>) -> Result<Self::Weight, Error>;
    /// This party's message to the client that shall learn `x` (see [`Owner::open`]); empty where it has nothing to say.
    fn reveal(&mut self, x: &Self::Value) -> Result<Vec<u8>, Error>;

    /// `(Σ map(x, w) + bias) / 2^shift`, rounded as the protocol states. The bias has one element for each element
    /// of the last axis. Without a term the result is `bias / 2^shift`: a constant that stays secret.
    fn linear(
        &mut self,
        terms: &[Term<'_, Self>],
        bias: Option<&Self::Weight>,
        shift: u32,
    ) -> Result<Self::Value, Error>;
    /// `map(x, y) / 2^shift` of two secret values, which must be wide; rounded and narrow as the result of [`Protocol::linear`].
    fn product(
        &mut self,
        map: &LinearMap,
        x: &Self::Value,
        y: &Self::Value,
        shift: u32,
    ) -> Result<Self::Value, Error>;
    /// 1 where `x >= t` and 0 elsewhere, for each public threshold t: all elements for the first one, then for the next. Wide.
    /// Exact where every x − t fits `compare_bits` signed bits.
    fn compare(
        &mut self,
        x: &Self::Value,
        thresholds: &[i64],
        compare_bits: u32,
    ) -> Result<Self::Value, Error>;
    /// Public combinations, exact and free: x is `columns` tensors one after another, the result `offsets.len()` of them, tensor i being
    /// `Σ_j factors[i·columns + j]·x_j + offsets[i]`. In x's ring.
    fn combine(&mut self, x: &Self::Value, factors: &[i64], offsets: &[i64]) -> Result<Self::Value, Error>;
    /// `x * factors / 2^shift` for public factors, repeated along the leading axes.
    fn scale_public(&mut self, x: &Self::Value, factors: &[u64], shift: u32) -> Result<Self::Value, Error>;
    /// From a narrow ring to Z_2^ring_bits. Exact for |x| <= 2^(k−2).
    fn widen(&mut self, x: &Self::Value) -> Result<Self::Value, Error>;
    /// `max(x, 0)`, exact where `x` fits `compare_bits` signed bits; wide if `widen`.
    fn relu(&mut self, x: &Self::Value, compare_bits: u32, widen: bool) -> Result<Self::Value, Error>;
    /// `min(max(x, 0), limit)`, exact where `x` and `x − limit` fit `compare_bits` signed bits; wide if `widen`.
    fn clipped_relu(
        &mut self,
        x: &Self::Value,
        limit: u64,
        compare_bits: u32,
        widen: bool,
    ) -> Result<Self::Value, Error>;
    /// Maximum over windows of NHWC. Exact where differences within a window fit `compare_bits` signed bits.
    fn max_pool(
        &mut self,
        x: &Self::Value,
        input: [usize; 4],
        window: &Window,
        compare_bits: u32,
    ) -> Result<Self::Value, Error>;
    /// Sum over windows of NHWC.
    fn sum_pool(&mut self, x: &Self::Value, input: [usize; 4], window: &Window)
    -> Result<Self::Value, Error>;
    /// `x + y`, in the smaller of their rings.
    fn add(&mut self, x: &Self::Value, y: &Self::Value) -> Result<Self::Value, Error>;
    /// `x − y`, in the smaller of their rings.
    fn sub(&mut self, x: &Self::Value, y: &Self::Value) -> Result<Self::Value, Error>;
    /// A movement of elements, in the smallest ring of its inputs.
    fn movement(
        &mut self,
        movement: &Movement,
        inputs: &[(&[usize], &Self::Value)],
    ) -> Result<Self::Value, Error>;

    /// Rounds and bytes since the session began, as this party saw them: what it sent, and its round clock.
    fn metered(&self) -> crate::Cost;
}

/// What the owner of an input or of a model does: no party, no link. The parts go to the parties, in the order of
/// their indices, each over its own authenticated link; an owner never learns a session's keys, and its own randomness is used for one tensor alone.
pub trait Owner {
    /// Shares an input: a part for each party.
    fn share_value(&self, x: &[u64]) -> Result<Vec<Vec<u8>>, Error>;
    /// Shares a weight: a part for each party.
    fn share_weight(&self, w: &[u64]) -> Result<Vec<Vec<u8>>, Error>;
    /// Puts together what the parties' [`Protocol::reveal`] sent, one part of each: signed integers.
    fn open(&self, len: usize, parts: &[&[u8]]) -> Result<Vec<i64>, Error>;
}

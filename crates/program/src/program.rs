//! A Program: values, weights and steps.

use serde::{Deserialize, Serialize};

use cryptflow_operation::{Bounds, Operation};

/// The newest version of [`Program`] and of its file that this crate reads, and the oldest one. A program
/// is written in the oldest one that has what it says: [`Program::due_version`].
pub const VERSION: u32 = SKIPPING;
/// See [`VERSION`].
pub const OLDEST: u32 = 1;
/// The version from which on values have rings of their own.
const RINGS: u32 = 2;
/// The version from which on comparisons skip bits. (Version 3 is one of files alone.)
const SKIPPING: u32 = 4;

/// Index of a value of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueId(pub usize);

/// A secret tensor that the program computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The node of the source model whose result this is.
    pub name: String,
    /// Shape; the first axis is the batch.
    pub shape: Vec<usize>,
    /// Fractional bits: the real number is the integer divided by 2^scale.
    pub scale: u32,
    /// Smallest integer that the value may take, margin included.
    pub low: i64,
    /// Largest integer that the value may take, margin included.
    pub high: i64,
    /// Whether it is wide (see [`Operation`]).
    pub wide: bool,
    /// Bits of its ring, where it is wide and the ring is another one than that of the inputs,
    /// [`Program::ring_bits`]: a smaller one. From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
}

impl Value {
    /// The integers that it may take.
    pub fn bounds(&self) -> Bounds {
        Bounds { low: self.low, high: self.high }
    }
}

/// A secret tensor of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The node of the source model.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Fractional bits.
    pub scale: u32,
}

/// One operation, with its operands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The node of the source model that this step computes (the last one, where several were
    /// merged).
    pub name: String,
    /// What to do.
    pub operation: Operation,
    /// Operands.
    pub inputs: Vec<ValueId>,
    /// Result.
    pub output: ValueId,
    /// Values whose last use this is: their buffers can be reused after the step.
    pub last_uses: Vec<ValueId>,
}

/// What the first axis of the inputs is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batch {
    /// Where all inputs have it in common, it counts rows: each has its own answer, and a run takes
    /// so many.
    #[default]
    Rows,
    /// It counts nothing that stands by itself (time steps, points, a batch whose rows influence
    /// each other): a run takes a whole array for each input.
    Whole,
}

impl Batch {
    fn is_rows(&self) -> bool {
        *self == Batch::Rows
    }
}

/// How a client prepares pictures or raw data for an input. Applied in this order: resize, crop,
/// layout, channel order, divide, mean, standard deviation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// Scale the picture to this height and width (bilinear).
    pub resize: Option<[usize; 2]>,
    /// Cut this height and width from the middle.
    pub crop: Option<[usize; 2]>,
    /// Turn red-green-blue into blue-green-red.
    pub bgr: bool,
    /// One channel (luma) in place of three.
    pub grey: bool,
    /// Divide every pixel (0 to 255) by this.
    pub divide: Option<f64>,
    /// Subtract, channel by channel (after `divide`).
    pub mean: Vec<f64>,
    /// Divide, channel by channel (after `mean`).
    pub std: Vec<f64>,
    /// Channels first (NCHW), for models that want it.
    pub channels_first: bool,
}

/// An input of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Name of the placeholder.
    pub name: String,
    /// The value that holds it.
    pub value: ValueId,
    /// Smallest real number that was allowed for when bounds were computed.
    pub low: f64,
    /// Largest real number that was allowed for.
    pub high: f64,
    /// How raw data becomes this input.
    pub preprocessing: Preprocessing,
    /// What the client multiplies each column of the last axis with, so that all are as precise as
    /// they have to be: powers of two. Empty where all are one. `low` and `high` are of the products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<f64>,
    /// Of ids (of words, of categories): how many there are. A client makes a row of so many integers
    /// of each id, one at its place and zeros elsewhere, so that the last axis of the value is one
    /// that what is given does not have. `low` and `high` are of the ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
}

/// What a client still applies to an opened output, in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputTransform {
    /// Softmax along the last axis.
    Softmax,
    /// Index of the largest element along the last axis.
    ArgMax,
    /// The `k` largest or smallest elements along an axis, sorted, the lowest index first of
    /// several equal ones; or their indices.
    TopK {
        /// The axis.
        axis: usize,
        /// How many.
        k: usize,
        /// The largest, not the smallest.
        largest: bool,
        /// Where they are, not what they are.
        indices: bool,
    },
    /// Nothing: the value is the index of a class already, which the parties have found without
    /// opening what it was found from.
    Class {
        /// How many classes there are.
        of: usize,
    },
}

/// An output of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Name of the node in the source model.
    pub name: String,
    /// The value that is opened to the client (the logits, where the model ends in a softmax or an
    /// arg-max that the client applies).
    pub value: ValueId,
    /// What the client applies to it.
    pub transform: Option<OutputTransform>,
    /// Fractional bits that mean something: the client rounds to them what it opens, so that what is
    /// zero in the model is zero. None where all of the value's do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u32>,
    /// Where the client orders the numbers: by how many units one may be from the first of them and count as
    /// equal to it, as rounding leads equal ones apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub equal: u64,
    /// What the client calls the classes whose indices it is told, or whose numbers lie along the last axis.
    /// None where they are called after their indices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassNames>,
}

/// What the classes of a model are called. The parties see it, as they see the names of outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassNames {
    /// By numbers that need not be their indices.
    Numbers(Vec<i64>),
    /// By texts.
    Texts(Vec<String>),
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A model, compiled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Version of this form.
    pub version: u32,
    /// Name of the model.
    pub name: String,
    /// Bits of the largest ring: that of the inputs, and of every wide value that has no other.
    pub ring_bits: u32,
    /// Fractional bits of activations.
    pub scale: u32,
    /// What the first axis of the inputs is.
    #[serde(default, skip_serializing_if = "Batch::is_rows")]
    pub batch: Batch,
    /// What a round is worth, in the bits that the slowest link carries meanwhile, where a protocol can have fewer rounds
    /// for more bytes: of the network that the program is for. None in programs that do not say: a local one, as the protocol takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits_per_round: Option<u64>,
    /// The inputs, in the order in which they are shared.
    pub inputs: Vec<Input>,
    /// The outputs, in the order in which they are opened.
    pub outputs: Vec<Output>,
    /// The value that says whether any value of a run left its bounds: 0 where none did. It is
    /// opened behind the outputs, which are zero where it is not. None where it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<ValueId>,
    /// The values; inputs first.
    pub values: Vec<Value>,
    /// The weights.
    pub weights: Vec<Weight>,
    /// The steps, in the order in which they run.
    pub steps: Vec<Step>,
}

impl Program {
    /// The values that are opened to the client, in this order: those of the outputs, and the guard.
    pub fn opened(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.outputs.iter().map(|output| output.value).chain(self.guard)
    }

    /// Bits of the ring to which a step brings this value, if it widens.
    pub fn ring_of(&self, value: ValueId) -> u32 {
        self.values.get(value.0).and_then(|value| value.ring).unwrap_or(self.ring_bits)
    }

    /// The version that the program must have: the oldest one in which what it says can be said.
    pub fn due_version(&self) -> u32 {
        if self.steps.iter().any(|step| step.operation.skipped().is_some_and(|bits| bits > 0)) {
            SKIPPING
        } else if self.values.iter().any(|value| value.ring.is_some()) {
            RINGS
        } else {
            OLDEST
        }
    }

    /// Fractional bits of a value; none of one that there is not.
    pub fn scale_of(&self, value: ValueId) -> u32 {
        self.values.get(value.0).map_or(0, |value| value.scale)
    }
}

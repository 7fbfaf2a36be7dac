//! The plan: a program in real numbers. Lowering makes it from the graph, scheduling places what
//! widens, and quantising turns it into a fixed-point program for one scale and one ring; the
//! search for a scale repeats only the last step.

use std::collections::HashMap;
use std::sync::Arc;

use cryptflow_graph::{NodeId, Range};
use cryptflow_operation::{
    Activation, Bounds, Combine, Compare, Form, Linear, MaxPool, Product, Rectifier, ScalePublic, SumPool,
};
use cryptflow_program::OutputTransform;
use cryptflow_ring::{LinearMap, Movement, Window};

use super::contents::Kept;
use crate::fix::bounded::near::Near;
use crate::fix::units::exp2;

/// A value of the plan.
#[derive(Clone, Debug)]
pub(crate) struct PlanValue {
    /// The node of the source model.
    pub(crate) name: String,
    /// Shape.
    pub(crate) shape: Vec<usize>,
    /// What it may be, without margin.
    pub(crate) range: Range,
    /// What it was seen to be, where `range` is all that a function was made for.
    pub(crate) seen: Option<Range>,
    /// The node of the graph whose result this is; none for the inner values of an operation that
    /// takes several steps.
    pub(crate) node: Option<NodeId>,
    /// Whether it lives in the large ring; scheduling decides.
    pub(crate) wide: bool,
    /// Fractional bits beyond those of activations; fewer where it is negative.
    pub(crate) extra: i32,
    /// Fractional bits, less those of activations, of the coarsest value that it is computed of; none
    /// is finer than activations.
    pub(crate) noise: i32,
    /// Bits of margin beyond those of the others, where they cost next to nothing.
    pub(crate) room: u32,
    /// The integers that it stays within, and how that is known.
    pub(crate) limits: Limits,
}

/// The integers that a value stays within, and how that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Limits {
    /// Those of its range, with the margin and rounding: no example left it.
    #[default]
    Seen,
    /// These, as long as what it is computed of stays within its own.
    Proved(Bounds),
    /// These are what is computed of it is made for; it is a copy of a value that may leave them.
    Assumed(Bounds),
}

impl Limits {
    /// Where they do not follow from the range.
    pub(crate) fn stated(self) -> Option<Bounds> {
        match self {
            Limits::Seen => None,
            Limits::Proved(bounds) | Limits::Assumed(bounds) => Some(bounds),
        }
    }
}

impl PlanValue {
    /// Its fractional bits, where activations have `scale`.
    pub(crate) fn scale(&self, scale: u32) -> u32 {
        scale.saturating_add_signed(self.extra)
    }
}

/// A secret tensor in real numbers.
#[derive(Clone, Debug)]
pub(crate) struct PlanWeight {
    /// The node of the source model.
    pub(crate) name: String,
    /// Shape.
    pub(crate) shape: Vec<usize>,
    /// Elements.
    pub(crate) data: Arc<Vec<f32>>,
    /// The largest magnitude of an element.
    pub(crate) largest: f32,
    /// The constants of the graph whose elements these are, as far as layers multiply with them.
    pub(crate) constants: Vec<NodeId>,
    /// How much an error of its elements adds to those of the outputs at each of its uses, on average, where
    /// that is known; see [`crate::fix::bounded::sensitivity`].
    pub(crate) matters: Option<f64>,
}

impl PlanWeight {
    /// Notes that these constants of the graph have its elements, with either sign.
    pub(crate) fn stand_for(&mut self, constants: &[NodeId]) {
        let new = constants.iter().filter(|constant| !self.constants.contains(constant)).copied();
        let new: Vec<NodeId> = new.collect();
        self.constants.extend(new);
    }
}

/// The lowest bits that a comparison does not look at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Skips {
    /// There are none: it is exact.
    #[default]
    Nothing,
    /// As many as lose no more than rounding does, by what examples show close to where it decides.
    LikeRounding,
    /// So many: what is computed of its result allows for it.
    Units(u32),
}

/// Numbers that are real: no scale is chosen yet. What follows from scales is nothing: shifts, and
/// the bits that comparisons look at; whether an activation widens is for [`super::schedule`] to
/// say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reals;

impl Form for Reals {
    /// Index of a weight of the plan.
    type Weight = usize;
    type Bias = Vec<f64>;
    type Factor = f64;
    type Limit = f64;
    type Shift = ();
    type CompareBits = ();
    type Skipped = Skips;
    type Widens = ();

    fn limit_units(limit: f64, scale: u32) -> u64 {
        (limit * exp2(scale)).round().clamp(1.0, 9e18) as u64
    }
}

/// What a step does. Thresholds are in units of the operand; the factors of a combination are
/// integers, and its offsets are in units of the result.
pub(crate) type Operation = cryptflow_operation::Operation<Reals>;

/// One term of a linear step.
pub(crate) type LinearTerm = cryptflow_operation::LinearTerm<Reals>;

/// `Σ map(x, w) + bias`.
pub(crate) fn linear(terms: Vec<LinearTerm>, bias: Option<Vec<f64>>) -> Operation {
    Operation::Linear(Linear { terms, bias, shift: () })
}

/// A product of two values.
pub(crate) fn product(map: LinearMap) -> Operation {
    Operation::Product(Product { map, shift: () })
}

/// A product of two values, element by element.
pub(crate) fn elementwise(elements: usize) -> Operation {
    product(LinearMap::Scale { rows: 1, channels: elements })
}

/// Exact comparisons with thresholds.
pub(crate) fn compare(thresholds: Vec<i64>) -> Operation {
    Operation::Compare(Compare { thresholds, compare_bits: (), skipped: Skips::Nothing })
}

/// Integer combinations along the first axis.
pub(crate) fn combine(factors: Vec<i64>, offsets: Vec<i64>) -> Operation {
    Operation::Combine(Combine { factors, offsets })
}

/// A multiplication by public factors.
pub(crate) fn scale_public(factors: Vec<f64>) -> Operation {
    Operation::ScalePublic(ScalePublic { factors, shift: () })
}

/// An exact ReLU.
pub(crate) fn relu() -> Operation {
    activation(Rectifier::Relu, Skips::Nothing)
}

/// A ReLU or a clipped one, as exact as that.
pub(crate) fn activation(function: Rectifier<Reals>, skipped: Skips) -> Operation {
    Operation::Activation(Activation { function, compare_bits: (), skipped, widen: () })
}

/// The same elements in another shape.
pub(crate) fn reshape(shape: &[usize]) -> Operation {
    Operation::Movement(Movement::Reshape { shape: shape.to_vec() })
}

/// The largest over windows of a value of this shape, as exact as that.
pub(crate) fn max_pool(input: [usize; 4], window: Window, skipped: Skips) -> Operation {
    Operation::MaxPool(MaxPool { input, window, compare_bits: (), skipped })
}

/// The sum over windows of a value of this shape.
pub(crate) fn sum_pool(input: [usize; 4], window: Window) -> Operation {
    Operation::SumPool(SumPool { input, window })
}

/// A step.
#[derive(Clone, Debug)]
pub(crate) struct PlanStep {
    pub(crate) name: String,
    pub(crate) op: Operation,
    pub(crate) inputs: Vec<usize>,
    pub(crate) output: usize,
}

/// An output.
#[derive(Clone, Debug)]
pub(crate) struct PlanOutput {
    pub(crate) name: String,
    pub(crate) value: usize,
    pub(crate) transform: Option<OutputTransform>,
    /// Fractional bits that the client rounds away, and the last truncation's error with them: what is
    /// equal in the float model is equal where it is ordered.
    pub(crate) spare: u32,
    /// Units by which what the client orders may be off and count as equal.
    pub(crate) equal: u64,
}

/// Where a value may not be: from `low` on and below `high`, in units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gap {
    pub(crate) value: usize,
    pub(crate) low: i64,
    pub(crate) high: i64,
}

/// A function that the program approximates, or that costs it comparisons.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FunctionReport {
    /// The node of the source model.
    pub name: String,
    /// The function.
    pub function: String,
    /// The smallest operand that it is made for.
    pub low: f64,
    /// The largest operand.
    pub high: f64,
    /// Pieces: a comparison for each but one.
    pub pieces: usize,
    /// Degree of the polynomials.
    pub degree: usize,
    /// The largest error for operands in that range, that of the arithmetic included; in real
    /// numbers. What the operand's own rounding leads to is not counted.
    pub largest_error: f64,
    /// Operands below this one count as nothing, and give zero: those that calibration showed beside
    /// much larger ones.
    #[serde(default)]
    pub zero_below: Option<f64>,
}

/// The plan. Values are in no particular order, but the inputs are the first ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) inputs: usize,
    pub(crate) values: Vec<PlanValue>,
    /// Of inputs that are given as ids, how many ids there are.
    pub(crate) ids: HashMap<usize, usize>,
    pub(crate) weights: Vec<PlanWeight>,
    /// Where the weights are that hold these numbers in this shape.
    known_weights: HashMap<(usize, Vec<usize>), usize>,
    pub(crate) steps: Vec<PlanStep>,
    pub(crate) outputs: Vec<PlanOutput>,
    /// The value that says whether any left its bounds, see [`super::guard`].
    pub(crate) guard: Option<usize>,
    /// Where values may not be, beside their bounds.
    pub(crate) gaps: Vec<Gap>,
    /// The scale that its integers are made for; none where it serves every scale.
    pub(crate) fitted: Option<u32>,
    /// For each value the root mean square of its elements, about, as a real number; see
    /// [`Plan::know`].
    pub(crate) typical: Vec<f64>,
    /// For each step that skips what loses no more than rounding, what examples show close to where it decides.
    pub(crate) near: HashMap<usize, Near>,
    /// What was approximated.
    pub(crate) functions: Vec<FunctionReport>,
}

impl Plan {
    /// The weight that holds these numbers in this shape; it is called after its first use.
    pub(crate) fn weight(&mut self, name: &str, shape: Vec<usize>, kept: Kept) -> usize {
        let Kept { id, data, largest } = kept;
        *self.known_weights.entry((id, shape)).or_insert_with_key(|(_, shape)| {
            let (name, shape, constants) = (name.to_string(), shape.clone(), Vec::new());
            self.weights.push(PlanWeight { name, shape, data, largest, constants, matters: None });
            self.weights.len() - 1
        })
    }

    /// The coarsest rounding, in fractional bits less those of activations, that goes into the result
    /// of an operation with so many.
    pub(crate) fn noise(&self, op: &Operation, inputs: &[usize], extra: i32) -> i32 {
        let operands = inputs.iter().map(|&input| self.values[input].noise).min().unwrap_or(0);
        match op {
            Operation::Linear(_) | Operation::Product(_) | Operation::ScalePublic(_) => operands.min(extra),
            // It is right or wrong, and not by how much.
            Operation::Compare(_) => 0,
            Operation::Combine(_)
            | Operation::Widen
            | Operation::Activation(_)
            | Operation::MaxPool(_)
            | Operation::SumPool(_)
            | Operation::Add
            | Operation::Sub
            | Operation::Movement(_) => operands,
        }
    }

    /// Notes how large the elements of values typically are, by what was seen of the graph's nodes; of
    /// others it is what they are computed of, or the largest that they may be.
    pub(crate) fn know(&mut self, nodes: &[f64]) {
        let seen = |value: &PlanValue| value.node.and_then(|node| nodes.get(node.0)).copied();
        let known: Vec<Option<f64>> = self.values.iter().map(seen).collect();
        let mut typical: Vec<f64> =
            self.values.iter().zip(&known).map(|(v, known)| known.unwrap_or(v.range.magnitude())).collect();
        for step in self.steps.iter().filter(|step| known[step.output].is_none()) {
            match &step.op {
                Operation::Widen | Operation::Movement(_) | Operation::MaxPool(_) => {
                    let operands = step.inputs.iter().map(|&input| typical[input]);
                    typical[step.output] = operands.fold(0.0, f64::max);
                }
                Operation::Linear(_)
                | Operation::Product(_)
                | Operation::Compare(_)
                | Operation::Combine(_)
                | Operation::ScalePublic(_)
                | Operation::Activation(_)
                | Operation::SumPool(_)
                | Operation::Add
                | Operation::Sub => {}
            }
        }
        self.typical = typical;
    }

    /// Notes what examples show close to where nodes decide, of the steps that go by it. A step whose result is more than added up,
    /// averaged and multiplied by weights stays exact: what is next to zero may matter more than its size there.
    pub(crate) fn see(&mut self, nodes: &[Option<Near>]) {
        let mut benign = vec![true; self.values.len()];
        for step in self.steps.iter().rev() {
            let passes = match &step.op {
                Operation::Linear(_) | Operation::ScalePublic(_) | Operation::SumPool(_) => true,
                Operation::Combine(_)
                | Operation::Widen
                | Operation::Activation(_)
                | Operation::MaxPool(_)
                | Operation::Add
                | Operation::Sub
                | Operation::Movement(_) => benign[step.output],
                Operation::Product(_) | Operation::Compare(_) => false,
            };
            step.inputs.iter().for_each(|&input| benign[input] &= passes);
        }
        for (index, step) in self.steps.iter().enumerate() {
            let goes_by_it = match &step.op {
                Operation::Activation(Activation { skipped, .. })
                | Operation::MaxPool(MaxPool { skipped, .. })
                | Operation::Compare(Compare { skipped, .. }) => *skipped == Skips::LikeRounding,
                Operation::Linear(_)
                | Operation::Product(_)
                | Operation::Combine(_)
                | Operation::ScalePublic(_)
                | Operation::Widen
                | Operation::SumPool(_)
                | Operation::Add
                | Operation::Sub
                | Operation::Movement(_) => false,
            };
            let node = self.values[step.output].node.filter(|_| goes_by_it && benign[step.output]);
            if let Some(near) = node.and_then(|node| nodes.get(node.0)?.as_ref()) {
                self.near.insert(index, near.clone());
            }
        }
    }

    /// Notes how much the weights matter, by what is known of the graph's constants.
    pub(crate) fn weigh(&mut self, constants: &[Option<f64>]) {
        let mut uses = vec![0u32; self.weights.len()];
        for step in &self.steps {
            if let Operation::Linear(linear) = &step.op {
                linear.terms.iter().for_each(|term| uses[term.weight] += 1);
            }
        }
        for (weight, uses) in self.weights.iter_mut().zip(uses) {
            let known = |node: &NodeId| constants.get(node.0).copied().flatten();
            let all: Option<f64> = weight.constants.iter().map(known).sum();
            weight.matters =
                all.filter(|_| uses > 0 && !weight.constants.is_empty()).map(|all| all / f64::from(uses));
        }
    }

    /// How often each value is used: by steps, and by outputs.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let used = self.steps.iter().flat_map(|s| s.inputs.iter().copied());
        let known = self.outputs.iter().map(|o| o.value).chain(self.guard);
        for value in used.chain(known).chain(self.gaps.iter().map(|gap| gap.value)) {
            uses[value] += 1;
        }
        uses
    }

    /// What a run takes on plain integers, in the time of a multiplication, about: every element of a
    /// result takes that of many, and every step that of many elements.
    pub(crate) fn work(&self) -> u64 {
        const ELEMENT: u64 = 64;
        const STEP: u64 = 40_000;
        let of_step = |step: &PlanStep| {
            STEP + ELEMENT * self.values[step.output].shape.iter().product::<usize>() as u64
        };
        self.macs() + self.steps.iter().map(of_step).sum::<u64>()
    }

    /// Multiply-accumulate operations.
    pub(crate) fn macs(&self) -> u64 {
        self.steps.iter().map(|step| step.op.macs()).sum()
    }
}

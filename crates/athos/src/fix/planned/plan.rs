//! The plan: a program in real numbers. Lowering makes it from the graph, scheduling places what widens, and quantising
//! turns it into a fixed-point program for one scale and one ring; the search for a scale repeats only the last step.

use std::sync::Arc;

use cryptflow_program::OutputTransform;
use cryptflow_ring::{LinearMap, Movement, Window};

use cryptflow_graph::{NodeId, Range};

/// A value of the plan.
#[derive(Clone, Debug)]
pub(crate) struct PlanValue {
    /// The node of the source model.
    pub(crate) name: String,
    /// Shape.
    pub(crate) shape: Vec<usize>,
    /// What it may be, without margin.
    pub(crate) range: Range,
    /// The node of the graph whose result this is; none for the inner values of an operation that takes several steps.
    pub(crate) node: Option<NodeId>,
    /// Whether it lives in the large ring; scheduling decides.
    pub(crate) wide: bool,
    /// Fractional bits beyond those of activations; fewer where it is negative. Outputs have none.
    pub(crate) extra: i32,
    /// The integers that it stays within, where they do not follow from `range` and the margin.
    pub(crate) exact: Option<(i64, i64)>,
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
}

impl PlanWeight {
    pub(crate) fn new(name: String, shape: Vec<usize>, data: Arc<Vec<f32>>) -> PlanWeight {
        let largest = data.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        PlanWeight { name, shape, data, largest }
    }
}

/// One term of a linear step.
#[derive(Clone, Debug)]
pub(crate) struct PlanTerm {
    /// The operand's index in the step's inputs.
    pub(crate) input: usize,
    /// Index of the weight.
    pub(crate) weight: usize,
    /// The map.
    pub(crate) map: LinearMap,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum PlanOp {
    /// `Σ map(x, w) + bias`; the bias in real numbers.
    Linear {
        terms: Vec<PlanTerm>,
        bias: Option<Vec<f64>>,
    },
    Widen,
    Relu,
    ClippedRelu(f64),
    MaxPool([usize; 4], Window),
    SumPool([usize; 4], Window),
    /// Public factors, in real numbers.
    ScalePublic(Vec<f64>),
    Add,
    Sub,
    Movement(Movement),
    /// A product of two values.
    Product(LinearMap),
    /// Comparisons with thresholds, in units of the operand.
    Compare(Vec<i64>),
    /// Integer combinations along the first axis, and offsets in units of the result.
    Combine {
        factors: Vec<i64>,
        offsets: Vec<i64>,
    },
}

/// A step.
#[derive(Clone, Debug)]
pub(crate) struct PlanStep {
    pub(crate) name: String,
    pub(crate) op: PlanOp,
    pub(crate) inputs: Vec<usize>,
    pub(crate) output: usize,
}

/// An output.
#[derive(Clone, Debug)]
pub(crate) struct PlanOutput {
    pub(crate) name: String,
    pub(crate) value: usize,
    pub(crate) transform: Option<OutputTransform>,
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
    /// The largest error for operands in that range, that of the arithmetic included; in real numbers. What the operand's
    /// own rounding leads to is not counted.
    pub largest_error: f64,
}

/// The plan. Values are in no particular order, but the inputs are the first ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) inputs: usize,
    pub(crate) values: Vec<PlanValue>,
    pub(crate) weights: Vec<PlanWeight>,
    pub(crate) steps: Vec<PlanStep>,
    pub(crate) outputs: Vec<PlanOutput>,
    /// The scale that its integers are made for; none where it serves every scale.
    pub(crate) fitted: Option<u32>,
    /// What was approximated.
    pub(crate) functions: Vec<FunctionReport>,
}

impl Plan {
    /// How often each value is used: by steps, and by outputs.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let used = self.steps.iter().flat_map(|s| s.inputs.iter().copied());
        for value in used.chain(self.outputs.iter().map(|o| o.value)) {
            uses[value] += 1;
        }
        uses
    }

    /// Multiply-accumulate operations.
    pub(crate) fn macs(&self) -> u64 {
        let maps = self.steps.iter().flat_map(|s| match &s.op {
            PlanOp::Linear { terms, .. } => terms.as_slice(),
            _ => &[],
        });
        let products =
            self.steps.iter().map(|s| if let PlanOp::Product(map) = &s.op { map.macs() } else { 0 });
        maps.map(|t| t.map.macs()).sum::<u64>() + products.sum::<u64>()
    }
}

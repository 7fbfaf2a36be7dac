//! How much an error of each value matters: by a walk back through the float model.
//!
//! An output number may be off by its tolerance t. To first order, independent errors of variance v
//! in the n elements of a value add v · Σ (∂y/∂x)² / t² to the square of what is used up of it. Given
//! what all values may use up together, the fewest bits are spent where every element of every value
//! uses up the same: a value then has `½ log2(Σ (∂y/∂x)² / t² / n)` fractional bits, and a number that
//! is the same for all and that the search finds. (It is the rule by which bits are given to
//! independent sources in rate-distortion theory, "reverse water-filling"; Cover and Thomas, Elements
//! of Information Theory, 10.3.3.)
//!
//! The sum over all outputs comes from one walk, for random signs in place of the single outputs.
//!
//! The same sum over the weights of a layer, `Σ (∂y/∂w)² / t²`, says what rounding them uses up: a twelfth of it, where they are
//! rounded to integers. Such errors are the same at every place of a picture and in every run, and add up; the walk sees that.

use cryptflow_graph::gradient::backward_to_weights;
use cryptflow_graph::{Array, Graph, Node, NodeId, Op};
use rayon::prelude::*;

use super::examples::Examples;
use crate::fix::decides;
use crate::fix::{ExampleError, FixError};

/// Multiply-accumulate operations that all walks may take.
const BUDGET: u64 = 12_000_000_000;

/// Examples that are walked through, at most.
const MOST_EXAMPLES: usize = 16;

/// A walk takes about so many forward runs.
const RUNS_A_WALK: u64 = 4;

/// What decides by its operand, and does not change with it, should see it to such a part of the
/// largest one.
const OF_DECISIONS: f64 = 1.0 / 4096.0;

/// For each node the bits that an element of its value needs beside those of others; none where
/// nothing says how much it matters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// For outputs, and for what decides.
    pub(crate) all: Vec<Option<f64>>,
    /// For each constant that a layer multiplies with, the sum of squares over its elements; none where it is
    /// zero, or nothing says. Empty where nothing was asked.
    pub(crate) weights: Vec<Option<f64>>,
    /// For what decides alone: no trial on examples says whether it sees enough, as few of them are
    /// near a decision. Empty where nothing decides.
    pub(crate) decisions: Vec<Option<f64>>,
}

/// What all values of a graph need.
///
/// # Errors
/// Where the float model cannot be run.
pub(crate) fn needs(graph: &Graph, examples: &Examples, multiplications: u64) -> Result<Needs, FixError> {
    let affordable = BUDGET / RUNS_A_WALK / multiplications.max(1);
    let walked =
        examples.hardest(usize::try_from(affordable).unwrap_or(MOST_EXAMPLES).clamp(1, MOST_EXAMPLES));
    let mut squares = [vec![0.0f64; graph.nodes.len()], Vec::new()];
    let mut of_weights = vec![0.0f64; graph.nodes.len()];
    let mut signs = Signs(0x9e37_79b9_7f4a_7c15);
    // All signs in the order of the examples, however their walks lie in time.
    let mut begun = Vec::with_capacity(walked.len());
    for &index in &walked {
        let Some(inputs) = examples.inputs.get(index) else { continue };
        let starts =
            [examples.tolerances(graph, &mut || signs.next()), decisions(graph, inputs, &mut signs, index)?];
        begun.push((index, inputs, starts));
    }
    let walk = |(index, inputs, starts): &(usize, &Vec<Array>, [Starts; 2])| {
        let mut sums = [const { Sums::NONE }; 2];
        for (starts, sums) in starts.iter().zip(&mut sums).filter(|(starts, _)| !starts.is_empty()) {
            let Sums { values, weights } = sums;
            let mut observe = |id: NodeId, _: &Array, gradient: &Array| values.push((id, squared(gradient)));
            let mut of_weights = |id: NodeId, gradient: &Array| weights.push((id, squared(gradient)));
            backward_to_weights(graph, inputs, starts, &mut observe, &mut of_weights)
                .map_err(|error| FixError::Example { index: *index, error: error.into() })?;
        }
        Ok(sums)
    };
    for sums in begun.par_iter().map(walk).collect::<Result<Vec<_>, FixError>>()? {
        for (sums, squares) in sums.into_iter().zip(&mut squares).filter(|(sums, _)| !sums.values.is_empty())
        {
            squares.resize(graph.nodes.len(), 0.0);
            sums.values.into_iter().for_each(|(id, sum)| squares[id.0] += sum);
            sums.weights.into_iter().for_each(|(id, sum)| of_weights[id.0] += sum);
        }
    }
    let bits = |(node, sum): (&Node, f64)| {
        let elements: usize = node.shape.iter().product();
        (sum.is_finite() && sum > 0.0).then(|| 0.5 * (sum / (elements * walked.len()) as f64).log2())
    };
    let [outputs, decisions] = squares;
    let both = outputs.iter().enumerate().map(|(i, sum)| sum + decisions.get(i).copied().unwrap_or(0.0));
    let walks = walked.len().max(1) as f64;
    let known = |sum: f64| (sum.is_finite() && sum > 0.0).then_some(sum / walks);
    Ok(Needs {
        weights: of_weights.into_iter().map(known).collect(),
        all: graph.nodes.iter().zip(both).map(bits).collect(),
        decisions: graph.nodes.iter().zip(decisions.iter().copied()).map(bits).collect(),
    })
}

/// Where a walk begins, and with which gradients.
type Starts = Vec<(NodeId, Array)>;

/// Sums of the squares of gradients, as a walk comes by.
struct Sums {
    values: Vec<(NodeId, f64)>,
    weights: Vec<(NodeId, f64)>,
}

impl Sums {
    const NONE: Sums = Sums { values: Vec::new(), weights: Vec::new() };
}

fn squared(gradient: &Array) -> f64 {
    gradient.data.iter().map(|&g| f64::from(g).powi(2)).sum()
}

/// Where a value decides: a comparison does not change with its operands, nor does what rounds.
fn decisions(graph: &Graph, inputs: &[Array], signs: &mut Signs, index: usize) -> Result<Starts, FixError> {
    let mut watched = vec![false; graph.nodes.len()];
    // What an output chooses, the client does.
    let chosen = |i: usize| graph.outputs.contains(&NodeId(i)) && matches!(graph.nodes[i].op, Op::Order(_));
    let inside = (0..graph.nodes.len()).filter(|&i| !chosen(i));
    let mut steps = vec![false; graph.nodes.len()];
    for node in inside.map(|i| &graph.nodes[i]).filter(|node| decides(&node.op)) {
        for input in &node.inputs {
            watched[input.0] = graph.constant(*input).is_none();
            steps[input.0] |= matches!(&node.op, Op::Function(function) if function.steps());
        }
    }
    if !watched.contains(&true) {
        return Ok(Vec::new());
    }
    let mut starts = Vec::new();
    cryptflow_graph::float::run(graph, inputs, &mut |id, value| {
        if watched[id.0] {
            let largest = value.data.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
            // What jumps at every integer sees what lies between two of them.
            let largest = if steps[id.0] { largest.min(1.0) } else { largest };
            // Of all elements together, as of an output's.
            let all = (value.data.len() as f64).sqrt();
            let weight = 1.0 / (f64::from(largest) * OF_DECISIONS * all);
            let data = value.data.iter().map(|_| (signs.next() * weight) as f32).collect();
            starts.extend(Array::new(value.shape.clone(), data).ok().map(|start| (id, start)));
        }
    })
    .map_err(|error| FixError::Example { index, error: ExampleError::Float(error) })?;
    Ok(starts)
}

/// +1 and −1, at random; the same ones each time.
struct Signs(u64);

impl Signs {
    fn next(&mut self) -> f64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        if self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 0 { 1.0 } else { -1.0 }
    }
}

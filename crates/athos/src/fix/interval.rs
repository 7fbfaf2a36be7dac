//! Bounds without examples: interval arithmetic from the range of the inputs.
//!
//! Sound for every input in that range, and far wider than what a model does: a layer's bound adds up the worst of every term,
//! and the next layer starts from there. A few layers fit a 64-bit ring; deep networks do not and need calibration.
//! Ranges are kept for each channel (the last axis) while they are computed. They hold the fixed-point values, rounding of weights and
//! activations included, for programs whose weights keep their full precision.

use cryptflow_ring::{Movement, Window};

use crate::functions::domain;
use cryptflow_graph::operations::normalisation;
use cryptflow_graph::{
    Activation, Arithmetic, Array, Function, Graph, Linear, NodeId, Op, Order, Pool, Pooling, Range, Reduce,
    Reduction,
};

use super::image::{images, within};

use super::options::WORST_CASE_WEIGHT_BITS;
use super::units::exp2;

/// The ranges of all nodes, by id, where the inputs take values in these ranges and activations have at least so many fractional
/// bits. A constant has the range of its elements. Nodes of operations that cannot be lowered have an empty range.
pub(crate) fn interval(graph: &Graph, inputs: &[Range], scale: u32) -> Vec<Range> {
    let mut channels: Vec<Vec<Range>> = Vec::with_capacity(graph.nodes.len());
    let mut given = inputs.iter();
    let unit = 1.0 / exp2(scale);
    let images = images(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        let ranges = match &node.op {
            Op::Input => {
                let at = graph.inputs.iter().position(|id| id.0 == index);
                let range = at.and_then(|at| inputs.get(at)).or_else(|| given.next());
                vec![range.map_or(Range::EMPTY, |&r| grown(r, unit)); last(&node.shape)]
            }
            Op::Constant(array) => constant(array),
            _ => {
                let operands: Vec<&[Range]> = node.inputs.iter().map(|i| channels[i.0].as_slice()).collect();
                Node { graph, id: NodeId(index), unit, images: &images }.ranges(&operands)
            }
        };
        channels.push(ranges);
    }
    channels.iter().map(|c| all(c)).collect()
}

fn last(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

fn all(channels: &[Range]) -> Range {
    channels.iter().fold(Range::EMPTY, |a, &b| a.union(b))
}

fn grown(range: Range, by: f64) -> Range {
    Range { low: range.low - by, high: range.high + by }
}

fn constant(array: &Array) -> Vec<Range> {
    let n = last(&array.shape).max(1);
    let mut ranges = vec![Range::EMPTY; n];
    for row in array.data.chunks(n) {
        for (range, &v) in ranges.iter_mut().zip(row) {
            *range = range.union(Range { low: v.into(), high: v.into() });
        }
    }
    ranges
}

fn times(a: Range, b: Range) -> Range {
    let products = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
    Range {
        low: products.iter().copied().fold(f64::INFINITY, f64::min),
        high: products.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

fn plus(a: Range, b: Range) -> Range {
    Range { low: a.low + b.low, high: a.high + b.high }
}

/// A range multiplied by a number of elements: a sum of up to, or exactly, so many.
fn sum_of(range: Range, count: usize, padded: bool) -> Range {
    let range = if padded { range.with_zero() } else { range };
    Range { low: range.low * count as f64, high: range.high * count as f64 }
}

/// What a function makes of a range, where it is defined: by sampling it densely, and allowing for what lies between samples. The fixed-point
/// function stays what it is where the domain ends.
fn through(function: Function, range: Range, unit: f64) -> Range {
    const SAMPLES: usize = 4096;
    let Ok(domain) = domain(function, range, range, unit, 1.0) else { return Range::EMPTY };
    let width = domain.high - domain.low;
    let samples: Vec<f64> =
        (0..=SAMPLES).map(|i| function.at(domain.low + width * i as f64 / SAMPLES as f64)).collect();
    let between = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    let values = samples.iter().fold(Range::EMPTY, |r, &v| r.union(Range { low: v, high: v }));
    let error = between + 8.0 * unit + values.magnitude() / 512.0;
    let grown = grown(values, error);
    // What is never negative stays so, but for rounding.
    if values.low > 0.0 { Range { low: grown.low.max(values.low / 2.0), ..grown } } else { grown }
}

struct Node<'a> {
    graph: &'a Graph,
    id: NodeId,
    unit: f64,
    /// What the float model allows for.
    images: &'a [Range],
}

impl Node<'_> {
    /// The range of each channel of the result, for the operands' channels.
    fn ranges(&self, operands: &[&[Range]]) -> Vec<Range> {
        let node = self.graph.node(self.id);
        let n = last(&node.shape);
        let x = operands.first().copied().unwrap_or(&[]);
        let each = |f: &dyn Fn(Range) -> Range| x.iter().map(|&r| f(r)).collect::<Vec<_>>();
        match &node.op {
            Op::Input | Op::Constant(_) => vec![Range::EMPTY; n],
            Op::Linear(Linear::Conv2d { window, groups }) => self.conv(x, window, *groups),
            Op::Linear(Linear::MatMul { transpose_a, transpose_b }) => {
                self.matmul(operands, *transpose_a, *transpose_b)
            }
            Op::Linear(Linear::BatchNorm { epsilon }) => {
                let parts: Vec<&[f32]> =
                    (1..5).filter_map(|i| self.constant(i)).map(|a| a.data.as_slice()).collect();
                match parts.as_slice() {
                    [gamma, beta, mean, variance] => {
                        let (factor, offset) = normalisation(gamma, beta, mean, variance, *epsilon);
                        self.diagonal(x, &factor, &offset)
                    }
                    _ => vec![Range::EMPTY; n],
                }
            }
            Op::Linear(Linear::Scale) => match (self.constant(1), self.constant(2)) {
                (Some(factor), Some(offset)) => self.diagonal(x, &factor.data, &offset.data),
                _ => vec![Range::EMPTY; n],
            },
            Op::Arithmetic(Arithmetic::Add) => self.pairs(operands, n, &plus),
            Op::Arithmetic(Arithmetic::Sub) => {
                self.pairs(operands, n, &|a, b| plus(a, Range { low: -b.high, high: -b.low }))
            }
            // What is multiplied by itself is not negative.
            Op::Arithmetic(Arithmetic::Mul) if node.inputs.first() == node.inputs.get(1) => each(&|r| {
                let (a, b) = (r.low * r.low, r.high * r.high);
                let low = if r.low <= 0.0 && r.high >= 0.0 { 0.0 } else { a.min(b) };
                grown(Range { low, high: a.max(b) }, 2.0 * self.unit)
            }),
            Op::Arithmetic(Arithmetic::Mul) => {
                let products = self.pairs(operands, n, &times);
                products.into_iter().map(|r| grown(r, 2.0 * self.unit)).collect()
            }
            Op::Arithmetic(Arithmetic::Div) => {
                let quotient = |a, b| {
                    let b = within(Function::RECIPROCAL, b, self.image(1));
                    times(a, Range { low: 1.0 / b.high, high: 1.0 / b.low })
                };
                let quotients = self.pairs(operands, n, &quotient);
                let error = |r: Range| 4.0 * self.unit + r.magnitude() / 512.0;
                if self.constant(1).is_some() {
                    return quotients;
                }
                quotients.into_iter().map(|r| grown(r, error(r))).collect()
            }
            Op::Arithmetic(Arithmetic::Maximum) => {
                self.pairs(operands, n, &|a, b| Range { low: a.low.max(b.low), high: a.high.max(b.high) })
            }
            Op::Arithmetic(Arithmetic::Minimum) => {
                self.pairs(operands, n, &|a, b| Range { low: a.low.min(b.low), high: a.high.min(b.high) })
            }
            Op::Arithmetic(Arithmetic::Compare(_)) => vec![Range { low: 0.0, high: 1.0 }; n],
            Op::Arithmetic(Arithmetic::Select) => {
                let sides = operands.get(1..).unwrap_or(&[]);
                self.pairs(sides, n, &|a, b| a.union(b))
            }
            Op::Function(function) => {
                each(&|r| through(*function, within(*function, r, self.image(0)), self.unit))
            }
            Op::Activation(Activation::Relu) => {
                each(&|r| Range { low: r.low.max(0.0), high: r.high.max(0.0) })
            }
            Op::Activation(Activation::ClippedRelu { limit }) => {
                let clip = |v: f64| v.clamp(0.0, f64::from(*limit).max(0.0));
                each(&|r| Range { low: clip(r.low), high: clip(r.high) })
            }
            Op::Pool(Pool { kind: Pooling::Max, .. }) | Op::Identity => x.to_vec(),
            Op::Pool(Pool { kind: Pooling::Average { count_padding }, .. }) => {
                each(&|r| grown(if *count_padding { r.with_zero() } else { r }, 2.0 * self.unit))
            }
            Op::Pool(Pool { kind: Pooling::Sum, window }) => {
                let count = window.kernel[0] * window.kernel[1];
                each(&|r| sum_of(r, count, window.is_padded()))
            }
            Op::Reduce(Reduce { kind: Reduction::Mean, axes, .. }) => {
                let ranges = if self.keeps_last(axes) { x.to_vec() } else { vec![all(x); n] };
                ranges.into_iter().map(|r| grown(r, 2.0 * self.unit)).collect()
            }
            Op::Reduce(Reduce { kind: Reduction::Sum, axes, .. }) => {
                let shape = self.operand_shape(0);
                let count: usize = axes.iter().filter_map(|&a| shape.get(a)).product();
                let ranges = if self.keeps_last(axes) { x.to_vec() } else { vec![all(x); n] };
                ranges.into_iter().map(|r| sum_of(r, count, false)).collect()
            }
            Op::Reduce(Reduce { kind: Reduction::Max | Reduction::Min, axes, .. }) => {
                if self.keeps_last(axes) { x.to_vec() } else { vec![all(x); n] }
            }
            Op::Activation(Activation::Softmax) => vec![Range { low: 0.0, high: 1.0 }; n],
            Op::Order(Order::ArgMax { axis }) => {
                let length = self.operand_shape(0).get(*axis).copied().unwrap_or(1);
                vec![Range { low: 0.0, high: length.saturating_sub(1) as f64 }; n]
            }
            Op::Order(Order::TopK { indices: true, axis, .. }) => {
                let length = self.operand_shape(0).get(*axis).copied().unwrap_or(1);
                vec![Range { low: 0.0, high: length as f64 }; n]
            }
            Op::Order(Order::TopK { .. }) => vec![all(x); n],
            Op::Movement(movement) => self.movement(movement, operands, n),
        }
    }

    /// What the float model allows an operand to be.
    fn image(&self, operand: usize) -> Range {
        let id = self.graph.node(self.id).inputs.get(operand);
        id.and_then(|id| self.images.get(id.0)).copied().unwrap_or(Range::ALL)
    }

    fn constant(&self, operand: usize) -> Option<&Array> {
        let id = self.graph.node(self.id).inputs.get(operand)?;
        self.graph.constant(*id)
    }

    fn operand_shape(&self, operand: usize) -> &[usize] {
        let id = self.graph.node(self.id).inputs.get(operand);
        id.map_or(&[], |id| self.graph.node(*id).shape.as_slice())
    }

    /// Whether a reduction over these axes leaves the last axis alone.
    fn keeps_last(&self, axes: &[usize]) -> bool {
        !axes.contains(&(self.operand_shape(0).len().saturating_sub(1)))
    }

    /// By how much one product can be off because its weight is rounded, for weights up to this magnitude.
    fn weight_error(largest: f32) -> f64 {
        f64::from(largest) / exp2(WORST_CASE_WEIGHT_BITS)
    }

    fn conv(&self, x: &[Range], window: &Window, groups: usize) -> Vec<Range> {
        let n = last(&self.graph.node(self.id).shape);
        let Some(filter) = self.constant(1) else { return vec![Range::EMPTY; n] };
        let bias = self.constant(2).map(|b| b.data.as_slice());
        let in_group = x.len() / groups.max(1);
        let out_group = (n / groups.max(1)).max(1);
        let padded: Vec<Range> =
            x.iter().map(|r| if window.is_padded() { r.with_zero() } else { *r }).collect();
        let term = |row: usize, out: usize| padded.get((out / out_group) * in_group + row % in_group.max(1));
        linear(&filter.data, n, &term, bias, self.unit)
    }

    fn matmul(&self, operands: &[&[Range]], ta: bool, tb: bool) -> Vec<Range> {
        let n = last(&self.graph.node(self.id).shape);
        let bias = self.constant(2).map(|b| b.data.as_slice());
        let transposed =
            |w: &Array| Movement::Transpose { permutation: vec![1, 0] }.apply(&[(&w.shape, &w.data)]);
        let both_secret = self.constant(0).is_none() && self.constant(1).is_none();
        if both_secret || self.operand_shape(0).len().max(self.operand_shape(1).len()) > 2 {
            let shape = self.operand_shape(0);
            let inner = if ta { shape.len().checked_sub(2) } else { shape.len().checked_sub(1) };
            let inner = inner.and_then(|axis| shape.get(axis)).copied().unwrap_or(1);
            let whole = |i: usize| operands.get(i).map_or(Range::EMPTY, |x| all(x));
            let product = times(whole(0), whole(1));
            let error = Self::weight_error(1.0) * product.magnitude() * inner as f64 + 2.0 * self.unit;
            let sum = grown(sum_of(product, inner, false), error);
            let biases = bias.map_or(Range { low: 0.0, high: 0.0 }, |b| {
                b.iter().fold(Range::EMPTY, |r, &v| r.union(Range { low: v.into(), high: v.into() }))
            });
            return vec![plus(sum, biases); n];
        }
        match (self.constant(0), self.constant(1)) {
            (_, Some(w)) => {
                let x = operands.first().copied().unwrap_or(&[]);
                let whole = all(x);
                // Read transposed, the last axis of x is not the one that is summed over.
                let term = |row: usize, _| if ta { Some(&whole) } else { x.get(row) };
                let data = if tb { transposed(w) } else { Ok(w.data.to_vec()) };
                data.map_or(vec![Range::EMPTY; n], |data| linear(&data, n, &term, bias, self.unit))
            }
            (Some(w), None) => {
                let whole = operands.get(1).map_or(Range::EMPTY, |x| all(x));
                let data = if ta { Ok(w.data.to_vec()) } else { transposed(w) };
                let rows = last(&w.shape).max(w.data.len() / last(&w.shape).max(1));
                let columns = if ta { last(&w.shape) } else { w.data.len() / last(&w.shape).max(1) };
                let ranges = data.map(|data| {
                    linear(&data, columns.min(rows).max(1), &|_, _| Some(&whole), None, self.unit)
                });
                vec![ranges.map_or(Range::EMPTY, |r| all(&r)); n]
            }
            (None, None) => vec![Range::EMPTY; n],
        }
    }

    fn diagonal(&self, x: &[Range], factor: &[f32], offset: &[f32]) -> Vec<Range> {
        let largest = factor.iter().fold(0.0f32, |m, f| m.max(f.abs()));
        let error = Self::weight_error(largest);
        let one = |((r, &f), &o): ((&Range, &f32), &f32)| {
            let (f, o) = (f64::from(f), f64::from(o));
            let product = times(*r, Range { low: f, high: f });
            grown(plus(product, Range { low: o, high: o }), r.magnitude() * error + 2.0 * self.unit)
        };
        x.iter().zip(factor).zip(offset).map(one).collect()
    }

    /// An operation on two tensors that are broadcast against each other.
    fn pairs(&self, operands: &[&[Range]], n: usize, f: &dyn Fn(Range, Range) -> Range) -> Vec<Range> {
        let [a, b] = operands else { return vec![Range::EMPTY; n] };
        let at = |side: &[Range], i: usize| if side.len() == n { side[i] } else { all(side) };
        let constant = [0, 1].into_iter().find_map(|i| self.constant(i));
        let result = (0..n).map(|i| f(at(a, i), at(b, i)));
        match constant {
            // A diagonal layer: its weights and its result are rounded.
            Some(c) => {
                let largest = c.data.iter().fold(1.0f32, |m, v| m.max(v.abs())).max(1.0);
                let x = if self.constant(0).is_some() { b } else { a };
                let error = Self::weight_error(largest) * all(x).magnitude() + 2.0 * self.unit;
                result.map(|r| grown(r, error + r.magnitude() / exp2(WORST_CASE_WEIGHT_BITS))).collect()
            }
            None => result.collect(),
        }
    }

    fn movement(&self, movement: &Movement, operands: &[&[Range]], n: usize) -> Vec<Range> {
        let whole = operands.iter().fold(Range::EMPTY, |r, x| r.union(all(x)));
        let x = operands.first().copied().unwrap_or(&[]);
        let rank = self.operand_shape(0).len();
        match movement {
            Movement::Reshape { .. } if !x.is_empty() && n.is_multiple_of(x.len()) => {
                x.iter().copied().cycle().take(n).collect()
            }
            Movement::Transpose { permutation } if permutation.last() == Some(&rank.wrapping_sub(1)) => {
                x.to_vec()
            }
            Movement::Pad { before, after } => {
                let inner = before.iter().chain(after).any(|&p| p > 0);
                let zero = Range { low: 0.0, high: 0.0 };
                let (front, back) = (before.last().copied().unwrap_or(0), after.last().copied().unwrap_or(0));
                let middle = x.iter().map(|r| if inner { r.with_zero() } else { *r });
                let front = std::iter::repeat_n(zero, front);
                front.chain(middle).chain(std::iter::repeat_n(zero, back)).collect()
            }
            Movement::Concat { axis } if axis + 1 == rank => operands.concat(),
            Movement::Concat { .. } => {
                let union = |i: usize| {
                    operands.iter().filter_map(|x| x.get(i)).fold(Range::EMPTY, |a, &b| a.union(b))
                };
                (0..n).map(union).collect()
            }
            Movement::Broadcast { .. } if x.len() == n => x.to_vec(),
            Movement::Gather { axis, .. } if axis + 1 != rank => x.to_vec(),
            _ => vec![whole; n],
        }
    }
}

/// The ranges of the columns of `x · w + bias` for w in rows of `columns`, `term(row, column)` the range of what it multiplies.
fn linear<'a>(
    w: &[f32],
    columns: usize,
    term: &dyn Fn(usize, usize) -> Option<&'a Range>,
    bias: Option<&[f32]>,
    unit: f64,
) -> Vec<Range> {
    let largest = w.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let error = Node::weight_error(largest);
    let mut ranges = vec![Range { low: 0.0, high: 0.0 }; columns];
    for (row, weights) in w.chunks(columns.max(1)).enumerate() {
        for (column, (range, &w)) in ranges.iter_mut().zip(weights).enumerate() {
            let Some(x) = term(row, column) else { continue };
            let w = f64::from(w);
            *range = plus(*range, grown(times(*x, Range { low: w, high: w }), x.magnitude() * error));
        }
    }
    for (column, range) in ranges.iter_mut().enumerate() {
        let b = bias.and_then(|b| b.get(column)).map_or(0.0, |&b| b.into());
        *range = grown(plus(*range, Range { low: b, high: b }), 2.0 * unit);
    }
    ranges
}

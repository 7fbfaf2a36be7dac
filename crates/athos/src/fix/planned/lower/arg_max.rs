//! Arg-max inside of a graph, and top-k of one: whether each element is the largest, and the sum of
//! the places of those that are.

use cryptflow_operation::Bounds;
use cryptflow_program::OutputTransform;
use cryptflow_ring::Movement;

use cryptflow_graph::{NodeId, Range};

use super::super::plan::{self, Limits, Operation, PlanValue};
use super::compare::half;
use super::{Lowering, Refusal, malformed};
use crate::fix::units::exp2;

/// Units between two places: a protocol may make a constant one unit more, or less.
const APART: i64 = 4;

impl Lowering<'_> {
    /// The first index of the largest element of a value along its last axis, as the node's value.
    ///
    /// Behind the lowest bits of element i of n come those of n − 1 − i, so that no two elements
    /// are equal, and of equal ones the first is the largest. Then the comparison with the largest
    /// holds in one place, and nothing is rounded on the way but the n − 1 − i.
    pub(super) fn arg_max_inside(&mut self, id: NodeId, x: usize) -> Result<usize, Refusal> {
        let [rows, n] = self.rows(x)?;
        if n == 0 {
            return Err(malformed("there is no largest of no elements"));
        }
        self.plan.fitted = Some(self.setting.scale);
        let folded = vec![rows, n, 1, 1];
        let x = self.moved(id, Movement::Reshape { shape: folded.clone() }, x);
        let spare = (usize::BITS - (n - 1).leading_zeros()) + APART.ilog2();
        let extra = self.plan.values[x].extra + spare as i32;
        let x = self.raised(id, x, extra);
        // Integers are as far from each other as rounding never leads: all places lie within a half.
        let integers = self.operand(id, 0).is_ok_and(|operand| self.wholes[operand.0]);
        let half = half(self.plan.values[x].scale(self.setting.scale));
        let apart = if integers { APART.max(half / n as i64) } else { APART };
        let places = self.places(id, n, extra, apart);
        let places = self.moved(id, Movement::Reshape { shape: vec![1, n, 1, 1] }, places);
        let places = self.moved(id, Movement::Broadcast { shape: folded.clone() }, places);
        let Bounds { low, high } = self.bounds[x];
        let high = high.saturating_add(apart * (n as i64 - 1) + 1);
        let bounds = Bounds { low: low.saturating_sub(1), high };
        let range = self.plan.values[x].range;
        let unlike =
            PlanValue { extra, limits: Limits::Proved(bounds), ..self.blank(id, folded.clone(), range) };
        let unlike = self.step_to(id, Operation::Add, &[x, places], unlike);

        let largest = self.largest(id, unlike, [rows, n, 1]);
        let largest = self.moved(id, Movement::Broadcast { shape: folded.clone() }, largest);
        let limits = Limits::Proved(Bounds { low: -bounds.apart(), high: 0 });
        let range = Range { low: range.low - range.high, high: 0.0 };
        let below = PlanValue { extra, limits, ..self.blank(id, folded, range) };
        let below = self.step_to(id, Operation::Sub, &[unlike, largest], below);
        let is_largest = self.flags(id, below, vec![0]);

        let is_largest = self.moved(id, Movement::Reshape { shape: vec![rows, n] }, is_largest);
        let is_largest = self.moved(id, Movement::Transpose { permutation: vec![1, 0] }, is_largest);
        let one = exp2(self.setting.scale) as i64;
        let factors = (0..n as i64).map(|i| i * one).collect();
        let bounds = Bounds { low: 0, high: (n as i64 - 1) * one };
        let indices = self.integers(id, vec![rows], bounds, self.setting.scale);
        let range = indices.range;
        let indices = self.step_to(id, plan::combine(factors, vec![0]), &[is_largest], indices);
        let shape = self.own_shape(id);
        Ok(self.step(id, plan::reshape(&shape), &[indices], shape, range, true))
    }

    /// The largest element along an axis, or the smallest, or where the first of them is, as the
    /// node's value.
    pub(super) fn first_inside(
        &mut self,
        id: NodeId,
        x: usize,
        axis: usize,
        largest: bool,
        indices: bool,
    ) -> Result<usize, Refusal> {
        let mut x = self.with_axis_last(id, x, axis);
        if !largest {
            x = self.negated(id, x);
        }
        if indices {
            return self.arg_max_inside(id, x);
        }
        let [rows, n] = self.rows(x)?;
        let x = self.moved(id, Movement::Reshape { shape: vec![rows, n, 1, 1] }, x);
        let mut y = self.largest(id, x, [rows, n, 1]);
        if !largest {
            y = self.negated(id, y);
        }
        Ok(self.last_value(id, plan::reshape(&self.graph.node(id).shape), &[y]))
    }

    /// An output as the parties compute it, where a client would have applied this to `value`: so
    /// that it opens the answer alone.
    pub(super) fn hidden(
        &mut self,
        id: NodeId,
        value: usize,
        transform: OutputTransform,
    ) -> Result<(usize, Option<OutputTransform>), Refusal> {
        let shape = &self.plan.values[value].shape;
        let class = match transform {
            OutputTransform::ArgMax => shape.last().copied(),
            OutputTransform::TopK { axis, k: 1, indices: true, .. } => shape.get(axis).copied(),
            OutputTransform::TopK { k: 2.., .. } => {
                return Err(Refusal::Missing(
                    "its logits cannot be hidden: the client sorts the largest k from what is opened. Leave --hide-logits \
                     away, or end the model with an arg-max"
                        .into(),
                ));
            }
            _ => None,
        };
        let answer = self.secret(id)?;
        Ok((answer, class.map(|of| OutputTransform::Class { of })))
    }

    /// n − 1 to 0, so many units of a value with so many extra fractional bits each.
    fn places(&mut self, id: NodeId, n: usize, extra: i32, apart: i64) -> usize {
        let range = Range { low: 0.0, high: 1.0 };
        let blank = PlanValue {
            extra,
            limits: Limits::Proved(Bounds { low: -1, high: apart * (n as i64 - 1) + 1 }),
            ..self.blank(id, vec![n], range)
        };
        let unit = 1.0 / exp2(blank.scale(self.setting.scale));
        let bias = (0..n as i64).rev().map(|i| (apart * i) as f64 * unit).collect();
        self.step_to(id, plan::linear(Vec::new(), Some(bias)), &[], blank)
    }
}

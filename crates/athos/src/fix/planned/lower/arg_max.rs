//! Arg-max inside of a graph, and top-k of one: whether each element is the largest, and the sum of
//! the places of those that are.

use cryptflow_program::OutputTransform;
use cryptflow_ring::Movement;

use cryptflow_graph::{NodeId, Range};

use super::super::plan::{self, Operation, PlanValue};
use super::{Lowering, Refusal};
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
        let shape = self.plan.values[x].shape.clone();
        let Some((&n, rows)) = shape.split_last() else { return Err("a scalar has no last axis".into()) };
        let rows: usize = rows.iter().product();
        if n == 0 {
            return Err("there is no largest of no elements".into());
        }
        self.plan.fitted = Some(self.setting.scale);
        let folded = vec![rows, n, 1, 1];
        let x = self.moved(id, Movement::Reshape { shape: folded.clone() }, x);
        let spare = (usize::BITS - (n - 1).leading_zeros()) + APART.ilog2();
        let extra = self.plan.values[x].extra + spare as i32;
        let x = self.raised(id, x, extra);
        let places = self.places(id, n, extra);
        let places = self.moved(id, Movement::Reshape { shape: vec![1, n, 1, 1] }, places);
        let places = self.moved(id, Movement::Broadcast { shape: folded.clone() }, places);
        let (low, high) = self.bounds[x];
        let bounds = (low.saturating_sub(1), high.saturating_add(APART * (n as i64 - 1) + 1));
        let range = self.plan.values[x].range;
        let unlike = PlanValue { extra, exact: Some(bounds), ..self.blank(id, folded.clone(), range) };
        let unlike = self.step_to(id, Operation::Add, &[x, places], unlike);

        let largest = self.largest(id, unlike, [rows, n, 1]);
        let largest = self.moved(id, Movement::Broadcast { shape: folded.clone() }, largest);
        let apart = bounds.1.saturating_sub(bounds.0);
        let range = Range { low: range.low - range.high, high: 0.0 };
        let below = PlanValue { extra, exact: Some((-apart, 0)), ..self.blank(id, folded, range) };
        let below = self.step_to(id, Operation::Sub, &[unlike, largest], below);
        let own = self.setting.scale;
        let blank = self.blank(id, vec![1, rows, n, 1, 1], Range { low: 0.0, high: 1.0 });
        let is_largest = PlanValue { extra: -(own as i32), ..blank };
        let is_largest = self.step_to(id, plan::compare(vec![0]), &[below], is_largest);

        let is_largest = self.moved(id, Movement::Reshape { shape: vec![rows, n] }, is_largest);
        let is_largest = self.moved(id, Movement::Transpose { permutation: vec![1, 0] }, is_largest);
        let one = exp2(own) as i64;
        let factors = (0..n as i64).map(|i| i * one).collect();
        let range = Range { low: 0.0, high: (n - 1) as f64 };
        let indices =
            PlanValue { exact: Some((0, (n as i64 - 1) * one)), ..self.blank(id, vec![rows], range) };
        let indices = self.step_to(id, plan::combine(factors, vec![0]), &[is_largest], indices);
        let shape = self.graph.node(id).shape.clone();
        let result = PlanValue { node: Some(id), ..self.blank(id, shape.clone(), range) };
        Ok(self.step_to(id, Operation::Movement(Movement::Reshape { shape }), &[indices], result))
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
        let rank = self.plan.values[x].shape.len();
        let permutation: Vec<usize> = (0..rank).filter(|&a| a != axis).chain([axis]).collect();
        let mut x = x;
        if permutation.iter().enumerate().any(|(i, &a)| i != a) {
            x = self.moved(id, Movement::Transpose { permutation }, x);
        }
        if !largest {
            x = self.negated(id, x, None);
        }
        if indices {
            return self.arg_max_inside(id, x);
        }
        let shape = self.plan.values[x].shape.clone();
        let Some((&n, rows)) = shape.split_last() else { return Err("a scalar has no last axis".into()) };
        let rows: usize = rows.iter().product();
        let x = self.moved(id, Movement::Reshape { shape: vec![rows, n, 1, 1] }, x);
        let mut y = self.largest(id, x, [rows, n, 1]);
        if !largest {
            y = self.negated(id, y, None);
        }
        let shape = self.graph.node(id).shape.clone();
        let op = Operation::Movement(Movement::Reshape { shape });
        Ok(self.last_value(id, op, &[y]))
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
                return Err("its logits cannot be hidden: the client sorts the largest k from what is opened. Leave --hide-logits \
                            away, or end the model with an arg-max (--output NAME)"
                    .into());
            }
            _ => None,
        };
        let answer = self.secret(id)?;
        Ok((self.at_output(id, answer), class.map(|of| OutputTransform::Class { of })))
    }

    /// n − 1 to 0, [`APART`] units of a value with so many extra fractional bits each.
    fn places(&mut self, id: NodeId, n: usize, extra: i32) -> usize {
        let range = Range { low: 0.0, high: 1.0 };
        let blank = PlanValue {
            extra,
            exact: Some((-1, APART * (n as i64 - 1) + 1)),
            ..self.blank(id, vec![n], range)
        };
        let unit = 1.0 / exp2(blank.scale(self.setting.scale));
        let bias = (0..n as i64).rev().map(|i| (APART * i) as f64 * unit).collect();
        self.step_to(id, plan::linear(Vec::new(), Some(bias)), &[], blank)
    }
}

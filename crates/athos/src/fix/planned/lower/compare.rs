//! Comparisons, and the larger or smaller of two.

use cryptflow_graph::{Comparison, NodeId};
use cryptflow_operation::Bounds;

use super::super::plan::{self, Limits, Operation, PlanValue};
use super::{Lowered, Lowering, Refusal};
use crate::fix::units::exp2;

/// Units by which the difference of two equal values may be off, where nothing else is known: a
/// truncation on the way to it rounds up or down.
const TIE: i64 = 1;

/// The part of what values may be within which two of them count as equal, at most.
const SAME: f64 = 1.0 / 64.0;

/// What is equal in fixed point.
#[derive(Clone, Copy)]
pub(super) enum Tie {
    /// What is the same integer before rounding.
    Integers,
    /// What is within so many units.
    Within(i64),
}

/// A half, in units of values with fractional bits.
pub(super) fn half(scale: u32) -> i64 {
    1 << scale.clamp(1, 62) >> 1
}

impl Lowering<'_> {
    /// A comparison of two values, on their difference as it is in fixed point: values are equal
    /// where no more lies between them than rounding leads to, and integers within a half.
    pub(super) fn compare(&mut self, id: NodeId, comparison: Comparison) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let d = self.difference(id, a, b)?;
        let tie = self.equal(&[a, b], d);
        Ok(Lowered::Value(self.compared_with_zero(id, d, tie, comparison, true)))
    }

    /// When a difference of these nodes' values, which is d, is none.
    pub(super) fn equal(&self, of: &[NodeId], d: usize) -> Tie {
        match of.iter().all(|id| self.wholes[id.0]) {
            true => Tie::Integers,
            false => Tie::Within(self.tie(of, d).unwrap_or(TIE)),
        }
    }

    /// The units by which rounding leads a difference of these nodes' values away from zero, which is d;
    /// none where that was not seen.
    pub(super) fn tie(&self, of: &[NodeId], d: usize) -> Option<i64> {
        let off = self.rounding?.tie(self.graph, of, self.setting.scale)?;
        let value = &self.plan.values[d];
        let units = off.min(value.range.magnitude() * SAME) * exp2(value.scale(self.setting.scale));
        Some(units.ceil() as i64)
    }

    /// 1 where the comparison of a value with zero holds, 0 elsewhere.
    pub(super) fn compared_with_zero(
        &mut self,
        id: NodeId,
        d: usize,
        tie: Tie,
        comparison: Comparison,
        whole: bool,
    ) -> usize {
        self.plan.fitted = Some(self.setting.scale);
        // Bits for "not less" and for "greater", combined.
        let (not_less, greater) = self.around_zero(d, tie);
        let (thresholds, factors, offset) = match comparison {
            Comparison::GreaterEqual => (vec![not_less], vec![1], 0),
            Comparison::Less => (vec![not_less], vec![-1], 1),
            Comparison::Greater => (vec![greater], vec![1], 0),
            Comparison::LessEqual => (vec![greater], vec![-1], 1),
            Comparison::Equal => (vec![not_less, greater], vec![1, -1], 0),
            Comparison::NotEqual => (vec![not_less, greater], vec![-1, 1], 1),
        };
        let bits = self.flags(id, d, thresholds);
        self.counted(id, bits, self.shape(d), factors, offset, whole)
    }

    /// From where on a value is not less than zero, and from where on it is greater, in units.
    pub(super) fn around_zero(&self, x: usize, tie: Tie) -> (i64, i64) {
        match (self.plan.values[x].scale(self.setting.scale), tie) {
            (0, _) => (0, 1),
            (scale, Tie::Integers) => (-half(scale), half(scale)),
            (_, Tie::Within(units)) => (-units, units + 1),
        }
    }

    /// −1, 0 or 1, for what was integers before rounding.
    pub(super) fn sign_of_integers(&mut self, id: NodeId, x: usize) -> usize {
        self.plan.fitted = Some(self.setting.scale);
        let (not_less, greater) = self.around_zero(x, Tie::Integers);
        let bits = self.flags(id, x, vec![not_less, greater]);
        let sign = self.integers(id, self.shape(x), Bounds { low: -1, high: 1 }, 0);
        let op = plan::combine(vec![1, 1], vec![-1]);
        self.step_to(id, op, &[bits], PlanValue { node: Some(id), ..sign })
    }

    /// For each threshold, along a new first axis, 1 where a value reaches it: integers, which have
    /// no fractional bits.
    pub(super) fn flags(&mut self, id: NodeId, x: usize, thresholds: Vec<i64>) -> usize {
        let shape = [&[thresholds.len()][..], &self.plan.values[x].shape].concat();
        let bits = self.integers(id, shape, Bounds { low: 0, high: 1 }, 0);
        self.step_to(id, plan::compare(thresholds), &[x], PlanValue { limits: Limits::Seen, ..bits })
    }

    /// The larger of two, or the smaller: `b + relu(a − b)` and `a − relu(a − b)`.
    pub(super) fn larger(&mut self, id: NodeId, smaller: bool) -> Result<Lowered, Refusal> {
        let (mut a, mut b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        // What is added to must be a value; a constant would be added by one more layer.
        if self.constant(if smaller { a } else { b }).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let d = self.difference(id, a, b)?;
        let range = self.plan.values[d].range;
        let positive = self.step(id, plan::relu(), &[d], self.own_shape(id), range, false);
        let base = self.secret(if smaller { a } else { b })?;
        let base = self.broadcast(id, base);
        let (base, positive) = self.aligned(id, base, positive);
        let op = if smaller { Operation::Sub } else { Operation::Add };
        Ok(self.last_step(id, op, &[base, positive]))
    }
}

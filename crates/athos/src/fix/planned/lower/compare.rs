//! Comparisons, and the larger or smaller of two.

use cryptflow_graph::{Comparison, NodeId, Range};

use super::super::plan::{self, Operation, PlanValue};
use super::{Lowered, Lowering, Refusal};
use crate::fix::units::exp2;

/// Units by which the difference of two equal values may be off: a truncation on the way to it
/// rounds up or down.
const TIE: i64 = 1;

impl Lowering<'_> {
    /// A comparison of two values, on their difference as it is in fixed point: values within
    /// [`TIE`] units are equal.
    pub(super) fn compare(&mut self, id: NodeId, comparison: Comparison) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let d = self.difference(id, a, b)?;
        Ok(Lowered::Value(self.compared_with_zero(id, d, comparison, true)))
    }

    /// 1 where the comparison of a value with zero holds, 0 elsewhere.
    pub(super) fn compared_with_zero(
        &mut self,
        id: NodeId,
        d: usize,
        comparison: Comparison,
        whole: bool,
    ) -> usize {
        self.plan.fitted = Some(self.setting.scale);
        // Bits for "not less" and for "greater", combined.
        let (not_less, greater) = (-TIE, TIE + 1);
        let (thresholds, factors, offset) = match comparison {
            Comparison::GreaterEqual => (vec![not_less], vec![1], 0),
            Comparison::Less => (vec![not_less], vec![-1], 1),
            Comparison::Greater => (vec![greater], vec![1], 0),
            Comparison::LessEqual => (vec![greater], vec![-1], 1),
            Comparison::Equal => (vec![not_less, greater], vec![1, -1], 0),
            Comparison::NotEqual => (vec![not_less, greater], vec![-1, 1], 1),
        };
        let own = self.setting.scale;
        let shape = self.plan.values[d].shape.clone();
        let mut bits_shape = vec![thresholds.len()];
        bits_shape.extend(&shape);
        let range = Range { low: 0.0, high: 1.0 };
        let bits = PlanValue { extra: -(own as i32), ..self.blank(id, bits_shape, range) };
        let bits = self.step_to(id, plan::compare(thresholds), &[d], bits);
        let one = exp2(own) as i64;
        let op = plan::combine(factors.iter().map(|f| f * one).collect(), vec![offset * one]);
        let node = whole.then_some(id);
        let result = PlanValue { node, exact: Some((0, one)), ..self.blank(id, shape, range) };
        self.step_to(id, op, &[bits], result)
    }

    /// The larger of two, or the smaller: `b + relu(a − b)` and `a − relu(a − b)`.
    pub(super) fn larger(&mut self, id: NodeId, smaller: bool) -> Result<Lowered, Refusal> {
        let (mut a, mut b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        // What is added to must be a value; a constant would be added by one more layer.
        if self.constant(if smaller { a } else { b }).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let d = self.difference(id, a, b)?;
        let shape = self.graph.node(id).shape.clone();
        let range = self.plan.values[d].range;
        let positive = self.step(id, plan::relu(), &[d], shape, range, false);
        let base = self.secret(if smaller { a } else { b })?;
        let base = self.broadcast(id, base);
        let (base, positive) = self.aligned(id, base, positive);
        let op = if smaller { Operation::Sub } else { Operation::Add };
        Ok(Lowered::Value(self.last_value(id, op, &[base, positive])))
    }
}

//! Softmax inside of a graph: `e^(x − largest) · 1/Σ`.

use cryptflow_ring::Movement;

use cryptflow_graph::{Function, NodeId, Range};
use cryptflow_operation::Bounds;

use super::super::plan::{self, Operation, PlanValue};
use super::function::Approximation;
use super::{Lowering, Refusal, column};
use crate::fix::units::exp2;

/// Fractional bits that the terms and their sum have beyond those of activations.
const EXTRA: i32 = 2;

impl Lowering<'_> {
    /// The softmax of a value along its last axis, as the node's value.
    ///
    /// The operands of the exponential are at most zero, where they underflow it is zero; the sum
    /// is from 1 to the number of elements, so that its reciprocal has no pole.
    pub(super) fn softmax_inside(&mut self, id: NodeId, x: usize) -> Result<usize, Refusal> {
        let [rows, n] = self.rows(x)?;
        let scale = self.setting.scale;
        let folded = self.moved(id, Movement::Reshape { shape: vec![rows, n, 1, 1] }, x);
        let largest = self.largest(id, folded, [rows, n, 1]);
        let largest = self.moved(id, Movement::Broadcast { shape: vec![rows, n, 1, 1] }, largest);
        // Never above zero, and no further below than the bounds are apart.
        let value = &self.plan.values[x];
        let (spread, own) = (value.range.high - value.range.low, value.scale(scale));
        let bounds = Bounds { low: -self.bounds[x].apart(), high: 0 };
        let below = self.integers(id, vec![rows, n, 1, 1], bounds, own);
        let below = self.step_to(id, Operation::Sub, &[folded, largest], below);
        let exp = Approximation {
            function: Function::EXP,
            seen: Range { low: -spread.max(0.0), high: 0.0 },
            results: None,
            extra: EXTRA,
            whole: false,
            sound: true,
        };
        let terms = self.approximate(id, below, &exp)?;
        // One term is e^0; what rounding leaves of it is within an eighth.
        let units = exp2(scale.saturating_add_signed(EXTRA));
        let most = n as f64 * 1.125;
        let bounds = Bounds { low: (0.875 * units) as i64, high: (most * units).ceil() as i64 };
        let blank = self.blank(id, vec![rows, 1, 1, 1], Range { low: 0.875, high: most });
        let sum = PlanValue { extra: EXTRA, exact: Some(bounds), ..blank };
        let sum = self.step_to(id, plan::sum_pool([rows, n, 1, 1], column(n)), &[terms], sum);
        let reciprocal = Approximation {
            function: Function::RECIPROCAL,
            seen: Range { low: 0.875, high: most },
            results: None,
            extra: EXTRA + 2,
            whole: false,
            sound: true,
        };
        let reciprocal = self.approximate(id, sum, &reciprocal)?;
        let reciprocal = self.moved(id, Movement::Broadcast { shape: vec![rows, n, 1, 1] }, reciprocal);
        let fraction = Range { low: 0.0, high: 1.0 };
        let one = exp2(scale) as i64;
        let exact = Some(Bounds { low: -one / 8, high: one + one / 8 });
        let product = PlanValue { exact, ..self.blank(id, vec![rows, n, 1, 1], fraction) };
        let product = self.step_to(id, plan::elementwise(rows * n), &[terms, reciprocal], product);
        let shape = self.shape(x);
        Ok(self.step(id, plan::reshape(&shape), &[product], shape, fraction, true))
    }
}

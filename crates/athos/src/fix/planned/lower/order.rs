//! The largest and the smallest over axes; top-k at outputs.

use cryptflow_program::OutputTransform;
use cryptflow_ring::{Movement, Window};

use cryptflow_graph::{NodeId, Range};

use super::super::plan::{PlanOp, PlanValue};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    /// The largest over axes, or the smallest: the negative of the largest of the negatives.
    pub(super) fn extreme(&mut self, id: NodeId, axes: &[usize], smallest: bool) -> Result<Lowered, Refusal> {
        let mut x = self.secret(self.operand(id, 0)?)?;
        if axes.is_empty() {
            return Ok(Lowered::Value(x));
        }
        if smallest {
            x = self.negated(id, x, None);
        }
        let (x, _) = self.gathered_axes(id, x, axes)?;
        let [before, count, _, after] = <[usize; 4]>::try_from(self.plan.values[x].shape.as_slice())
            .map_err(|_| "it does not have four axes".to_string())?;
        let mut y = self.largest(id, x, [before, count, after]);
        if smallest {
            y = self.negated(id, y, None);
        }
        let shape = self.graph.node(id).shape.clone();
        Ok(self.last_step(id, PlanOp::Movement(Movement::Reshape { shape }), &[y]))
    }

    /// The largest of `count` elements along the middle axis of `[before, count, 1, after]`: `[before, 1, 1, after]`.
    pub(super) fn largest(&mut self, id: NodeId, x: usize, [before, count, after]: [usize; 3]) -> usize {
        let window = Window { kernel: [count, 1], stride: [1; 2], dilation: [1; 2], padding: [[0; 2]; 2] };
        let range = self.plan.values[x].range;
        let op = PlanOp::MaxPool([before, count, 1, after], window);
        self.step(id, op, &[x], vec![before, 1, 1, after], range, false)
    }

    /// The negative of a value, exactly; as the node's result where its range is given.
    pub(super) fn negated(&mut self, id: NodeId, x: usize, result: Option<Range>) -> usize {
        let value = self.plan.values[x].clone();
        let (low, high) = self.bounds[x];
        let range = Range { low: -value.range.high, high: -value.range.low };
        let negative = PlanValue {
            node: result.map(|_| id),
            range: result.unwrap_or(range),
            extra: value.extra,
            exact: Some((-high, -low)),
            ..self.blank(id, value.shape, range)
        };
        self.plan.fitted = Some(self.setting.scale);
        self.step_to(id, PlanOp::Combine { factors: vec![-1], offsets: vec![0] }, &[x], negative)
    }

    /// The client sorts what is opened.
    pub(super) fn top_k(
        &mut self,
        id: NodeId,
        axis: usize,
        k: usize,
        largest: bool,
        indices: bool,
    ) -> Result<Lowered, Refusal> {
        let operand = self.operand(id, 0)?;
        // The order of a softmax is that of its operand, but its values are not.
        let value = match self.lowered[operand.0] {
            Lowered::Client(value, OutputTransform::Softmax)
                if indices && axis + 1 == self.plan.values[value].shape.len() =>
            {
                value
            }
            _ => self.secret(operand)?,
        };
        let value = self.at_output(id, value);
        Ok(Lowered::Client(value, OutputTransform::TopK { axis, k, largest, indices }))
    }
}

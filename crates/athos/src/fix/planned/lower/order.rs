//! What is largest along an axis: arg-max and top-k, which are the client's at outputs.

use cryptflow_program::OutputTransform;
use cryptflow_ring::{Movement, Window};

use cryptflow_graph::{NodeId, Order, Range};

use super::super::plan::{self, Operation, PlanValue};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    pub(super) fn order(&mut self, id: NodeId, order: &Order) -> Result<Lowered, Refusal> {
        match *order {
            Order::ArgMax { axis } => self.arg_max(id, axis),
            Order::TopK { axis, k, largest, indices } => self.top_k(id, axis, k, largest, indices),
        }
    }

    /// The largest of `count` elements along the middle axis of `[before, count, 1, after]`:
    /// `[before, 1, 1, after]`.
    pub(super) fn largest(&mut self, id: NodeId, x: usize, [before, count, after]: [usize; 3]) -> usize {
        let window = Window { kernel: [count, 1], stride: [1; 2], dilation: [1; 2], padding: [[0; 2]; 2] };
        let range = self.plan.values[x].range;
        let op = plan::max_pool([before, count, 1, after], window);
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
        self.step_to(id, plan::combine(vec![-1], vec![0]), &[x], negative)
    }

    /// The client sorts what is opened.
    fn top_k(
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

    /// The arg-max of a softmax is that of its operand. The axis becomes the last one.
    fn arg_max(&mut self, id: NodeId, axis: usize) -> Result<Lowered, Refusal> {
        let operand = self.operand(id, 0)?;
        let mut value = match self.lowered[operand.0] {
            Lowered::Client(value, OutputTransform::Softmax) => value,
            _ => {
                let value = self.secret(operand)?;
                self.at_output(id, value)
            }
        };
        let shape = self.plan.values[value].shape.clone();
        if axis >= shape.len() {
            return Err(format!("it has no axis {axis}"));
        }
        if axis + 1 != shape.len() {
            let permutation: Vec<usize> = (0..shape.len()).filter(|&a| a != axis).chain([axis]).collect();
            let shape = permutation.iter().map(|&a| shape[a]).collect();
            let range = self.plan.values[value].range;
            let op = Operation::Movement(Movement::Transpose { permutation });
            value = self.step(id, op, &[value], shape, range, false);
        }
        Ok(Lowered::Client(value, OutputTransform::ArgMax))
    }
}

//! What is largest along an axis: arg-max and top-k, which are the client's at outputs. Ids as one-hot rows are
//! the client's at inputs, see [`super::ids`].

use cryptflow_graph::{Activation, NodeId, Op, Order};
use cryptflow_program::OutputTransform;

use super::super::plan::{self, Limits, PlanValue, Skips};
use super::arithmetic::negative;
use super::precision::{GUARD, VALUE_BITS, headroom};
use super::{Lowered, Lowering, Refusal, column, no_axis};

impl Lowering<'_> {
    /// Layers whose results the client orders, and nobody else uses, get fractional bits to be rounded away.
    pub(super) fn spare(&mut self) {
        let uses = self.graph.uses();
        for &output in &self.graph.outputs {
            let node = self.graph.node(output);
            let ordered = matches!(node.op, Op::Order(_) | Op::Activation(Activation::Softmax));
            let mut at = node.inputs.first().copied().filter(|_| ordered && self.setting.known);
            while let Some(id) = at.filter(|id| uses[id.0].len() == 1) {
                let node = self.graph.node(id);
                let more = self.extra_of(id) + GUARD as i32;
                match &node.op {
                    Op::Linear(_) if headroom(self.range(id), VALUE_BITS, self.setting) >= more => {
                        self.extra[id.0] = more;
                        self.spared.insert(output);
                        break;
                    }
                    Op::Identity | Op::Movement(_) | Op::Activation(Activation::Softmax) => {
                        at = node.inputs.first().copied();
                    }
                    // What else there is has the bits of what it is made of.
                    _ => break,
                }
            }
        }
    }

    pub(super) fn order(&mut self, id: NodeId, order: &Order) -> Result<Lowered, Refusal> {
        match *order {
            Order::ArgMax { axis } => self.arg_max(id, axis),
            Order::TopK { axis, k, largest, indices } => self.top_k(id, axis, k, largest, indices),
            Order::OneHot { classes } => self.one_hot(id, classes),
        }
    }

    /// The largest of `count` elements along the middle axis of `[before, count, 1, after]`:
    /// `[before, 1, 1, after]`.
    pub(super) fn largest(&mut self, id: NodeId, x: usize, along: [usize; 3]) -> usize {
        self.largest_but(id, x, along, Skips::Nothing)
    }

    /// The same, as exact as that.
    pub(super) fn largest_but(
        &mut self,
        id: NodeId,
        x: usize,
        [before, count, after]: [usize; 3],
        skips: Skips,
    ) -> usize {
        let range = self.plan.values[x].range;
        let op = plan::max_pool([before, count, 1, after], column(count), skips);
        self.step(id, op, &[x], vec![before, 1, 1, after], range, false)
    }

    /// The negative of a value, exactly.
    pub(super) fn negated(&mut self, id: NodeId, x: usize) -> usize {
        let value = self.plan.values[x].clone();
        let limits = Limits::Proved(self.bounds[x].negated());
        let blank = self.blank(id, value.shape, negative(value.range));
        let negative = PlanValue { extra: value.extra, limits, ..blank };
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
        Ok(Lowered::Client(value, OutputTransform::TopK { axis, k, largest, indices }))
    }

    /// The arg-max of a softmax is that of its operand. The axis becomes the last one.
    fn arg_max(&mut self, id: NodeId, axis: usize) -> Result<Lowered, Refusal> {
        let operand = self.operand(id, 0)?;
        let value = match self.lowered[operand.0] {
            Lowered::Client(value, OutputTransform::Softmax) => value,
            _ => self.secret(operand)?,
        };
        if axis >= self.plan.values[value].shape.len() {
            return Err(no_axis(axis));
        }
        Ok(Lowered::Client(self.with_axis_last(id, value, axis), OutputTransform::ArgMax))
    }
}

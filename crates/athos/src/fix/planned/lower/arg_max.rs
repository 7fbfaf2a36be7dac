//! Arg-max inside of a graph, and top-k of one: whether each element is as large as the largest, and
//! how many are met before the first of those that are.

use cryptflow_operation::Bounds;
use cryptflow_program::OutputTransform;
use cryptflow_ring::{Movement, Window};

use cryptflow_graph::{Linear, NodeId, Op, Range};

use super::super::plan::{self, Limits, Operation, PlanValue};
use super::{Lowered, Lowering, Refusal, column, malformed};
use crate::fix::units::exp2;

impl Lowering<'_> {
    /// The first index of the largest element of a value along its last axis, as the node's value.
    ///
    /// Elements are compared with the largest of them. Where several are as large, but for what rounding
    /// leads to, their first one is where the number of those that were met is no longer zero.
    pub(super) fn arg_max_inside(&mut self, id: NodeId, x: usize) -> Result<usize, Refusal> {
        let [rows, n] = self.rows(x)?;
        if n == 0 {
            return Err(malformed("there is no largest of no elements"));
        }
        self.plan.fitted = Some(self.setting.scale);
        let folded = vec![rows, n, 1, 1];
        let x = self.moved(id, Movement::Reshape { shape: folded.clone() }, x);
        let largest = self.largest(id, x, [rows, n, 1]);
        let largest = self.moved(id, Movement::Broadcast { shape: folded.clone() }, largest);
        let range = self.plan.values[x].range;
        let limits = Limits::Proved(Bounds { low: -self.bounds[x].apart(), high: 0 });
        let range = Range { low: range.low - range.high, high: 0.0 };
        let extra = self.plan.values[x].extra;
        let below = PlanValue { extra, limits, ..self.blank(id, folded.clone(), range) };
        let below = self.step_to(id, Operation::Sub, &[x, largest], below);
        let (as_large, _) = self.around_zero(below, self.equal(&[self.ordered(id)?], below));
        let as_large = self.flags(id, below, vec![as_large]);

        let as_large = self.moved(id, Movement::Reshape { shape: folded.clone() }, as_large);
        let met = self.integers(id, folded, Bounds { low: 0, high: n as i64 }, 0);
        let so_far = Window { padding: [[n - 1, 0], [0; 2]], ..column(n) };
        let met = self.step_to(id, plan::sum_pool([rows, n, 1, 1], so_far), &[as_large], met);
        let from_there = self.flags(id, met, vec![1]);
        let from_there = self.moved(id, Movement::Reshape { shape: vec![rows, n] }, from_there);
        let from_there = self.moved(id, Movement::Transpose { permutation: vec![1, 0] }, from_there);
        let one = exp2(self.setting.scale) as i64;
        let bounds = Bounds { low: 0, high: (n as i64 - 1) * one };
        let indices = self.integers(id, vec![rows], bounds, self.setting.scale);
        let range = indices.range;
        let op = plan::combine(vec![-one; n], vec![n as i64 * one]);
        let indices = self.step_to(id, op, &[from_there], indices);
        let shape = self.own_shape(id);
        Ok(self.step(id, plan::reshape(&shape), &[indices], shape, range, true))
    }

    /// Units by which equal numbers may be apart that the client orders. Scores of a layer are equal by
    /// chance alone; those of what saturates, or is zero, are.
    pub(super) fn opened_equal(&self, id: NodeId, value: usize) -> u64 {
        let Op::Order(_) = &self.graph.node(id).op else { return 0 };
        let Ok(ordered) = self.ordered(id) else { return 0 };
        let mut made = ordered;
        while let (
            Op::Identity | Op::Movement(_) | Op::Linear(Linear::Scale | Linear::BatchNorm { .. }),
            &[operand, ..],
        ) = (&self.graph.node(made).op, self.graph.node(made).inputs.as_slice())
        {
            made = operand;
        }
        match &self.graph.node(made).op {
            Op::Linear(_) => 0,
            // All others give what saturates, is cut off, or is multiplied with zero.
            _ => {
                self.tie(&[ordered, ordered], value).and_then(|units| u64::try_from(units).ok()).unwrap_or(0)
            }
        }
    }

    /// What a node orders: a softmax has the order of its operand, which is what there is of it.
    fn ordered(&self, id: NodeId) -> Result<NodeId, Refusal> {
        let operand = self.operand(id, 0)?;
        match (&self.lowered[operand.0], self.graph.node(operand).inputs.first()) {
            (Lowered::Client(_, OutputTransform::Softmax), Some(&logits)) => Ok(logits),
            _ => Ok(operand),
        }
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
}

//! Flags: values that are 0 or 1 whatever the input. They are integers, without fractional bits, so
//! that nothing of them is rounded: a unit too much or too little of a flag, times what it stands
//! before, would be any error at all.
//!
//! Two flags are combined by counting: whether their sum reaches 2, or 1. What had to be rounded on
//! its way (a choice between flags) becomes a flag again where it is used, by a comparison with a
//! half.

use cryptflow_graph::{Arithmetic, Graph, NodeId, Op, Order, Reduce, Reduction};
use cryptflow_operation::Bounds;

use super::super::plan::{self, Operation, PlanValue};
use super::arithmetic::uniform;
use super::compare::half;
use super::constant::Sum;
use super::{Lowered, Lowering, Refusal};

/// How two flags are combined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Logic {
    /// 1 where both are.
    And,
    /// 1 where one of them is.
    Or,
}

/// For each node, whether its value is 0 or 1 whatever the input.
pub(super) fn booleans(graph: &Graph) -> Vec<bool> {
    let mut known = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let all = |ids: &[NodeId]| ids.iter().all(|i| known[i.0]);
        known[index] = match &node.op {
            Op::Arithmetic(Arithmetic::Compare(_)) | Op::Order(Order::OneHot { .. }) => true,
            Op::Constant(array) => array.data.iter().all(|&v| v == 0.0 || v == 1.0),
            Op::Arithmetic(Arithmetic::Mul | Arithmetic::Maximum | Arithmetic::Minimum)
            | Op::Identity
            | Op::Movement(_)
            | Op::Reduce(Reduce { kind: Reduction::Max | Reduction::Min, .. }) => all(&node.inputs),
            Op::Arithmetic(Arithmetic::Select) => all(node.inputs.get(1..).unwrap_or(&[])),
            Op::Arithmetic(Arithmetic::Sub) => {
                let one = node.inputs.first().and_then(|&i| graph.constant(i));
                one.is_some_and(|c| c.data.iter().all(|&v| v == 1.0)) && all(&node.inputs)
            }
            // What is not known to be a flag is compared with zero, which is right whatever it is.
            _ => false,
        };
    }
    known
}

impl Lowering<'_> {
    /// Whether a value consists of integers, none of them rounded.
    pub(super) fn is_whole(&self, x: usize) -> bool {
        self.plan.values[x].scale(self.setting.scale) == 0
    }

    fn is_flag(&self, x: usize) -> bool {
        let Bounds { low, high } = self.bounds[x];
        self.is_whole(x) && low >= 0 && high <= 1
    }

    /// A secret operand as exact flags; none where it may be something else.
    pub(super) fn flag(&mut self, operand: NodeId) -> Result<Option<usize>, Refusal> {
        if !self.booleans[operand.0] {
            return Ok(None);
        }
        let x = self.secret(operand)?;
        if self.is_flag(x) {
            return Ok(Some(x));
        }
        let flag = self.cleared(operand, x);
        // Whoever else asks for it finds it.
        self.lowered[operand.0] = Lowered::Value(flag);
        Ok(Some(flag))
    }

    /// What is about 0 or about 1, as flags.
    fn cleared(&mut self, id: NodeId, x: usize) -> usize {
        let half = half(self.plan.values[x].scale(self.setting.scale));
        let bits = self.flags(id, x, vec![half]);
        self.counted(id, bits, self.shape(x), vec![1], 0, true)
    }

    /// `Σ factors · bits + offset` along the first axis, which is a flag.
    pub(super) fn counted(
        &mut self,
        id: NodeId,
        bits: usize,
        shape: Vec<usize>,
        factors: Vec<i64>,
        offset: i64,
        whole: bool,
    ) -> usize {
        self.plan.fitted = Some(self.setting.scale);
        let result = self.integers(id, shape, Bounds { low: 0, high: 1 }, 0);
        let result = PlanValue { node: whole.then_some(id), ..result };
        self.step_to(id, plan::combine(factors, vec![offset]), &[bits], result)
    }

    /// Two operands combined, where both are flags.
    pub(super) fn logic(&mut self, id: NodeId, logic: Logic) -> Result<Option<Lowered>, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        if !(self.booleans[a.0] && self.booleans[b.0]) {
            return Ok(None);
        }
        let (secret, constant) = match (self.constant(a).cloned(), self.constant(b).cloned()) {
            (Some(c), _) => (b, Some(c)),
            (None, c) => (a, c),
        };
        let Some(x) = self.flag(secret)? else { return Ok(None) };
        let x = self.broadcast(id, x);
        // Those of the model stay secret, unless they are all the same.
        let sum = match constant {
            Some(c) => match uniform(&c) {
                Some(all) => {
                    let neutral = if logic == Logic::And { 1.0 } else { 0.0 };
                    let (factor, offset) = if all == neutral { (1, 0) } else { (0, i64::from(all != 0.0)) };
                    let flag = self.counted(id, x, self.own_shape(id), vec![factor], offset, true);
                    return Ok(Some(Lowered::Value(flag)));
                }
                None => self.exact_sum_with(id, x, &c, Sum::Plus)?,
            },
            None => {
                let Some(y) = self.flag(b)? else { return Ok(None) };
                let y = self.broadcast(id, y);
                let sum = self.integers(id, self.own_shape(id), Bounds { low: 0, high: 2 }, 0);
                self.step_to(id, Operation::Add, &[x, y], sum)
            }
        };
        let least = if logic == Logic::And { 2 } else { 1 };
        let bits = self.flags(id, sum, vec![least]);
        let flag = self.counted(id, bits, self.own_shape(id), vec![1], 0, true);
        Ok(Some(Lowered::Value(flag)))
    }

    /// A value that can hold this number beside its own: integers get fractional bits for it.
    pub(super) fn holding(&mut self, id: NodeId, x: usize, number: f64) -> usize {
        if self.is_whole(x) && number.fract() != 0.0 {
            return self.with_fraction(id, x);
        }
        x
    }

    /// A value with fractional bits: integers get as many as activations have.
    pub(super) fn with_fraction(&mut self, id: NodeId, x: usize) -> usize {
        if self.is_whole(x) { self.raised(id, x, 0) } else { x }
    }
}

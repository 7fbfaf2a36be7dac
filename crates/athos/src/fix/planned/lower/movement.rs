//! Movements: a step each, except behind a softmax that the client applies.

use cryptflow_program::OutputTransform;
use cryptflow_ring::Movement;

use cryptflow_graph::NodeId;

use super::super::plan::Operation;
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    pub(super) fn movement(&mut self, id: NodeId, movement: &Movement) -> Result<Lowered, Refusal> {
        let operands = self.graph.node(id).inputs.clone();
        // The client may reshape what it has applied softmax to, as long as the classes stay the
        // last axis, and nothing but outputs see the result.
        if let ([only], Movement::Reshape { shape }) = (operands.as_slice(), movement)
            && let Lowered::Client(value, OutputTransform::Softmax) = self.lowered[only.0]
        {
            let last = |s: &[usize]| s.last().copied();
            if last(shape) != last(&self.plan.values[value].shape) {
                let inside = self.secret(*only)?;
                return Ok(self.last_step(id, Operation::Movement(movement.clone()), &[inside]));
            }
            let range = self.plan.values[value].range;
            let op = Operation::Movement(movement.clone());
            let y = self.step(id, op, &[value], shape.clone(), range, false);
            return Ok(Lowered::Client(y, OutputTransform::Softmax));
        }
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            values.push(self.secret(operand)?);
        }
        if let [first, rest @ ..] = values.as_mut_slice() {
            for other in &mut *rest {
                (*first, *other) = self.aligned(id, *first, *other);
            }
            for other in rest {
                (_, *other) = self.aligned(id, *first, *other);
            }
        }
        Ok(self.last_step(id, Operation::Movement(movement.clone()), &values))
    }
}

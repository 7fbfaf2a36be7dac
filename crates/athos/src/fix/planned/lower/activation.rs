//! Activations: those that the protocols know; softmax is the client's at an output.

use cryptflow_program::OutputTransform;

use cryptflow_graph::{Activation, NodeId};
use cryptflow_operation::Rectifier;

use super::super::plan::{self, Skips};
use super::{Lowered, Lowering, Refusal, malformed};

impl Lowering<'_> {
    pub(super) fn activation(&mut self, id: NodeId, activation: &Activation) -> Result<Lowered, Refusal> {
        let operand = self.operand(id, 0)?;
        match activation {
            Activation::Relu => {
                let x = self.secret(operand)?;
                Ok(self.last_step(id, plan::activation(Rectifier::Relu, Skips::LikeRounding), &[x]))
            }
            Activation::ClippedRelu { limit } if *limit > 0.0 => {
                let x = self.secret(operand)?;
                let x = self.holding(id, x, (*limit).into());
                Ok(self.last_step(
                    id,
                    plan::activation(Rectifier::ClippedRelu { limit: (*limit).into() }, Skips::LikeRounding),
                    &[x],
                ))
            }
            Activation::ClippedRelu { limit } => Err(malformed(format!("its limit {limit} is not positive"))),
            Activation::Softmax => {
                let x = self.secret(operand)?;
                Ok(Lowered::Client(x, OutputTransform::Softmax))
            }
            // The client knows no masks: the parties compute it at an output, too.
            Activation::MaskedSoftmax => self.masked_softmax(id),
        }
    }
}

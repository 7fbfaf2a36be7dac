//! Sums, differences, products and quotients: of secret values, and of a secret value with a constant.

use cryptflow_ring::Movement;

use crate::graph::{Array, NodeId, Op};

use super::super::plan::PlanOp;
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    pub(super) fn arithmetic(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let op = self.graph.node(id).op.clone();
        match (self.constant(a).cloned(), self.constant(b).cloned()) {
            (None, None) => self.of_secrets(id, &op, a, b),
            (None, Some(c)) => {
                let x = self.secret(a)?;
                let ones = |c: &Array, v: f32| vec![v; c.data.len()];
                let (factor, offset) = match op {
                    Op::Add => (ones(&c, 1.0), Some(reals(&c, 1.0))),
                    Op::Sub => (ones(&c, 1.0), Some(reals(&c, -1.0))),
                    Op::Mul => (c.data.to_vec(), None),
                    _ => (inverse(&c)?, None),
                };
                self.with_constant(id, x, b, &c.shape, factor, offset)
            }
            (Some(c), _) => {
                let x = self.secret(b)?;
                let ones = |v: f32| vec![v; c.data.len()];
                let (factor, offset) = match op {
                    Op::Add => (ones(1.0), Some(reals(&c, 1.0))),
                    Op::Sub => (ones(-1.0), Some(reals(&c, 1.0))),
                    Op::Mul => (c.data.to_vec(), None),
                    _ => return Err("it divides by a secret value".into()),
                };
                self.with_constant(id, x, a, &c.shape, factor, offset)
            }
        }
    }

    fn of_secrets(&mut self, id: NodeId, op: &Op, a: NodeId, b: NodeId) -> Result<Lowered, Refusal> {
        let op = match op {
            Op::Add => PlanOp::Add,
            Op::Sub => PlanOp::Sub,
            Op::Mul => return Err("it multiplies two secret tensors; one of them must be a constant".into()),
            _ => return Err("it divides by a secret value".into()),
        };
        let x = self.secret(a)?;
        let x = self.broadcast(id, x);
        let y = self.secret(b)?;
        let y = self.broadcast(id, y);
        Ok(self.last_step(id, op, &[x, y]))
    }

    /// A value in the shape of a node's result.
    fn broadcast(&mut self, id: NodeId, x: usize) -> usize {
        let shape = self.graph.node(id).shape.clone();
        if self.plan.values[x].shape == shape {
            return x;
        }
        let range = self.plan.values[x].range;
        let op = PlanOp::Movement(Movement::Broadcast { shape: shape.clone() });
        self.step(id, op, &[x], shape, range, false)
    }

    /// `x * factor + offset` for tensors of the shape `constant` that are broadcast against x.
    fn with_constant(
        &mut self,
        id: NodeId,
        x: usize,
        constant_id: NodeId,
        constant: &[usize],
        factor: Vec<f32>,
        offset: Option<Vec<f64>>,
    ) -> Result<Lowered, Refusal> {
        let x = self.broadcast(id, x);
        let shape = self.plan.values[x].shape.clone();
        // The constant spans the axes from the first one along which it varies; before that it is repeated.
        let missing = shape.len().saturating_sub(constant.len());
        let lead =
            constant.iter().position(|&d| d != 1).map_or(shape.len().saturating_sub(1), |at| missing + at);
        let span = shape.get(lead..).unwrap_or(&[]).to_vec();
        let own: Vec<usize> = constant.iter().copied().skip(lead.saturating_sub(missing)).collect();
        let repeat = Movement::Broadcast { shape: span };
        let failed = |e: cryptflow_ring::GeometryError| e.to_string();
        let factor = repeat.apply(&[(&own, &factor)]).map_err(failed)?;
        let offset = offset.map(|o| repeat.apply(&[(&own, &o)])).transpose().map_err(failed)?;
        let name = self.graph.node(constant_id).name.clone();
        let (y, _) = self.diagonal(id, x, factor, offset, Some(name));
        Ok(Lowered::Value(y))
    }
}

fn reals(c: &Array, sign: f64) -> Vec<f64> {
    c.data.iter().map(|&v| f64::from(v) * sign).collect()
}

fn inverse(c: &Array) -> Result<Vec<f32>, Refusal> {
    if c.data.contains(&0.0) {
        return Err("it divides by zero".into());
    }
    Ok(c.data.iter().map(|&v| (1.0 / f64::from(v)) as f32).collect())
}

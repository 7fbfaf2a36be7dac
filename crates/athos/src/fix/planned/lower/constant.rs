//! Constants of the model as secret values, and sums with them. Nothing is shifted out of them: what
//! they are added to gets no error of a truncation, so that equal values stay equal.

use cryptflow_graph::{Array, NodeId};
use cryptflow_operation::Bounds;

use super::super::plan::{self, Limits, Operation, PlanValue};
use super::arithmetic::{difference, extremes, negative, within_fixed_point};
use super::precision::{STEEP_BITS, headroom};
use super::{Lowered, Lowering, Refusal};
use crate::fix::units::exp2;

/// A sum with a constant of the model.
#[derive(Clone, Copy)]
pub(super) enum Sum {
    /// `x + c`
    Plus,
    /// `x − c`
    Minus,
    /// `c − x`
    From,
}

impl Lowering<'_> {
    /// A constant as the secret value of a node.
    pub(super) fn secret_constant(&mut self, id: NodeId, array: &Array) -> Result<usize, Refusal> {
        self.shared_constant(id, array, 0, true)
    }

    /// A constant with so many fractional bits beyond those of activations.
    fn shared_constant(
        &mut self,
        id: NodeId,
        array: &Array,
        extra: i32,
        whole: bool,
    ) -> Result<usize, Refusal> {
        within_fixed_point(array)?;
        let flat = vec![array.data.len()];
        let bias = array.data.iter().map(|&v| v.into()).collect();
        let node = |whole: bool| whole.then_some(id);
        let is_flat = array.shape == flat;
        let blank = self.blank(id, flat, extremes(array).with_zero());
        let value = PlanValue { node: node(whole && is_flat), extra, ..blank };
        let value = self.step_to(id, plan::linear(Vec::new(), Some(bias)), &[], value);
        if is_flat {
            return Ok(value);
        }
        let range = self.plan.values[value].range;
        Ok(self.step(id, plan::reshape(&array.shape), &[value], array.shape.clone(), range, whole))
    }

    /// A value and a constant at the same scale, in the shape of the node's result. Integers stay
    /// what they are beside integers.
    fn beside(&mut self, id: NodeId, x: usize, constant: &Array) -> Result<(usize, usize), Refusal> {
        let x = self.broadcast(id, x);
        let whole = self.is_whole(x) && constant.data.iter().all(|v| v.fract() == 0.0);
        let x = if whole {
            x
        } else {
            // A small number, too, must be told from zero where a function of its sum is steep.
            let fits = headroom(self.plan.values[x].range, STEEP_BITS, self.setting).max(0);
            let extra = self.extra_of(id).min(fits);
            self.raised(id, x, extra)
        };
        let extra = self.plan.values[x].extra;
        let c = self.shared_constant(id, constant, extra, false)?;
        Ok((x, self.broadcast(id, c)))
    }

    /// A sum with a constant, as the node's result.
    pub(super) fn sum_with(
        &mut self,
        id: NodeId,
        x: usize,
        constant: &Array,
        sum: Sum,
    ) -> Result<Lowered, Refusal> {
        let (x, c) = self.beside(id, x, constant)?;
        Ok(match sum {
            Sum::Plus => self.last_step(id, Operation::Add, &[x, c]),
            Sum::Minus => self.last_step(id, Operation::Sub, &[x, c]),
            Sum::From => self.last_step(id, Operation::Sub, &[c, x]),
        })
    }

    /// The same, not as the node's result: its bounds are those that it cannot leave.
    pub(super) fn exact_sum_with(
        &mut self,
        id: NodeId,
        x: usize,
        constant: &Array,
        sum: Sum,
    ) -> Result<usize, Refusal> {
        let (x, c) = self.beside(id, x, constant)?;
        self.plan.fitted = Some(self.setting.scale);
        let value = self.plan.values[x].clone();
        let real = extremes(constant);
        let unit = exp2(value.scale(self.setting.scale));
        let public =
            Bounds { low: (real.low * unit).round() as i64, high: (real.high * unit).round() as i64 };
        let own = self.bounds[x];
        let (op, operands, bounds, range) = match sum {
            Sum::Plus => (Operation::Add, [x, c], own.plus(public), difference(value.range, negative(real))),
            Sum::Minus => (Operation::Sub, [x, c], own.minus(public), difference(value.range, real)),
            Sum::From => (Operation::Sub, [c, x], public.minus(own), difference(real, value.range)),
        };
        let result = PlanValue { limits: Limits::Proved(bounds), node: None, range, ..value };
        Ok(self.step_to(id, op, &operands, result))
    }
}

//! Constants of the model as secret values, and sums with them. Nothing is shifted out of them: what
//! they are added to gets no error of a truncation, so that equal values stay equal.

use cryptflow_graph::{Array, NodeId, Range};
use cryptflow_operation::Bounds;

use super::super::bounds::own_bounds;
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

    /// A sum with a constant, as the node's result. Its bounds are those that it cannot leave, where they
    /// take no more bits than those of what was seen of it.
    pub(super) fn sum_with(
        &mut self,
        id: NodeId,
        x: usize,
        constant: &Array,
        sum: Sum,
    ) -> Result<Lowered, Refusal> {
        let Exactly { op, operands, bounds, extra, .. } = self.exactly(id, x, constant, sum)?;
        let blank = PlanValue { node: Some(id), extra, ..self.blank(id, self.own_shape(id), self.range(id)) };
        let seen = own_bounds(&blank, self.setting.scale, self.setting.margin);
        let bits = |bounds: Bounds| bounds.magnitude().max(1).ilog2();
        let limits = if bits(bounds) <= bits(seen) { Limits::Proved(bounds) } else { Limits::Seen };
        Ok(Lowered::Value(self.step_to(id, op, &operands, PlanValue { limits, ..blank })))
    }

    /// The same, not as the node's result: its bounds are those that it cannot leave.
    pub(super) fn exact_sum_with(
        &mut self,
        id: NodeId,
        x: usize,
        constant: &Array,
        sum: Sum,
    ) -> Result<usize, Refusal> {
        let Exactly { op, operands, bounds, extra, range } = self.exactly(id, x, constant, sum)?;
        let shape = self.shape(operands[0]);
        let result = PlanValue { extra, limits: Limits::Proved(bounds), ..self.blank(id, shape, range) };
        Ok(self.step_to(id, op, &operands, result))
    }

    /// A sum with a constant, and what it cannot leave.
    fn exactly(&mut self, id: NodeId, x: usize, constant: &Array, sum: Sum) -> Result<Exactly, Refusal> {
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
        Ok(Exactly { op, operands, bounds, extra: value.extra, range })
    }
}

/// A step that rounds nothing.
struct Exactly {
    op: Operation,
    operands: [usize; 2],
    /// What its result cannot leave.
    bounds: Bounds,
    /// Its fractional bits beyond those of activations.
    extra: i32,
    range: Range,
}

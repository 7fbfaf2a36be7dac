//! Products of two secret values: element by element, and of matrices.

use cryptflow_ring::{LinearMap, Movement};

use cryptflow_graph::{NodeId, Range};

use super::super::plan::{self, Operation, PlanValue};
use super::constant::Sum;
use super::linear::{Target, matrices};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    /// `a · b` of two secrets, broadcast to the node's shape.
    pub(super) fn mul_secrets(&mut self, id: NodeId, a: NodeId, b: NodeId) -> Result<Lowered, Refusal> {
        let mut factors = [0; 2];
        for (factor, operand) in factors.iter_mut().zip([a, b]) {
            // A flag that is one: what it is multiplied with may be large.
            let flag = self.flag(operand)?;
            let x = flag.map_or_else(|| self.secret(operand), Ok)?;
            *factor = self.broadcast(id, x);
        }
        let [x, y] = factors;
        Ok(Lowered::Value(self.product_of(id, x, y, self.extra_of(id), self.range(id), true)))
    }

    /// The product of two values of the same shape, element by element.
    pub(super) fn product_of(
        &mut self,
        id: NodeId,
        x: usize,
        y: usize,
        extra: i32,
        range: Range,
        whole: bool,
    ) -> usize {
        // What a product shifts out is fractional bits of its operands.
        let (x, y) = (self.with_fraction(id, x), self.with_fraction(id, y));
        let shape = self.shape(x);
        let op = plan::elementwise(shape.iter().product());
        self.secret_product(id, op, [x, y], shape, Target { range, extra, whole })
    }

    fn secret_product(
        &mut self,
        id: NodeId,
        op: Operation,
        [x, y]: [usize; 2],
        shape: Vec<usize>,
        to: Target,
    ) -> usize {
        let scale = self.setting.scale;
        // A product shifts out a bit at least.
        let both = self.plan.values[x].scale(scale) + self.plan.values[y].scale(scale);
        let extra = to.extra.min(both as i32 - 1 - scale as i32);
        let value = PlanValue { node: to.whole.then_some(id), extra, ..self.blank(id, shape, to.range) };
        self.step_to(id, op, &[x, y], value)
    }

    /// A matrix product, or one for each matrix of the leading axes, of two secrets.
    pub(super) fn matmul_secrets(&mut self, id: NodeId, ta: bool, tb: bool) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let x = self.secret(a)?;
        let x = if ta { self.last_two_swapped(id, x) } else { x };
        let y = self.secret(b)?;
        let y = if tb { self.last_two_swapped(id, y) } else { y };
        let (x, y) = (self.with_fraction(id, x), self.with_fraction(id, y));
        let right = &self.plan.values[y].shape;
        let (batch, [rows, inner]) = matrices(&self.plan.values[x].shape)?;
        let (_, [_, columns]) = matrices(right)?;
        let map = match (right.len() == 2, batch) {
            (true, _) => LinearMap::MatMul { rows: batch * rows, inner, columns },
            (false, 1) => LinearMap::MatMul { rows, inner, columns },
            (false, batch) => LinearMap::BatchMatMul { batch, rows, inner, columns },
        };
        let bias =
            if self.has_bias(id) { Some(self.known(id, 2, "its bias is not a constant")?.1) } else { None };
        let to = self.own_target(id, bias.is_none());
        if bias.is_none()
            && let Some(product) = self.divided_last(id, [x, y], &map, &to)
        {
            return Ok(Lowered::Value(product));
        }
        let product = self.secret_product(id, plan::product(map), [x, y], self.own_shape(id), to);
        match bias {
            None => Ok(Lowered::Value(product)),
            Some(bias) => self.sum_with(id, product, &bias, Sum::Plus),
        }
    }

    /// A value with its last two axes exchanged.
    pub(super) fn last_two_swapped(&mut self, id: NodeId, x: usize) -> usize {
        let rank = self.plan.values[x].shape.len();
        let mut permutation: Vec<usize> = (0..rank).collect();
        permutation.swap(rank - 1, rank - 2);
        self.moved(id, Movement::Transpose { permutation }, x)
    }
}

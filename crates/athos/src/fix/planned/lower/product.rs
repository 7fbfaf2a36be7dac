//! Products of two secret values: element by element, and of matrices.

use cryptflow_ring::{LinearMap, Movement};

use cryptflow_graph::{NodeId, Range};

use super::super::plan::{self, PlanValue};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    /// `a · b` of two secrets, broadcast to the node's shape.
    pub(super) fn mul_secrets(&mut self, id: NodeId, a: NodeId, b: NodeId) -> Result<Lowered, Refusal> {
        let x = self.secret(a)?;
        let x = self.broadcast(id, x);
        let y = self.secret(b)?;
        let y = self.broadcast(id, y);
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
        let shape = self.plan.values[x].shape.clone();
        let map = LinearMap::Scale { rows: 1, channels: shape.iter().product() };
        self.secret_product(id, map, x, y, extra, range, (shape, whole))
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one product")]
    fn secret_product(
        &mut self,
        id: NodeId,
        map: LinearMap,
        x: usize,
        y: usize,
        extra: i32,
        range: Range,
        (shape, whole): (Vec<usize>, bool),
    ) -> usize {
        let scale = self.setting.scale;
        // A product shifts out a bit at least.
        let both = self.plan.values[x].scale(scale) + self.plan.values[y].scale(scale);
        let extra = extra.min(both as i32 - 1 - scale as i32);
        let value = PlanValue { node: whole.then_some(id), extra, ..self.blank(id, shape, range) };
        self.step_to(id, plan::product(map), &[x, y], value)
    }

    /// A matrix product, or one for each matrix of the leading axes, of two secrets.
    pub(super) fn matmul_secrets(&mut self, id: NodeId, ta: bool, tb: bool) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let x = self.secret(a)?;
        let x = if ta { self.last_two_swapped(id, x) } else { x };
        let y = self.secret(b)?;
        let y = if tb { self.last_two_swapped(id, y) } else { y };
        let (left, right) = (self.plan.values[x].shape.clone(), self.plan.values[y].shape.clone());
        let (Some((before, &[rows, inner])), Some((others, &[_, columns]))) =
            (left.split_last_chunk::<2>(), right.split_last_chunk::<2>())
        else {
            return Err("its operands are not matrices".into());
        };
        let batch: usize = before.iter().product();
        let map = match (others.is_empty(), batch) {
            (true, _) => LinearMap::MatMul { rows: batch * rows, inner, columns },
            (false, 1) => LinearMap::MatMul { rows, inner, columns },
            (false, batch) => LinearMap::BatchMatMul { batch, rows, inner, columns },
        };
        let shape = self.graph.node(id).shape.clone();
        let (extra, range) = (self.extra_of(id), self.range(id));
        let product = self.secret_product(id, map, x, y, extra, range, (shape, !self.has_bias(id)));
        if !self.has_bias(id) {
            return Ok(Lowered::Value(product));
        }
        let bias = self.bias(id, 2)?.unwrap_or_default();
        let ones = vec![1.0; bias.len()];
        let (y, _) = self.diagonal(id, product, ones, Some(bias), None);
        Ok(Lowered::Value(y))
    }

    /// A value with its last two axes exchanged.
    pub(super) fn last_two_swapped(&mut self, id: NodeId, x: usize) -> usize {
        let rank = self.plan.values[x].shape.len();
        let mut permutation: Vec<usize> = (0..rank).collect();
        permutation.swap(rank - 1, rank - 2);
        self.moved(id, Movement::Transpose { permutation }, x)
    }
}

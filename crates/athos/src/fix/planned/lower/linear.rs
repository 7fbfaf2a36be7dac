//! Convolutions, matrix products, and diagonal layers.

use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

use cryptflow_graph::operations::normalisation;
use cryptflow_graph::{Array, Linear, NodeId, Range};

use super::super::plan::{self, LinearTerm, Operation, PlanValue};
use super::arithmetic::reals;
use super::{Lowered, Lowering, Refusal, malformed};

/// The most layers that one node becomes.
const MOST_LAYERS: usize = 64;

/// What a layer's result is.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) range: Range,
    /// Fractional bits beyond those of activations.
    pub(super) extra: i32,
    /// Whether it is the node's result.
    pub(super) whole: bool,
}

impl Lowering<'_> {
    pub(super) fn linear(&mut self, id: NodeId, linear: &Linear) -> Result<Lowered, Refusal> {
        match linear {
            Linear::Conv2d { window, groups } => self.conv(id, window, *groups),
            Linear::MatMul { transpose_a, transpose_b } => self.matmul(id, *transpose_a, *transpose_b),
            Linear::BatchNorm { epsilon } => self.batch_norm(id, *epsilon),
            Linear::Scale => self.scale(id),
        }
    }

    fn conv(&mut self, id: NodeId, window: &Window, groups: usize) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let (filter_id, filter) = self.known(id, 1, "its filter is not a constant")?;
        let bias = self.bias(id, 2)?;
        let [batch, height, width, in_channels] = four_axes(&self.plan.values[x].shape)?;
        let [_, _, _, out_channels] = four_axes(&filter.shape)?;
        let conv = Conv2d {
            batch,
            input: [height, width],
            in_channels,
            out_channels,
            groups,
            window: window.clone(),
        };
        let weight = self.weight_of(filter_id, filter.shape.clone(), filter.data);
        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::Conv2d(conv) }];
        let to = self.own_target(id, true);
        Ok(Lowered::Value(self.layer(id, plan::linear(terms, bias), x, self.own_shape(id), to)))
    }

    fn matmul(&mut self, id: NodeId, ta: bool, tb: bool) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        match (self.constant(a).cloned(), self.constant(b).cloned()) {
            (None, None) => self.matmul_secrets(id, ta, tb),
            (Some(weights), _) if self.graph.node(b).shape.len() > 2 || weights.shape.len() > 2 => {
                self.matmul_apart(id, &weights, true, [ta, tb])
            }
            (_, Some(weights)) if weights.shape.len() > 2 => self.matmul_apart(id, &weights, false, [ta, tb]),
            (_, Some(weights)) => {
                let mut x = self.secret(a)?;
                if ta {
                    x = self.last_two_swapped(id, x);
                }
                let bias = self.bias(id, 2)?;
                let out = self.own_shape(id);
                let y = self.product(id, x, b, weights, tb, bias, out, true)?;
                Ok(Lowered::Value(y))
            }
            // a · x is the transpose of xᵀ · aᵀ.
            (Some(weights), None) => {
                if self.has_bias(id) {
                    return Err(Refusal::Missing("it has a bias, and its constant is on the left".into()));
                }
                let mut x = self.secret(b)?;
                if !tb {
                    x = self.last_two_swapped(id, x);
                }
                let mut out = self.own_shape(id);
                out.reverse();
                let y = self.product(id, x, a, weights, !ta, None, out, false)?;
                let op = Operation::Movement(Movement::Transpose { permutation: vec![1, 0] });
                Ok(self.last_step(id, op, &[y]))
            }
        }
    }

    /// `x · w` (w read transposed on demand) plus a bias.
    #[allow(clippy::too_many_arguments, reason = "the parts of one matrix product")]
    fn product(
        &mut self,
        id: NodeId,
        x: usize,
        weight_id: NodeId,
        w: Array,
        transposed: bool,
        bias: Option<Vec<f64>>,
        out: Vec<usize>,
        whole: bool,
    ) -> Result<usize, Refusal> {
        let [first, second] = <[usize; 2]>::try_from(w.shape.as_slice())
            .map_err(|_| malformed("its constant is not a matrix"))?;
        let (inner, columns) = if transposed { (second, first) } else { (first, second) };
        let data = if transposed {
            Movement::Transpose { permutation: vec![1, 0] }.apply(&[(&w.shape, &w.data)])?.into()
        } else {
            w.data
        };
        let rows = self.plan.values[x].shape.split_last().map_or(1, |(_, rows)| rows.iter().product());
        let weight = self.weight_of(weight_id, vec![inner, columns], data);
        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::MatMul { rows, inner, columns } }];
        let to = self.own_target(id, whole);
        Ok(self.layer(id, plan::linear(terms, bias), x, out, to))
    }

    /// The node's own range and precision.
    pub(super) fn own_target(&self, id: NodeId, whole: bool) -> Target {
        Target { range: self.range(id), extra: self.extra_of(id), whole }
    }

    /// A linear step on one value.
    fn layer(&mut self, id: NodeId, op: Operation, x: usize, shape: Vec<usize>, to: Target) -> usize {
        let node = to.whole.then_some(id);
        self.step_to(id, op, &[x], PlanValue { node, extra: to.extra, ..self.blank(id, shape, to.range) })
    }

    /// Products with a constant that has a matrix for each of the leading axes, or that stands on
    /// the left of several: one layer for each matrix.
    fn matmul_apart(
        &mut self,
        id: NodeId,
        weights: &Array,
        left: bool,
        [ta, tb]: [bool; 2],
    ) -> Result<Lowered, Refusal> {
        if self.has_bias(id) {
            let reason = "it has a bias, and a constant with a matrix for each of the leading axes";
            return Err(Refusal::Missing(reason.into()));
        }
        let (constant_at, value_at) = if left { (0, 1) } else { (1, 0) };
        let (constant_id, operand) = (self.operand(id, constant_at)?, self.operand(id, value_at)?);
        let mut x = self.secret(operand)?;
        // As x · w; a constant on the left is transposed, and so are x and the result.
        let (swap, transposed) = if left { (!tb, !ta) } else { (ta, tb) };
        if swap {
            x = self.last_two_swapped(id, x);
        }
        let (batch, [rows, inner]) = matrices(&self.plan.values[x].shape)?;
        let (_, matrix) = matrices(&weights.shape)?;
        if batch > MOST_LAYERS {
            let reason = format!("it has {batch} matrices of constants, and {MOST_LAYERS} are the most");
            return Err(Refusal::Missing(reason.into()));
        }
        let x = self.moved(id, Movement::Reshape { shape: vec![batch, rows, inner] }, x);
        let columns = if transposed { matrix[0] } else { matrix[1] };
        let size = matrix[0] * matrix[1];
        let mut parts = Vec::with_capacity(batch);
        for i in 0..batch {
            let slice =
                Movement::Slice { begin: vec![i, 0, 0], size: vec![1, rows, inner], stride: vec![1; 3] };
            let part = self.moved(id, slice, x);
            let start = if weights.shape.len() > 2 { i * size } else { 0 };
            let data = weights.data.get(start..start + size).unwrap_or_default().to_vec();
            let w = Array::new(matrix.to_vec(), data)?;
            let shape = vec![1, rows, columns];
            parts.push(self.product(id, part, constant_id, w, transposed, None, shape, false)?);
        }
        let range = self.range(id);
        let all = vec![batch, rows, columns];
        let concat = Operation::Movement(Movement::Concat { axis: 0 });
        let mut y = self.step(id, concat, &parts, all, range, false);
        if left {
            y = self.last_two_swapped(id, y);
        }
        Ok(self.reshaped(id, y))
    }

    pub(super) fn has_bias(&self, id: NodeId) -> bool {
        self.graph.node(id).inputs.len() > 2
    }

    fn batch_norm(&mut self, id: NodeId, epsilon: f32) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let vector = |index| self.known(id, index, "its statistics are not constants");
        let [gamma, beta, mean, variance] = [vector(1)?.1, vector(2)?.1, vector(3)?.1, vector(4)?.1];
        let (factor, offset) = normalisation(&gamma.data, &beta.data, &mean.data, &variance.data, epsilon);
        Ok(self.diagonal(id, x, factor, offset.into_iter().map(f64::from).collect()))
    }

    fn scale(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let vector = |index| self.known(id, index, "its factors are not constants");
        let (factor, offset) = (vector(1)?.1, vector(2)?.1);
        Ok(self.diagonal(id, x, factor.data.to_vec(), reals(&offset, 1.0)))
    }

    /// `x * factor + offset`, both repeated along the leading axes, as the node's result.
    pub(super) fn diagonal(&mut self, id: NodeId, x: usize, factor: Vec<f32>, offset: Vec<f64>) -> Lowered {
        Lowered::Value(self.diagonal_to(id, x, factor, Some(offset), id, self.own_target(id, true)))
    }

    /// The same, with a result that need not be the node's; reshapes where they span more than the
    /// last axis. The weight is called after `named`.
    pub(super) fn diagonal_to(
        &mut self,
        id: NodeId,
        x: usize,
        factor: Vec<f32>,
        offset: Option<Vec<f64>>,
        named: NodeId,
        to: Target,
    ) -> usize {
        let shape = self.shape(x);
        let channels = factor.len();
        let rows = shape.iter().product::<usize>() / channels.max(1);
        let weight = self.weight(&self.graph.node(named).name, vec![channels], factor);
        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::Scale { rows, channels } }];
        let op = plan::linear(terms, offset);
        if shape.last() == Some(&channels) {
            return self.layer(id, op, x, shape, to);
        }
        let flat = vec![rows, channels];
        let from = self.plan.values[x].range;
        let x = self.step(id, plan::reshape(&flat), &[x], flat.clone(), from, false);
        let y = self.layer(id, op, x, flat, Target { whole: false, ..to });
        self.step(id, plan::reshape(&shape), &[y], shape, to.range, to.whole)
    }

    /// A constant operand, and the node that it is.
    pub(super) fn known(
        &self,
        id: NodeId,
        index: usize,
        why: &'static str,
    ) -> Result<(NodeId, Array), Refusal> {
        let operand = self.operand(id, index)?;
        let array = self.constant(operand).cloned().ok_or(Refusal::NotConstant(why))?;
        Ok((operand, array))
    }

    pub(super) fn bias(&self, id: NodeId, index: usize) -> Result<Option<Vec<f64>>, Refusal> {
        if self.graph.node(id).inputs.len() <= index {
            return Ok(None);
        }
        let (_, array) = self.known(id, index, "its bias is not a constant")?;
        Ok(Some(reals(&array, 1.0)))
    }
}

/// How many matrices a shape has, and the extents of each.
pub(super) fn matrices(shape: &[usize]) -> Result<(usize, [usize; 2]), Refusal> {
    match shape.split_last_chunk::<2>() {
        Some((before, &matrix)) => Ok((before.iter().product(), matrix)),
        None => Err(malformed("its operands are not matrices")),
    }
}

fn four_axes(shape: &[usize]) -> Result<[usize; 4], Refusal> {
    shape.try_into().map_err(|_| malformed("it does not have four axes"))
}

//! Convolutions, matrix products, and diagonal layers.

use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

use cryptflow_graph::operations::normalisation;
use cryptflow_graph::{Array, Linear, NodeId, Range};

use super::super::plan::{self, LinearTerm, Operation, PlanValue};
use super::{Lowered, Lowering, Refusal};

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
        let (filter_id, filter) = self.filter(id, 1, "its filter is not a constant")?;
        let bias = self.bias(id, 2)?;
        let shape =
            |s: &[usize]| <[usize; 4]>::try_from(s).map_err(|_| "it does not have four axes".to_string());
        let [batch, height, width, in_channels] = shape(&self.plan.values[x].shape)?;
        let [_, _, _, out_channels] = shape(&filter.shape)?;
        let conv = Conv2d {
            batch,
            input: [height, width],
            in_channels,
            out_channels,
            groups,
            window: window.clone(),
        };
        let name = self.graph.node(filter_id).name.clone();
        let weight = self.weight(&name, filter.shape.clone(), filter.data);
        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::Conv2d(conv) }];
        let (shape, range) = (self.graph.node(id).shape.clone(), self.range(id));
        let to = Target { range, extra: self.extra_of(id), whole: true };
        Ok(Lowered::Value(self.layer(id, plan::linear(terms, bias), x, shape, to)))
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
                let out = self.graph.node(id).shape.clone();
                let y = self.product(id, x, b, weights, tb, bias, out, true)?;
                Ok(Lowered::Value(y))
            }
            // a · x is the transpose of xᵀ · aᵀ.
            (Some(weights), None) => {
                if self.graph.node(id).inputs.len() > 2 {
                    return Err("it has a bias, and its constant is on the left".into());
                }
                let mut x = self.secret(b)?;
                if !tb {
                    x = self.last_two_swapped(id, x);
                }
                let mut out = self.graph.node(id).shape.clone();
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
            .map_err(|_| "its constant is not a matrix".to_string())?;
        let (inner, columns) = if transposed { (second, first) } else { (first, second) };
        let data = if transposed {
            Movement::Transpose { permutation: vec![1, 0] }.apply(&[(&w.shape, &w.data)])
        } else {
            Ok(w.data.to_vec())
        };
        let data = data.map_err(|e| e.to_string())?;
        let rows = self.plan.values[x].shape.split_last().map_or(1, |(_, rows)| rows.iter().product());
        let name = self.graph.node(weight_id).name.clone();
        let weight = self.weight(&name, vec![inner, columns], data);
        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::MatMul { rows, inner, columns } }];
        let to = Target { range: self.range(id), extra: self.extra_of(id), whole };
        Ok(self.layer(id, plan::linear(terms, bias), x, out, to))
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
            return Err("it has a bias, and a constant with a matrix for each of the leading axes".into());
        }
        let (constant_at, value_at) = if left { (0, 1) } else { (1, 0) };
        let (constant_id, operand) = (self.operand(id, constant_at)?, self.operand(id, value_at)?);
        let mut x = self.secret(operand)?;
        // As x · w; a constant on the left is transposed, and so are x and the result.
        let (swap, transposed) = if left { (!tb, !ta) } else { (ta, tb) };
        if swap {
            x = self.last_two_swapped(id, x);
        }
        let shape = self.plan.values[x].shape.clone();
        let Some((before, &[rows, inner])) = shape.split_last_chunk::<2>() else {
            return Err("its operands are not matrices".into());
        };
        let batch: usize = before.iter().product();
        let Some((_, &matrix)) = weights.shape.split_last_chunk::<2>() else {
            return Err("its operands are not matrices".into());
        };
        if batch > MOST_LAYERS {
            return Err(format!("it has {batch} matrices of constants, and {MOST_LAYERS} are the most"));
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
            let w = Array::new(matrix.to_vec(), data).map_err(|e| e.to_string())?;
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
        let shape = self.graph.node(id).shape.clone();
        Ok(self.last_step(id, Operation::Movement(Movement::Reshape { shape }), &[y]))
    }

    pub(super) fn has_bias(&self, id: NodeId) -> bool {
        self.graph.node(id).inputs.len() > 2
    }

    fn batch_norm(&mut self, id: NodeId, epsilon: f32) -> Result<Lowered, Refusal> {
        const WHY: &str = "its statistics are not constants";
        let x = self.secret(self.operand(id, 0)?)?;
        let [gamma, beta, mean, variance] = [
            self.filter(id, 1, WHY)?.1,
            self.filter(id, 2, WHY)?.1,
            self.filter(id, 3, WHY)?.1,
            self.filter(id, 4, WHY)?.1,
        ];
        let (factor, offset) = normalisation(&gamma.data, &beta.data, &mean.data, &variance.data, epsilon);
        let (y, _) = self.diagonal(id, x, factor, Some(offset.into_iter().map(f64::from).collect()), None);
        Ok(Lowered::Value(y))
    }

    fn scale(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        const WHY: &str = "its factors are not constants";
        let x = self.secret(self.operand(id, 0)?)?;
        let factor = self.filter(id, 1, WHY)?.1.data.to_vec();
        let offset = self.filter(id, 2, WHY)?.1.data.iter().map(|&v| v.into()).collect();
        let (y, _) = self.diagonal(id, x, factor, Some(offset), None);
        Ok(Lowered::Value(y))
    }

    /// `x * factor + offset`, both repeated along the leading axes; reshapes where they span more
    /// than the last axis. `name` is the weight's, where it is not the node's.
    pub(super) fn diagonal(
        &mut self,
        id: NodeId,
        x: usize,
        factor: Vec<f32>,
        offset: Option<Vec<f64>>,
        name: Option<String>,
    ) -> (usize, usize) {
        let to = Target { range: self.range(id), extra: self.extra_of(id), whole: true };
        self.diagonal_to(id, x, factor, offset, name, to)
    }

    /// The same, with a result that need not be the node's.
    pub(super) fn diagonal_to(
        &mut self,
        id: NodeId,
        x: usize,
        factor: Vec<f32>,
        offset: Option<Vec<f64>>,
        name: Option<String>,
        to: Target,
    ) -> (usize, usize) {
        let shape = self.plan.values[x].shape.clone();
        let channels = factor.len();
        let rows = shape.iter().product::<usize>() / channels.max(1);
        let name = name.unwrap_or_else(|| self.graph.node(id).name.clone());
        let weight = self.weight(&name, vec![channels], factor);
        let terms = vec![LinearTerm { input: 0, weight, map: LinearMap::Scale { rows, channels } }];
        let op = plan::linear(terms, offset);
        if shape.last() == Some(&channels) {
            return (self.layer(id, op, x, shape, to), weight);
        }
        let flat = vec![rows, channels];
        let from = self.plan.values[x].range;
        let reshape = |shape: &[usize]| Operation::Movement(Movement::Reshape { shape: shape.to_vec() });
        let x = self.step(id, reshape(&flat), &[x], flat.clone(), from, false);
        let y = self.layer(id, op, x, flat, Target { whole: false, ..to });
        (self.step(id, reshape(&shape), &[y], shape, to.range, to.whole), weight)
    }

    /// A constant operand, and the node that it is.
    fn filter(&self, id: NodeId, index: usize, why: &str) -> Result<(NodeId, Array), Refusal> {
        let operand = self.operand(id, index)?;
        self.constant(operand).cloned().map(|array| (operand, array)).ok_or_else(|| why.to_string())
    }

    pub(super) fn bias(&self, id: NodeId, index: usize) -> Result<Option<Vec<f64>>, Refusal> {
        if self.graph.node(id).inputs.len() <= index {
            return Ok(None);
        }
        let (_, array) = self.filter(id, index, "its bias is not a constant")?;
        Ok(Some(array.data.iter().map(|&v| v.into()).collect()))
    }
}

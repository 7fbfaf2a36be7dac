//! Convolutions, matrix products, and diagonal layers.

use cryptflow_ring::{Conv2d, LinearMap, Movement, Window};

use crate::graph::{Array, NodeId};
use crate::operations::normalisation;

use super::super::plan::{PlanOp, PlanTerm};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    pub(super) fn conv(&mut self, id: NodeId, window: &Window, groups: usize) -> Result<Lowered, Refusal> {
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
        let terms = vec![PlanTerm { input: 0, weight, map: LinearMap::Conv2d(conv) }];
        Ok(self.last_step(id, PlanOp::Linear { terms, bias }, &[x]))
    }

    pub(super) fn matmul(&mut self, id: NodeId, ta: bool, tb: bool) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let rank = |id: NodeId| self.graph.node(id).shape.len();
        if rank(b) > 2 || (rank(a) > 2 && ta) {
            return Err("products of more than two matrices are not computed on secrets yet".into());
        }
        match (self.constant(a).cloned(), self.constant(b).cloned()) {
            (None, None) => Err("it multiplies two secret tensors; one of them must be a constant".into()),
            (_, Some(weights)) => {
                let mut x = self.secret(a)?;
                if ta {
                    x = self.transposed(id, x, self.range(a));
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
                    x = self.transposed(id, x, self.range(b));
                }
                let mut out = self.graph.node(id).shape.clone();
                out.reverse();
                let y = self.product(id, x, a, weights, !ta, None, out, false)?;
                let op = PlanOp::Movement(Movement::Transpose { permutation: vec![1, 0] });
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
        let terms = vec![PlanTerm { input: 0, weight, map: LinearMap::MatMul { rows, inner, columns } }];
        let range = self.range(id);
        Ok(self.step(id, PlanOp::Linear { terms, bias }, &[x], out, range, whole))
    }

    fn transposed(&mut self, id: NodeId, x: usize, range: super::Range) -> usize {
        let mut shape = self.plan.values[x].shape.clone();
        shape.reverse();
        let op = PlanOp::Movement(Movement::Transpose { permutation: vec![1, 0] });
        self.step(id, op, &[x], shape, range, false)
    }

    pub(super) fn batch_norm(&mut self, id: NodeId, epsilon: f32) -> Result<Lowered, Refusal> {
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

    pub(super) fn scale(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        const WHY: &str = "its factors are not constants";
        let x = self.secret(self.operand(id, 0)?)?;
        let factor = self.filter(id, 1, WHY)?.1.data.to_vec();
        let offset = self.filter(id, 2, WHY)?.1.data.iter().map(|&v| v.into()).collect();
        let (y, _) = self.diagonal(id, x, factor, Some(offset), None);
        Ok(Lowered::Value(y))
    }

    /// `x * factor + offset`, both repeated along the leading axes; reshapes where they span more than the last axis.
    /// `name` is the weight's, where it is not the node's.
    pub(super) fn diagonal(
        &mut self,
        id: NodeId,
        x: usize,
        factor: Vec<f32>,
        offset: Option<Vec<f64>>,
        name: Option<String>,
    ) -> (usize, usize) {
        let shape = self.plan.values[x].shape.clone();
        let channels = factor.len();
        let rows = shape.iter().product::<usize>() / channels.max(1);
        let name = name.unwrap_or_else(|| self.graph.node(id).name.clone());
        let weight = self.weight(&name, vec![channels], factor);
        let terms = vec![PlanTerm { input: 0, weight, map: LinearMap::Scale { rows, channels } }];
        let op = PlanOp::Linear { terms, bias: offset };
        let range = self.range(id);
        if shape.last() == Some(&channels) {
            return (self.step(id, op, &[x], shape, range, true), weight);
        }
        let flat = vec![rows, channels];
        let from = self.plan.values[x].range;
        let reshape = |shape: &[usize]| PlanOp::Movement(Movement::Reshape { shape: shape.to_vec() });
        let x = self.step(id, reshape(&flat), &[x], flat.clone(), from, false);
        let y = self.step(id, op, &[x], flat, range, false);
        (self.step(id, reshape(&shape), &[y], shape, range, true), weight)
    }

    /// A constant operand, and the node that it is.
    fn filter(&self, id: NodeId, index: usize, why: &str) -> Result<(NodeId, Array), Refusal> {
        let operand = self.operand(id, index)?;
        self.constant(operand).cloned().map(|array| (operand, array)).ok_or_else(|| why.to_string())
    }

    fn bias(&self, id: NodeId, index: usize) -> Result<Option<Vec<f64>>, Refusal> {
        if self.graph.node(id).inputs.len() <= index {
            return Ok(None);
        }
        let (_, array) = self.filter(id, index, "its bias is not a constant")?;
        Ok(Some(array.data.iter().map(|&v| v.into()).collect()))
    }
}

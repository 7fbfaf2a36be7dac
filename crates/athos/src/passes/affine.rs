//! What several passes share: maps `factor * x + offset` of channels, and linear layers that take
//! them up.

use cryptflow_graph::operations::{ENDLESS, normalisation};
use cryptflow_graph::{Arithmetic, Array, Graph, Linear, NodeId, Op};

/// `factor * x + offset`, channel by channel along the last axis.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    /// The operand that is not constant.
    pub(super) operand: NodeId,
    pub(super) factor: Vec<f32>,
    pub(super) offset: Vec<f32>,
}

impl Affine {
    /// The map that a node is, if it is one: a scale, a batch normalisation, or arithmetic with a
    /// constant that is the same for all elements of a channel.
    pub(super) fn of(graph: &Graph, id: NodeId) -> Option<Affine> {
        let node = graph.node(id);
        let channels = *node.shape.last()?;
        let constants = |from: usize| -> Option<Vec<&Array>> {
            node.inputs.get(from..)?.iter().map(|&i| graph.constant(i)).collect()
        };
        let operand = *node.inputs.first()?;
        match &node.op {
            Op::Linear(Linear::Scale) => {
                let [factor, offset] = constants(1)?.try_into().ok()?;
                Some(Affine { operand, factor: factor.data.to_vec(), offset: offset.data.to_vec() })
            }
            Op::Linear(Linear::BatchNorm { epsilon }) => {
                let [gamma, beta, mean, variance] = constants(1)?.try_into().ok()?;
                let (factor, offset) =
                    normalisation(&gamma.data, &beta.data, &mean.data, &variance.data, *epsilon);
                Some(Affine { operand, factor, offset })
            }
            Op::Arithmetic(arithmetic) => {
                let &[a, b] = node.inputs.as_slice() else { return None };
                let (operand, constant, first) = match (graph.constant(a), graph.constant(b)) {
                    (None, Some(c)) => (a, c, false),
                    (Some(c), None) => (b, c, true),
                    _ => return None,
                };
                if graph.node(operand).shape != node.shape {
                    return None;
                }
                // What stands for infinity is nobody's weight; its node is to be named.
                let c = per_channel(constant, channels).filter(|c| c.iter().all(|v| v.abs() < ENDLESS))?;
                let (one, zero) = (vec![1.0; channels], vec![0.0; channels]);
                let (factor, offset) = match (arithmetic, first) {
                    (Arithmetic::Add, _) => (one, c),
                    (Arithmetic::Sub, false) => (one, c.iter().map(|v| -v).collect()),
                    (Arithmetic::Sub, true) => (vec![-1.0; channels], c),
                    (Arithmetic::Mul, _) => (c, zero),
                    (Arithmetic::Div, false) if !c.contains(&0.0) => {
                        (c.iter().map(|v| v.recip()).collect(), zero)
                    }
                    // Nothing else is a map of one operand that is a factor and an offset.
                    _ => return None,
                };
                Some(Affine { operand, factor, offset })
            }
            // What is not known to be such a map is left as it is.
            _ => None,
        }
    }

    /// Whether zeros stay zeros.
    pub(super) fn keeps_zero(&self) -> bool {
        self.offset.iter().all(|&o| o == 0.0)
    }

    /// This map after `first`.
    pub(super) fn after(&self, first: &Affine) -> Affine {
        let factor = product(&self.factor, &first.factor);
        let offset =
            product(&self.factor, &first.offset).iter().zip(&self.offset).map(|(a, b)| a + b).collect();
        Affine { operand: first.operand, factor, offset }
    }
}

fn product(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// One number for each channel, if the constant is the same for all elements of a channel.
fn per_channel(constant: &Array, channels: usize) -> Option<Vec<f32>> {
    let (last, leading) = constant.shape.split_last().unwrap_or((&1, &[]));
    if leading.iter().any(|&d| d != 1) {
        return None;
    }
    match *last {
        1 => Some(vec![constant.data[0]; channels]),
        n if n == channels => Some(constant.data.to_vec()),
        _ => None,
    }
}

/// A convolution or matrix product with constant weights (operand 1) and a constant bias, if any.
pub(super) struct Layer<'a> {
    graph: &'a Graph,
    op: &'a Linear,
    pub(super) x: NodeId,
    weights: &'a Array,
    weights_name: &'a str,
    bias: Option<&'a Array>,
}

/// New weights and bias, with names.
pub(super) struct Weights {
    weights: (String, Array),
    bias: (String, Array),
}

impl<'a> Layer<'a> {
    pub(super) fn of(graph: &'a Graph, id: NodeId) -> Option<Layer<'a>> {
        let node = graph.node(id);
        let Op::Linear(op) = &node.op else { return None };
        // A weight for each matrix of a batch is no layer.
        let whole = |w: NodeId| match op {
            Linear::Conv2d { .. } => true,
            Linear::MatMul { .. } => graph.node(w).shape.len() == 2,
            Linear::BatchNorm { .. } | Linear::Scale => false,
        };
        let (x, w) = (*node.inputs.first()?, *node.inputs.get(1)?);
        let bias = match node.inputs.get(2) {
            Some(&bias) => Some(graph.constant(bias)?),
            None => None,
        };
        if graph.constant(x).is_some() || !whole(w) {
            return None;
        }
        let weights_name = &graph.node(w).name;
        Some(Layer { graph, op, x, weights: graph.constant(w)?, weights_name, bias })
    }

    /// The weights, each through `f` of its value, input channel and output channel.
    fn map(&self, mut f: impl FnMut(f32, usize, usize) -> f32) -> Vec<f32> {
        let w = self.weights.data.iter().copied().enumerate();
        let shape = &self.weights.shape;
        let columns = shape.last().copied().unwrap_or(1).max(1);
        match self.op {
            Linear::Conv2d { groups, .. } => {
                let group_in = shape[2].max(1);
                let group_out = (columns / groups).max(1);
                w.map(|(i, v)| {
                    let (o, within) = (i % columns, i / columns % group_in);
                    f(v, o / group_out * group_in + within, o)
                })
                .collect()
            }
            Linear::MatMul { transpose_b: true, .. } => {
                w.map(|(i, v)| f(v, i % columns, i / columns)).collect()
            }
            Linear::MatMul { transpose_b: false, .. } | Linear::BatchNorm { .. } | Linear::Scale => {
                w.map(|(i, v)| f(v, i / columns, i % columns)).collect()
            }
        }
    }

    fn out_channels(&self) -> usize {
        match self.op {
            Linear::MatMul { transpose_b: true, .. } => self.weights.shape[0],
            Linear::Conv2d { .. } | Linear::MatMul { .. } | Linear::BatchNorm { .. } | Linear::Scale => {
                self.weights.shape.last().copied().unwrap_or(0)
            }
        }
    }

    fn bias_or_zeros(&self) -> Vec<f32> {
        self.bias.map_or_else(|| vec![0.0; self.out_channels()], |b| b.data.to_vec())
    }

    fn with(&self, shape: Vec<usize>, weights: Vec<f32>, bias: Vec<f32>) -> Weights {
        let weights = Array { shape, data: weights.into() };
        Weights {
            weights: (self.weights_name.to_owned(), weights),
            bias: (format!("{}/bias", self.weights_name), Array::vector(bias)),
        }
    }

    /// The weights of `affine(layer(x))`.
    pub(super) fn then(&self, affine: &Affine) -> Weights {
        let weights = self.map(|w, _, o| w * affine.factor[o]);
        let bias = self.bias_or_zeros().into_iter().zip(&affine.factor).zip(&affine.offset);
        self.with(self.weights.shape.clone(), weights, bias.map(|((b, f), o)| b * f + o).collect())
    }

    /// Whether [`Layer::after`] is exact: the layer sees no padding, which the offset would not
    /// reach.
    pub(super) fn takes(&self, affine: &Affine) -> bool {
        let plain = match self.op {
            Linear::Conv2d { window, .. } => !window.is_padded() || affine.keeps_zero(),
            Linear::MatMul { transpose_a, .. } => !transpose_a,
            Linear::BatchNorm { .. } | Linear::Scale => false,
        };
        plain && self.graph.node(self.x).shape.last() == Some(&affine.factor.len())
    }

    /// The weights of `layer(affine(x))`.
    pub(super) fn after(&self, affine: &Affine) -> Weights {
        let mut bias: Vec<f64> = self.bias_or_zeros().into_iter().map(f64::from).collect();
        let weights = self.map(|w, i, o| {
            bias[o] += f64::from(w) * f64::from(affine.offset[i]);
            w * affine.factor[i]
        });
        self.with(self.weights.shape.clone(), weights, bias.into_iter().map(|b| b as f32).collect())
    }

    /// The weights of a 1 × 1 convolution, multiplied by a number and repeated for each tap of a
    /// kernel, and its bias multiplied by another.
    pub(super) fn repeated(&self, kernel: [usize; 2], factor: f32, bias_factor: f32) -> Weights {
        let weights = self.map(|w, _, _| w * factor).repeat(kernel[0] * kernel[1]);
        let shape = kernel.iter().chain(&self.weights.shape[2..]).copied().collect();
        let bias = self.bias_or_zeros().iter().map(|b| b * bias_factor).collect();
        self.with(shape, weights, bias)
    }

    /// The weights, all multiplied by a number.
    pub(super) fn scaled(&self, factor: f32) -> Array {
        Array { shape: self.weights.shape.clone(), data: self.map(|w, _, _| w * factor).into() }
    }
}

/// Turns node `at` into the linear layer `layer`, on `x`, with other weights.
pub(super) fn become_layer(graph: &mut Graph, at: NodeId, layer: NodeId, x: NodeId, new: Weights) {
    let op = graph.node(layer).op.clone();
    become_op(graph, at, op, x, new);
}

/// Turns node `at` into the linear operation `op`, on `x`, with these weights.
pub(super) fn become_op(graph: &mut Graph, at: NodeId, op: Op, x: NodeId, new: Weights) {
    let weights = graph.add_constant(new.weights.0, new.weights.1);
    let bias = graph.add_constant(new.bias.0, new.bias.1);
    let node = &mut graph.nodes[at.0];
    node.op = op;
    node.inputs = vec![x, weights, bias];
}

/// Turns node `at` into a scale of `affine`'s operand.
pub(super) fn become_scale(graph: &mut Graph, at: NodeId, affine: Affine) {
    let name = graph.node(at).name.clone();
    let factor = graph.add_constant(format!("{name}/factor"), Array::vector(affine.factor));
    let offset = graph.add_constant(format!("{name}/offset"), Array::vector(affine.offset));
    let node = &mut graph.nodes[at.0];
    node.op = Op::Linear(Linear::Scale);
    node.inputs = vec![affine.operand, factor, offset];
}

impl Affine {
    /// Folds this map, which node `at` is, into the linear layer before it, if that layer's result
    /// has no other use. The layer may be behind paddings with zeros, where the map keeps zeros.
    /// Returns the layer's name.
    pub(super) fn fold_back(&self, graph: &mut Graph, uses: &[Vec<NodeId>], at: NodeId) -> Option<String> {
        let mut pads = Vec::new();
        let mut source = self.operand;
        loop {
            // Nothing else may see what changes.
            super::only_user(graph, uses, source)?;
            match &graph.node(source).op {
                Op::Movement(cryptflow_ring::Movement::Pad { .. })
                    if self.keeps_zero() && pads_space(graph, source) =>
                {
                    pads.push(source);
                    source = graph.node(source).inputs[0];
                }
                // A layer, or what this map cannot pass.
                _ => break,
            }
        }
        let layer = Layer::of(graph, source)?;
        let (x, new) = (layer.x, layer.then(self));
        let name = graph.node(source).name.clone();
        match pads.first() {
            // The layer moves to this node, and takes its name.
            None => become_layer(graph, at, source, x, new),
            // The layer changes in its place; this node becomes the padding.
            Some(&pad) => {
                become_layer(graph, source, source, x, new);
                let pad = graph.node(pad);
                let (op, inputs) = (pad.op.clone(), pad.inputs.clone());
                let node = &mut graph.nodes[at.0];
                node.op = op;
                node.inputs = inputs;
            }
        }
        Some(name)
    }
}

/// A padding that leaves the channels alone.
fn pads_space(graph: &Graph, id: NodeId) -> bool {
    match &graph.node(id).op {
        Op::Movement(cryptflow_ring::Movement::Pad { before, after }) => {
            before.last() == Some(&0) && after.last() == Some(&0)
        }
        // No other operation is a padding.
        _ => false,
    }
}

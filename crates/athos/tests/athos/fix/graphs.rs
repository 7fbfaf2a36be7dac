//! A table of small graphs, each with one thing that the compiler must get right.

use cryptflow_graph::{
    Activation, Arithmetic, Array, Graph, Linear, NodeId, Op, Order, Pool, Pooling, Reduce, Reduction,
};
use cryptflow_ring::{Movement, Window};

/// A reproducible stream of numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Numbers between `low` and `high`.
    pub(crate) fn array(&mut self, shape: &[usize], low: f32, high: f32) -> Array {
        let n = shape.iter().product();
        let data = (0..n).map(|_| low + (self.next() + 1.0) / 2.0 * (high - low)).collect();
        Array::new(shape.to_vec(), data).unwrap()
    }
}

/// A graph under construction.
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    random: Random,
}

impl Builder {
    pub(crate) fn new(seed: u64) -> Builder {
        Builder { graph: Graph { name: "small".into(), ..Graph::default() }, random: Random(seed) }
    }

    pub(crate) fn input(&mut self, shape: &[usize]) -> NodeId {
        self.graph.add_input("x", shape.to_vec())
    }

    fn constant(&mut self, shape: &[usize], size: f32) -> NodeId {
        let array = self.random.array(shape, -size, size);
        self.graph.add_constant(format!("c{}", self.graph.nodes.len()), array)
    }

    fn positive(&mut self, shape: &[usize], low: f32, high: f32) -> NodeId {
        let array = self.random.array(shape, low, high);
        self.graph.add_constant(format!("c{}", self.graph.nodes.len()), array)
    }

    pub(crate) fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
        let op = op.into();
        let name = format!("{}{}", op.name().replace(' ', "_"), self.graph.nodes.len());
        self.graph.add(name, op, inputs).unwrap()
    }

    pub(crate) fn conv(
        &mut self,
        x: NodeId,
        filter: [usize; 4],
        stride: usize,
        padding: usize,
        groups: usize,
    ) -> NodeId {
        let fan = (filter[0] * filter[1] * filter[2]) as f32;
        let w = self.constant(&filter, 2.0 / fan.sqrt());
        let b = self.constant(&[filter[3]], 0.5);
        let window = Window {
            kernel: [filter[0], filter[1]],
            stride: [stride; 2],
            dilation: [1; 2],
            padding: [[padding; 2]; 2],
        };
        self.add(Linear::Conv2d { window, groups }, &[x, w, b])
    }

    pub(crate) fn dense(&mut self, x: NodeId, inner: usize, columns: usize) -> NodeId {
        let w = self.constant(&[inner, columns], 2.0 / (inner as f32).sqrt());
        let b = self.constant(&[columns], 0.5);
        self.add(Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w, b])
    }

    pub(crate) fn relu(&mut self, x: NodeId) -> NodeId {
        self.add(Activation::Relu, &[x])
    }

    fn reshape(&mut self, x: NodeId, shape: &[usize]) -> NodeId {
        self.add(Movement::Reshape { shape: shape.to_vec() }, &[x])
    }

    pub(crate) fn output(mut self, id: NodeId) -> Graph {
        self.graph.add_output("y", id);
        self.graph
    }
}

pub(crate) fn window(kernel: usize, stride: usize, before: usize, after: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], padding: [[before, after]; 2] }
}

type Case = (&'static str, fn() -> Graph);

/// The graphs. Every input is called x, has values from −1 to 1, and is the only one.
pub(crate) const GRAPHS: &[Case] = &[
    ("dense", || {
        let mut b = Builder::new(1);
        let x = b.input(&[2, 6]);
        let y = b.dense(x, 6, 4);
        b.output(y)
    }),
    ("two dense layers with relu", || {
        let mut b = Builder::new(2);
        let x = b.input(&[2, 6]);
        let y = b.dense(x, 6, 8);
        let y = b.relu(y);
        let y = b.dense(y, 8, 4);
        b.output(y)
    }),
    ("transposed matrices", || {
        let mut b = Builder::new(3);
        let x = b.input(&[6, 2]);
        let w = b.constant(&[4, 6], 1.0);
        let y = b.add(Linear::MatMul { transpose_a: true, transpose_b: true }, &[x, w]);
        b.output(y)
    }),
    ("constant on the left", || {
        let mut b = Builder::new(4);
        let x = b.input(&[6, 2]);
        let w = b.constant(&[3, 6], 1.0);
        let y = b.add(Linear::MatMul { transpose_a: false, transpose_b: false }, &[w, x]);
        let v = b.constant(&[2, 5], 1.0);
        let z = b.add(Linear::MatMul { transpose_a: true, transpose_b: true }, &[v, y]);
        b.output(z)
    }),
    ("conv, relu, max pool, dense", || {
        let mut b = Builder::new(5);
        let x = b.input(&[1, 6, 6, 2]);
        let y = b.conv(x, [3, 3, 2, 4], 1, 1, 1);
        let y = b.relu(y);
        let y = b.add(Pool { kind: Pooling::Max, window: window(2, 2, 0, 0) }, &[y]);
        let y = b.reshape(y, &[1, 36]);
        let y = b.dense(y, 36, 5);
        b.output(y)
    }),
    ("conv, padded max pool, relu, conv", || {
        let mut b = Builder::new(6);
        let x = b.input(&[2, 5, 5, 2]);
        let y = b.conv(x, [3, 3, 2, 4], 1, 0, 1);
        let y = b.add(Pool { kind: Pooling::Max, window: window(3, 2, 1, 1) }, &[y]);
        let y = b.relu(y);
        let y = b.conv(y, [1, 1, 4, 3], 1, 0, 1);
        b.output(y)
    }),
    ("residual block", || {
        let mut b = Builder::new(7);
        let x = b.input(&[1, 4, 4, 3]);
        let x = b.conv(x, [3, 3, 3, 3], 1, 1, 1);
        let x = b.relu(x);
        let y = b.conv(x, [3, 3, 3, 3], 1, 1, 1);
        let y = b.relu(y);
        let y = b.conv(y, [3, 3, 3, 3], 1, 1, 1);
        let y = b.add(Arithmetic::Add, &[y, x]);
        let y = b.relu(y);
        let y = b.conv(y, [1, 1, 3, 2], 1, 0, 1);
        b.output(y)
    }),
    ("residual block with a projection", || {
        let mut b = Builder::new(8);
        let x = b.input(&[1, 4, 4, 3]);
        let y = b.conv(x, [3, 3, 3, 5], 2, 1, 1);
        let z = b.conv(x, [1, 1, 3, 5], 2, 0, 1);
        let y = b.add(Arithmetic::Add, &[y, z]);
        let y = b.relu(y);
        b.output(y)
    }),
    ("difference of projections, three terms", || {
        let mut b = Builder::new(9);
        let x = b.input(&[1, 4, 4, 3]);
        let y = b.conv(x, [3, 3, 3, 5], 2, 1, 1);
        let z = b.conv(x, [1, 1, 3, 5], 2, 0, 1);
        let y = b.add(Arithmetic::Sub, &[y, z]);
        let z = b.conv(x, [1, 1, 3, 5], 2, 0, 1);
        let y = b.add(Arithmetic::Add, &[z, y]);
        b.output(y)
    }),
    ("inverted bottleneck with relu6", || {
        let mut b = Builder::new(10);
        let x = b.input(&[1, 4, 4, 3]);
        let x = b.conv(x, [1, 1, 3, 4], 1, 0, 1);
        let y = b.conv(x, [1, 1, 4, 8], 1, 0, 1);
        let y = b.add(Activation::ClippedRelu { limit: 1.5 }, &[y]);
        let y = b.conv(y, [3, 3, 1, 8], 1, 1, 8);
        let y = b.add(Activation::ClippedRelu { limit: 6.0 }, &[y]);
        let y = b.conv(y, [1, 1, 8, 4], 1, 0, 1);
        let y = b.add(Arithmetic::Add, &[x, y]);
        let z = b.conv(y, [1, 1, 4, 4], 1, 0, 1);
        let y = b.add(Arithmetic::Add, &[z, y]);
        b.output(y)
    }),
    ("dense block: concatenation, batch norm, average pool", || {
        let mut b = Builder::new(11);
        let x = b.input(&[1, 4, 4, 3]);
        let mut x = b.conv(x, [3, 3, 3, 4], 1, 1, 1);
        for channels in [4, 6] {
            let parts = [
                b.positive(&[channels], 0.5, 2.0),
                b.constant(&[channels], 0.5),
                b.constant(&[channels], 0.5),
                b.positive(&[channels], 0.2, 3.0),
            ];
            let y = b.add(Linear::BatchNorm { epsilon: 1e-3 }, &[x, parts[0], parts[1], parts[2], parts[3]]);
            let y = b.relu(y);
            let y = b.conv(y, [3, 3, channels, 2], 1, 1, 1);
            x = b.add(Movement::Concat { axis: 3 }, &[x, y]);
        }
        let x =
            b.add(Pool { kind: Pooling::Average { count_padding: false }, window: window(2, 2, 0, 0) }, &[x]);
        let y = b.conv(x, [1, 1, 8, 3], 1, 0, 1);
        b.output(y)
    }),
    ("squeeze and expand, pooled", || {
        let mut b = Builder::new(12);
        let x = b.input(&[1, 5, 5, 3]);
        let x = b.conv(x, [1, 1, 3, 2], 1, 0, 1);
        let x = b.relu(x);
        let y = b.conv(x, [1, 1, 2, 4], 1, 0, 1);
        let y = b.relu(y);
        let z = b.conv(x, [3, 3, 2, 4], 1, 1, 1);
        let z = b.relu(z);
        let x = b.add(Movement::Concat { axis: 3 }, &[y, z]);
        let p = b.add(Pool { kind: Pooling::Max, window: window(3, 2, 0, 0) }, &[x]);
        let y = b.conv(p, [1, 1, 8, 3], 1, 0, 1);
        b.output(y)
    }),
    ("pooled and used in full", || {
        let mut b = Builder::new(13);
        let x = b.input(&[1, 4, 4, 3]);
        let x = b.conv(x, [1, 1, 3, 4], 1, 0, 1);
        let x = b.relu(x);
        let x = b.add(Movement::Transpose { permutation: vec![0, 2, 1, 3] }, &[x]);
        let y = b.add(Pool { kind: Pooling::Max, window: window(2, 2, 0, 0) }, &[x]);
        let z = b.conv(x, [2, 2, 4, 4], 2, 0, 1);
        let y = b.add(Arithmetic::Add, &[y, z]);
        b.output(y)
    }),
    ("average pool with edges", || {
        let mut b = Builder::new(14);
        let x = b.input(&[2, 5, 5, 2]);
        let y =
            b.add(Pool { kind: Pooling::Average { count_padding: false }, window: window(3, 2, 1, 1) }, &[x]);
        let z =
            b.add(Pool { kind: Pooling::Average { count_padding: true }, window: window(3, 2, 1, 1) }, &[x]);
        let y = b.add(Arithmetic::Sub, &[y, z]);
        b.output(y)
    }),
    ("sum pool into a dense layer", || {
        let mut b = Builder::new(15);
        let x = b.input(&[1, 4, 4, 3]);
        let x = b.conv(x, [3, 3, 3, 4], 1, 1, 1);
        let x = b.relu(x);
        let x = b.add(Pool { kind: Pooling::Sum, window: window(4, 1, 0, 0) }, &[x]);
        let x = b.reshape(x, &[1, 4]);
        let y = b.dense(x, 4, 3);
        b.output(y)
    }),
    ("mean over height and width", || {
        let mut b = Builder::new(16);
        let x = b.input(&[2, 7, 7, 3]);
        let y = b.add(Reduce { kind: Reduction::Mean, axes: vec![1, 2], keep_dims: false }, &[x]);
        let y = b.dense(y, 3, 4);
        b.output(y)
    }),
    ("means and sums over other axes", || {
        let mut b = Builder::new(17);
        let x = b.input(&[2, 3, 4, 5]);
        let y = b.add(Reduce { kind: Reduction::Mean, axes: vec![1, 3], keep_dims: true }, &[x]);
        let z = b.add(Reduce { kind: Reduction::Sum, axes: vec![3], keep_dims: true }, &[x]);
        let y = b.add(Arithmetic::Add, &[y, z]);
        b.output(y)
    }),
    ("arithmetic with constants", || {
        let mut b = Builder::new(18);
        let x = b.input(&[2, 3, 4]);
        let c = b.constant(&[4], 2.0);
        let y = b.add(Arithmetic::Mul, &[x, c]);
        let c = b.constant(&[], 2.0);
        let y = b.add(Arithmetic::Add, &[y, c]);
        let c = b.constant(&[3, 1], 2.0);
        let y = b.add(Arithmetic::Sub, &[c, y]);
        let c = b.positive(&[1, 3, 4], 0.5, 2.0);
        let y = b.add(Arithmetic::Div, &[y, c]);
        let c = b.constant(&[2, 1, 1], 2.0);
        let y = b.add(Arithmetic::Sub, &[y, c]);
        b.output(y)
    }),
    ("broadcast of values", || {
        let mut b = Builder::new(19);
        let x = b.input(&[2, 3, 4]);
        let m = b.add(Reduce { kind: Reduction::Mean, axes: vec![2], keep_dims: true }, &[x]);
        let y = b.add(Arithmetic::Sub, &[x, m]);
        b.output(y)
    }),
    ("slice, pad and reverse", || {
        let mut b = Builder::new(20);
        let x = b.input(&[1, 4, 4, 3]);
        let x = b.conv(x, [3, 3, 3, 4], 1, 1, 1);
        let x = b.relu(x);
        let slice =
            Movement::Slice { begin: vec![0, 0, 3, 0], size: vec![1, 2, 2, 4], stride: vec![1, 2, -2, 1] };
        let y = b.add(slice, &[x]);
        let pad = Movement::Pad { before: vec![0, 1, 0, 2], after: vec![0, 0, 1, 2] };
        let y = b.add(pad, &[y]);
        let y = b.conv(y, [1, 1, 8, 3], 1, 0, 1);
        b.output(y)
    }),
    ("softmax", || {
        let mut b = Builder::new(21);
        let x = b.input(&[2, 6]);
        let y = b.dense(x, 6, 5);
        let y = b.add(Activation::Softmax, &[y]);
        let y = b.add(Op::Identity, &[y]);
        b.output(y)
    }),
    ("logits and arg-max of softmax", || {
        let mut b = Builder::new(22);
        let x = b.input(&[2, 6]);
        let y = b.dense(x, 6, 5);
        let s = b.add(Activation::Softmax, &[y]);
        let a = b.add(Order::ArgMax { axis: 1 }, &[s]);
        b.graph.add_output("prediction", a);
        b.output(y)
    }),
    ("arg-max over channels in the middle", || {
        let mut b = Builder::new(23);
        let x = b.input(&[2, 6, 3]);
        let c = b.constant(&[3], 2.0);
        let y = b.add(Arithmetic::Mul, &[x, c]);
        let a = b.add(Order::ArgMax { axis: 1 }, &[y]);
        b.output(a)
    }),
    ("tiny weights, large biases", || {
        let mut b = Builder::new(24);
        let x = b.input(&[2, 6]);
        let w = b.constant(&[6, 4], 1e-4);
        let c = b.constant(&[4], 300.0);
        let y = b.add(Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w, c]);
        let y = b.relu(y);
        let w = b.constant(&[4, 3], 1e-3);
        let y = b.add(Linear::MatMul { transpose_a: false, transpose_b: false }, &[y, w]);
        b.output(y)
    }),
    ("weights that do not matter", || {
        let mut b = Builder::new(28);
        let x = b.input(&[2, 6]);
        let w = b.constant(&[6, 4], 1e-30);
        let c = b.constant(&[4], 1.0);
        let y = b.add(Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w, c]);
        b.output(y)
    }),
    ("zero weights", || {
        let mut b = Builder::new(25);
        let x = b.input(&[2, 6]);
        let w = b.positive(&[6, 4], 0.0, 0.0);
        let y = b.add(Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w]);
        let y = b.relu(y);
        let c = b.constant(&[4], 1.0);
        let y = b.add(Arithmetic::Add, &[y, c]);
        b.output(y)
    }),
    ("constants are computed", || {
        let mut b = Builder::new(26);
        let x = b.input(&[2, 6]);
        let (c, d) = (b.constant(&[6], 1.0), b.constant(&[6], 1.0));
        let c = b.add(Arithmetic::Mul, &[c, d]);
        let y = b.add(Arithmetic::Add, &[x, c]);
        let dead = b.add(Activation::Softmax, &[y]);
        b.add(Arithmetic::Mul, &[dead, y]);
        b.output(y)
    }),
    ("the input is the output", || {
        let mut b = Builder::new(27);
        let x = b.input(&[2, 6]);
        let y = b.relu(x);
        b.graph.add_output("x", x);
        b.output(y)
    }),
];

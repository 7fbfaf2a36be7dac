//! Random small graphs, and the check that a pass preserves what they compute.

use cryptflow_athos::passes::{PASSES, Pass, dead_nodes, optimise};
use cryptflow_graph::float;
use cryptflow_graph::{
    Activation, Arithmetic, Array, Graph, Linear, NodeId, Op, Pool, Pooling, Reduce, Reduction,
};
use cryptflow_ring::{Movement, Window};

/// A small generator of numbers (SplitMix64): the same graphs every time.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Numbers between −1 and 1.
    pub(super) fn array(&mut self, shape: &[usize]) -> Array {
        let data = (0..shape.iter().product::<usize>()).map(|_| self.float()).collect();
        Array::new(shape.to_vec(), data).unwrap()
    }
}

/// A graph of up to a dozen operations on pictures, with branches, second uses and several outputs.
pub(super) fn random_graph(seed: u64) -> Graph {
    let mut b = Builder { r: Random(seed), g: Graph::default(), n: 0 };
    let shape = vec![1 + b.r.below(2), 4 + b.r.below(5), 4 + b.r.below(5), 1 + b.r.below(4)];
    let mut x = b.g.add_input("x", shape);
    let mut older = vec![x];
    for _ in 0..2 + b.r.below(10) {
        // Now and then, go on from an earlier value, so that some have several uses.
        let from = if b.r.below(5) == 0 { older[b.r.below(older.len())] } else { x };
        if let Some(next) = b.step(from, &older) {
            x = next;
            older.push(x);
        }
    }
    if b.g.node(x).shape.len() == 4 && b.r.flag() {
        x = b.head(x);
    }
    b.g.add_output("y", x);
    if b.r.below(4) == 0 {
        let other = older[b.r.below(older.len())];
        b.g.add_output("other", other);
    }
    b.g
}

struct Builder {
    r: Random,
    g: Graph,
    n: usize,
}

impl Builder {
    fn name(&mut self, what: &str) -> String {
        self.n += 1;
        format!("{what}_{}", self.n)
    }

    fn constant(&mut self, shape: &[usize]) -> NodeId {
        let (name, value) = (self.name("constant"), self.r.array(shape));
        let id = self.g.add_constant(name, value);
        // Constants that pass an identity on their way, as variables do.
        if self.r.below(3) == 0 { self.add(Op::Identity, &[id]).unwrap() } else { id }
    }

    /// Nothing where the operation does not fit.
    fn add(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Option<NodeId> {
        let op = op.into();
        let name = self.name(op.name());
        self.g.add(name, op, inputs).ok().filter(|&id| {
            let n: usize = self.g.node(id).shape.iter().product();
            n > 0
        })
    }

    fn window(&mut self, padded: bool) -> Window {
        let mut pair = |low: usize, n: usize| [low + self.r.below(n), low + self.r.below(n)];
        let (kernel, stride, dilation) = (pair(1, 3), pair(1, 2), pair(1, 2));
        let padding = if padded { [pair(0, 2), pair(0, 2)] } else { [[0; 2]; 2] };
        Window { kernel, stride, dilation, padding }
    }

    fn step(&mut self, x: NodeId, older: &[NodeId]) -> Option<NodeId> {
        let shape = self.g.node(x).shape.clone();
        let c = *shape.last()?;
        let padded = self.r.flag();
        match self.r.below(17) {
            0 | 1 => {
                let window = self.window(padded);
                let groups = if self.r.below(3) == 0 { c } else { 1 };
                let out = groups * (1 + self.r.below(3));
                let w = self.constant(&[window.kernel[0], window.kernel[1], c / groups, out]);
                let mut inputs = vec![x, w];
                if self.r.flag() {
                    inputs.push(self.constant(&[out]));
                }
                self.add(Linear::Conv2d { window, groups }, &inputs)
            }
            2 | 3 => {
                let mut inputs = vec![x];
                let zero = self.r.below(3) == 0;
                for i in 0..4 {
                    let mut value = self.r.array(&[c]);
                    if i == 3 {
                        value = Array::vector(value.data.iter().map(|v| v.abs() + 0.2).collect());
                    } else if zero && i > 0 {
                        value = Array::filled(vec![c], 0.0).unwrap();
                    }
                    let name = self.name("norm");
                    inputs.push(self.g.add_constant(name, value));
                }
                self.add(Linear::BatchNorm { epsilon: 1e-3 }, &inputs)
            }
            4 => {
                let (f, o) = (self.constant(&[c]), self.constant(&[c]));
                self.add(Linear::Scale, &[x, f, o])
            }
            5 | 6 => self.add(Activation::Relu, &[x]),
            7 => self.add(Activation::ClippedRelu { limit: 0.7 }, &[x]),
            8 => {
                let window = self.window(padded);
                let pooled = self.add(Pool { kind: Pooling::Max, window }, &[x])?;
                // Windows of nothing but padding give −∞, on which nothing can be compared.
                let finite = outputs_of(&self.g, pooled).data.iter().all(|v| v.is_finite());
                if finite { Some(pooled) } else { None }
            }
            9 => {
                let (window, count_padding) = (self.window(padded), self.r.flag());
                let pooled = self.add(Pool { kind: Pooling::Average { count_padding }, window }, &[x])?;
                let finite = outputs_of(&self.g, pooled).data.iter().all(|v| v.is_finite());
                if finite { Some(pooled) } else { None }
            }
            10 => {
                let mut ends = || {
                    let last = if self.r.below(4) == 0 { 1 } else { 0 };
                    vec![0, self.r.below(2), self.r.below(3), last]
                };
                let (before, after) = (ends(), ends());
                self.add(Movement::Pad { before, after }, &[x])
            }
            11 | 12 => {
                let of = [vec![], vec![1], vec![c], vec![1, 1, c], shape.clone()][self.r.below(5)].clone();
                let constant = self.constant(&of);
                let op = [
                    Op::Arithmetic(Arithmetic::Add),
                    Op::Arithmetic(Arithmetic::Sub),
                    Op::Arithmetic(Arithmetic::Mul),
                ][self.r.below(3)]
                .clone();
                if self.r.flag() { self.add(op, &[x, constant]) } else { self.add(op, &[constant, x]) }
            }
            13 => {
                let other = older[self.r.below(older.len())];
                let op = [Op::Arithmetic(Arithmetic::Add), Op::Movement(Movement::Concat { axis: 3 })]
                    [self.r.below(2)]
                .clone();
                (self.g.node(other).shape == shape).then(|| self.add(op, &[x, other]))?
            }
            14 => {
                let op = [
                    Op::Identity,
                    Op::Movement(Movement::Transpose { permutation: vec![0, 2, 1, 3] }),
                    Op::Movement(Movement::Reshape { shape: shape.clone() }),
                    Op::Arithmetic(Arithmetic::Div),
                ][self.r.below(4)]
                .clone();
                if op == Op::Arithmetic(Arithmetic::Div) {
                    let name = self.name("divisor");
                    let by = self.g.add_constant(name, Array::scalar(3.0));
                    return self.add(op, &[x, by]);
                }
                self.add(op, &[x])
            }
            15 => {
                let window =
                    Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
                let w = self.constant(&[1, 1, c, 2]);
                let y = self.add(Linear::Conv2d { window, groups: 1 }, &[x, w])?;
                let window =
                    Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding: [[0; 2]; 2] };
                self.add(Pool { kind: Pooling::Average { count_padding: false }, window }, &[y])
            }
            _ => {
                let a = self.window(false);
                let y = self
                    .add(Pool { kind: Pooling::Average { count_padding: false }, window: a.clone() }, &[x])?;
                let r = self.add(Activation::Relu, &[x])?;
                let z = self.add(Pool { kind: Pooling::Average { count_padding: true }, window: a }, &[r])?;
                self.add(Movement::Concat { axis: 3 }, &[y, z])
            }
        }
    }

    /// A classifier: mean or flat, then a matrix.
    fn head(&mut self, x: NodeId) -> NodeId {
        let shape = self.g.node(x).shape.clone();
        let flat = if self.r.flag() {
            self.add(Reduce { kind: Reduction::Mean, axes: vec![1, 2], keep_dims: false }, &[x])
        } else {
            let shape = vec![shape[0], shape[1..].iter().product()];
            self.add(Movement::Reshape { shape }, &[x])
        };
        let flat = flat.unwrap();
        let n = self.g.node(flat).shape[1];
        let transpose_b = self.r.flag();
        let w = self.constant(&if transpose_b { [3, n] } else { [n, 3] });
        let y = self.add(Linear::MatMul { transpose_a: false, transpose_b }, &[flat, w]).unwrap();
        let bias = self.constant(&[3]);
        self.add(Arithmetic::Add, &[y, bias]).unwrap()
    }
}

fn inputs(graph: &Graph) -> Vec<Array> {
    let mut random = Random(99);
    graph.inputs.iter().map(|&id| random.array(&graph.node(id).shape)).collect()
}

fn outputs_of(graph: &Graph, id: NodeId) -> Array {
    let mut graph = graph.clone();
    graph.outputs = vec![id];
    outputs(&graph).remove(0)
}

/// What a graph computes on fixed random inputs.
pub(super) fn outputs(graph: &Graph) -> Vec<Array> {
    float::run(graph, &inputs(graph), &mut |_, _| ()).unwrap()
}

/// The same up to rounding: 1e-4 of the largest element.
pub(super) fn same(before: &[Array], after: &[Array]) {
    assert_eq!(before.len(), after.len());
    for (a, b) in before.iter().zip(after) {
        assert_eq!(a.shape, b.shape);
        let largest = a.data.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        for (x, y) in a.data.iter().zip(b.data.iter()) {
            assert!(x == y || (x - y).abs() <= 1e-4 * largest, "{x} became {y}, the largest is {largest}");
        }
    }
}

/// Applies a pass, or all, to a graph, which computes afterwards what it did before.
pub(super) fn preserving<R>(pass: impl FnOnce(&mut Graph) -> R, graph: &mut Graph) -> R {
    let before = outputs(graph);
    let report = pass(graph);
    check(graph);
    same(&before, &outputs(graph));
    report
}

/// The operations of a graph, beside inputs and constants, in its order.
pub(super) fn operations(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|n| n.op.name()).filter(|n| !["input", "constant"].contains(n)).collect()
}

/// A graph's order and shapes are as they must be.
pub(super) fn check(graph: &Graph) {
    assert_eq!(graph.outputs.len(), graph.output_names.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        assert!(node.inputs.iter().all(|input| input.0 < i), "{} comes before its operands", node.name);
        if node.op != Op::Input {
            let shapes: Vec<&[usize]> = node.inputs.iter().map(|&i| graph.node(i).shape.as_slice()).collect();
            assert_eq!(node.op.shape(&shapes).unwrap(), node.shape, "{}", node.name);
        }
    }
}

/// Every pass preserves what random graphs compute.
#[test]
fn each_pass_preserves_random_graphs() {
    std::thread::scope(|scope| {
        for pass in PASSES.into_iter().chain([dead_nodes::run as Pass]) {
            scope.spawn(move || preserves(pass));
        }
    });
}

/// A pass preserves what random graphs compute: alone, and after constants are folded and
/// identities removed; and it finds something to do, where it does not look for what models write
/// out.
fn preserves(pass: Pass) {
    let name = pass(&mut Graph::default()).pass;
    let rare = [
        "recognise functions",
        "inverse roots",
        "endless constants",
        "logarithms of softmax",
        "signs of products",
        "factors of products into weights",
        // On random graphs with a pick at their end: see `pick_early`.
        "picks before rows",
        "largest of several",
    ]
    .contains(&name);
    let mut changes = 0;
    for seed in 0..1000 {
        let mut graph = random_graph(seed);
        let before = outputs(&graph);
        if seed % 2 == 1 {
            PASSES[0](&mut graph);
            PASSES[1](&mut graph);
        }
        let report = pass(&mut graph);
        changes += report.changes.len();
        check(&graph);
        let result = std::panic::catch_unwind(|| same(&before, &outputs(&graph)));
        assert!(result.is_ok(), "seed {seed}: {report:?}");
    }
    assert!(rare || changes >= 20, "only {changes} changes in 1000 graphs: {name} is not tested");
}

#[test]
fn all_passes_preserve_random_graphs() {
    for seed in 1000..2000 {
        let mut graph = random_graph(seed);
        let before = outputs(&graph);
        let reports = optimise(&mut graph);
        check(&graph);
        let result = std::panic::catch_unwind(|| same(&before, &outputs(&graph)));
        assert!(result.is_ok(), "seed {seed}: {reports:#?}");
        assert!(optimise(&mut graph).iter().all(|r| r.changes.is_empty()), "seed {seed}: not a fixed point");
    }
}

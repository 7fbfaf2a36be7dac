//! Gradients against differences of the float interpreter's answers.

use std::collections::BTreeMap;

use cryptflow_graph::float::run;
use cryptflow_graph::gradient::{backward, backward_to_weights};
use cryptflow_graph::operations::{Breaks, Domain, End, catalogue};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Linear, NodeId, Op, Order, Pool, Pooling,
    Reduce, Reduction,
};
use cryptflow_ring::{Movement, Window};

/// Numbers in an order without order, 0.08 from each other; those of another seed lie at the same
/// places, or between them, and none at zero.
fn numbers(shape: &[usize], seed: usize) -> Array {
    let n: usize = shape.iter().product();
    let mut state = seed as u64 * 77 + 1;
    let mut places: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        places.swap(i, (state >> 33) as usize % (i + 1));
    }
    let spread = if n > 100 { 8.0 / n as f32 } else { 0.08 };
    let number = |i: usize| (i as f32 - (n / 2) as f32 + 0.25 + (seed % 2) as f32 * 0.5) * spread;
    Array::new(shape.to_vec(), places.into_iter().map(number).collect()).unwrap()
}

/// The gradients of all nodes that are shown, by index.
fn gradients(graph: &Graph, inputs: &[Array], starts: &[(NodeId, Array)]) -> BTreeMap<usize, Array> {
    let mut seen = BTreeMap::new();
    let mut last = usize::MAX;
    backward(graph, inputs, starts, &mut |id, value, gradient| {
        assert!(id.0 < last, "in reverse order");
        last = id.0;
        assert_eq!(value.shape, gradient.shape);
        assert!(gradient.data.iter().all(|v| v.is_finite()));
        seen.insert(id.0, gradient.clone());
    })
    .unwrap();
    seen
}

/// Compares the gradient of every input with differences, where the graph's outputs are summed with
/// weights.
fn check(graph: &Graph, inputs: &[Array], step: f32, what: &str) {
    let starts: Vec<(NodeId, Array)> = graph
        .outputs
        .iter()
        .enumerate()
        .map(|(i, &id)| (id, numbers(&graph.node(id).shape, 7 + i)))
        .collect();
    let seen = gradients(graph, inputs, &starts);
    let sum = |inputs: &[Array]| -> f64 {
        let answers = run(graph, inputs, &mut |_, _| ()).unwrap();
        let products = answers.iter().zip(&starts).flat_map(|(y, (_, w))| y.data.iter().zip(w.data.iter()));
        products.map(|(&y, &w)| f64::from(y) * f64::from(w)).sum()
    };
    for (i, id) in graph.inputs.iter().enumerate() {
        let shifted = |at: usize, by: f32| {
            let mut inputs = inputs.to_vec();
            std::sync::Arc::make_mut(&mut inputs[i].data)[at] += by;
            (f64::from(inputs[i].data[at]), sum(&inputs))
        };
        // Of large inputs, elements here and there.
        let places = inputs[i].data.len();
        let want: Vec<(usize, f64)> = (0..places)
            .step_by(places.div_ceil(30).max(1))
            .map(|at| {
                let ((low, below), (high, above)) = (shifted(at, -step), shifted(at, step));
                (at, (above - below) / (high - low))
            })
            .collect();
        let got = &seen[&id.0];
        assert_eq!(got.shape, inputs[i].shape, "{what}");
        let largest = want.iter().fold(0.1f64, |m, (_, v)| m.max(v.abs()));
        for (at, want) in want {
            let got = f64::from(got.data[at]);
            let error = (got - want).abs();
            assert!(error < 3e-3 * largest, "{what}: element {at} of input {i} has {got}, not {want}");
        }
    }
}

/// A graph of one operation, whose operands are all inputs; then ones where one of them is a
/// constant, as weights are.
fn one(op: impl Into<Op>, shapes: &[&[usize]]) {
    let values: Vec<Array> = shapes.iter().enumerate().map(|(i, shape)| numbers(shape, i)).collect();
    one_of(op, &values);
}

fn one_of(op: impl Into<Op>, values: &[Array]) {
    let op = op.into();
    for constant in std::iter::once(None).chain((0..values.len()).map(Some)) {
        let mut graph = Graph::default();
        let mut inputs = Vec::new();
        let mut operands = Vec::new();
        for (i, value) in values.iter().enumerate() {
            if constant == Some(i) {
                operands.push(graph.add_constant("constant", value.clone()));
            } else {
                operands.push(graph.add_input(format!("input {i}"), value.shape.clone()));
                inputs.push(value.clone());
            }
        }
        let result = graph.add("result", op.clone(), &operands).unwrap();
        graph.add_output("result", result);
        if !inputs.is_empty() {
            let shapes: Vec<&[usize]> = values.iter().map(|v| v.shape.as_slice()).collect();
            check(&graph, &inputs, 1e-2, &format!("{op:?} of {shapes:?}"));
        }
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], padding: [[usize; 2]; 2]) -> Window {
    Window { kernel, stride, dilation, padding }
}

fn windows() -> Vec<Window> {
    vec![
        window([1, 1], [1, 1], [1, 1], [[0, 0], [0, 0]]),
        window([3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]]),
        window([3, 2], [2, 1], [1, 1], [[0, 1], [1, 0]]),
        window([2, 3], [1, 2], [2, 2], [[1, 1], [0, 3]]),
        window([5, 6], [1, 1], [1, 1], [[0, 0], [0, 0]]),
        window([1, 1], [2, 2], [1, 1], [[0, 0], [0, 0]]),
    ]
}

#[test]
fn convolution() {
    for w in windows() {
        for (channels, groups, out) in [(1, 1, 2), (3, 1, 2), (4, 2, 2), (2, 2, 2), (2, 2, 4)] {
            let op = Linear::Conv2d { window: w.clone(), groups };
            let filter = [w.kernel[0], w.kernel[1], channels / groups, out];
            one(op.clone(), &[&[2, 5, 6, channels], &filter]);
            one(op, &[&[1, 5, 6, channels], &filter, &[out]]);
        }
    }
}

/// More rows than a block of patches has.
#[test]
fn a_large_convolution() {
    let w = window([3, 3], [2, 2], [1, 1], [[0, 1], [0, 1]]);
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![1, 64, 64, 64]);
    let filter = graph.add_constant("filter", numbers(&[3, 3, 64, 8], 1));
    let y = graph.add("y", Linear::Conv2d { window: w.clone(), groups: 1 }, &[x, filter]).unwrap();
    let start = numbers(&[1, 32, 32, 8], 2);
    let input = numbers(&[1, 64, 64, 64], 3);
    let seen = gradients(&graph, &[input], &[(y, start.clone())]);
    let weights = graph.constant(filter).unwrap();
    for (iy, ix, channel) in [(0, 0, 0), (31, 33, 5), (32, 32, 63), (63, 63, 1), (17, 40, 20)] {
        let mut want = 0.0;
        for (oy, ox) in (0..32).flat_map(|oy| (0..32).map(move |ox| (oy, ox))) {
            let taps = (0..3).flat_map(|ky| (0..3).map(move |kx| (ky, kx)));
            for (ky, kx) in taps.filter(|(ky, kx)| (oy * 2 + ky, ox * 2 + kx) == (iy, ix)) {
                for o in 0..8 {
                    want += weights.data[((ky * 3 + kx) * 64 + channel) * 8 + o]
                        * start.data[(oy * 32 + ox) * 8 + o];
                }
            }
        }
        let got = seen[&x.0].data[(iy * 64 + ix) * 64 + channel];
        assert!((got - want).abs() < 1e-4, "({iy}, {ix}, {channel}): {got}, not {want}");
    }
}

#[test]
fn matrix_products() {
    for [ta, tb] in [[false, false], [true, false], [false, true], [true, true]] {
        let pair = |transposed: bool, rows: usize, columns: usize| {
            if transposed { [columns, rows] } else { [rows, columns] }
        };
        let (a, b) = (pair(ta, 2, 3), pair(tb, 3, 4));
        let op = Linear::MatMul { transpose_a: ta, transpose_b: tb };
        one(op.clone(), &[&a, &b]);
        one(op.clone(), &[&a, &b, &[4]]);
        let stack = |m: [usize; 2]| [&[2, 3], m.as_slice()].concat();
        one(op.clone(), &[&stack(a), &stack(b)]);
        one(op.clone(), &[&stack(a), &b]);
        one(op, &[&stack(a), &b, &[4]]);
    }
}

#[test]
fn diagonal_layers() {
    one(Linear::Scale, &[&[2, 3, 4], &[4], &[4]]);
    let positive = Array::vector(vec![0.5, 2.0, 1.25, 0.75]);
    let vector = |seed| numbers(&[4], seed);
    let operands = [numbers(&[2, 3, 4], 1), vector(2), vector(3), vector(4), positive];
    one_of(Linear::BatchNorm { epsilon: 0.125 }, &operands);
}

#[test]
fn arithmetic() {
    let away_from_zero = |shape: &[usize]| {
        let data = numbers(shape, 1).data.iter().map(|v| v + 0.75f32.copysign(*v)).collect();
        Array::new(shape.to_vec(), data).unwrap()
    };
    let shapes: [[&[usize]; 2]; 6] = [
        [&[2, 3], &[2, 3]],
        [&[2, 3], &[3]],
        [&[], &[2, 3]],
        [&[2, 1, 3], &[4, 1]],
        [&[2, 3], &[1, 1, 1]],
        [&[], &[]],
    ];
    for [a, b] in shapes {
        for op in [
            Arithmetic::Add,
            Arithmetic::Sub,
            Arithmetic::Mul,
            Arithmetic::Maximum,
            Arithmetic::Minimum,
            Arithmetic::Compare(Comparison::Less),
        ] {
            one(op, &[a, b]);
        }
        one_of(Arithmetic::Div, &[numbers(a, 0), away_from_zero(b)]);
    }
    let flags = |shape: &[usize]| {
        let data = (0..shape.iter().product()).map(|i: usize| if i % 3 == 1 { 0.0 } else { 1.5 }).collect();
        Array::new(shape.to_vec(), data).unwrap()
    };
    for [c, a, b] in [[&[2, 3][..], &[2, 3], &[2, 3]], [&[3], &[2, 1], &[]], [&[2, 1], &[1], &[4, 1, 3]]] {
        one_of(Arithmetic::Select, &[flags(c), numbers(a, 1), numbers(b, 2)]);
    }
}

/// A value that is an operand twice has both parts.
#[test]
fn a_value_with_several_uses() {
    let mut graph = Graph::default();
    let x = graph.add_input("x", vec![3]);
    let square = graph.add("square", Arithmetic::Mul, &[x, x]).unwrap();
    let same = graph.add("same", Op::Identity, &[square]).unwrap();
    let sum = graph.add("sum", Arithmetic::Sub, &[same, x]).unwrap();
    graph.add_output("sum", sum);
    graph.add_output("square", square);
    check(&graph, &[numbers(&[3], 1)], 1e-2, "x · x − x");
}

#[test]
fn functions() {
    for function in catalogue() {
        let (low, high) = function.entry().shown;
        // Where it bends, differences see two sides.
        let breaks = match function.entry().breaks {
            Breaks::Steps(_) => function.breaks(low, high, 100),
            Breaks::Nowhere | Breaks::At(_) => function.breaks(low, high, 10),
        };
        let breaks: Vec<f64> = breaks
            .unwrap()
            .into_iter()
            .map(|place| match place {
                cryptflow_graph::operations::Break::From(at)
                | cryptflow_graph::operations::Break::Above(at) => at,
            })
            .collect();
        let ends = match function.domain() {
            Domain::Between(low, high) => vec![low, high],
            Domain::BesideZero => vec![End::Pole(0.0)],
        };
        let far = |x: f32| {
            let near = |at: f64| (f64::from(x) - at).abs() < 0.1;
            let at_end = ends.iter().any(|end| match end {
                End::Open => false,
                End::At(at) | End::Pole(at) => near(*at),
            });
            !at_end && !breaks.iter().any(|&at| near(at))
        };
        let spaced = (0..=60).map(|i| (low + (high - low) * f64::from(i) / 60.0) as f32);
        let data: Vec<f32> = spaced.filter(|&x| far(x)).collect();
        assert!(data.len() > 10, "{}", function.name());
        one_of(function, &[Array::vector(data)]);
    }
}

/// Gradients of functions where they bend, jump, end or have no value.
#[test]
fn slopes_at_edges() {
    let table: &[(Function, f32, f32)] = &[
        (Function::ABS, 0.0, 1.0),
        (Function::SIGN, 0.0, 0.0),
        (Function::FLOOR, 2.0, 0.0),
        (Function::FLOOR, 16_777_216.0, 0.0),
        (Function::CEIL, 3e6, 0.0),
        (Function::ROUND, -1.5, 0.0),
        (Function::TRUNCATE, 1e30, 0.0),
        (Function::leaky_relu(0.25), 0.0, 1.0),
        (Function::leaky_relu(0.25), -1e-8, 0.25),
        (Function::thresholded_relu(1.0), 1.0, 1.0),
        (Function::LOG, 0.0, 0.0),
        (Function::LOG, -1.0, 0.0),
        (Function::LOG, 1e-6, 1e6),
        (Function::EXP, 1000.0, 0.0),
        (Function::EXP, 100.0, f32::MAX),
        (Function::SIGMOID, f32::INFINITY, 0.0),
        (Function::SIGMOID, f32::NAN, 0.0),
        (Function::SIGMOID, 0.0, 0.25),
        (Function::TANH, 1e-20, 1.0),
        (Function::RECIPROCAL, 1e6, -1e-12),
        (Function::ACOSH, 0.5, 0.0),
    ];
    for &(function, at, want) in table {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![]);
        let y = graph.add("y", function, &[x]).unwrap();
        let got = gradients(&graph, &[Array::scalar(at)], &[(y, Array::scalar(1.0))])[&x.0].data[0];
        assert!((got - want).abs() <= 1e-4 * want.abs(), "{} at {at}: {got}, not {want}", function.name());
    }
}

#[test]
fn activations() {
    one(Activation::Relu, &[&[3, 7]]);
    one(Activation::ClippedRelu { limit: 0.25 }, &[&[3, 7]]);
    one(Activation::Softmax, &[&[3, 4]]);
    one(Activation::Softmax, &[&[1]]);
    let hidden = |shape: &[usize], every: usize| {
        let data = (0..shape.iter().product()).map(|i: usize| f32::from(i.is_multiple_of(every))).collect();
        Array::new(shape.to_vec(), data).unwrap()
    };
    one_of(Activation::MaskedSoftmax, &[numbers(&[2, 3, 4], 1), hidden(&[3, 4], 5)]);
    one_of(Activation::MaskedSoftmax, &[numbers(&[4], 1), hidden(&[2, 4], 3)]);
    one_of(Activation::MaskedSoftmax, &[numbers(&[2, 4], 1), hidden(&[2, 1], 2)]);
}

#[test]
fn pooling() {
    for w in windows() {
        for kind in [
            Pooling::Max,
            Pooling::Average { count_padding: false },
            Pooling::Average { count_padding: true },
            Pooling::Sum,
        ] {
            one(Pool { kind, window: w.clone() }, &[&[2, 5, 6, 2]]);
        }
    }
}

#[test]
fn reductions() {
    for kind in [Reduction::Mean, Reduction::Sum, Reduction::Max, Reduction::Min] {
        for axes in [vec![], vec![0], vec![1], vec![0, 2], vec![0, 1, 2]] {
            for keep_dims in [false, true] {
                one(Reduce { kind, axes: axes.clone(), keep_dims }, &[&[2, 3, 4]]);
            }
        }
    }
}

/// Of several largest elements the first one has the gradient.
#[test]
fn the_first_of_equal_elements() {
    let w = window([2, 2], [2, 2], [1, 1], [[0, 0], [0, 0]]);
    let table: [Op; 3] = [
        Pool { kind: Pooling::Max, window: w }.into(),
        Reduce { kind: Reduction::Max, axes: vec![1, 2], keep_dims: true }.into(),
        Reduce { kind: Reduction::Min, axes: vec![1, 2], keep_dims: true }.into(),
    ];
    for op in table {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![1, 2, 2, 1]);
        let y = graph.add("y", op.clone(), &[x]).unwrap();
        let input = Array::filled(vec![1, 2, 2, 1], 3.0).unwrap();
        let start = Array::filled(vec![1, 1, 1, 1], 5.0).unwrap();
        let seen = gradients(&graph, &[input], &[(y, start)]);
        assert_eq!(*seen[&x.0].data, [5.0, 0.0, 0.0, 0.0], "{op:?}");
    }
}

#[test]
fn orders() {
    for axis in 0..3 {
        one(Order::ArgMax { axis }, &[&[2, 3, 2]]);
        one(Order::OneHot { classes: 2 + axis }, &[&[2, 3, 2]]);
        for (k, largest, indices) in [(1, true, false), (2, true, false), (2, false, false), (2, true, true)]
        {
            one(Order::TopK { axis, k, largest, indices }, &[&[2, 3, 2]]);
        }
    }
}

#[test]
fn movements() {
    let table: [(Movement, &[usize]); 10] = [
        (Movement::Reshape { shape: vec![4, 3] }, &[2, 6]),
        (Movement::Transpose { permutation: vec![2, 0, 1] }, &[2, 3, 4]),
        (Movement::Pad { before: vec![1, 0], after: vec![0, 2] }, &[2, 3]),
        (Movement::Slice { begin: vec![1, 3], size: vec![2, 2], stride: vec![1, -2] }, &[3, 4]),
        (Movement::Slice { begin: vec![0], size: vec![0], stride: vec![1] }, &[3]),
        (Movement::Broadcast { shape: vec![2, 3, 4] }, &[3, 1]),
        (Movement::Broadcast { shape: vec![2, 2] }, &[]),
        (Movement::Gather { axis: 1, indices: vec![2, 0, 2, 2] }, &[2, 3, 2]),
        (Movement::Gather { axis: 0, indices: vec![] }, &[2, 3]),
        (Movement::Concat { axis: 0 }, &[2, 3]),
    ];
    for (movement, shape) in table {
        one(movement, &[shape]);
    }
    one(Movement::Concat { axis: 1 }, &[&[2, 1, 3], &[2, 2, 3], &[2, 3, 3]]);
    one(Movement::Concat { axis: 0 }, &[&[2], &[1]]);
    one(Op::Identity, &[&[2, 3]]);
}

/// Convolution, normalisation, activation, pooling with a branch, and a dense layer.
#[test]
fn a_convolutional_network() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![1, 6, 6, 2]);
    let same = window([3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]]);
    let halve = window([2, 2], [2, 2], [1, 1], [[0, 0], [0, 0]]);
    let f = g.add_constant("f", numbers(&[3, 3, 2, 4], 1));
    let c = g.add("c", Linear::Conv2d { window: same.clone(), groups: 1 }, &[x, f]).unwrap();
    let scale = g.add_constant("scale", numbers(&[4], 3));
    let offset = g.add_constant("offset", numbers(&[4], 4));
    let n = g.add("n", Linear::Scale, &[c, scale, offset]).unwrap();
    let r = g.add("r", Activation::Relu, &[n]).unwrap();
    let p = g.add("p", Pool { kind: Pooling::Max, window: halve }, &[r]).unwrap();
    let d = g.add_constant("d", numbers(&[3, 3, 1, 4], 5));
    let c2 = g.add("c2", Linear::Conv2d { window: same, groups: 4 }, &[p, d]).unwrap();
    let s = g.add("s", Function::SWISH, &[c2]).unwrap();
    let sum = g.add("sum", Arithmetic::Add, &[s, p]).unwrap();
    let m = g.add("m", Reduce { kind: Reduction::Mean, axes: vec![1, 2], keep_dims: false }, &[sum]).unwrap();
    let w = g.add_constant("w", numbers(&[4, 3], 6));
    let y = g.add("y", Linear::MatMul { transpose_a: false, transpose_b: false }, &[m, w]).unwrap();
    g.add_output("y", y);
    // Short steps, which few of its bends are within.
    check(&g, &[numbers(&[1, 6, 6, 2], 2)], 1e-3, "a convolutional network");
}

/// Attention over four places with two heads, masked, with a residual and a normalisation.
#[test]
fn an_attention_block() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![4, 6]);
    let product = |transpose_b| Linear::MatMul { transpose_a: false, transpose_b };
    let mut heads = |name: &str, seed| {
        let w = g.add_constant(format!("{name} weights"), numbers(&[6, 6], seed));
        let y = g.add(name, product(false), &[x, w]).unwrap();
        let y = g.add(format!("{name} split"), Movement::Reshape { shape: vec![4, 2, 3] }, &[y]).unwrap();
        g.add(format!("{name} heads"), Movement::Transpose { permutation: vec![1, 0, 2] }, &[y]).unwrap()
    };
    let [q, k, v] = [heads("q", 1), heads("k", 2), heads("v", 3)];
    let scores = g.add("scores", product(true), &[q, k]).unwrap();
    let later = (0..16).map(|i| f32::from(i % 4 > i / 4)).collect();
    let hidden = g.add_constant("hidden", Array::new(vec![4, 4], later).unwrap());
    let weights = g.add("weights", Activation::MaskedSoftmax, &[scores, hidden]).unwrap();
    let mixed = g.add("mixed", product(false), &[weights, v]).unwrap();
    let back = g.add("back", Movement::Transpose { permutation: vec![1, 0, 2] }, &[mixed]).unwrap();
    let back = g.add("joined", Movement::Reshape { shape: vec![4, 6] }, &[back]).unwrap();
    let sum = g.add("sum", Arithmetic::Add, &[back, x]).unwrap();
    let mean = |g: &mut Graph, of| {
        g.add("mean", Reduce { kind: Reduction::Mean, axes: vec![1], keep_dims: true }, &[of]).unwrap()
    };
    let middle = mean(&mut g, sum);
    let centred = g.add("centred", Arithmetic::Sub, &[sum, middle]).unwrap();
    let squares = g.add("squares", Arithmetic::Mul, &[centred, centred]).unwrap();
    let variance = mean(&mut g, squares);
    let deviation = g.add("deviation", Function::SQRT, &[variance]).unwrap();
    let y = g.add("y", Arithmetic::Div, &[centred, deviation]).unwrap();
    g.add_output("y", y);
    check(&g, &[numbers(&[4, 6], 5)], 3e-3, "an attention block");
}

/// What is shown, what is not, and what nothing depends on smoothly.
#[test]
fn what_is_shown() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    let unused = g.add_input("unused", vec![2]);
    let two = g.add_constant("two", Array::scalar(2.0));
    let four = g.add("four", Arithmetic::Mul, &[two, two]).unwrap();
    let scaled = g.add("scaled", Arithmetic::Mul, &[x, four]).unwrap();
    let flags = g.add("flags", Arithmetic::Compare(Comparison::Less), &[scaled, two]).unwrap();
    let beyond = g.add("beyond", Arithmetic::Add, &[scaled, unused]).unwrap();
    let inputs = [Array::vector(vec![1.0, -1.0]), Array::vector(vec![0.0, 0.0])];
    let start = || Array::vector(vec![1.0, 10.0]);
    let shown = |starts: &[(NodeId, Array)]| -> Vec<(usize, Vec<f32>)> {
        gradients(&g, &inputs, starts).into_iter().map(|(i, a)| (i, a.data.to_vec())).collect()
    };
    let all = shown(&[(scaled, start()), (scaled, start())]);
    assert_eq!(all, [(x.0, vec![8.0, 80.0]), (four.0, vec![-18.0]), (scaled.0, vec![2.0, 20.0])]);
    let zero = shown(&[(flags, start())]);
    let zeros = vec![0.0, 0.0];
    assert_eq!(
        zero,
        [(x.0, zeros.clone()), (four.0, vec![0.0]), (scaled.0, zeros), (flags.0, vec![1.0, 10.0])]
    );
    assert_eq!(shown(&[(beyond, start()), (flags, start())]).len(), 6);
    assert_eq!(shown(&[(two, Array::scalar(1.0))]), []);
    assert_eq!(shown(&[]), []);
}

/// Endless values and gradients do not spread.
#[test]
fn gradients_are_finite() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![3]);
    let y = g.add_input("y", vec![]);
    let quotient = g.add("quotient", Arithmetic::Div, &[x, y]).unwrap();
    let product = g.add("product", Arithmetic::Mul, &[quotient, x]).unwrap();
    let weights = g.add("weights", Activation::Softmax, &[product]).unwrap();
    let starts = [
        (product, Array::vector(vec![f32::INFINITY, f32::NAN, 1.0])),
        (weights, Array::vector(vec![1.0, 2.0, 3.0])),
    ];
    let inputs = [Array::vector(vec![1.0, f32::NEG_INFINITY, 0.0]), Array::scalar(0.0)];
    // `gradients` looks at each.
    assert_eq!(gradients(&g, &inputs, &starts).len(), 5);
}

#[test]
fn starts_must_fit() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![2]);
    let input = [Array::vector(vec![1.0, 2.0])];
    let error = |id, start| backward(&g, &input, &[(id, start)], &mut |_, _, _| ()).unwrap_err().to_string();
    assert_eq!(
        error(x, Array::scalar(1.0)),
        "the gradient of node \"x\" must have the shape [2] of its value, not []"
    );
    assert_eq!(
        error(NodeId(1), Array::scalar(1.0)),
        "a gradient is given for node 1, but the graph has 1 nodes"
    );
}

/// Constants that layers multiply with are seen once for each layer, with what a change of them does; others are not.
#[test]
fn weights_are_seen_where_they_are_asked_for() {
    let mut g = Graph::default();
    let product = Linear::MatMul { transpose_a: false, transpose_b: false };
    let x = g.add_input("x", vec![1, 2]);
    let w = g.add_constant("w", Array::new(vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
    let bias = g.add_constant("bias", Array::vector(vec![5.0, 6.0]));
    let y = g.add("y", product.clone(), &[x, w, bias]).unwrap();
    let z = g.add("z", product, &[y, w]).unwrap();
    g.add_output("z", z);
    let input = [Array::new(vec![1, 2], vec![1.0, -1.0]).unwrap()];
    let start = Array::new(vec![1, 2], vec![1.0, 10.0]).unwrap();
    let mut seen = Vec::new();
    let mut nodes = 0;
    backward_to_weights(&g, &input, &[(z, start)], &mut |_, _, _| nodes += 1, &mut |id, gradient| {
        seen.push((id, gradient.data.to_vec()));
    })
    .unwrap();
    assert_eq!(nodes, 3);
    // y = [3, 4]: yᵀ · start; and what reaches y, start · wᵀ = [21, 43]: xᵀ · that.
    assert_eq!(seen, [(w, vec![3.0, 30.0, 4.0, 40.0]), (w, vec![21.0, 43.0, -21.0, -43.0])]);
}

//! What constants that stand for infinity become.

use cryptflow_athos::passes::{dead_nodes, endless::run};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Graph, Node, NodeId, Op, Pool, Pooling, Reduce,
    Reduction,
};
use cryptflow_ring::{Movement, Window};

use super::harness;

const HUGE: f32 = f32::MIN;
const INFINITE: f32 = f32::NEG_INFINITY;

fn array(shape: &[usize], data: &[f32]) -> Array {
    Array::new(shape.to_vec(), data.to_vec()).unwrap()
}

/// What is left of a graph of an input and an operation on it.
fn left(build: impl Fn(&mut Graph, NodeId) -> NodeId, changes: usize) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![3, 4]);
    let y = build(&mut g, x);
    g.add_output("y", y);
    let report = harness::preserving(run, &mut g);
    assert_eq!(report.changes.len(), changes, "{report:?}");
    dead_nodes::run(&mut g);
    g
}

#[test]
fn limits_that_cut_nothing_go_away() {
    let table = [
        (Arithmetic::Maximum, INFINITE, false, "identity"),
        (Arithmetic::Maximum, -1e12, true, "identity"),
        (Arithmetic::Minimum, 1e12, false, "identity"),
        (Arithmetic::Minimum, f32::INFINITY, true, "identity"),
        (Arithmetic::Maximum, -100.0, false, "maximum"),
        (Arithmetic::Minimum, -1e12, false, "minimum"),
    ];
    for (op, limit, first, wanted) in table {
        let build = |g: &mut Graph, x| {
            let c = g.add_constant("c", Array::scalar(limit));
            g.add("y", op.clone(), &if first { [c, x] } else { [x, c] }).unwrap()
        };
        let g = left(build, usize::from(wanted == "identity"));
        assert_eq!(harness::operations(&g), [wanted], "{op:?} {limit}");
    }
    let clipped = |g: &mut Graph, x| g.add("y", Activation::ClippedRelu { limit: 3e38 }, &[x]).unwrap();
    assert_eq!(harness::operations(&left(clipped, 1)), ["relu"]);
}

#[test]
fn comparisons_that_are_known() {
    let table = [
        (Comparison::Less, f32::INFINITY, 1.0),
        (Comparison::Equal, f32::INFINITY, 0.0),
        (Comparison::NotEqual, INFINITE, 1.0),
        (Comparison::GreaterEqual, -1e30, 1.0),
        (Comparison::Greater, 1e30, 0.0),
    ];
    for (comparison, number, flag) in table {
        let build = |g: &mut Graph, x| {
            let c = g.add_constant("c", Array::scalar(number));
            g.add("y", Arithmetic::Compare(comparison), &[x, c]).unwrap()
        };
        let g = left(build, 1);
        assert_eq!(g.constant(g.outputs[0]), Some(&Array::filled(vec![3, 4], flag).unwrap()));
    }
    // Nothing is no number.
    let build = |g: &mut Graph, x| {
        let nan = g.add("nan", Arithmetic::Compare(Comparison::NotEqual), &[x, x]).unwrap();
        let zero = g.add_constant("zero", Array::scalar(0.0));
        g.add("y", Arithmetic::Select, &[nan, zero, x]).unwrap()
    };
    let g = left(build, 2);
    assert_eq!(harness::operations(&g), ["identity"]);
}

fn causal(inside: f32, outside: f32) -> Array {
    array(&[3, 4], &(0..12).map(|i| if i % 4 > i / 4 { outside } else { inside }).collect::<Vec<_>>())
}

#[test]
fn hidden_places_have_no_weight() {
    let softmax = |g: &mut Graph, x| g.add("y", Activation::Softmax, &[x]).unwrap();
    type Mask = fn(&mut Graph, NodeId) -> NodeId;
    let table: [(&str, Mask); 8] = [
        ("added", |g, x| {
            let c = g.add_constant("c", causal(0.5, HUGE));
            g.add("masked", Arithmetic::Add, &[c, x]).unwrap()
        }),
        ("added, infinite", |g, x| {
            let c = g.add_constant("c", causal(0.0, INFINITE));
            g.add("masked", Arithmetic::Add, &[x, c]).unwrap()
        }),
        ("subtracted", |g, x| {
            let c = g.add_constant("c", causal(0.0, 1e20));
            g.add("masked", Arithmetic::Sub, &[x, c]).unwrap()
        }),
        ("chosen", |g, x| {
            let (c, low) = (causal(1.0, 0.0), Array::scalar(INFINITE));
            let (c, low) = (g.add_constant("c", c), g.add_constant("low", low));
            g.add("masked", Arithmetic::Select, &[c, x, low]).unwrap()
        }),
        ("chosen, the other way, behind a limit and a scale", |g, x| {
            let (c, low) = (causal(0.0, 1.0), Array::scalar(HUGE));
            let (c, low) = (g.add_constant("c", c), g.add_constant("low", low));
            let x = g.add("masked", Arithmetic::Select, &[c, low, x]).unwrap();
            let eight = g.add_constant("eight", Array::scalar(8.0));
            let x = g.add("scaled", Arithmetic::Div, &[x, eight]).unwrap();
            g.add("limit", Arithmetic::Maximum, &[x, low]).unwrap()
        }),
        ("of a flag", |g, x| {
            let (zero, one) = (Array::scalar(0.0), Array::scalar(1.0));
            let (zero, one) = (g.add_constant("zero", zero), g.add_constant("one", one));
            let low = g.add_constant("low", Array::scalar(HUGE));
            let flag = g.add("flag", Arithmetic::Compare(Comparison::GreaterEqual), &[x, zero]).unwrap();
            let hidden = g.add("hidden", Arithmetic::Sub, &[one, flag]).unwrap();
            let offset = g.add("offset", Arithmetic::Mul, &[hidden, low]).unwrap();
            g.add("masked", Arithmetic::Add, &[x, offset]).unwrap()
        }),
        ("of a flag less one, and of a constant", |g, x| {
            let one = g.add_constant("one", Array::scalar(1.0));
            let minus = g.add_constant("minus", Array::scalar(-0.5));
            let high = g.add_constant("high", Array::scalar(-HUGE));
            let flag = g.add("flag", Arithmetic::Compare(Comparison::Greater), &[x, minus]).unwrap();
            let less = g.add("less", Arithmetic::Sub, &[flag, one]).unwrap();
            let offset = g.add("offset", Arithmetic::Mul, &[less, high]).unwrap();
            let both = g.add("both", Arithmetic::Add, &[x, offset]).unwrap();
            let c = g.add_constant("c", array(&[4], &[0.0, 0.0, 0.0, INFINITE]));
            g.add("masked", Arithmetic::Add, &[both, c]).unwrap()
        }),
        ("before a movement", |g, x| {
            let c = g.add_constant("c", causal(0.0, HUGE));
            let masked = g.add("masked", Arithmetic::Add, &[x, c]).unwrap();
            let row = g.add_constant("row", array(&[4], &[0.0, 0.0, HUGE, 0.0]));
            let masked = g.add("again", Arithmetic::Add, &[masked, row]).unwrap();
            let flat = g.add("flat", Movement::Reshape { shape: vec![3, 1, 4] }, &[masked]).unwrap();
            g.add("back", Movement::Transpose { permutation: vec![1, 0, 2] }, &[flat]).unwrap()
        }),
    ];
    for (what, mask) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![3, 4]);
        let masked = mask(&mut g, x);
        let y = softmax(&mut g, masked);
        g.add_output("y", y);
        let report = harness::preserving(run, &mut g);
        assert!(!report.changes.is_empty() && report.left.is_empty(), "{what}: {report:?}");
        dead_nodes::run(&mut g);
        // Of flags all may be set in a row, beside a number that is not infinite.
        let last = match what {
            "of a flag" => Op::Arithmetic(Arithmetic::Add),
            _ => Op::Activation(Activation::MaskedSoftmax),
        };
        assert_eq!(g.node(g.outputs[0]).op, last, "{what}");
        for node in &g.nodes {
            let Op::Constant(c) = &node.op else { continue };
            assert!(c.data.iter().all(|v| v.abs() <= 8.0), "{what}: {} is left", node.name);
        }
    }
}

/// A number that is only large hides flags of the input, of which all may be set in a row: floats keep
/// nothing of the others beside it.
#[test]
fn large_numbers_hide_places_and_even_out_rows() {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![3, 4]);
    let (zero, one) = (Array::scalar(0.0), Array::scalar(1.0));
    let (zero, one) = (g.add_constant("zero", zero), g.add_constant("one", one));
    let low = g.add_constant("low", Array::scalar(-1e9));
    let causal = g.add_constant("causal", causal(1.0, 0.0));
    let flag = g.add("flag", Arithmetic::Compare(Comparison::GreaterEqual), &[x, zero]).unwrap();
    let seen = g.add("seen", Arithmetic::Mul, &[flag, causal]).unwrap();
    let hidden = g.add("hidden", Arithmetic::Sub, &[one, seen]).unwrap();
    let offset = g.add("offset", Arithmetic::Mul, &[hidden, low]).unwrap();
    let masked = g.add("masked", Arithmetic::Add, &[x, offset]).unwrap();
    let y = g.add("y", Activation::Softmax, &[masked]).unwrap();
    g.add_output("y", y);
    let report = harness::preserving(run, &mut g);
    assert_eq!((report.changes.len(), report.left.len()), (1, 0), "{report:?}");
    dead_nodes::run(&mut g);
    for node in &g.nodes {
        let Op::Constant(c) = &node.op else { continue };
        assert!(c.data.iter().all(|v| v.abs() <= 4.0), "{} is left", node.name);
    }
}

/// Flags of queries and of keys, as DeBERTa's mask is made: a query that is hidden sees all keys alike, for nothing
/// but a comparison for each query.
#[test]
fn rows_of_flags_that_are_hidden_as_a_whole() {
    for low in [HUGE, -1e9] {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![2, 3, 4]);
        let zero = g.add_constant("zero", Array::scalar(0.0));
        let queries = g.add_input("queries", vec![3, 1]);
        let queries = g.add("seen", Arithmetic::Compare(Comparison::Greater), &[queries, zero]).unwrap();
        let keys = g.add_input("keys", vec![1, 4]);
        let keys = g.add("keys_seen", Arithmetic::Compare(Comparison::Greater), &[keys, zero]).unwrap();
        let seen = g.add("both", Arithmetic::Mul, &[queries, keys]).unwrap();
        let low = g.add_constant("low", Array::scalar(low));
        let masked = g.add("masked", Arithmetic::Select, &[seen, x, low]).unwrap();
        let y = g.add("y", Activation::Softmax, &[masked]).unwrap();
        g.add_output("y", y);
        let report = harness::preserving(run, &mut g);
        assert_eq!((report.changes.len(), report.left.len()), (1, 0), "{report:?}");
        dead_nodes::run(&mut g);
        let compared = |n: &Node| n.name == "y/all_hidden" && n.shape == [3, 1];
        assert!(g.nodes.iter().any(compared), "{:?}", harness::operations(&g));
    }
}

#[test]
fn written_out() {
    let build = |g: &mut Graph, x| {
        let c = g.add_constant("c", causal(0.0, INFINITE));
        let x = g.add("masked", Arithmetic::Add, &[x, c]).unwrap();
        let over = |kind| Reduce { kind, axes: vec![1], keep_dims: false };
        let column = Movement::Reshape { shape: vec![3, 1] };
        let largest = g.add("largest", over(Reduction::Max), &[x]).unwrap();
        let largest = g.add("column", column.clone(), &[largest]).unwrap();
        let below = g.add("below", Arithmetic::Sub, &[x, largest]).unwrap();
        let terms = g.add("terms", Function::EXP, &[below]).unwrap();
        let sum = g.add("sum", over(Reduction::Sum), &[terms]).unwrap();
        let sum = g.add("sums", column, &[sum]).unwrap();
        g.add("y", Arithmetic::Div, &[terms, sum]).unwrap()
    };
    // The maximum, which nothing uses any more, has changed, too.
    assert_eq!(harness::operations(&left(build, 2)), ["masked softmax"]);
}

#[test]
fn rows_in_which_all_is_hidden() {
    let of = |low: f32| {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![3, 4]);
        let c = g.add_constant("c", array(&[3, 1], &[0.0, low, 0.0]));
        let masked = g.add("masked", Arithmetic::Add, &[x, c]).unwrap();
        let y = g.add("y", Activation::Softmax, &[masked]).unwrap();
        g.add_output("y", y);
        g
    };
    // Beside a huge number all are equal; infinity leaves nothing.
    assert_eq!(harness::preserving(run, &mut of(HUGE)).changes.len(), 1);
    let mut g = of(INFINITE);
    let report = run(&mut g);
    assert_eq!((report.changes.len(), report.left.len()), (1, 0));
    let y = harness::outputs(&g).remove(0);
    assert_eq!(y.data[4..8], [0.0; 4]);
    assert!(y.data[..4].iter().all(|&v| v > 0.0));
}

#[test]
fn the_largest_of_what_is_not_hidden() {
    for (axes, low) in [(vec![1], INFINITE), (vec![0, 1], HUGE)] {
        let build = |g: &mut Graph, x| {
            let c = g.add_constant("c", causal(0.0, low));
            let masked = g.add("masked", Arithmetic::Add, &[x, c]).unwrap();
            let reduce = Reduce { kind: Reduction::Max, axes: axes.clone(), keep_dims: false };
            g.add("y", reduce, &[masked]).unwrap()
        };
        let g = left(build, 1);
        assert!(!harness::operations(&g).contains(&"add"), "{:?}", harness::operations(&g));
    }
}

/// Where it is secret which places are hidden: whatever is chosen is a number of the row.
#[test]
fn the_largest_and_the_smallest_of_what_is_secretly_not_hidden() {
    for (kind, far) in [(Reduction::Max, INFINITE), (Reduction::Min, f32::INFINITY), (Reduction::Min, 3e38)] {
        for shown_first in [true, false] {
            let build = |g: &mut Graph, x| {
                let zero = g.add_constant("zero", array(&[1, 4], &[0.0; 4]));
                let first = Movement::Slice { begin: vec![0, 0], size: vec![1, 4], stride: vec![1, 1] };
                let first = g.add("first", first, &[x]).unwrap();
                let flags = g.add("flags", Arithmetic::Compare(Comparison::Greater), &[first, zero]).unwrap();
                let far = g.add_constant("far", Array::scalar(far));
                let chosen = if shown_first { [flags, x, far] } else { [flags, far, x] };
                let masked = g.add("masked", Arithmetic::Select, &chosen).unwrap();
                g.add("y", Reduce { kind, axes: vec![1], keep_dims: true }, &[masked]).unwrap()
            };
            let g = left(build, 1);
            let endless =
                |node: &Node| matches!(&node.op, Op::Constant(c) if c.data.iter().any(|v| v.abs() > 1e9));
            assert!(!g.nodes.iter().any(endless), "{:?}", harness::operations(&g));
        }
    }
}

#[test]
fn borders_of_max_pools() {
    // (the border of height and width, elements that are hidden beside it, whether it changes)
    for (border, beside, changes) in [(1, false, true), (1, true, false), (2, false, false)] {
        for transposed in [false, true] {
            let mut g = Graph::default();
            let shape = if transposed { [1, 2, 4, 4] } else { [1, 4, 4, 2] };
            let x = g.add_input("x", shape.to_vec());
            let around: Vec<usize> = shape.iter().map(|&n| if n == 4 { border } else { 0 }).collect();
            let pad = Movement::Pad { before: around.clone(), after: around };
            let ones = Array::filled(shape.to_vec(), 1.0).unwrap();
            let ones = Op::from(pad.clone()).evaluate(&[&ones]).unwrap();
            let mut data: Vec<f32> =
                ones.data.iter().map(|&v| if v == 0.0 { INFINITE } else { 0.0 }).collect();
            if let Some(at) = data.iter().position(|&v| beside && v == 0.0) {
                data[at] = INFINITE;
            }
            let c = g.add_constant("c", Array::new(ones.shape, data).unwrap());
            let padded = g.add("pad", pad, &[x]).unwrap();
            let mut masked = g.add("masked", Arithmetic::Add, &[padded, c]).unwrap();
            if transposed {
                let permutation = vec![0, 2, 3, 1];
                masked = g.add("last", Movement::Transpose { permutation }, &[masked]).unwrap();
            }
            let padding = [[0; 2]; 2];
            let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding };
            let y = g.add("y", Pool { kind: Pooling::Max, window }, &[masked]).unwrap();
            g.add_output("y", y);
            let report = if changes { harness::preserving(run, &mut g) } else { run(&mut g) };
            let counts = (report.changes.len(), report.left.len());
            assert_eq!(counts, (usize::from(changes), usize::from(!changes)), "{border} {beside}");
        }
    }
}

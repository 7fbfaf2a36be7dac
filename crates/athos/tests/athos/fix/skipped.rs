//! Comparisons that do not look at their lowest bits: where what they lose is less than rounding loses, and nowhere else.

use cryptflow_athos::compile::{Bounds, CompileOptions, Scale, compile};
use cryptflow_graph::{Activation, Arithmetic, Array, Function, Graph, Linear, NodeId, Op, Range};
use cryptflow_program::Program;

use crate::fix::executor::Naive;
use crate::fix::graphs::Random;

const ROWS: usize = 8;
const COLUMNS: usize = 64;

fn add(g: &mut Graph, op: impl Into<Op>, inputs: &[NodeId]) -> NodeId {
    g.add(format!("n{}", g.nodes.len()), op, inputs).unwrap()
}

fn layer(g: &mut Graph, x: NodeId) -> NodeId {
    let mut random = Random(7);
    let name = format!("w{}", g.nodes.len());
    let w = g.add_constant(name, random.array(&[COLUMNS, COLUMNS], -0.3, 0.3));
    add(g, Linear::MatMul { transpose_a: false, transpose_b: false }, &[x, w])
}

/// A layer, a ReLU, another layer.
fn network(g: &mut Graph, x: NodeId) -> NodeId {
    let hidden = layer(g, x);
    let hidden = add(g, Activation::Relu, &[hidden]);
    layer(g, hidden)
}

/// The same with a limit.
fn limited(g: &mut Graph, x: NodeId) -> NodeId {
    let hidden = layer(g, x);
    let hidden = add(g, Activation::ClippedRelu { limit: 1.5 }, &[hidden]);
    layer(g, hidden)
}

/// What is next to zero is multiplied with something of its own.
fn squared(g: &mut Graph, x: NodeId) -> NodeId {
    let hidden = layer(g, x);
    let hidden = add(g, Activation::Relu, &[hidden]);
    let hidden = add(g, Arithmetic::Mul, &[hidden, hidden]);
    layer(g, hidden)
}

/// A limit so low that most is next to it, or next to zero.
fn low(g: &mut Graph, x: NodeId) -> NodeId {
    let hidden = layer(g, x);
    let hidden = add(g, Activation::ClippedRelu { limit: 1e-3 }, &[hidden]);
    layer(g, hidden)
}

fn graph(build: fn(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut g = Graph::default();
    let x = g.add_input("x", vec![ROWS, COLUMNS]);
    let y = build(&mut g, x);
    g.outputs.push(y);
    g.output_names.push("y".into());
    g
}

/// The bits that each activation skips, and those that it has.
fn skipped(program: &Program) -> Vec<(u32, u32)> {
    let of =
        |operation: &cryptflow_program::Operation| Some((operation.skipped()?, operation.compare_bits()?));
    program.steps.iter().filter_map(|step| of(&step.operation)).collect()
}

#[test]
fn what_is_not_looked_at() {
    // (the graph, fractional bits, the fewest and the most bits that are skipped)
    type Case = (fn(&mut Graph, NodeId) -> NodeId, u32, u32, u32);
    let table: [Case; 6] = [
        (network, 12, 4, 7),
        (network, 6, 1, 3),
        (network, 16, 6, 9),
        (limited, 12, 4, 7),
        (squared, 12, 0, 0),
        (low, 12, 0, 1),
    ];
    for (build, scale, least, most) in table {
        let graph = graph(build);
        let examples = (0..8)
            .map(|seed| vec![Random(seed).array(&[ROWS, COLUMNS], -2.0, 2.0)])
            .collect::<Vec<Vec<Array>>>();
        let options = CompileOptions { scale: Scale::Bits(scale), ..CompileOptions::default() };
        let model =
            compile(&graph, Bounds::Examples(examples), &options, &Naive::exact(), &mut |_| ()).unwrap();
        let found = skipped(&model.program);
        assert!(!found.is_empty());
        for (skips, bits) in found {
            assert!((least..=most).contains(&skips), "{skips} of {bits} bits are skipped at {scale}");
            assert!(skips + 2 <= bits);
        }
    }
}

/// What all of a row are compared with drops out of a softmax, and a GELU is folded where it makes no difference: few bits of
/// them are looked at, whatever examples show, and in worst cases as well.
#[test]
fn softmax_and_curves_allow_for_it() {
    let softmax = |g: &mut Graph, x| {
        let hidden = layer(g, x);
        let hidden = add(g, Activation::Softmax, &[hidden]);
        layer(g, hidden)
    };
    let gelu = |g: &mut Graph, x| {
        let hidden = layer(g, x);
        let hidden = add(g, Function::GELU, &[hidden]);
        layer(g, hidden)
    };
    for (build, scale) in [(softmax as fn(&mut Graph, NodeId) -> NodeId, 12), (gelu, 12)] {
        let graph = graph(build);
        let options = CompileOptions { scale: Scale::Bits(scale), ..CompileOptions::default() };
        let examples: Vec<Vec<Array>> =
            (0..8).map(|seed| vec![Random(seed).array(&[ROWS, COLUMNS], -2.0, 2.0)]).collect();
        let range = Range { low: -2.0, high: 2.0 };
        for bounds in [Bounds::Examples(examples), Bounds::Ranges(vec![range])] {
            let model = compile(&graph, bounds, &options, &Naive::exact(), &mut |_| ()).unwrap();
            let found = skipped(&model.program);
            let Some((skips, _)) = found.first() else { panic!("nothing is compared") };
            assert!(*skips >= 5, "{found:?}");
        }
    }
}

/// Nothing is known of what is next to zero where there are no examples.
#[test]
fn worst_cases_are_exact() {
    let graph = graph(network);
    let ranges = Bounds::Ranges(vec![Range { low: -2.0, high: 2.0 }]);
    let model = compile(&graph, ranges, &CompileOptions::default(), &Naive::exact(), &mut |_| ()).unwrap();
    assert!(skipped(&model.program).iter().all(|(skips, _)| *skips == 0));
}

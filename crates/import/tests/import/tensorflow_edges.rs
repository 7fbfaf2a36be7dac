//! TensorFlow's operations where their operands are of a particular kind: single constants,
//! integers, both.

use super::graph_def::{Builder, outputs, shape};
use cryptflow_graph::{Activation, Arithmetic, Array, Graph, Op, float};
use cryptflow_import::tensorflow::import;
use cryptflow_import::tensorflow::messages::{Attr, DataType};

type Build = fn(&mut Builder);

fn graph(build: Build) -> Graph {
    let mut b = Builder::default();
    b.input("a", &[1, 6]);
    build(&mut b);
    import(&b.bytes(), &outputs(&["y"])).unwrap_or_else(|e| panic!("{e}"))
}

const X: [f32; 6] = [-7.0, -1.5, -0.0, 0.25, 2.0, 7.5];

fn run(graph: &Graph) -> Vec<f32> {
    let x = Array::new(vec![1, 6], X.to_vec()).unwrap();
    float::run(graph, &[x], &mut |_, _| ()).unwrap().remove(0).data.to_vec()
}

/// With single constants in order a clip is one step, a clipped ReLU.
#[test]
fn clips() {
    // (the limits, how many comparisons)
    let table: [(Build, usize, fn(f32) -> f32); 5] = [
        (|b| limits(b, &[], &[0.0], &[6.0]), 1, |v| v.clamp(0.0, 6.0)),
        (|b| limits(b, &[], &[-1.0], &[1.0]), 1, |v| v.clamp(-1.0, 1.0)),
        (|b| limits(b, &[1], &[1.0], &[2.5]), 1, |v| v.clamp(1.0, 2.5)),
        // The upper limit wins.
        (|b| limits(b, &[], &[3.0], &[1.0]), 2, |_| 1.0),
        (|b| limits(b, &[6], &[-1.0; 6], &[1.0; 6]), 2, |v| v.clamp(-1.0, 1.0)),
    ];
    for (i, (build, comparisons, want)) in table.into_iter().enumerate() {
        let graph = graph(build);
        let steps = |op: &Op| {
            matches!(
                op,
                Op::Activation(Activation::ClippedRelu { .. })
                    | Op::Arithmetic(Arithmetic::Maximum | Arithmetic::Minimum)
            )
        };
        assert_eq!(graph.nodes.iter().filter(|n| steps(&n.op)).count(), comparisons, "case {i}");
        assert_eq!(run(&graph), X.map(want), "case {i}");
    }
}

fn limits(b: &mut Builder, shape: &[i64], low: &[f32], high: &[f32]) {
    b.floats("low", shape, low).floats("high", shape, high);
    b.node("y", "ClipByValue", &["a", "low", "high"], &[]);
}

/// Floats and integers are divided in two ways.
#[test]
fn divisions_towards_zero() {
    let divided = |b: &mut Builder, dtype: DataType| {
        let types = [("SrcT", Attr::Type(1)), ("DstT", Attr::Type(dtype as i32))];
        b.floats("two", &[], &[2.0]).node("whole", "Cast", &["a"], &types);
        b.node("divisor", "Cast", &["two"], &types);
        b.node("y", "TruncateDiv", &["whole", "divisor"], &[("T", Attr::Type(dtype as i32))]);
    };
    let mut float = Builder::default();
    divided(float.input("a", &[1, 6]), DataType::Float);
    let mut integer = Builder::default();
    divided(integer.input("a", &[1, 6]), DataType::Int32);
    for (b, want) in [(float, X.map(|v| (v / 2.0).trunc())), (integer, X.map(|v| (v.trunc() / 2.0).trunc()))]
    {
        assert_eq!(run(&import(&b.bytes(), &outputs(&["y"])).unwrap()), want);
    }
}

/// Integers that are known beside integers that depend on an input.
#[test]
fn known_integers_beside_secret_ones() {
    let types = [("SrcT", Attr::Type(1)), ("DstT", Attr::Type(DataType::Int32 as i32))];
    let mut b = Builder::default();
    b.input("a", &[1, 6]).node("whole", "Cast", &["a"], &types);
    b.integers("first", &[1, 2], &[101, 102]).integers("axis", &[], &[1]);
    b.node("y", "ConcatV2", &["first", "whole", "axis"], &[]);
    let whole = X.map(f32::trunc);
    let graph = import(&b.bytes(), &outputs(&["y"])).unwrap();
    assert_eq!(run(&graph), [&[101.0, 102.0][..], &whole].concat());
}

fn ensured(b: &mut Builder, dims: &[i64]) {
    b.node("y", "EnsureShape", &["a"], &[("shape", Attr::Shape(shape(dims)))]);
}

#[test]
fn shapes_are_ensured() {
    for build in [(|b| ensured(b, &[1, 6])) as Build, |b| ensured(b, &[-1, 6])] {
        assert_eq!(run(&graph(build)), X);
    }
}

#[test]
fn refusals_say_what_to_do() {
    let table: [(&str, Build); 7] = [
        ("Cast them to floats", |b| {
            b.integers("two", &[], &[2]).integers("less", &[], &[-1]).node("y", "Pow", &["two", "less"], &[]);
        }),
        ("Split the operand by exponents", |b| {
            b.floats("powers", &[2], &[2.0, 3.0]).node("y", "Pow", &["a", "powers"], &[]);
        }),
        ("choose with Select", |b| {
            b.floats("some", &[2], &[2.0, 0.0]).node("y", "DivNoNan", &["a", "some"], &[]);
        }),
        ("BroadcastTo", |b| {
            b.integers("shape", &[1], &[2]).node("y", "Fill", &["shape", "a"], &[]);
        }),
        ("wants the shape [-1, 5]", |b| ensured(b, &[-1, 5])),
        ("its operand has [1, 6]", |b| ensured(b, &[6])),
        ("Cast it to floats first", |b| {
            b.integers("two", &[2], &[2, 3]).node("y", "Relu", &["two"], &[]);
        }),
    ];
    for (advice, build) in table {
        let mut b = Builder::default();
        b.input("a", &[1, 6]);
        build(&mut b);
        let error = import(&b.bytes(), &outputs(&["y"])).unwrap_err().to_string();
        assert!(error.contains(advice), "{advice:?} is not in {error}");
    }
}

//! Where the division of an average goes.

use cryptflow_athos::passes::average_into_weights::run;
use cryptflow_graph::{Activation, Graph, Linear, NodeId, Pool, Pooling, Reduce, Reduction};
use cryptflow_ring::{Movement, Window};

use super::harness;

fn average(g: &mut Graph, name: &str, x: NodeId, padding: usize, count_padding: bool) -> NodeId {
    let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], padding: [[padding; 2]; 2] };
    g.add(name, Pool { kind: Pooling::Average { count_padding }, window }, &[x]).unwrap()
}

fn layer(g: &mut Graph, x: NodeId) -> NodeId {
    let n = g.node(x).shape.iter().skip(1).product();
    let flat = g.add("flat", Movement::Reshape { shape: vec![1, n] }, &[x]).unwrap();
    let w = g.add_constant("w", harness::Random(5).array(&[n, 3]));
    g.add("layer", Linear::MatMul { transpose_a: false, transpose_b: false }, &[flat, w]).unwrap()
}

#[test]
fn where_the_factor_goes() {
    type Build = fn(&mut Graph, NodeId) -> NodeId;
    let table: [(&str, Build, usize, usize); 9] = [
        (
            "into a matrix",
            |g, x| {
                let y = average(g, "a", x, 0, false);
                layer(g, y)
            },
            1,
            0,
        ),
        (
            "of a mean, through a ReLU",
            |g, x| {
                let y = g
                    .add("a", Reduce { kind: Reduction::Mean, axes: vec![1, 2], keep_dims: true }, &[x])
                    .unwrap();
                let y = g.add("relu", Activation::Relu, &[y]).unwrap();
                layer(g, y)
            },
            1,
            0,
        ),
        ("not out of the graph", |g, x| average(g, "a", x, 0, false), 0, 1),
        (
            "not of varying counts",
            |g, x| {
                let y = average(g, "a", x, 1, false);
                layer(g, y)
            },
            0,
            1,
        ),
        (
            "of padding that counts",
            |g, x| {
                let y = average(g, "a", x, 1, true);
                layer(g, y)
            },
            1,
            0,
        ),
        (
            "not past a clipped ReLU",
            |g, x| {
                let y = average(g, "a", x, 0, false);
                let y = g.add("relu6", Activation::ClippedRelu { limit: 6.0 }, &[y]).unwrap();
                layer(g, y)
            },
            0,
            1,
        ),
        (
            "beside another average",
            |g, x| {
                let y = average(g, "a", x, 0, false);
                let r = g.add("relu", Activation::Relu, &[x]).unwrap();
                let z = average(g, "b", r, 0, false);
                let c = g.add("c", Movement::Concat { axis: 3 }, &[y, z]).unwrap();
                layer(g, c)
            },
            1,
            0,
        ),
        (
            "not beside a value",
            |g, x| {
                let y = average(g, "a", x, 0, false);
                let begin = vec![0, 0, 0, 0];
                let cut = Movement::Slice { begin, size: vec![1, 3, 3, 2], stride: vec![1; 4] };
                let z = g.add("z", cut, &[x]).unwrap();
                let c = g.add("c", Movement::Concat { axis: 3 }, &[y, z]).unwrap();
                layer(g, c)
            },
            0,
            1,
        ),
        (
            "of one average after another",
            |g, x| {
                let y = average(g, "a", x, 0, false);
                let y = g
                    .add("b", Reduce { kind: Reduction::Mean, axes: vec![1], keep_dims: true }, &[y])
                    .unwrap();
                layer(g, y)
            },
            2,
            0,
        ),
    ];
    for (what, build, changes, left) in table {
        let mut g = Graph::default();
        let x = g.add_input("x", vec![1, 6, 6, 2]);
        let y = build(&mut g, x);
        g.add_output("y", y);
        let report = harness::preserving(run, &mut g);
        assert_eq!((report.changes.len(), report.left.len()), (changes, left), "{what}: {report:?}");
    }
}

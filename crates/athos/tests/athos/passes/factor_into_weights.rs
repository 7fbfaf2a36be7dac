//! Which layers take up what a product of secrets is multiplied with.

use cryptflow_athos::passes::factor_into_weights::run;
use cryptflow_graph::{Arithmetic, Array, Graph, Linear, NodeId, Op};
use cryptflow_ring::Movement;

use super::harness::{self, Random};

/// How the queries of an attention are used beside their product with keys.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    Output,
    Sum,
}

/// The scores of an attention of two heads, multiplied with a constant.
fn attention(constant: Array, op: Arithmetic, of_queries: Beside, of_keys: Beside) -> Graph {
    let mut r = Random(7);
    let mut g = Graph::default();
    let x = g.add_input("x", vec![3, 4]);
    let mut side = |g: &mut Graph, name: &str, beside: Beside| -> NodeId {
        let w = g.add_constant(format!("{name}/w"), r.array(&[4, 4]));
        let bias = g.add_constant(format!("{name}/b"), r.array(&[4]));
        let op = Linear::MatMul { transpose_a: false, transpose_b: false };
        let y = g.add(name, op, &[x, w, bias]).unwrap();
        match beside {
            Beside::Nothing => {}
            Beside::Output => g.add_output(name, y),
            Beside::Sum => {
                let sum = g.add(format!("{name}/sum"), Arithmetic::Add, &[y, x]).unwrap();
                g.add_output(name, sum);
            }
        }
        let heads = Movement::Reshape { shape: vec![3, 2, 2] };
        let heads = g.add(format!("{name}/heads"), heads, &[y]).unwrap();
        let first = Movement::Transpose { permutation: vec![1, 0, 2] };
        g.add(format!("{name}/first"), first, &[heads]).unwrap()
    };
    let (q, k) = (side(&mut g, "q", of_queries), side(&mut g, "k", of_keys));
    let product = Linear::MatMul { transpose_a: false, transpose_b: true };
    let scores = g.add("scores", product, &[q, k]).unwrap();
    let c = g.add_constant("c", constant);
    let scaled = g.add("scaled", op, &[scores, c]).unwrap();
    g.add_output("scaled", scaled);
    g
}

#[test]
fn a_factor_goes_into_a_layer_that_serves_nothing_else() {
    use Beside::{Nothing, Output, Sum};
    let number = || Array::scalar(0.5);
    let columns = || Array::vector(vec![0.5, 0.5, 0.25]);
    // What the scores are multiplied with, what else queries and keys serve, and the layer that takes the factor up.
    let table = [
        ("a number", number(), Arithmetic::Mul, Nothing, Nothing, Some("q")),
        ("divided", number(), Arithmetic::Div, Nothing, Nothing, Some("q")),
        ("queries are opened", number(), Arithmetic::Mul, Output, Nothing, Some("k")),
        ("queries are added to", number(), Arithmetic::Mul, Sum, Nothing, Some("k")),
        ("both serve others", number(), Arithmetic::Mul, Sum, Output, None),
        ("a number a column", columns(), Arithmetic::Mul, Nothing, Nothing, None),
        ("a sum", number(), Arithmetic::Add, Nothing, Nothing, None),
    ];
    for (what, constant, op, of_queries, of_keys, layer) in table {
        let mut g = attention(constant, op, of_queries, of_keys);
        let report = harness::preserving(run, &mut g);
        let said: Vec<&str> = report.changes.iter().map(|change| change.what.as_str()).collect();
        match layer {
            Some(layer) => {
                assert!(said.len() == 1 && said[0].ends_with(&format!("into {layer}")), "{what}: {said:?}")
            }
            None => assert!(said.is_empty(), "{what}: {said:?}"),
        }
        let scaled = g.node(g.outputs[g.outputs.len() - 1]);
        assert_eq!(matches!(scaled.op, Op::Identity), layer.is_some(), "{what}");
    }
}

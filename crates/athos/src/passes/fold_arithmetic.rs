//! Arithmetic with constants after a linear layer goes into the layer's weights and bias: BiasAdd,
//! and batch normalisations that are written out.

use super::PassReport;
use super::affine::{Affine, become_scale};
use cryptflow_graph::{Graph, Linear, NodeId, Op};

/// Folds additions, subtractions, multiplications and divisions by constants (one number, or one a
/// channel), and scales, into the convolution or matrix product before them, where that has no
/// other use. Two of them in a row that no layer takes up become one scale.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("fold arithmetic into weights");
    // Folding changes who uses what, so every change is followed by a fresh look.
    let mut i = 0;
    let mut uses = graph.uses();
    while i < graph.nodes.len() {
        let id = NodeId(i);
        i += 1;
        if matches!(graph.node(id).op, Op::Linear(Linear::BatchNorm { .. })) {
            continue;
        }
        let Some(affine) = Affine::of(graph, id) else { continue };
        let (name, op) = (graph.node(id).name.clone(), graph.node(id).op.name());
        if let Some(layer) = affine.fold_back(graph, &uses, id) {
            report.changed(&name, format!("{op} folded into {layer}"));
        } else if super::only_user(graph, &uses, affine.operand).is_some()
            && let Some(first) = Affine::of(graph, affine.operand)
        {
            report.changed(&name, format!("{op} joined with {}", graph.node(affine.operand).name));
            become_scale(graph, id, affine.after(&first));
        } else {
            continue;
        }
        uses = graph.uses();
    }
    graph.restore_order();
    report
}

#[cfg(test)]
mod tests {
    use cryptflow_ring::Window;

    use super::super::{dead_nodes, harness};
    use super::*;
    use cryptflow_graph::{Arithmetic, Array};

    #[test]
    fn a_bias_goes_into_the_layer() {
        let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
        let vector = || Array::vector(vec![1.0, 2.0, 3.0]);
        let table: [(&str, Op, Array, bool, bool); 7] = [
            ("bias", Op::Arithmetic(Arithmetic::Add), vector(), false, true),
            ("one number", Op::Arithmetic(Arithmetic::Mul), Array::scalar(2.0), false, true),
            ("constant first", Op::Arithmetic(Arithmetic::Sub), vector(), true, true),
            ("division", Op::Arithmetic(Arithmetic::Div), vector(), false, true),
            ("divided by the layer", Op::Arithmetic(Arithmetic::Div), vector(), true, false),
            (
                "with leading axes",
                Op::Arithmetic(Arithmetic::Add),
                Array::filled(vec![1, 1, 3], 2.0).unwrap(),
                false,
                true,
            ),
            (
                "one a column",
                Op::Arithmetic(Arithmetic::Add),
                Array::filled(vec![4, 1], 2.0).unwrap(),
                false,
                false,
            ),
        ];
        for (what, op, constant, first, folds) in table {
            let mut g = Graph::default();
            let x = g.add_input("x", vec![1, 4, 4, 2]);
            let w = g.add_constant("w", Array::filled(vec![1, 1, 2, 3], 0.5).unwrap());
            let y = g.add("conv", Linear::Conv2d { window: window.clone(), groups: 1 }, &[x, w]).unwrap();
            let c = g.add_constant("c", constant);
            let z = g.add("z", op, &if first { [c, y] } else { [y, c] }).unwrap();
            g.add_output("z", z);
            let before = harness::outputs(&g);
            let report = run(&mut g);
            assert_eq!(!report.changes.is_empty(), folds, "{what}");
            harness::same(&before, &harness::outputs(&g));
            dead_nodes::run(&mut g);
            assert_eq!(g.nodes.len(), if folds { 4 } else { 5 }, "{what}");
            assert_eq!(g.node(g.outputs[0]).name, "z");
        }
    }
}

//! Arithmetic with constants after a linear layer goes into the layer's weights and bias: BiasAdd,
//! and batch normalisations that are written out.

use super::PassReport;
use super::affine::{Affine, become_scale};
use crate::fix::decides;
use cryptflow_graph::{Graph, Linear, NodeId, Op};

/// Folds additions, subtractions, multiplications and divisions by constants (one number, or one a
/// channel), and scales, into the convolution or matrix product before them, where that has no
/// other use. Two of them in a row that no layer takes up become one scale, unless something decides by
/// it: `(x − 18) / 10` is an integer where `0.1·x − 1.8` is all but that.
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
        } else if !uses[id.0].iter().any(|&user| decides(&graph.node(user).op))
            && super::only_user(graph, &uses, affine.operand).is_some()
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

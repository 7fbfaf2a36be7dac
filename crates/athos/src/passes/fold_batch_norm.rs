//! Batch normalisations go into the layer before them, or into the layer behind them, or become
//! diagonal layers.

use super::affine::{Affine, Layer, become_layer, become_scale};
use super::{PassReport, only_user};
use cryptflow_graph::{Graph, Linear, NodeId, Op};

/// Folds every batch normalisation (and every scale) into the convolution or matrix product before
/// it, where that has no other use; else into the one behind it, where that is exact: it is the
/// only use and sees no padding. A batch normalisation that fits nowhere becomes a `Linear::Scale`.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("fold batch norm");
    for i in 0..graph.nodes.len() {
        let id = NodeId(i);
        let is_norm = matches!(graph.node(id).op, Op::Linear(Linear::BatchNorm { .. }));
        if !is_norm && graph.node(id).op != Op::Linear(Linear::Scale) {
            continue;
        }
        let Some(affine) = Affine::of(graph, id) else { continue };
        let uses = graph.uses();
        // What nothing uses any more has been folded.
        if uses[i].is_empty() && !graph.outputs.contains(&id) {
            continue;
        }
        let name = graph.node(id).name.clone();
        if let Some(layer) = affine.fold_back(graph, &uses, id) {
            report.changed(&name, format!("folded into {layer}"));
        } else if let Some(layer) = fold_forward(graph, &uses, id, &affine) {
            report.changed(&name, format!("folded into {layer} behind it"));
        } else if is_norm {
            become_scale(graph, id, affine);
            report.changed(&name, "made a diagonal layer: no layer takes it up");
        }
    }
    graph.restore_order();
    report
}

fn fold_forward(graph: &mut Graph, uses: &[Vec<NodeId>], id: NodeId, affine: &Affine) -> Option<String> {
    let user = only_user(graph, uses, id)?;
    let layer = Layer::of(graph, user)?;
    if layer.x != id || !layer.takes(affine) {
        return None;
    }
    let new = layer.after(affine);
    become_layer(graph, user, user, affine.operand, new);
    Some(graph.node(user).name.clone())
}

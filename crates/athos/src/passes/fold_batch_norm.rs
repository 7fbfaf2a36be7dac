//! Batch normalisations go into the layer before them, or into the layers behind them, or become
//! diagonal layers.

use super::PassReport;
use super::affine::{Affine, Layer, become_layer, become_scale};
use cryptflow_graph::{Graph, Linear, NodeId, Op};

/// Folds every batch normalisation (and every scale) into the convolution or matrix product before
/// it, where that has no other use; else into those behind it, where that is exact: they see no padding. For what else
/// uses it, a diagonal layer stays, which layers need not wait for. A batch normalisation that fits nowhere becomes a `Linear::Scale`.
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

/// Folds a map into all layers that use its result and take it up: what else uses it goes on with the map. Returns the
/// layers' names; none where there is none.
fn fold_forward(graph: &mut Graph, uses: &[Vec<NodeId>], id: NodeId, affine: &Affine) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for &user in &uses[id.0] {
        let Some(layer) = Layer::of(graph, user).filter(|layer| layer.x == id && layer.takes(affine)) else {
            continue;
        };
        let new = layer.after(affine);
        become_layer(graph, user, user, affine.operand, new);
        names.push(graph.node(user).name.clone());
    }
    (!names.is_empty()).then(|| names.join(" and "))
}

//! A number that scales a product of two secrets goes into the weights of a layer before it: attention divides the
//! products of queries and keys by the root of their length, which then costs nothing.

use cryptflow_ring::Movement;

use super::PassReport;
use super::affine::{Affine, Layer, become_layer};
use cryptflow_graph::{Graph, Linear, NodeId, Op};

/// Has the layer that makes one of the factors of a matrix product of secrets multiply by the number that the product is
/// multiplied with, or divided by. Between layer and product, elements may move; nothing else may use them.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("factors of products into weights");
    for index in 0..graph.nodes.len() {
        let id = NodeId(index);
        let Some((factor, product)) = scaled_product(graph, id) else { continue };
        let uses = graph.uses();
        if super::only_user(graph, &uses, product) != Some(id) {
            continue;
        }
        let factors = graph.node(product).inputs.clone();
        let Some(layer) = factors.iter().take(2).find_map(|&from| layer_before(graph, &uses, from)) else {
            continue;
        };
        let Some(taken) = Layer::of(graph, layer) else { continue };
        let channels = graph.node(layer).shape.last().copied().unwrap_or(1);
        let affine = Affine { operand: layer, factor: vec![factor; channels], offset: vec![0.0; channels] };
        let (x, new) = (taken.x, taken.then(&affine));
        let (name, of) = (graph.node(id).name.clone(), graph.node(layer).name.clone());
        report.changed(&name, format!("multiplication by {factor} moved into {of}"));
        become_layer(graph, layer, layer, x, new);
        let node = &mut graph.nodes[index];
        node.op = Op::Identity;
        node.inputs = vec![product];
    }
    graph.restore_order();
    report
}

/// The number that a matrix product of two secrets is multiplied with, where a node does nothing else; and the product.
fn scaled_product(graph: &Graph, id: NodeId) -> Option<(f32, NodeId)> {
    let affine = Affine::of(graph, id).filter(Affine::keeps_zero)?;
    let (&factor, rest) = affine.factor.split_first()?;
    let one = rest.iter().all(|&f| f == factor) && factor != 0.0 && factor != 1.0;
    let product = graph.node(affine.operand);
    let secrets = product.inputs.len() == 2 && product.inputs.iter().all(|&i| graph.constant(i).is_none());
    let multiplies = matches!(product.op, Op::Linear(Linear::MatMul { .. }));
    (one && multiplies && secrets).then_some((factor, affine.operand))
}

/// The layer whose result a value is, moved, with no other use of either.
fn layer_before(graph: &Graph, uses: &[Vec<NodeId>], mut value: NodeId) -> Option<NodeId> {
    loop {
        super::only_user(graph, uses, value)?;
        let node = graph.node(value);
        match (&node.op, node.inputs.as_slice()) {
            (Op::Movement(Movement::Reshape { .. } | Movement::Transpose { .. }), &[x]) => value = x,
            // A layer, or what does not hand a factor on.
            _ => return Layer::of(graph, value).map(|_| value),
        }
    }
}

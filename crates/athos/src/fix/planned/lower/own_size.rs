//! What is divided by its own size: a row by its norm, by the sum of its magnitudes or by its span, a
//! weighted sum by its weights. Such a quotient does not grow where the row is small.

use cryptflow_graph::{
    Arithmetic, Function, Graph, Linear, NodeId, Op, Pool, Pooling, Range, Reduce, Reduction,
};

use super::Seen;

/// Whether what a node divides is as small as what it divides by: its quotient, or the products with
/// its reciprocal.
pub(super) fn divides_its_own(
    graph: &Graph,
    uses: &[Vec<NodeId>],
    id: NodeId,
    seen: Seen<'_>,
    images: &[Range],
) -> bool {
    let own = |divisor: Option<&NodeId>, x: NodeId| {
        divisor.is_some_and(|&divisor| normalises(graph, divisor, x, seen, images))
    };
    let node = graph.node(id);
    match (&node.op, node.inputs.as_slice()) {
        (Op::Arithmetic(Arithmetic::Div), &[x, _]) => own(node.inputs.get(1), x),
        (Op::Function(_), [_]) => {
            let product = |user: &NodeId| {
                let user = graph.node(*user);
                let others = user.inputs.iter().filter(|&&other| other != id);
                let is_product = matches!(user.op, Op::Arithmetic(Arithmetic::Mul));
                is_product
                    && others.clone().count() == 1
                    && others.into_iter().all(|&x| own(node.inputs.first(), x))
            };
            !uses[id.0].is_empty() && uses[id.0].iter().all(product)
        }
        // Nothing else divides.
        _ => false,
    }
}

/// Whether `source` is a mean or a sum of squares of x, or of its magnitudes, and what else is added:
/// their quotient does not grow where x is small.
pub(super) fn normalises(graph: &Graph, source: NodeId, x: NodeId, seen: Seen<'_>, images: &[Range]) -> bool {
    let x = unmoved(graph, x);
    let weights = weights(graph, x);
    let mut at = source;
    let mut summed = false;
    loop {
        let here = unmoved(graph, at);
        if summed && (here == x || weights.contains(&Some(here))) {
            return images[here.0].low >= 0.0 || seen.ranges[here.0].low >= 0.0;
        }
        let node = graph.node(at);
        let secret: Vec<NodeId> =
            node.inputs.iter().copied().filter(|&id| graph.constant(id).is_none()).collect();
        match (&node.op, secret.as_slice()) {
            (Op::Arithmetic(Arithmetic::Sub), &[most, least]) => return spans(graph, most, least, x),
            (Op::Arithmetic(Arithmetic::Mul), &[a, b]) => return a == b && unmoved(graph, a) == x,
            (Op::Function(function), &[a])
                if *function == Function::power(2.0) || *function == Function::ABS =>
            {
                return unmoved(graph, a) == x;
            }
            (Op::Function(function), &[a]) if function.simplest() == Function::SQRT => at = a,
            // It grows where the operand does.
            (Op::Arithmetic(Arithmetic::Sub | Arithmetic::Div), &[a]) if node.inputs.first() == Some(&a) => {
                at = a;
            }
            (Op::Arithmetic(Arithmetic::Sub | Arithmetic::Div), _) => return false,
            (Op::Arithmetic(_) | Op::Linear(Linear::Scale) | Op::Movement(_) | Op::Identity, &[a]) => at = a,
            (Op::Reduce(Reduce { kind: Reduction::Mean | Reduction::Sum, .. }), &[a])
            | (Op::Pool(Pool { kind: Pooling::Average { .. } | Pooling::Sum, .. }), &[a]) => {
                (at, summed) = (a, true);
            }
            // Nothing else is a sum of sizes.
            _ => return false,
        }
    }
}

/// What a value may be a sum of products with: each of the two factors of a weighted sum.
fn weights(graph: &Graph, x: NodeId) -> [Option<NodeId>; 2] {
    let node = graph.node(x);
    let (Op::Reduce(Reduce { kind: Reduction::Sum, .. }), &[terms]) = (&node.op, node.inputs.as_slice())
    else {
        return [None; 2];
    };
    let terms = graph.node(unmoved(graph, terms));
    match (&terms.op, terms.inputs.as_slice()) {
        (Op::Arithmetic(Arithmetic::Mul), &[a, b]) => [a, b].map(|id| Some(unmoved(graph, id))),
        // Nothing else weighs.
        _ => [None; 2],
    }
}

/// Whether two values are the largest and the smallest of a row, and x is how far its elements are from a
/// number of their own row.
fn spans(graph: &Graph, most: NodeId, least: NodeId, x: NodeId) -> bool {
    let reduced = |id: NodeId, wanted: Reduction| {
        let node = graph.node(unmoved(graph, id));
        let of = node.inputs.first().map(|&id| unmoved(graph, id));
        match &node.op {
            Op::Reduce(Reduce { kind, .. }) => of.filter(|_| *kind == wanted),
            // Nothing else is one of a row.
            _ => None,
        }
    };
    let node = graph.node(x);
    let (Op::Arithmetic(Arithmetic::Sub), &[element, from]) = (&node.op, node.inputs.as_slice()) else {
        return false;
    };
    let row = unmoved(graph, element);
    reduced(most, Reduction::Max) == Some(row)
        && reduced(least, Reduction::Min) == Some(row)
        && [Reduction::Max, Reduction::Min, Reduction::Mean]
            .iter()
            .any(|kind| reduced(from, *kind) == Some(row))
}

/// What a value is the same elements of.
fn unmoved(graph: &Graph, id: NodeId) -> NodeId {
    let node = graph.node(id);
    match (&node.op, node.inputs.as_slice()) {
        (Op::Identity | Op::Movement(_), &[operand]) => unmoved(graph, operand),
        // Anything else is a value of its own.
        _ => id,
    }
}

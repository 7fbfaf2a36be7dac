//! What a graph alone says of its values, whatever its inputs are: a variance is not negative, a sigmoid is from 0 to 1. It holds for the
//! float model; what fixed point makes of it may lie beside by its rounding.

use cryptflow_graph::operations::End;
use cryptflow_graph::{
    Activation, Arithmetic, Array, Function, Graph, NodeId, Op, Order, Pool, Pooling, Range, Reduce,
    Reduction,
};

/// What the values of every node may be, by id, in the float model, whatever the inputs are.
pub(crate) fn images(graph: &Graph) -> Vec<Range> {
    let mut images: Vec<Range> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<Range> =
            node.inputs.iter().map(|id| images.get(id.0).copied().unwrap_or(Range::ALL)).collect();
        images.push(image(graph, NodeId(index), &operands));
    }
    images
}

/// The part of an operand's range that lies in its image, at the ends at which the function's domain ends: beyond these the fixed-point
/// function stays what it is, so that rounding is no reason to ask it for more. The range, where rounding has put it beside the image.
pub(crate) fn within(function: Function, range: Range, image: Range) -> Range {
    let (low, high) = function.domain().ends(image.low > 0.0);
    let inner = Range {
        low: if low == End::Open { range.low } else { range.low.max(image.low) },
        high: if high == End::Open { range.high } else { range.high.min(image.high) },
    };
    if inner.low <= inner.high { inner } else { range }
}

/// As much as an operation alone says.
fn image(graph: &Graph, id: NodeId, operands: &[Range]) -> Range {
    let node = graph.node(id);
    let [a, b] = [0, 1].map(|i| operands.get(i).copied().unwrap_or(Range::ALL));
    let of = |low: f64, high: f64| Range { low, high };
    // What both may be, and what is of neither sign.
    let sound = |r: Range| if r.low.is_nan() || r.high.is_nan() { Range::ALL } else { r };
    let range = match &node.op {
        Op::Constant(array) => values(array),
        Op::Activation(Activation::Relu) => of(a.low.max(0.0), a.high.max(0.0)),
        Op::Activation(Activation::ClippedRelu { limit }) => of(0.0, (*limit).into()),
        Op::Activation(Activation::Softmax) | Op::Arithmetic(Arithmetic::Compare(_)) => of(0.0, 1.0),
        Op::Order(Order::ArgMax { .. } | Order::TopK { indices: true, .. }) => of(0.0, f64::INFINITY),
        Op::Arithmetic(Arithmetic::Add) => of(a.low + b.low, a.high + b.high),
        Op::Arithmetic(Arithmetic::Sub) => of(a.low - b.high, a.high - b.low),
        Op::Arithmetic(Arithmetic::Mul) if node.inputs.first() == node.inputs.get(1) => {
            of(0.0, f64::INFINITY)
        }
        Op::Arithmetic(Arithmetic::Mul) => product(a, b),
        Op::Arithmetic(Arithmetic::Div) if b.low > 0.0 || b.high < 0.0 => {
            product(a, of(1.0 / b.high, 1.0 / b.low))
        }
        Op::Arithmetic(Arithmetic::Maximum) => of(a.low.max(b.low), a.high.max(b.high)),
        Op::Arithmetic(Arithmetic::Minimum) => of(a.low.min(b.low), a.high.min(b.high)),
        Op::Arithmetic(Arithmetic::Select) => {
            operands.iter().skip(1).fold(Range::EMPTY, |all, r| all.union(*r))
        }
        Op::Function(function) => function.image(a),
        Op::Identity
        | Op::Reduce(Reduce { kind: Reduction::Max | Reduction::Min | Reduction::Mean, .. })
        | Op::Pool(Pool { kind: Pooling::Max, .. }) => a,
        Op::Order(Order::TopK { indices: false, .. }) => a,
        Op::Pool(Pool { kind: Pooling::Average { .. }, .. }) => a.with_zero(),
        Op::Reduce(Reduce { kind: Reduction::Sum, .. }) | Op::Pool(Pool { kind: Pooling::Sum, .. }) => sum(a),
        Op::Movement(movement) => {
            let all = operands.iter().fold(Range::EMPTY, |all, r| all.union(*r));
            if matches!(movement, cryptflow_ring::Movement::Pad { .. }) { all.with_zero() } else { all }
        }
        _ => Range::ALL,
    };
    sound(range)
}

/// At least one element, of one sign or of both.
fn sum(x: Range) -> Range {
    let low = if x.low >= 0.0 { x.low } else { f64::NEG_INFINITY };
    let high = if x.high <= 0.0 { x.high } else { f64::INFINITY };
    Range { low, high }
}

fn values(array: &Array) -> Range {
    let each = array.data.iter().map(|&v| f64::from(v));
    let range = each.fold(Range::EMPTY, |r, v| r.union(Range { low: v, high: v }));
    if range.low <= range.high { range } else { Range::ALL }
}

fn product(a: Range, b: Range) -> Range {
    // Zero times whatever there is no end to is zero.
    let times = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
    let ends = [times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)];
    ends.into_iter().fold(Range::EMPTY, |r, v| r.union(Range { low: v, high: v }))
}

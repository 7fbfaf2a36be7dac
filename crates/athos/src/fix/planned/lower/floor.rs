//! How close to zero functions with a pole there are made for: reciprocals, inverse roots,
//! logarithms.
//!
//! Calibration shows how low their operands get, and another input gets lower. Where the operand has
//! few elements (the statistics of a normalisation) and the float model says how low it can get (as
//! `ε` does), they are made for all of that, and what they are multiplied with has bounds for it.

use cryptflow_graph::operations::End;
use cryptflow_graph::{
    Arithmetic, Function, Graph, Linear, Node, NodeId, Op, Pool, Pooling, Range, Reduce, Reduction,
};
use cryptflow_ring::Movement;

use super::precision::VALUE_BITS;
use super::{Seen, Setting};

/// How many times fewer elements than the largest value are few.
pub(super) const FEW: usize = 8;

/// The same for functions with a pole: the statistics of the shortest rows count.
const FEW_WITH_POLES: usize = 3;

/// Bits that the lowest operand must have to be told from others.
const TOLD: f64 = 4.0;

/// How close to zero a function is made for, of an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Floor {
    /// What calibration showed, and as much closer as the margin says.
    Seen,
    /// The least that the float model allows for.
    Model(f64),
    /// The least that was seen beside what is next to nothing: a reciprocal of that is zero.
    Beside(f64),
}

/// Elements of the largest value that a graph computes.
pub(super) fn most(graph: &Graph) -> usize {
    let computed = graph.nodes.iter().filter(|node| !matches!(node.op, Op::Constant(_)));
    computed.map(|node| node.shape.iter().product::<usize>()).max().unwrap_or(0)
}

/// Whether a value has few elements beside the most: so many times fewer.
pub(super) fn is_few(most: usize, shape: &[usize], times: usize) -> bool {
    shape.iter().product::<usize>().saturating_mul(times) <= most
}

/// For each node the floor of the functions of it.
pub(super) fn floors(graph: &Graph, seen: Seen<'_>, images: &[Range], setting: Setting) -> Vec<Floor> {
    let mut floors = vec![Floor::Seen; graph.nodes.len()];
    if !setting.known {
        return floors;
    }
    let most = most(graph);
    for node in &graph.nodes {
        let Some((function, operand)) = with_pole(graph, node) else { continue };
        let of = before_broadcast(graph, operand);
        let (low, high) = (images[of.0].low, seen.ranges[of.0].magnitude());
        let finest = high.max(1.0).log2() + setting.margin - f64::from(VALUE_BITS) + TOLD;
        let floor = match seen.least(operand).filter(|_| divides(function)) {
            _ if low > 0.0 && is_few(most, &graph.node(of).shape, FEW_WITH_POLES) && low.log2() >= finest => {
                Floor::Model(low)
            }
            Some(least) => Floor::Beside(least),
            None => Floor::Seen,
        };
        floors[operand.0] = floor;
        floors[of.0] = floor;
    }
    floors
}

/// The function with a pole at zero that a node takes, and of which operand.
fn with_pole(graph: &Graph, node: &Node) -> Option<(Function, NodeId)> {
    let (function, operand) = match &node.op {
        Op::Function(function) => (function.simplest(), node.inputs.first()),
        Op::Arithmetic(Arithmetic::Div) => (Function::RECIPROCAL, node.inputs.get(1)),
        // Nothing else has a pole.
        _ => return None,
    };
    let operand = *operand.filter(|id| graph.constant(**id).is_none())?;
    (function.domain().ends(true).0 == End::Pole(0.0)).then_some((function, operand))
}

/// Whether a function divides by its operand, or by its root.
pub(super) fn divides(function: Function) -> bool {
    function == Function::RECIPROCAL || function == Function::RSQRT
}

/// What a value is a repetition of: a function of it needs computing once.
pub(super) fn before_broadcast(graph: &Graph, id: NodeId) -> NodeId {
    let node = graph.node(id);
    match (&node.op, node.inputs.first()) {
        (Op::Identity | Op::Movement(Movement::Broadcast { .. }), Some(&operand))
            if graph.constant(operand).is_none() =>
        {
            before_broadcast(graph, operand)
        }
        // Anything else is a value of its own.
        _ => id,
    }
}

/// Why the range of a value is another than was seen.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// A function of this operand is made for more.
    Wider(NodeId),
    /// What is next to nothing gives zero, and in the float model a number beyond all others.
    Cut,
}

/// The ranges of all nodes: wider where functions are made for more than was seen, and where values
/// are multiplied with those, up to where a normalisation is done; without what reciprocals of next
/// to nothing were seen to lead to.
pub(super) fn made_for(graph: &Graph, seen: Seen<'_>, floors: &[Floor]) -> Vec<Range> {
    let mut ranges = seen.ranges.to_vec();
    let mut why: Vec<Option<Why>> = vec![None; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let other = of_function(graph, node, floors).or_else(|| {
            let why = handed_on(graph, node, &why)?;
            Some((of_operands(node, &ranges)?, why))
        });
        let Some((range, reason)) = other else { continue };
        let own = ranges[index];
        ranges[index] = match reason {
            Why::Wider(_) => own.union(range),
            Why::Cut => Range { low: own.low.max(range.low), high: own.high.min(range.high) },
        };
        why[index] = Some(reason);
    }
    ranges
}

/// What a quotient of a constant, or a root of it, may be for the least that its operand may be.
fn of_function(graph: &Graph, node: &Node, floors: &[Floor]) -> Option<(Range, Why)> {
    let (function, operand) = with_pole(graph, node)?;
    let (low, why) = match floors[operand.0] {
        Floor::Model(low) => (low, Why::Wider(operand)),
        // What the margin adds is added to ranges.
        Floor::Beside(least) => (least, Why::Cut),
        Floor::Seen => return None,
    };
    if !divides(function) {
        return None;
    }
    let most = Range { low: 0.0, high: function.at(low) };
    // What is divided by its own size is as large as it was.
    let divided = node.inputs.first().filter(|_| matches!(node.op, Op::Arithmetic(_)));
    match divided.map(|&id| graph.constant(id)) {
        None => Some((most, why)),
        Some(None) => None,
        Some(Some(c)) => {
            let of = |all: Range, &v: &f32| all.union(Range { low: v.into(), high: v.into() });
            Some((most.times(c.data.iter().fold(Range::EMPTY, of)), why))
        }
    }
}

/// Why the range of a result is another than was seen, where an operand's is.
fn handed_on(graph: &Graph, node: &Node, why: &[Option<Why>]) -> Option<Why> {
    let of = |at: usize| node.inputs.get(at).and_then(|id| why[id.0]);
    let normalised =
        |source: NodeId, at: usize| node.inputs.get(at).is_some_and(|&x| normalises(graph, source, x));
    match (&node.op, of(0), of(1)) {
        (Op::Arithmetic(Arithmetic::Mul), Some(Why::Wider(source)), None) if normalised(source, 1) => None,
        (Op::Arithmetic(Arithmetic::Mul), None, Some(Why::Wider(source))) if normalised(source, 0) => None,
        // What both are larger by is what they have in common.
        (Op::Arithmetic(Arithmetic::Add | Arithmetic::Sub), Some(_), Some(_)) => None,
        (Op::Arithmetic(Arithmetic::Mul | Arithmetic::Add | Arithmetic::Sub), a, b) => a.or(b),
        (Op::Identity | Op::Movement(_), a, _) => a,
        // What is made of a normalised value is as large as it was.
        _ => None,
    }
}

/// What a result may be for what its operands may be.
fn of_operands(node: &Node, ranges: &[Range]) -> Option<Range> {
    let of = |at: usize| node.inputs.get(at).map(|id| ranges[id.0]);
    Some(match &node.op {
        Op::Arithmetic(Arithmetic::Mul) => of(0)?.times(of(1)?),
        Op::Arithmetic(Arithmetic::Add) => of(0)?.plus(of(1)?),
        Op::Arithmetic(Arithmetic::Sub) => of(0)?.minus(of(1)?),
        // The others hand on what they are given, beside zeros.
        _ => node.inputs.iter().fold(Range::EMPTY, |all, id| all.union(ranges[id.0])).with_zero(),
    })
}

/// Whether `source` is a mean or a sum of squares of x, and what else is added: their quotient does
/// not grow where x is small.
fn normalises(graph: &Graph, source: NodeId, x: NodeId) -> bool {
    let x = unmoved(graph, x);
    let mut at = source;
    loop {
        let node = graph.node(at);
        let secret: Vec<NodeId> =
            node.inputs.iter().copied().filter(|&id| graph.constant(id).is_none()).collect();
        match (&node.op, secret.as_slice()) {
            (Op::Arithmetic(Arithmetic::Mul), &[a, b]) => return a == b && unmoved(graph, a) == x,
            (Op::Function(function), &[a]) if *function == Function::power(2.0) => {
                return unmoved(graph, a) == x;
            }
            (Op::Function(function), &[a]) if function.simplest() == Function::SQRT => at = a,
            (Op::Arithmetic(_) | Op::Linear(Linear::Scale) | Op::Movement(_) | Op::Identity, &[a])
            | (Op::Reduce(Reduce { kind: Reduction::Mean | Reduction::Sum, .. }), &[a])
            | (Op::Pool(Pool { kind: Pooling::Average { .. } | Pooling::Sum, .. }), &[a]) => at = a,
            // Nothing else is a sum of squares.
            _ => return false,
        }
    }
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

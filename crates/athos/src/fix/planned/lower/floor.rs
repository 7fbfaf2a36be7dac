//! How close to zero functions with a pole there are made for: reciprocals, inverse roots,
//! logarithms.
//!
//! Calibration shows how low their operands get, and another input gets lower. Where the operand has
//! few elements (the statistics of a normalisation) and the float model says how low it can get (as
//! `ε` does), they are made for all of that, and what they are multiplied with has bounds for it.

use cryptflow_graph::operations::End;
use cryptflow_graph::{Arithmetic, Function, Graph, Node, NodeId, Op, Range};
use cryptflow_ring::Movement;

use crate::fix::whole::wholes;

use super::arithmetic::uniform;
use super::own_size::{divides_its_own, normalises};
use super::precision::VALUE_BITS;
use super::{Seen, Setting};

/// How many times fewer elements than the largest value are few.
pub(super) const FEW: usize = 8;

/// The same for functions with a pole: the statistics of the shortest rows count.
const FEW_WITH_POLES: usize = 3;

/// Bits below what was seen, beside the margin, that the size of a row goes that the row is divided
/// by: the quotient is no larger, and pieces are few.
const FARTHER: f64 = 6.0;

/// Bits that lie between the largest and the least of what is divided by, then: quotients fit a ring.
const WIDEST: f64 = 18.0;

/// Bits that lie between the largest and the least operand of other functions with a pole, at most.
const STEEPEST: f64 = 46.0;

/// Bits that the lowest operand must have to be told from others.
const TOLD: f64 = 4.0;

/// How close to zero a function is made for, of an operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Floor {
    /// What calibration showed, and as much closer as the margin says.
    Seen,
    /// The least that the float model allows for.
    Model(f64),
    /// Lower than was seen: what is divided is as small.
    Lower(f64),
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
    let (most, uses, wholes) = (most(graph), graph.uses(), wholes(graph));
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some((function, operand)) = with_pole(graph, node) else { continue };
        let of = before_broadcast(graph, operand);
        let (low, high) = (images[of.0].low, seen.ranges[of.0].magnitude());
        let finest = high.max(1.0).log2() + setting.margin - f64::from(VALUE_BITS) + TOLD;
        let few = is_few(most, &graph.node(of).shape, FEW_WITH_POLES);
        let divides = divides(function);
        // A root has half the bits.
        let bits = if function == Function::RSQRT { 2.0 } else { 1.0 };
        let own = few && divides && divides_its_own(graph, &uses, NodeId(index), seen, images);
        let farther = if own { bits * FARTHER } else { 0.0 };
        let widest = (high / (bits * WIDEST).exp2()).max(finest.exp2());
        let lower = |from: f64, bits: f64| (from / bits.exp2()).max(low).max(widest).min(from);
        let seen_low = seen.ranges[of.0].low;
        let counts = least_count(graph, of, &wholes, seen).filter(|_| divides);
        let floor = match counts.or(seen.least(operand)).filter(|_| divides) {
            Some(least) if counts.is_some() => Floor::Beside(least),
            // Logarithms tell sizes from each other, however small.
            _ if !divides && low > 0.0 && low.log2() >= high.max(1.0).log2() + setting.margin - STEEPEST => {
                Floor::Model(low)
            }
            // What is next to nothing is told from zero, and as far from the rest.
            Some(least) if !few || low < widest => Floor::Beside(lower(least, farther)),
            _ if low > 0.0 && few && low >= if divides { widest } else { finest.exp2() } => Floor::Model(low),
            Some(least) => Floor::Beside(lower(least, farther)),
            None if own && seen_low > 0.0 => Floor::Lower(lower(seen_low, setting.margin + farther)),
            None => Floor::Seen,
        };
        floors[operand.0] = floor;
        floors[of.0] = floor;
        if let Floor::Lower(low) = floor {
            of_root(graph, of, low, &mut floors);
        }
    }
    floors
}

/// The least of what a count is, and a small number that keeps it from zero, where the count is not zero:
/// that is how many places a mask leaves, and what is divided by none of them is nothing.
fn least_count(graph: &Graph, id: NodeId, wholes: &[bool], seen: Seen<'_>) -> Option<f64> {
    const SMALL: f32 = 0.25;
    let node = graph.node(id);
    let constant = |id: &NodeId| graph.constant(*id).and_then(uniform);
    let small = node.inputs.iter().find_map(constant).filter(|c| *c > 0.0 && *c <= SMALL)?;
    let count = *node.inputs.iter().find(|id| graph.constant(**id).is_none())?;
    let counts = node.inputs.len() == 2 && wholes[count.0] && seen.ranges[count.0].low >= 0.0;
    match &node.op {
        Op::Arithmetic(Arithmetic::Maximum) if counts => Some(1.0),
        Op::Arithmetic(Arithmetic::Add) if counts => Some(1.0 + f64::from(small)),
        // Nothing else keeps a count from zero.
        _ => None,
    }
}

/// Where a node divides a value by its own size: the value, and the largest reciprocal that it is
/// multiplied with.
pub(super) fn divided(graph: &Graph, id: NodeId, floors: &[Floor]) -> Option<(NodeId, f64)> {
    let node = graph.node(id);
    let least = |of: NodeId| match floors[before_broadcast(graph, of).0] {
        Floor::Model(low) | Floor::Lower(low) => Some(low),
        Floor::Seen | Floor::Beside(_) => None,
    };
    match (&node.op, node.inputs.as_slice()) {
        (Op::Arithmetic(Arithmetic::Div), &[x, divisor]) if graph.constant(x).is_none() => {
            Some((x, Function::RECIPROCAL.at(least(divisor)?)))
        }
        (Op::Arithmetic(Arithmetic::Mul), &[a, b]) => {
            let reciprocal = |id: NodeId| {
                let node = graph.node(before_broadcast(graph, id));
                let Op::Function(function) = &node.op else { return None };
                let function = function.simplest();
                let of = *node.inputs.first().filter(|_| divides(function))?;
                Some(function.at(least(of)?))
            };
            reciprocal(b).map(|most| (a, most)).or_else(|| Some((b, reciprocal(a)?)))
        }
        // Nothing else divides.
        _ => None,
    }
}

/// What a root is taken of, where the root gets this low, gets lower.
fn of_root(graph: &Graph, root: NodeId, low: f64, floors: &mut [Floor]) {
    let node = graph.node(root);
    let secret: Vec<NodeId> =
        node.inputs.iter().copied().filter(|&id| graph.constant(id).is_none()).collect();
    match (&node.op, secret.as_slice()) {
        (Op::Function(function), &[x]) if function.simplest() == Function::SQRT => {
            floors[x.0] = Floor::Lower(low * low);
        }
        // An end from which on it counts.
        (Op::Arithmetic(Arithmetic::Maximum) | Op::Identity | Op::Movement(_), &[x]) => {
            of_root(graph, x, low, floors);
        }
        // Whatever else it is made of has its bits by itself.
        _ => {}
    }
}

/// The function with a pole at zero that a node takes, and of which operand.
pub(super) fn with_pole(graph: &Graph, node: &Node) -> Option<(Function, NodeId)> {
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
pub(super) fn made_for(graph: &Graph, seen: Seen<'_>, floors: &[Floor], images: &[Range]) -> Vec<Range> {
    let mut ranges = seen.ranges.to_vec();
    let mut why: Vec<Option<Why>> = vec![None; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        let other = of_function(graph, node, floors).or_else(|| {
            let why = handed_on(graph, node, &why, seen, images)?;
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
        Floor::Model(low) | Floor::Lower(low) => (low, Why::Wider(operand)),
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
fn handed_on(
    graph: &Graph,
    node: &Node,
    why: &[Option<Why>],
    seen: Seen<'_>,
    images: &[Range],
) -> Option<Why> {
    let of = |at: usize| node.inputs.get(at).and_then(|id| why[id.0]);
    let normalised = |source: NodeId, at: usize| {
        node.inputs.get(at).is_some_and(|&x| normalises(graph, source, x, seen, images))
    };
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

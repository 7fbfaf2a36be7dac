//! What an operation asks of values that are known only when the model runs: a logarithm needs
//! positive ones. Where the graph itself sees to it (a variance to which a constant is added, a
//! clip), there is nothing to ask.

use cryptflow_graph::operations::{Domain, End};
use cryptflow_graph::ranges::images;
use cryptflow_graph::{Arithmetic, Function, Graph, NodeId, Op, Range};

/// The nodes that are computed under a condition, with it, operands first.
pub fn conditions(graph: &Graph) -> Vec<(NodeId, String)> {
    let images = images(graph);
    let mut found = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let secret = |operand: usize| {
            let id = node.inputs.get(operand).copied();
            id.filter(|&id| graph.constant(id).is_none()).and_then(|id| images.get(id.0).copied())
        };
        let condition = match &node.op {
            Op::Function(function) => secret(0).and_then(|x| condition(*function, x, "operand")),
            Op::Arithmetic(Arithmetic::Div) => {
                secret(1).and_then(|x| condition(Function::RECIPROCAL, x, "divisor"))
            }
            // No other operation is undefined anywhere.
            _ => None,
        };
        found.extend(condition.map(|text| (NodeId(index), text)));
    }
    found
}

/// What must hold for an operand of which no more is known than this range; nothing where it always
/// does.
fn condition(function: Function, range: Range, what: &str) -> Option<String> {
    let (low, high) = match function.domain() {
        Domain::BesideZero => {
            let beside = range.low > 0.0 || range.high < 0.0;
            return (!beside).then(|| format!("its {what} stays above zero, or stays below zero"));
        }
        Domain::Between(low, high) => (low, high),
    };
    let low = match low {
        End::Pole(x) if range.low <= x => Some(format!("above {x:.4}")),
        End::At(x) if range.low < x => Some(format!("at {x:.4} or above")),
        End::Open | End::At(_) | End::Pole(_) => None,
    };
    let high = match high {
        End::Pole(x) if range.high >= x => Some(format!("below {x:.4}")),
        End::At(x) if range.high > x => Some(format!("at {x:.4} or below")),
        End::Open | End::At(_) | End::Pole(_) => None,
    };
    let ends: Vec<String> = low.into_iter().chain(high).map(|end| end.replace(".0000", "")).collect();
    (!ends.is_empty()).then(|| format!("its {what} stays {}", ends.join(" and ")))
}

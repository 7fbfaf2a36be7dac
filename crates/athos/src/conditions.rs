//! What an operation asks of values that are known only when the model runs: a logarithm needs
//! positive ones. Where the graph itself sees to it (a variance to which a constant is added, a
//! clip), there is nothing to ask.

use cryptflow_graph::operations::{Domain, End};
use cryptflow_graph::ranges::images;
use cryptflow_graph::{Arithmetic, Function, Graph, NodeId, Op, Range};

/// The nodes that are computed under a condition, with it, operands first.
pub(crate) fn conditions(graph: &Graph) -> Vec<(NodeId, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use cryptflow_graph::operations::OpError;
    use cryptflow_graph::{Activation, Array, Reduce, Reduction};

    /// The conditions of a function behind what `before` makes of an input.
    fn found(
        function: Function,
        before: impl Fn(&mut Graph, NodeId) -> Result<NodeId, OpError>,
    ) -> Vec<(NodeId, String)> {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![2, 3]);
        let y = before(&mut graph, x).unwrap();
        let y = graph.add("y", function, &[y]).unwrap();
        graph.add_output("y", y);
        conditions(&graph)
    }

    #[test]
    fn what_is_asked_of_an_input() {
        let table = [
            (Function::LOG, "its operand stays above 0"),
            (Function::SQRT, "its operand stays at 0 or above"),
            (Function::ACOSH, "its operand stays at 1 or above"),
            (Function::ASIN, "its operand stays at -1 or above and at 1 or below"),
            (Function::ATANH, "its operand stays above -1 and below 1"),
            (Function::TAN, "its operand stays above -1.5708 and below 1.5708"),
            (Function::RECIPROCAL, "its operand stays above zero, or stays below zero"),
            (Function::power(-2.0), "its operand stays above zero, or stays below zero"),
            (Function::power(0.5), "its operand stays at 0 or above"),
            (Function::SIGMOID, ""),
            (Function::power(3.0), ""),
        ];
        for (function, wanted) in table {
            let texts = found(function, |_, x| Ok(x));
            let text = texts.first().map_or("", |(_, text)| text.as_str());
            assert_eq!(text, wanted, "{}", function.name());
        }
    }

    #[test]
    fn nothing_is_asked_where_the_graph_sees_to_it() {
        let scalar = |g: &mut Graph, v: f32| g.add_constant("c", Array::scalar(v));
        let variance = |g: &mut Graph, x: NodeId| {
            let square = g.add("square", Arithmetic::Mul, &[x, x])?;
            g.add("mean", Reduce { kind: Reduction::Mean, axes: vec![1], keep_dims: true }, &[square])
        };
        assert_eq!(found(Function::RSQRT, variance).len(), 1, "a variance may be zero");
        assert_eq!(found(Function::SQRT, variance), []);
        let with_epsilon = |g: &mut Graph, x: NodeId| {
            let (v, c) = (variance(g, x)?, scalar(g, 1e-5));
            g.add("sum", Arithmetic::Add, &[v, c])
        };
        assert_eq!(found(Function::RSQRT, with_epsilon), []);
        let clipped = |g: &mut Graph, x: NodeId| {
            let c = scalar(g, 0.1);
            g.add("cut", Arithmetic::Maximum, &[x, c])
        };
        assert_eq!(found(Function::LOG, clipped), []);
        let negative = |g: &mut Graph, x: NodeId| {
            let e = g.add("relu", Activation::Relu, &[x])?;
            let c = scalar(g, 0.5);
            let sum = g.add("sum", Arithmetic::Add, &[e, c])?;
            let minus = scalar(g, -1.0);
            g.add("minus", Arithmetic::Mul, &[sum, minus])
        };
        assert_eq!(found(Function::RECIPROCAL, negative), []);
    }

    #[test]
    fn divisors() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![2]);
        let two = graph.add_constant("two", Array::scalar(2.0));
        let half = graph.add("half", Arithmetic::Div, &[x, two]).unwrap();
        let y = graph.add("y", Arithmetic::Div, &[half, x]).unwrap();
        graph.add_output("y", y);
        assert_eq!(
            conditions(&graph),
            [(y, "its divisor stays above zero, or stays below zero".to_string())]
        );
    }
}

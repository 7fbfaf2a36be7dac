//! What an operation asks of values that are known only when the model runs: a logarithm needs positive ones. Where the graph itself sees
//! to it (a variance to which a constant is added, a clip), there is nothing to ask.

use crate::fix::Range;
use crate::functions::facts::{self, End};
use crate::graph::{Array, Function, Graph, NodeId, Op};

const ALL: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

/// The nodes that are computed under a condition, with it, operands first.
pub(crate) fn conditions(graph: &Graph) -> Vec<(NodeId, String)> {
    let mut ranges: Vec<Range> = Vec::with_capacity(graph.nodes.len());
    let mut found = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<Range> =
            node.inputs.iter().map(|id| ranges.get(id.0).copied().unwrap_or(ALL)).collect();
        let secret =
            |operand: usize| node.inputs.get(operand).is_some_and(|&id| graph.constant(id).is_none());
        let condition = match &node.op {
            Op::Function(function) if secret(0) => condition(*function, operands.first().copied(), "operand"),
            Op::Div if secret(1) => condition(Function::Reciprocal, operands.get(1).copied(), "divisor"),
            _ => None,
        };
        found.extend(condition.map(|text| (NodeId(index), text)));
        ranges.push(image(graph, NodeId(index), &operands));
    }
    found
}

/// What must hold for an operand of which no more is known than this range; nothing where it always does.
fn condition(function: Function, operand: Option<Range>, what: &str) -> Option<String> {
    let range = operand.unwrap_or(ALL);
    if facts::ends(function, true) != facts::ends(function, false) {
        let beside = range.low > 0.0 || range.high < 0.0;
        return (!beside).then(|| format!("its {what} stays above zero, or stays below zero"));
    }
    let (low, high) = facts::ends(function, true);
    let low = match low {
        End::Pole(x) if range.low <= x => Some(format!("above {x:.4}")),
        End::At(x) if range.low < x => Some(format!("at {x:.4} or above")),
        _ => None,
    };
    let high = match high {
        End::Pole(x) if range.high >= x => Some(format!("below {x:.4}")),
        End::At(x) if range.high > x => Some(format!("at {x:.4} or below")),
        _ => None,
    };
    let ends: Vec<String> = low.into_iter().chain(high).map(|end| end.replace(".0000", "")).collect();
    (!ends.is_empty()).then(|| format!("its {what} stays {}", ends.join(" and ")))
}

/// What the values of a node may be, whatever the inputs are: as much as an operation alone says.
fn image(graph: &Graph, id: NodeId, operands: &[Range]) -> Range {
    let node = graph.node(id);
    let [a, b] = [0, 1].map(|i| operands.get(i).copied().unwrap_or(ALL));
    let of = |low: f64, high: f64| Range { low, high };
    // What both may be, and what is of neither sign.
    let sound = |r: Range| if r.low.is_nan() || r.high.is_nan() { ALL } else { r };
    let range = match &node.op {
        Op::Constant(array) => values(array),
        Op::Relu => of(a.low.max(0.0), a.high.max(0.0)),
        Op::ClippedRelu { limit } => of(0.0, (*limit).into()),
        Op::Softmax | Op::Compare(_) => of(0.0, 1.0),
        Op::ArgMax { .. } | Op::TopK { indices: true, .. } => of(0.0, f64::INFINITY),
        Op::Add => of(a.low + b.low, a.high + b.high),
        Op::Sub => of(a.low - b.high, a.high - b.low),
        Op::Mul if node.inputs.first() == node.inputs.get(1) => of(0.0, f64::INFINITY),
        Op::Mul => product(a, b),
        Op::Div if b.low > 0.0 || b.high < 0.0 => product(a, of(1.0 / b.high, 1.0 / b.low)),
        Op::Maximum => of(a.low.max(b.low), a.high.max(b.high)),
        Op::Minimum => of(a.low.min(b.low), a.high.min(b.high)),
        Op::Select => operands.iter().skip(1).fold(Range::EMPTY, |all, r| all.union(*r)),
        Op::Function(function) => function_image(*function, a),
        Op::Identity | Op::Max { .. } | Op::Min { .. } | Op::Mean { .. } | Op::MaxPool { .. } => a,
        Op::TopK { indices: false, .. } => a,
        Op::AvgPool { .. } => a.with_zero(),
        Op::Sum { .. } | Op::SumPool { .. } => sum(a),
        Op::Movement(movement) => {
            let all = operands.iter().fold(Range::EMPTY, |all, r| all.union(*r));
            if matches!(movement, cryptflow_ring::Movement::Pad { .. }) { all.with_zero() } else { all }
        }
        _ => ALL,
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
    if range.low <= range.high { range } else { ALL }
}

fn product(a: Range, b: Range) -> Range {
    // Zero times whatever there is no end to is zero.
    let times = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
    let ends = [times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)];
    ends.into_iter().fold(Range::EMPTY, |r, v| r.union(Range { low: v, high: v }))
}

fn function_image(function: Function, x: Range) -> Range {
    let of = |low: f64, high: f64| Range { low, high };
    let above = |low: f64| of(low, f64::INFINITY);
    match function {
        Function::Abs | Function::Exp | Function::Softplus | Function::Sqrt | Function::Rsqrt => above(0.0),
        Function::Power { exponent } if exponent % 2.0 == 0.0 || exponent.fract() != 0.0 => above(0.0),
        Function::Reciprocal if x.low > 0.0 => above(0.0),
        Function::Cosh => above(1.0),
        Function::Sigmoid => of(0.0, 1.0),
        Function::HardSigmoid { .. } => of(0.0, 1.0),
        Function::Tanh | Function::Erf | Function::Sin | Function::Cos | Function::Sign => of(-1.0, 1.0),
        Function::Softsign => of(-1.0, 1.0),
        Function::Acos => of(0.0, std::f64::consts::PI),
        Function::Floor | Function::Ceil | Function::Round | Function::Truncate => {
            of(x.low.floor(), x.high.ceil())
        }
        _ => ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::OpError;

    /// The conditions of a function behind what `before` makes of an input.
    fn found(
        function: Function,
        before: impl Fn(&mut Graph, NodeId) -> Result<NodeId, OpError>,
    ) -> Vec<(NodeId, String)> {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![2, 3]);
        let y = before(&mut graph, x).unwrap();
        let y = graph.add("y", Op::Function(function), &[y]).unwrap();
        graph.add_output("y", y);
        conditions(&graph)
    }

    #[test]
    fn what_is_asked_of_an_input() {
        let table = [
            (Function::Log, "its operand stays above 0"),
            (Function::Sqrt, "its operand stays at 0 or above"),
            (Function::Acosh, "its operand stays at 1 or above"),
            (Function::Asin, "its operand stays at -1 or above and at 1 or below"),
            (Function::Atanh, "its operand stays above -1 and below 1"),
            (Function::Tan, "its operand stays above -1.5708 and below 1.5708"),
            (Function::Reciprocal, "its operand stays above zero, or stays below zero"),
            (Function::Power { exponent: -2.0 }, "its operand stays above zero, or stays below zero"),
            (Function::Power { exponent: 0.5 }, "its operand stays at 0 or above"),
            (Function::Sigmoid, ""),
            (Function::Power { exponent: 3.0 }, ""),
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
            let square = g.add("square", Op::Mul, &[x, x])?;
            g.add("mean", Op::Mean { axes: vec![1], keep_dims: true }, &[square])
        };
        assert_eq!(found(Function::Rsqrt, variance).len(), 1, "a variance may be zero");
        assert_eq!(found(Function::Sqrt, variance), []);
        let with_epsilon = |g: &mut Graph, x: NodeId| {
            let (v, c) = (variance(g, x)?, scalar(g, 1e-5));
            g.add("sum", Op::Add, &[v, c])
        };
        assert_eq!(found(Function::Rsqrt, with_epsilon), []);
        let clipped = |g: &mut Graph, x: NodeId| {
            let c = scalar(g, 0.1);
            g.add("cut", Op::Maximum, &[x, c])
        };
        assert_eq!(found(Function::Log, clipped), []);
        let negative = |g: &mut Graph, x: NodeId| {
            let e = g.add("relu", Op::Relu, &[x])?;
            let c = scalar(g, 0.5);
            let sum = g.add("sum", Op::Add, &[e, c])?;
            let minus = scalar(g, -1.0);
            g.add("minus", Op::Mul, &[sum, minus])
        };
        assert_eq!(found(Function::Reciprocal, negative), []);
    }

    #[test]
    fn divisors() {
        let mut graph = Graph::default();
        let x = graph.add_input("x", vec![2]);
        let two = graph.add_constant("two", Array::scalar(2.0));
        let half = graph.add("half", Op::Div, &[x, two]).unwrap();
        let y = graph.add("y", Op::Div, &[half, x]).unwrap();
        graph.add_output("y", y);
        assert_eq!(
            conditions(&graph),
            [(y, "its divisor stays above zero, or stays below zero".to_string())]
        );
    }
}

//! Values that are integers whatever the input: positions, counts, identifiers. Rounding on the way
//! to them (a product is truncated) makes them integers and a few units; they are compared half way
//! between integers, where nothing of that is seen.

use cryptflow_graph::{
    Activation, Arithmetic, Function, Graph, Linear, Node, Op, Order, Pool, Pooling, Reduce, Reduction,
};

/// For each node, whether its value is integers whatever the input.
pub(crate) fn wholes(graph: &Graph) -> Vec<bool> {
    let mut known = vec![false; graph.nodes.len()];
    for &input in &graph.integers {
        known[input.0] = true;
    }
    for (index, node) in graph.nodes.iter().enumerate() {
        known[index] |= is_whole(node, &known);
    }
    known
}

fn is_whole(node: &Node, known: &[bool]) -> bool {
    let all = || node.inputs.iter().all(|id| known[id.0]);
    match &node.op {
        Op::Input => false,
        Op::Constant(array) => array.data.iter().all(|v| v.fract() == 0.0),
        Op::Arithmetic(Arithmetic::Compare(_)) | Op::Order(Order::ArgMax { .. } | Order::OneHot { .. }) => {
            true
        }
        Op::Order(Order::TopK { indices, .. }) => *indices || all(),
        Op::Arithmetic(Arithmetic::Select) => node.inputs.iter().skip(1).all(|id| known[id.0]),
        Op::Arithmetic(
            Arithmetic::Add | Arithmetic::Sub | Arithmetic::Mul | Arithmetic::Maximum | Arithmetic::Minimum,
        ) => all(),
        Op::Linear(Linear::Conv2d { .. } | Linear::MatMul { .. } | Linear::Scale) => all(),
        Op::Identity | Op::Movement(_) | Op::Activation(Activation::Relu) => all(),
        Op::Activation(Activation::ClippedRelu { limit }) => limit.fract() == 0.0 && all(),
        Op::Function(function) => function.gives_integers() || keeps_integers(*function) && all(),
        Op::Reduce(Reduce { kind, .. }) => match kind {
            Reduction::Sum | Reduction::Max | Reduction::Min => all(),
            Reduction::Mean => false,
        },
        Op::Pool(Pool { kind, .. }) => match kind {
            Pooling::Max | Pooling::Sum => all(),
            Pooling::Average { .. } => false,
        },
        Op::Arithmetic(Arithmetic::Div) | Op::Linear(Linear::BatchNorm { .. }) => false,
        Op::Activation(Activation::Softmax | Activation::MaskedSoftmax) => false,
    }
}

/// Whether a function of an integer is one.
fn keeps_integers(function: Function) -> bool {
    let whole = |exponent: f32| exponent >= 0.0 && exponent.fract() == 0.0;
    function == Function::ABS || function.exponent().is_some_and(whole)
}

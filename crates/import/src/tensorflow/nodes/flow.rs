//! Branches of TensorFlow 1, where the condition is known: what is on the way that is not taken is dead.

use super::{Fault, Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::unrolled::truth;
use crate::value::Ints;

pub(super) const TABLE: &[Row] = &[
    row("Switch", switch, doc::NONE.note("by a condition that is known when compiling")),
    row("Merge", merge, doc::NONE.note("of branches of which it is known which one is taken")),
];

fn switch(node: &mut Node<'_>) -> Results {
    let taken = truth(node.graph, node.operand(1)?).ok_or_else(|| {
        Fault::operation(
            "decides by a value that depends on an input what to compute. Use tf.where, which computes both, or bind the input \
             that decides to a public value: --set NAME=true",
        )
    })?;
    let value = node.operand(0)?.clone();
    Ok(if taken { vec![Value::Dead, value] } else { vec![value, Value::Dead] })
}

fn merge(node: &mut Node<'_>) -> Results {
    let alive = |(_, value): &(usize, &Value)| !matches!(value, Value::Dead);
    let mut alive = node.operands.iter().enumerate().filter(alive);
    match (alive.next(), alive.next()) {
        (None, _) => Ok(vec![Value::Dead]),
        (Some((_, Value::Unknown)), _) => Err(Fault::Unknown),
        (Some((i, value)), None) => {
            let (value, index) = (value.clone(), Ints::scalar(i as i64));
            node.operands = vec![value];
            let mut results = node.pass_on()?;
            results.push(Value::Int(index));
            Ok(results)
        }
        (Some(_), Some(_)) => Err("joins branches that are both taken".into()),
    }
}

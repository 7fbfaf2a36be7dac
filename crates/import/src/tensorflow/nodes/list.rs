//! Lists of tensors, as loops read and write them step by step: which place is meant is known when importing.

use std::rc::Rc;

use super::movement::pack;
use super::{Fault, Node, Results, Row, Value, row};
use crate::docs as doc;
use crate::movement::reshape_to;
use crate::value::{Ints, along, place};
use cryptflow_graph::Array;

const WITHIN: &str = "of a length that is known, as loops have them";

pub(super) const TABLE: &[Row] = &[
    row("TensorListReserve", reserve, doc::NONE.note(WITHIN)),
    row("EmptyTensorList", |_| Ok(list(Vec::new())), doc::NONE.note(WITHIN)),
    row("TensorListFromTensor", from_tensor, doc::MOVEMENT.note(WITHIN)),
    row("TensorListGetItem", get_item, doc::NONE.note(WITHIN)),
    row("TensorListSetItem", set_item, doc::NONE.note(WITHIN)),
    row("TensorListPushBack", push_back, doc::NONE.note(WITHIN)),
    row("TensorListPopBack", pop_back, doc::NONE.note(WITHIN)),
    row("TensorListResize", resize, doc::NONE.note(WITHIN)),
    row("TensorListLength", length, doc::NONE.note(WITHIN)),
    row("TensorListStack", stack, doc::MOVEMENT.note(WITHIN)),
];

/// A list has no more elements.
const MOST: usize = 1 << 14;

fn list(items: Vec<Value>) -> Vec<Value> {
    vec![Value::List(Rc::new(items))]
}

fn sized(n: i64) -> Result<usize, Fault> {
    let size = usize::try_from(n).ok().filter(|&n| n <= MOST);
    size.ok_or_else(|| Fault::from(format!("makes a list of {n} tensors, and {MOST} are the most")))
}

fn items(node: &Node<'_>) -> Result<Rc<Vec<Value>>, Fault> {
    match node.operand(0)? {
        Value::List(items) => Ok(items.clone()),
        _ => Err("works on what is no list of tensors".into()),
    }
}

/// The place that operand 1 names.
fn index(node: &Node<'_>) -> Result<i64, Fault> {
    match node.operand(1)? {
        Value::Int(_) => node.int(1),
        _ => Err("names a place in a list by a value that depends on an input, which would show it".into()),
    }
}

fn reserve(node: &mut Node<'_>) -> Results {
    Ok(list(vec![Value::Absent; sized(node.int(1)?)?]))
}

fn from_tensor(node: &mut Node<'_>) -> Results {
    let (value, shape) = node.shaped(0)?;
    let (&n, rest) = shape.split_first().ok_or("makes a list of a single number")?;
    let mut all = Vec::with_capacity(sized(n as i64)?);
    for i in 0..n {
        let steps = [along(&shape, 0, i, 1, 1), reshape_to(rest.to_vec())];
        all.push(node.move_value_as(format!("{}/{i}", node.name), &value, steps)?);
    }
    Ok(list(all))
}

fn get_item(node: &mut Node<'_>) -> Results {
    let all = items(node)?;
    let item = all.get(place(index(node)?, all.len())?).cloned().unwrap_or(Value::Absent);
    // What was not written yet is zero.
    Ok(vec![if item == Value::Absent { zeros(node, 2, &all)? } else { item }])
}

fn set_item(node: &mut Node<'_>) -> Results {
    let mut all = items(node)?;
    let (at, item) = (place(index(node)?, all.len())?, node.operand(2)?.clone());
    if let Some(slot) = Rc::make_mut(&mut all).get_mut(at) {
        *slot = item;
    }
    Ok(vec![Value::List(all)])
}

fn push_back(node: &mut Node<'_>) -> Results {
    let mut all = items(node)?;
    sized(all.len() as i64 + 1)?;
    Rc::make_mut(&mut all).push(node.operand(1)?.clone());
    Ok(vec![Value::List(all)])
}

fn pop_back(node: &mut Node<'_>) -> Results {
    let mut all = items(node)?;
    let last = Rc::make_mut(&mut all).pop().ok_or("takes the last element of an empty list")?;
    Ok(vec![Value::List(all), last])
}

fn resize(node: &mut Node<'_>) -> Results {
    let mut all = items(node)?;
    Rc::make_mut(&mut all).resize(sized(node.int(1)?)?, Value::Absent);
    Ok(vec![Value::List(all)])
}

fn length(node: &mut Node<'_>) -> Results {
    let length = items(node)?.len();
    Ok(vec![Value::Int(Ints::scalar(length as i64))])
}

fn stack(node: &mut Node<'_>) -> Results {
    let all = items(node)?;
    let mut operands = Vec::with_capacity(all.len());
    for item in all.iter() {
        operands.push(if *item == Value::Absent { zeros(node, 1, &all)? } else { item.clone() });
    }
    node.operands = operands;
    pack(node)
}

/// What an element is that nothing was written to: zeros of the shape that operand `shape` says, or that
/// others have.
fn zeros(node: &mut Node<'_>, shape: usize, all: &[Value]) -> Result<Value, Fault> {
    let written = all.iter().find(|item| !matches!(item, Value::Absent));
    let shape = match (written, node.lengths(shape)) {
        (Some(item), _) => node.shape_of_value(item)?,
        (None, Ok(shape)) => shape,
        (None, Err(_)) => {
            return Err("reads an element of a list that was not written, and whose shape is open".into());
        }
    };
    crate::budget::check_made(&shape)?;
    let number = node.graph.nodes.len();
    Ok(Value::Tensor(node.add_constant(&format!("zeros_{number}"), Array::filled(shape, 0.0)?)))
}

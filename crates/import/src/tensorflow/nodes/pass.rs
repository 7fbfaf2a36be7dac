//! Inputs, constants, and nodes that pass their operand on.

use super::{Fault, Node, Results, Row, Value, row};
use crate::ImportError;
use crate::docs as doc;
use crate::tensorflow::messages::{Attr, DataType};
use crate::tensorflow::tensor;
use crate::value::{Ints, fits};
use cryptflow_graph::{Arithmetic, Comparison, Function, Op};

pub(super) const TABLE: &[Row] = &[
    row("Placeholder", placeholder, doc::INPUT.note(doc::notes::PLACEHOLDER)),
    row("PlaceholderV2", placeholder, doc::INPUT.note(doc::notes::PLACEHOLDER)),
    row(
        "PlaceholderWithDefault",
        |n| n.pass_on(),
        doc::NONE.note("its default; an input where --input names it"),
    ),
    row("Const", constant, doc::WEIGHT.note(doc::notes::WEIGHT_TYPES)),
    row("Identity", |n| n.pass_on(), doc::NONE),
    row("IdentityN", identity_n, doc::NONE),
    row("StopGradient", |n| n.pass_on(), doc::NONE),
    row("PreventGradient", |n| n.pass_on(), doc::NONE),
    row("CheckNumerics", |n| n.pass_on(), doc::NONE.note("fixed point has no NaN and no infinity")),
    row("Snapshot", |n| n.pass_on(), doc::NONE),
    row("EnsureShape", ensure_shape, doc::NONE.note("the shape is checked when compiling")),
    row("Cast", cast, doc::NONE.note(doc::notes::CONVERTED)),
    row("NoOp", nothing, doc::NONE),
];

fn placeholder(node: &mut Node<'_>) -> Results {
    let name = node.name.clone();
    let dtype = node.attr_type("dtype")?;
    // Integers are shared as floats that hold them.
    let shaped = matches!(node.attr("shape"), Some(Attr::Shape(s)) if !s.dim.is_empty());
    let switch = dtype == DataType::Bool && !shaped;
    if switch || !dtype.is_float() && !dtype.is_integer() {
        return Err(format!(
            "is an input of the type {dtype:?}, and only numbers can be shared between parties. If it is a switch \
             between training and inference, bind it to a public value (--set {name}=false), or freeze the graph for inference"
        )
        .into());
    }
    let dims = match node.attr("shape") {
        Some(Attr::Shape(shape)) => tensor::static_shape(shape),
        _ => None,
    };
    let Some(dims) = dims else {
        return Err(format!("does not say its shape. Give it: --input {name}=N,H,W,C").into());
    };
    let mut shape = Vec::with_capacity(dims.len());
    for (axis, &dim) in dims.iter().enumerate() {
        match (usize::try_from(dim), axis) {
            (Ok(dim), 0) if dims.len() > 1 && node.message.batch.is_some_and(|b| b != dim) => {
                let asked = node.message.batch.unwrap_or(1);
                return Err(Fault::Fatal(ImportError::Batch { input: name, asked, fixed: dim }));
            }
            (Ok(dim), _) => shape.push(dim),
            (Err(_), 0) => shape.push(node.message.batch.unwrap_or(1)),
            (Err(_), _) => {
                return Err(format!(
                    "has the open shape {dims:?}, and only the first axis may be open. Give it whole: --input \
                     {name}=N,H,W,C"
                )
                .into());
            }
        }
    }
    fits(&shape)?;
    let id = if dtype.is_integer() {
        node.graph.add_integer_input(name, shape)
    } else {
        node.graph.add_input(name, shape)
    };
    Ok(vec![Value::Tensor(id)])
}

/// A placeholder that is bound to a public value.
pub(in crate::tensorflow) fn bound(node: &mut Node<'_>, text: &str) -> Results {
    let dtype = node.attr_type("dtype")?;
    let flag = dtype == DataType::Bool;
    if !flag && !dtype.is_float() && !dtype.is_integer() {
        return Err(format!("is an input of the type {dtype:?}, which cannot be bound to a number").into());
    }
    let dims = match node.attr("shape") {
        Some(Attr::Shape(shape)) => tensor::static_shape(shape),
        _ => None,
    };
    let batch = node.message.batch.unwrap_or(1);
    let length = |(axis, &dim): (usize, &i64)| usize::try_from(dim).ok().or((axis == 0).then_some(batch));
    let shape = dims.and_then(|dims| dims.iter().enumerate().map(length).collect());
    let constant = crate::bound::bound(text, flag || dtype.is_integer(), shape)?;
    node.constant_result(constant)
}

fn constant(node: &mut Node<'_>) -> Results {
    let Some(Attr::Tensor(message)) = node.attr("value") else {
        return Err(Node::wrong("value"));
    };
    let constant = tensor::read_constant(message)?;
    node.constant_result(constant)
}

fn ensure_shape(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(0)?;
    if let Some(Attr::Shape(wanted)) = node.attr("shape")
        && let Some(wanted) = tensor::static_shape(wanted)
    {
        let fits = |(&have, &want): (&usize, &i64)| want < 0 || usize::try_from(want) == Ok(have);
        if shape.len() != wanted.len() || !shape.iter().zip(&wanted).all(fits) {
            return Err(format!(
                "wants the shape {wanted:?} (−1: any length), and its operand has {shape:?}. Give the input another shape: \
                 --input NAME=N,H,W,C, --batch N"
            )
            .into());
        }
    }
    node.pass_on()
}

/// Results that are not known stay so, without ending the others.
fn identity_n(node: &mut Node<'_>) -> Results {
    Ok(node.operands.clone())
}

fn cast(node: &mut Node<'_>) -> Results {
    let (from, to) = (node.attr_type("SrcT")?, node.attr_type("DstT")?);
    let value = node.operand(0)?.clone();
    Ok(vec![match value {
        Value::Int(ints) if to.is_float() => Value::Tensor(node.add_known(ints.to_array()?)),
        Value::Int(ints) if to == DataType::Bool => Value::Int(ints.map(|v| (v != 0).into())),
        Value::Int(ints) if to.is_integer() => Value::Int(ints),
        // Floats to floats; and what is integers already.
        Value::Tensor(id) if to.is_float() || (!from.is_float() && to.is_integer()) => {
            Value::Tensor(node.add(Op::Identity, &[id])?)
        }
        Value::Tensor(id) if to == DataType::Bool => {
            let zero = node.add_number("zero", 0.0);
            Value::Tensor(node.add(Arithmetic::Compare(Comparison::NotEqual), &[id, zero])?)
        }
        Value::Tensor(id) if to.is_integer() => match node.constant_of(id) {
            Some(array) => Value::Int(Ints::cut_off(array)),
            None => Value::Tensor(node.add(Function::TRUNCATE, &[id])?),
        },
        _ => {
            return Err(format!(
                "converts {from:?} to {to:?}, for which there is no rule here. Export the \
             model with floats, integers and booleans"
            )
            .into());
        }
    }])
}

fn nothing(_: &mut Node<'_>) -> Results {
    Ok(Vec::new())
}

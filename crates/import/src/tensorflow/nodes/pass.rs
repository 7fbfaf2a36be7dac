//! Inputs, constants, and nodes that pass their operand on.

use super::{Fault, Import, Node, Results, Table, Value};
use crate::ImportError;
use crate::docs as doc;
use crate::tensorflow::messages::{Attr, DataType};
use crate::tensorflow::tensor::{self, Constant, Ints};
use crate::value::fits;
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, Op};

pub(super) const TABLE: Table = &[
    ("Placeholder", placeholder, doc::INPUT.note(doc::notes::PLACEHOLDER)),
    ("PlaceholderV2", placeholder, doc::INPUT.note(doc::notes::PLACEHOLDER)),
    ("PlaceholderWithDefault", identity, doc::NONE.note("its default; an input where --input names it")),
    ("Const", constant, doc::WEIGHT.note(doc::notes::WEIGHT_TYPES)),
    ("Identity", identity, doc::NONE),
    ("IdentityN", identity_n, doc::NONE),
    ("StopGradient", identity, doc::NONE),
    ("PreventGradient", identity, doc::NONE),
    ("CheckNumerics", identity, doc::NONE.note("fixed point has no NaN and no infinity")),
    ("Snapshot", identity, doc::NONE),
    ("EnsureShape", ensure_shape, doc::NONE.note("the shape is checked when compiling")),
    ("Cast", cast, doc::NONE.note(doc::notes::CONVERTED)),
    ("NoOp", nothing as Import, doc::NONE),
];

fn placeholder(node: &mut Node<'_>) -> Results {
    let name = &node.def.name;
    let dtype = node.attr_type("dtype")?;
    // Integers are shared as floats that hold them.
    let shaped = matches!(node.attr("shape"), Some(Attr::Shape(s)) if !s.dim.is_empty());
    let switch = dtype == DataType::Bool && !shaped;
    if switch || !dtype.is_float() && !dtype.is_integer() {
        return Err(format!(
            "is an input of the type {dtype:?}, and only numbers can be shared between parties. If it is a switch \
             between training and inference, freeze the graph for inference"
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
            (Ok(dim), 0) if dims.len() > 1 && node.batch.is_some_and(|b| b != dim) => {
                let asked = node.batch.unwrap_or(1);
                return Err(Fault::Fatal(ImportError::Batch { input: name.clone(), asked, fixed: dim }));
            }
            (Ok(dim), _) => shape.push(dim),
            (Err(_), 0) => shape.push(node.batch.unwrap_or(1)),
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
    Ok(vec![Value::Tensor(node.graph.add_input(name.clone(), shape))])
}

fn constant(node: &mut Node<'_>) -> Results {
    let Some(Attr::Tensor(message)) = node.attr("value") else {
        return Err(Node::wrong("value"));
    };
    Ok(vec![match tensor::constant(message)? {
        Constant::Float(array) => Value::Tensor(node.graph.add_constant(node.def.name.clone(), array)),
        Constant::Int(ints) => Value::Int(ints),
        Constant::Opaque(dtype) => Value::Opaque(dtype),
    }])
}

fn identity(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    Ok(vec![match value {
        Value::Tensor(id) => Value::Tensor(node.add(Op::Identity, &[id])?),
        other => other,
    }])
}

fn ensure_shape(node: &mut Node<'_>) -> Results {
    let shape = node.shape_of(&node.operand(0)?.clone())?;
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
    identity(node)
}

/// Results that are not known stay so, without ending the others.
fn identity_n(node: &mut Node<'_>) -> Results {
    Ok(node.operands.clone())
}

fn cast(node: &mut Node<'_>) -> Results {
    let (from, to) = (node.attr_type("SrcT")?, node.attr_type("DstT")?);
    let value = node.operand(0)?.clone();
    Ok(vec![match value {
        Value::Int(ints) if to.is_float() => {
            let data = ints.data.iter().map(|&v| v as f32).collect();
            Value::Tensor(node.graph.add_constant(node.def.name.clone(), Array::new(ints.shape, data)?))
        }
        Value::Int(ints) if to == DataType::Bool => {
            Value::Int(Ints { data: ints.data.iter().map(|&v| i64::from(v != 0)).collect(), ..ints })
        }
        Value::Int(ints) if to.is_integer() => Value::Int(ints),
        // Floats to floats; and what is integers already.
        Value::Tensor(id) if to.is_float() || (!from.is_float() && to.is_integer()) => {
            Value::Tensor(node.add(Op::Identity, &[id])?)
        }
        Value::Tensor(id) if to == DataType::Bool => {
            let zero = node.add_constant("zero", Array::scalar(0.0));
            Value::Tensor(node.add(Arithmetic::Compare(Comparison::NotEqual), &[id, zero])?)
        }
        Value::Tensor(id) if to.is_integer() => match node.constant_of(id) {
            Some(array) => {
                let data = array.data.iter().map(|&v| v as i64).collect();
                Value::Int(Ints { shape: array.shape.clone(), data })
            }
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

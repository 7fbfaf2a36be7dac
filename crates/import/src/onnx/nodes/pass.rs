//! Constants, and nodes that pass their operand on.

use std::rc::Rc;

use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::docs as doc;
use crate::onnx::messages::DataType;
use crate::onnx::tensor;
use crate::tensor::{Constant, Opaque};
use crate::value::{Fault, Ints};
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, Op};

pub(super) const TABLE: &[Row] = &[
    row("Constant", constant, doc::WEIGHT.note(doc::notes::WEIGHT_TYPES)),
    row("Identity", |n| n.pass_on(), doc::NONE),
    row("Dropout", dropout, doc::NONE.note("in inference; the mask is all ones"))
        .gives(Gives::Second(Number::Flag)),
    row("Cast", cast, doc::NONE.note(doc::notes::CONVERTED)).gives(Gives::Attribute("to")),
    row("CastLike", cast_like, doc::NONE.note(doc::notes::CONVERTED)).gives(Gives::Like(1)),
];

fn constant(node: &mut Node<'_>) -> Results {
    if let Some(message) = node.attr_tensor("value")? {
        let constant = tensor::read_constant(message, node.message.folder)?;
        return node.constant_result(constant);
    }
    if let Some(message) = node.message.def.attribute.iter().find_map(|a| a.sparse_tensor.as_ref()) {
        let constant = tensor::read_sparse(message, node.message.folder)?;
        return node.constant_result(constant);
    }
    if let Some(data) = node.attr_ints("value_ints")? {
        return Ok(vec![Value::Int(Ints::vector(data))]);
    }
    if let Some(data) = node.attr_floats("value_floats")? {
        return node.constant_result(Constant::Float(Array::vector(data)));
    }
    if node.has_attribute("value_int") {
        return Ok(vec![Value::Int(Ints::scalar(node.attr_int("value_int", 0)?))]);
    }
    if node.has_attribute("value_float") {
        let number = node.attr_float("value_float", 0.0)?;
        return node.constant_result(Constant::Float(Array::scalar(number)));
    }
    if node.has_attribute("value_string") || node.has_attribute("value_strings") {
        return Ok(vec![Value::Opaque(texts(node))]);
    }
    Err(Node::wrong("value"))
}

/// Texts, which may name classes.
fn texts(node: &Node<'_>) -> Opaque {
    let given = |name| node.message.def.attribute.iter().find(|a| a.name == name);
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let texts = match given("value_string") {
        Some(one) => vec![text(&one.s)],
        None => given("value_strings").map(|all| all.strings.iter().map(text).collect()).unwrap_or_default(),
    };
    Opaque { dtype: "String".into(), texts: Rc::new(texts) }
}

/// In inference every element passes; the mask is all ones.
fn dropout(node: &mut Node<'_>) -> Results {
    let training = node.has(2) && node.int(2)? != 0;
    let ratio = if node.has(1) { node.known_number(1)? } else { node.attr_float("ratio", 0.5)? };
    if training && ratio != 0.0 {
        return Err("drops elements at random, as in training. Export the model for inference".into());
    }
    let mut results = node.pass_on()?;
    if node.is_wanted(1) {
        let shape = node.shape_of(0)?;
        let n = crate::budget::check_made(&shape)?;
        results.push(Value::Int(Ints { shape, data: vec![1; n] }));
    }
    Ok(results)
}

fn cast(node: &mut Node<'_>) -> Results {
    let to = i32::try_from(node.attr_int("to", 0)?).ok().and_then(|t| DataType::try_from(t).ok());
    let Some(to) = to else {
        return Err("converts to a type of which only a few values exist (8-bit floats and the like). Export the model \
                    with ordinary floats"
            .into());
    };
    let number =
        Number::of(to).ok_or_else(|| format!("converts to {to:?}, for which there is no rule here"))?;
    converted(node, number, Some(to))
}

fn cast_like(node: &mut Node<'_>) -> Results {
    let number = match node.operand(1)? {
        Value::Opaque(dtype) => {
            return Err(format!("converts to {dtype}, for which there is no rule here").into());
        }
        _ => node.number(1),
    };
    let dtype = node.message.types.get(1).copied().flatten();
    converted(node, number, dtype.filter(|_| few_bits(dtype)))
}

/// Floats that become integers lose their fraction; what becomes a flag is compared with zero.
fn converted(node: &mut Node<'_>, to: Number, dtype: Option<DataType>) -> Results {
    let value = node.operand(0)?.clone();
    let known = |id: &cryptflow_graph::NodeId| node.constant_of(*id);
    let ints = match &value {
        Value::Int(ints) => Some(ints.clone()),
        Value::Tensor(id) => match to {
            Number::Float => None,
            Number::Integer => known(id).map(Ints::cut_off),
            Number::Flag => known(id).map(Ints::flags),
        },
        // Names stay what they are.
        Value::Label(..) => return Ok(vec![value]),
        Value::List(_) | Value::Opaque(_) | Value::Absent | Value::Dead | Value::Unknown => None,
    };
    Ok(vec![match (value, ints) {
        (Value::Tensor(_), Some(ints)) if few_bits(dtype) => Value::Int(ints.map(|v| wrapped(v, dtype))),
        (Value::Tensor(_), Some(ints)) => Value::Int(ints),
        (Value::Tensor(_), None) if few_bits(dtype) => {
            return Err(
                "converts what depends on an input to integers of four bits, for which there is no rule here"
                    .into(),
            );
        }
        (_, Some(ints)) => match to {
            Number::Flag => Value::Int(ints.map(|v| (v != 0).into())),
            Number::Integer => Value::Int(ints.map(|v| wrapped(v, dtype))),
            Number::Float => Value::Tensor(node.add_known(ints.to_array()?)),
        },
        (Value::Tensor(id), None) => {
            let op = match (node.number(0), to) {
                // An index is whole, whatever exporters cast it to on its way.
                (Number::Float, Number::Integer) if node.index_of(id).is_some() => Op::Identity,
                (Number::Float, Number::Integer) => Op::Function(Function::TRUNCATE),
                (Number::Float | Number::Integer, Number::Flag) => {
                    let zero = node.add_number("zero", 0.0);
                    return node.result(Arithmetic::Compare(Comparison::NotEqual), &[id, zero]);
                }
                _ => Op::Identity,
            };
            Value::Tensor(node.add(op, &[id])?)
        }
        (Value::Opaque(dtype), _) => {
            return Err(format!("converts {dtype}, for which there is no rule here").into());
        }
        _ => return Err(Fault::Unknown),
    }])
}

/// Whether a type has so few integers that what is converted to it is likely to be none of them.
fn few_bits(dtype: Option<DataType>) -> bool {
    matches!(dtype, Some(DataType::Int4 | DataType::Uint4))
}

/// An integer in a type of fewer bits: the low ones of it.
fn wrapped(v: i64, dtype: Option<DataType>) -> i64 {
    match dtype {
        Some(DataType::Int4) => i64::from((v as i8) << 4 >> 4),
        Some(DataType::Uint4) => v & 15,
        Some(DataType::Int8) => (v as i8).into(),
        Some(DataType::Int16) => (v as i16).into(),
        Some(DataType::Int32) => (v as i32).into(),
        Some(DataType::Uint8) => (v as u8).into(),
        Some(DataType::Uint16) => (v as u16).into(),
        Some(DataType::Uint32) => (v as u32).into(),
        _ => v,
    }
}

//! Constants, and nodes that pass their operand on.

use super::{Import, Kind, Node, Results, Table, Value};
use crate::docs as doc;
use crate::onnx::messages::DataType;
use crate::onnx::tensor;
use crate::value::{Fault, Ints};
use cryptflow_graph::{Arithmetic, Array, Comparison, Function, Op};

pub(super) const TABLE: Table = &[
    ("Constant", constant, doc::WEIGHT.note(doc::notes::WEIGHT_TYPES)),
    ("Identity", identity, doc::NONE),
    ("Dropout", dropout, doc::NONE.note("in inference; the mask is all ones")),
    ("Cast", cast, doc::NONE.note(doc::notes::CONVERTED)),
    ("CastLike", cast_like as Import, doc::NONE.note(doc::notes::CONVERTED)),
];

fn constant(node: &mut Node<'_>) -> Results {
    let floats = |node: &mut Node<'_>, shape: Vec<usize>, data: Vec<f32>| -> Results {
        let name = node.name.clone();
        Ok(vec![Value::Tensor(node.graph.add_constant(name, Array::new(shape, data)?))])
    };
    if let Some(message) = node.attr_tensor("value")? {
        let constant = tensor::constant(message, node.folder)?;
        return Ok(vec![value(node, constant)]);
    }
    if let Some(message) = node.def.attribute.iter().find_map(|a| a.sparse_tensor.as_ref()) {
        let constant = tensor::sparse(message, node.folder)?;
        return Ok(vec![value(node, constant)]);
    }
    if let Some(data) = node.attr_ints("value_ints")? {
        return Ok(vec![Value::Int(Ints::vector(data))]);
    }
    if let Some(data) = node.attr_floats("value_floats")? {
        return floats(node, vec![data.len()], data);
    }
    if node.has_attribute("value_int") {
        return Ok(vec![Value::Int(Ints::scalar(node.attr_int("value_int", 0)?))]);
    }
    if node.has_attribute("value_float") {
        let number = node.attr_float("value_float", 0.0)?;
        return floats(node, Vec::new(), vec![number]);
    }
    if node.has_attribute("value_string") || node.has_attribute("value_strings") {
        return Ok(vec![Value::Opaque("String".into())]);
    }
    Err(Node::wrong("value"))
}

fn value(node: &mut Node<'_>, constant: tensor::Constant) -> Value {
    match constant {
        tensor::Constant::Float(array) => Value::Tensor(node.graph.add_constant(node.name.clone(), array)),
        tensor::Constant::Int(ints) => Value::Int(ints),
        tensor::Constant::Opaque(dtype) => Value::Opaque(dtype),
    }
}

fn identity(node: &mut Node<'_>) -> Results {
    let value = node.operand(0)?.clone();
    Ok(vec![match value {
        Value::Tensor(id) => Value::Tensor(node.add(Op::Identity, &[id])?),
        other => other,
    }])
}

/// In inference every element passes; the mask is all ones.
fn dropout(node: &mut Node<'_>) -> Results {
    let training = node.has(2) && node.int(2)? != 0;
    let ratio = if node.has(1) { node.known_number(1)? } else { node.attr_float("ratio", 0.5)? };
    if training && ratio != 0.0 {
        return Err("drops elements at random, as in training. Export the model for inference".into());
    }
    let mut results = identity(node)?;
    if node.is_wanted(1) {
        let shape = node.shape_of(0)?;
        let n = crate::room::made(&shape)?;
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
    let kind = match to {
        DataType::Bool => Kind::Flag,
        t if t.is_integer() => Kind::Integer,
        t if t.is_float() => Kind::Float,
        t => return Err(format!("converts to {t:?}, for which there is no rule here").into()),
    };
    converted(node, kind, Some(to))
}

fn cast_like(node: &mut Node<'_>) -> Results {
    let kind = match node.operand(1)? {
        Value::Opaque(dtype) => {
            return Err(format!("converts to {dtype}, for which there is no rule here").into());
        }
        _ => node.kind(1),
    };
    converted(node, kind, None)
}

/// Floats that become integers lose their fraction; what becomes a flag is compared with zero.
fn converted(node: &mut Node<'_>, to: Kind, dtype: Option<DataType>) -> Results {
    let value = node.operand(0)?.clone();
    let ints = match &value {
        Value::Int(ints) => Some(ints.clone()),
        Value::Tensor(id) if to != Kind::Float => match node.graph.constant(*id) {
            Some(a) if to == Kind::Flag => {
                let data = a.data.iter().map(|&v| i64::from(v != 0.0)).collect();
                Some(Ints { shape: a.shape.clone(), data })
            }
            Some(a) => {
                Some(Ints { shape: a.shape.clone(), data: a.data.iter().map(|&v| v as i64).collect() })
            }
            None => None,
        },
        _ => None,
    };
    Ok(vec![match (value, ints) {
        (Value::Tensor(_), Some(ints)) => Value::Int(ints),
        (_, Some(ints)) => match to {
            Kind::Flag => Value::Int(ints.map(|v| (v != 0).into())),
            Kind::Integer => Value::Int(ints.map(|v| wrapped(v, dtype))),
            Kind::Float => {
                let data = ints.data.iter().map(|&v| v as f32).collect();
                let name = node.name.clone();
                Value::Tensor(node.graph.add_constant(name, Array::new(ints.shape, data)?))
            }
        },
        (Value::Tensor(id), None) => {
            let op = match (node.kind(0), to) {
                (Kind::Float, Kind::Integer) => Op::Function(Function::TRUNCATE),
                (Kind::Float | Kind::Integer, Kind::Flag) => {
                    let zero = node.number("zero", 0.0);
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

/// An integer in a type of fewer bits: the low ones of it.
fn wrapped(v: i64, dtype: Option<DataType>) -> i64 {
    match dtype {
        Some(DataType::Int8) => (v as i8).into(),
        Some(DataType::Int16) => (v as i16).into(),
        Some(DataType::Int32) => (v as i32).into(),
        Some(DataType::Uint8) => (v as u8).into(),
        Some(DataType::Uint16) => (v as u16).into(),
        Some(DataType::Uint32) => (v as u32).into(),
        _ => v,
    }
}

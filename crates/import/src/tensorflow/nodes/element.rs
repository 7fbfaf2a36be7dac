//! Element by element: functions, comparisons, conditions. Booleans that depend on an input are floats that are 0 or 1.

use super::{Fault, Import, Node, Results, Row, Table, Value, arithmetic};
use crate::docs as doc;
use crate::tensorflow::tensor::Ints;
use cryptflow_graph::operations::catalogue;
use cryptflow_graph::{Activation, Arithmetic, Array, Comparison, Function, NodeId, Op};

pub(super) const TABLE: Table = &[
    ("Log1p", log1p, doc::LOG.note("of 1 + x")),
    ("Expm1", expm1, doc::EXP.note("less 1")),
    ("Erfc", erfc, doc::ERF.note("1 − erf(x)")),
    ("Pow", power, doc::POWER.note("one constant exponent for all elements")),
    ("Equal", compare, doc::COMPARISON),
    ("NotEqual", compare, doc::COMPARISON),
    ("Less", compare, doc::COMPARISON),
    ("LessEqual", compare, doc::COMPARISON),
    ("Greater", compare, doc::COMPARISON),
    ("GreaterEqual", compare, doc::COMPARISON),
    ("LogicalAnd", logical, doc::PRODUCT.note(doc::notes::FLAGS)),
    ("LogicalOr", logical, doc::LARGER.note(doc::notes::FLAGS)),
    ("LogicalNot", logical_not, doc::SUM.note("1 − flag")),
    ("Select", select, doc::CHOICE.note(doc::notes::CONDITION)),
    ("SelectV2", select, doc::CHOICE.note(doc::notes::CONDITION)),
    (
        "ClipByValue",
        clip as Import,
        doc::CLIP.note("where both limits are single constants, the lower one below; else two comparisons"),
    ),
];

/// The functions of the catalogue that TensorFlow has, under each of their names.
pub(super) fn functions() -> impl Iterator<Item = Row> {
    catalogue()
        .flat_map(|f| f.entry().tensorflow.iter().map(move |&name| (name, function as Import, doc::of(f))))
}

fn function(node: &mut Node<'_>) -> Results {
    let name = node.def.op.as_str();
    let function = catalogue().find(|f| f.entry().tensorflow.contains(&name));
    let function = function.ok_or_else(|| super::advice(name))?;
    let entry = function.entry();
    if let Value::Int(ints) = node.operand(0)? {
        let of_integer = entry
            .of_integer
            .ok_or("is a function of floats, and its operand is integers. Cast it to floats first")?;
        return Ok(vec![Value::Int(ints.map(of_integer))]);
    }
    let x = node.tensor(0)?;
    let given = entry.parameters.iter().map(|p| match p.tensorflow {
        (Some(attribute), default) => node.attr_float(attribute, default),
        (None, value) => Ok(value),
    });
    let parameters = given.collect::<Result<Vec<f32>, Fault>>()?;
    Ok(vec![Value::Tensor(node.add(function.with(&parameters), &[x])?)])
}

fn log1p(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let one = node.add_constant("one", Array::scalar(1.0));
    let sum = node.add_part("sum", Arithmetic::Add, &[x, one])?;
    Ok(vec![Value::Tensor(node.add(Function::LOG, &[sum])?)])
}

fn expm1(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let one = node.add_constant("one", Array::scalar(1.0));
    let exp = node.add_part("exp", Function::EXP, &[x])?;
    Ok(vec![Value::Tensor(node.add(Arithmetic::Sub, &[exp, one])?)])
}

fn erfc(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let one = node.add_constant("one", Array::scalar(1.0));
    let erf = node.add_part("erf", Function::ERF, &[x])?;
    Ok(vec![Value::Tensor(node.add(Arithmetic::Sub, &[one, erf])?)])
}

/// A power with a public exponent.
fn power(node: &mut Node<'_>) -> Results {
    let known = |a: i64, b: i64| Some(a.wrapping_pow(u32::try_from(b).ok()?));
    match arithmetic::integers(node, known) {
        Ok(Some(ints)) => return Ok(ints),
        Ok(None) => {}
        Err(Fault::Unsupported(_)) => {
            return Err(
                "raises integers to a negative power, or to one of another shape. Cast them to floats".into(),
            );
        }
        Err(other) => return Err(other),
    }
    let (x, exponent) = (node.number(0)?, node.number(1)?);
    let Some(constant) = node.constant_of(exponent) else {
        return Err("raises to a power that depends on an input; only constant exponents are supported. Where the base stays \
                    above zero, write Exp(exponent · Log(base))"
            .into());
    };
    let Some(&exponent) = constant.data.first().filter(|first| constant.data.iter().all(|v| v == *first))
    else {
        return Err(
            "raises to different powers; only one exponent for all elements is supported. Split the \
             operand by exponents"
                .into(),
        );
    };
    Ok(vec![Value::Tensor(node.add(Function::power(exponent), &[x])?)])
}

fn compare(node: &mut Node<'_>) -> Results {
    let comparison = match node.def.op.as_str() {
        "Equal" => Comparison::Equal,
        "NotEqual" => Comparison::NotEqual,
        "Less" => Comparison::Less,
        "LessEqual" => Comparison::LessEqual,
        "Greater" => Comparison::Greater,
        _ => Comparison::GreaterEqual,
    };
    let known = |a: i64, b: i64| {
        let holds = match comparison {
            Comparison::Equal => a == b,
            Comparison::NotEqual => a != b,
            Comparison::Less => a < b,
            Comparison::LessEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterEqual => a >= b,
        };
        Some(i64::from(holds))
    };
    if let Some(ints) = arithmetic::integers(node, known)? {
        return Ok(ints);
    }
    let operands = [node.number(0)?, node.number(1)?];
    Ok(vec![Value::Tensor(node.add(Arithmetic::Compare(comparison), &operands)?)])
}

/// And is the product, or the larger one.
fn logical(node: &mut Node<'_>) -> Results {
    let and = node.def.op == "LogicalAnd";
    let known = |a: i64, b: i64| Some(if and { a & b } else { a | b });
    if let Some(ints) = arithmetic::integers(node, known)? {
        return Ok(ints);
    }
    let operands = [node.number(0)?, node.number(1)?];
    let op = if and { Op::Arithmetic(Arithmetic::Mul) } else { Op::Arithmetic(Arithmetic::Maximum) };
    Ok(vec![Value::Tensor(node.add(op, &operands)?)])
}

fn logical_not(node: &mut Node<'_>) -> Results {
    if let Value::Int(ints) = node.operand(0)? {
        return Ok(vec![Value::Int(ints.map(|v| i64::from(v == 0)))]);
    }
    let x = node.tensor(0)?;
    let one = node.add_constant("one", Array::scalar(1.0));
    Ok(vec![Value::Tensor(node.add(Arithmetic::Sub, &[one, x])?)])
}

/// The condition of `Select`, the older one, may be a vector that goes with the first axis.
fn select(node: &mut Node<'_>) -> Results {
    if let (Value::Int(c), Value::Int(a), Value::Int(b)) =
        (node.operand(0)?, node.operand(1)?, node.operand(2)?)
    {
        let ones = c.with(a, |c, a| Some(if c != 0 { a } else { 0 }))?;
        let others = c.with(b, |c, b| Some(if c != 0 { 0 } else { b }))?;
        return Ok(vec![Value::Int(ones.with(&others, |a, b| Some(a.wrapping_add(b)))?)]);
    }
    let [mut condition, a, b] = [node.number(0)?, node.number(1)?, node.number(2)?];
    let (from, rank) = (node.shape(condition).to_vec(), node.shape(a).len());
    if node.def.op == "Select" && from.len() == 1 && rank > 1 {
        let mut shape = vec![1; rank];
        shape[0] = from[0];
        let reshape = cryptflow_ring::Movement::Reshape { shape };
        condition = node.add_part("condition", reshape, &[condition])?;
    }
    Ok(vec![Value::Tensor(node.add(Arithmetic::Select, &[condition, a, b])?)])
}

/// Between two single constants it is one step of a protocol: `low + min(max(x − low, 0), high − low)`.
fn clip(node: &mut Node<'_>) -> Results {
    let [x, low, high] = [node.number(0)?, node.number(1)?, node.number(2)?];
    if let (Some(from), Some(to)) = (arithmetic::scalar(node, low), arithmetic::scalar(node, high))
        && from < to
        && node.shape(low).len().max(node.shape(high).len()) <= node.shape(x).len()
    {
        let op = Op::Activation(Activation::ClippedRelu { limit: to - from });
        if from == 0.0 {
            return Ok(vec![Value::Tensor(node.add(op, &[x])?)]);
        }
        let above = node.add_part("above", Arithmetic::Sub, &[x, low])?;
        let cut = node.add_part("cut", op, &[above])?;
        return Ok(vec![Value::Tensor(node.add(Arithmetic::Add, &[cut, low])?)]);
    }
    let cut = node.add_part("from_below", Arithmetic::Maximum, &[x, low])?;
    Ok(vec![Value::Tensor(node.add(Arithmetic::Minimum, &[cut, high])?)])
}

impl Node<'_> {
    /// A float operand, or known integers as the floats that they are.
    pub(super) fn number(&mut self, i: usize) -> Result<NodeId, Fault> {
        let Value::Int(Ints { shape, data }) = self.operand(i)? else { return self.tensor(i) };
        let floats = data.iter().map(|&v| v as f32).collect();
        let array = Array::new(shape.clone(), floats)?;
        Ok(self.add_constant(&format!("operand_{i}"), array))
    }
}

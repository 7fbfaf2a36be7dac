//! Arithmetic: of numbers, of known integers; activations and other functions of one number.

use super::{Import, Kind, Node, Results, Row, Table, Value};
use crate::docs as doc;
use crate::value::{Fault, Ints};
use cryptflow_graph::operations::catalogue;
use cryptflow_graph::{Activation, Arithmetic, Array, Comparison, Function, NodeId, Op};

pub(super) const TABLE: Table = &[
    ("Add", add, doc::SUM.note(doc::notes::ADDED)),
    ("Sub", sub, doc::SUM.note(doc::notes::ADDED)),
    ("Mul", mul, doc::PRODUCT.note("a linear map, where one operand is a constant")),
    (
        "Div",
        div,
        doc::QUOTIENT.note("a linear map, where the divisor is a constant; of integers, towards zero"),
    ),
    ("Mod", modulo, doc::FLOOR.note("of a quotient: the remainder; towards zero with `fmod`")),
    ("Pow", pow, doc::POWER.note("one constant exponent for all elements, or a positive constant base")),
    ("Max", max, doc::LARGER.note("of several, one after another")),
    ("Min", min, doc::LARGER.note("the smaller; of several, one after another")),
    ("Sum", sum, doc::SUM),
    ("Mean", mean, doc::LINEAR.note("the sum of all operands, times a constant")),
    ("Neg", neg, doc::SUM.note("the sign changes")),
    (
        "Clip",
        clip,
        doc::CLIP.note("the limits are constants; with one of them only, a ReLU or the larger of two"),
    ),
    ("PRelu", p_relu, doc::RELU.note("and linear maps by the slopes; products, where these are secret")),
    ("Relu", relu, doc::RELU),
    ("Gelu", gelu, doc::GELU),
    ("Swish", swish, doc::SWISH),
    ("Equal", equal, doc::COMPARISON),
    ("Less", less, doc::COMPARISON),
    ("LessOrEqual", less_or_equal, doc::COMPARISON),
    ("Greater", greater, doc::COMPARISON),
    ("GreaterOrEqual", greater_or_equal, doc::COMPARISON),
    ("And", and, doc::PRODUCT.note(doc::notes::FLAGS)),
    ("Or", or, doc::LARGER.note(doc::notes::FLAGS)),
    ("Xor", xor, doc::COMPARISON.note(doc::notes::FLAGS)),
    ("Not", not, doc::SUM.note("1 − flag")),
    ("Where", choose, doc::CHOICE.note(doc::notes::CONDITION)),
    ("BitwiseAnd", bitwise, doc::KNOWN.note("of known integers")),
    ("BitwiseOr", bitwise, doc::KNOWN.note("of known integers")),
    ("BitwiseXor", bitwise as Import, doc::KNOWN.note("of known integers")),
];

/// Two operands: known integers where both are, else an operation of the graph.
fn binary(node: &mut Node<'_>, op: impl Into<Op>, f: impl Fn(i64, i64) -> Option<i64>) -> Results {
    if let (Value::Int(a), Value::Int(b)) = (node.operand(0)?, node.operand(1)?) {
        return Ok(vec![Value::Int(a.with(b, f)?)]);
    }
    let operands = [node.tensor(0)?, node.tensor(1)?];
    node.result(op, &operands)
}

fn add(node: &mut Node<'_>) -> Results {
    binary(node, Arithmetic::Add, |a, b| Some(a.wrapping_add(b)))
}

fn sub(node: &mut Node<'_>) -> Results {
    binary(node, Arithmetic::Sub, |a, b| Some(a.wrapping_sub(b)))
}

fn mul(node: &mut Node<'_>) -> Results {
    binary(node, Arithmetic::Mul, |a, b| Some(a.wrapping_mul(b)))
}

/// Integers are divided towards zero.
fn div(node: &mut Node<'_>) -> Results {
    if let (Value::Int(a), Value::Int(b)) = (node.operand(0)?, node.operand(1)?) {
        return Ok(vec![Value::Int(a.with(b, i64::checked_div)?)]);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    if node.graph.constant(b).is_some_and(|c| c.data.contains(&0.0)) {
        return Err("divides by a constant that has a zero in it. Put another number there, and choose with Where what \
                    the result is"
            .into());
    }
    if node.kind(0) == Kind::Float {
        return node.result(Arithmetic::Div, &[a, b]);
    }
    // Half a unit away from zero, so that a quotient which is whole cannot fall below itself.
    let half = node.number("half", 0.5);
    let sign = node.part("sign", Function::SIGN, &[a])?;
    let more = node.part("more", Arithmetic::Mul, &[sign, half])?;
    let a = node.part("away_from_zero", Arithmetic::Add, &[a, more])?;
    let quotient = node.part("quotient", Arithmetic::Div, &[a, b])?;
    node.result(Function::TRUNCATE, &[quotient])
}

/// The sign of the divisor, or with `fmod` that of the dividend: a − b · floor(a / b), a − b · truncate(a / b).
fn modulo(node: &mut Node<'_>) -> Results {
    let truncate = node.attr_flag("fmod", false)?;
    if let (Value::Int(a), Value::Int(b)) = (node.operand(0)?, node.operand(1)?) {
        let modulo = |a: i64, b: i64| {
            let r = a.checked_rem(b)?;
            Some(if !truncate && r != 0 && (r < 0) != (b < 0) { r + b } else { r })
        };
        return Ok(vec![Value::Int(a.with(b, modulo)?)]);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let quotient = match node.kind(0) {
        Kind::Float => node.part("quotient", Arithmetic::Div, &[a, b])?,
        // Half a unit on, so that a quotient which is whole cannot fall below itself.
        _ => {
            let half = node.number("half", 0.5);
            let sign = node.part("sign", Function::SIGN, &[if truncate { a } else { b }])?;
            let more = node.part("more", Arithmetic::Mul, &[sign, half])?;
            let on = node.part("on", Arithmetic::Add, &[a, more])?;
            node.part("quotient", Arithmetic::Div, &[on, b])?
        }
    };
    let round = if truncate { Function::TRUNCATE } else { Function::FLOOR };
    let whole = node.part("whole", round, &[quotient])?;
    let product = node.part("product", Arithmetic::Mul, &[whole, b])?;
    node.result(Arithmetic::Sub, &[a, product])
}

/// A constant exponent, the same for all elements; or exponents of a constant: b^x = exp(x ln b).
fn pow(node: &mut Node<'_>) -> Results {
    if let (Value::Int(a), Value::Int(b)) = (node.operand(0)?, node.operand(1)?) {
        let power = |a: i64, b: i64| a.checked_pow(u32::try_from(b).ok()?);
        let found =
            a.with(b, power).map_err(|_| "raises integers to a power that is no integer of 64 bits")?;
        return Ok(vec![Value::Int(found)]);
    }
    let (x, exponents) = (node.tensor(0)?, node.tensor(1)?);
    let same = node.graph.constant(exponents).and_then(|a| {
        let (&first, rest) = a.data.split_first()?;
        rest.iter().all(|v| *v == first).then_some((first, a.shape.clone()))
    });
    if let Some((exponent, shape)) = same {
        let wide = shape.len() > node.shape(x).len() || shape.iter().any(|&n| n != 1);
        if !wide {
            return power(node, x, exponent);
        }
    }
    let base = node.graph.constant(x).map(|a| a.data.clone());
    match (base, node.graph.constant(exponents).is_some()) {
        (Some(base), true) => {
            // All is known: number by number.
            let zero = node.number("zero", 0.0);
            let (a, b) = (node.part("base", Arithmetic::Add, &[x, zero])?, exponents);
            let (a, b) = (wide_constant(node, a, b)?, wide_constant(node, b, a)?);
            let data = a.data.iter().zip(b.data.iter()).map(|(a, b)| a.powf(*b)).collect();
            let _ = base;
            let value = Array::new(a.shape.clone(), data)?;
            Ok(vec![Value::Tensor(node.graph.add_constant(node.name.clone(), value))])
        }
        (Some(base), false) if base.iter().all(|b| *b > 0.0) => {
            let logarithm = node.part("logarithm", Function::LOG, &[x])?;
            let product = node.part("product", Arithmetic::Mul, &[exponents, logarithm])?;
            node.result(Function::EXP, &[product])
        }
        _ => Err("raises to powers that differ from element to element, or are secret. Only one constant exponent, or a \
                  positive constant base, is supported"
            .into()),
    }
}

fn power(node: &mut Node<'_>, x: NodeId, exponent: f32) -> Results {
    let op = match exponent {
        1.0 => Op::Identity,
        2.0 => return node.result(Arithmetic::Mul, &[x, x]),
        exponent => Function::power(exponent).simplest().into(),
    };
    node.result(op, &[x])
}

/// A constant broadcast to the shape that it has together with another one.
fn wide_constant(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Result<Array, Fault> {
    let zeros = Array::filled(node.shape(b).to_vec(), 0.0)?;
    let a = node.graph.constant(a).ok_or("is no constant")?;
    Ok(Op::Arithmetic(Arithmetic::Add).evaluate(&[a, &zeros])?)
}

/// Several operands, one after another.
fn several(node: &mut Node<'_>, op: &Arithmetic, f: impl Fn(i64, i64) -> i64) -> Results {
    let ints: Vec<&Ints> =
        node.operands.iter().filter_map(|v| if let Value::Int(i) = v { Some(i) } else { None }).collect();
    if let (true, Some((first, rest))) = (ints.len() == node.operands.len(), ints.split_first()) {
        let all = rest.iter().try_fold((*first).clone(), |all, i| all.with(i, |a, b| Some(f(a, b))))?;
        return Ok(vec![Value::Int(all)]);
    }
    let operands = node.tensors()?;
    let Some((&first, rest)) = operands.split_first() else {
        return Err("has no operands: the file is damaged".into());
    };
    if rest.is_empty() {
        return node.result(Op::Identity, &[first]);
    }
    let mut all = first;
    for (i, &operand) in rest.iter().enumerate() {
        let last = i + 1 == rest.len();
        let pair = [all, operand];
        all = if last { node.add(op.clone(), &pair)? } else { node.part(&i.to_string(), op.clone(), &pair)? };
    }
    Ok(vec![Value::Tensor(all)])
}

fn max(node: &mut Node<'_>) -> Results {
    several(node, &Arithmetic::Maximum, i64::max)
}

fn min(node: &mut Node<'_>) -> Results {
    several(node, &Arithmetic::Minimum, i64::min)
}

fn sum(node: &mut Node<'_>) -> Results {
    several(node, &Arithmetic::Add, i64::wrapping_add)
}

fn mean(node: &mut Node<'_>) -> Results {
    let operands = node.tensors()?;
    let Some((&first, rest)) = operands.split_first() else {
        return Err("has no operands: the file is damaged".into());
    };
    let mut all = first;
    for (i, &operand) in rest.iter().enumerate() {
        all = node.part(&i.to_string(), Arithmetic::Add, &[all, operand])?;
    }
    let share = node.number("share", 1.0 / operands.len() as f32);
    node.result(Arithmetic::Mul, &[all, share])
}

fn neg(node: &mut Node<'_>) -> Results {
    if let Value::Int(ints) = node.operand(0)? {
        return Ok(vec![Value::Int(ints.map(i64::wrapping_neg))]);
    }
    let x = node.tensor(0)?;
    let minus_one = node.number("minus_one", -1.0);
    node.result(Arithmetic::Mul, &[x, minus_one])
}

fn relu(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    node.result(Activation::Relu, &[x])
}

/// Between two limits, either of which may be missing: attributes up to version 6, operands since 11.
fn clip(node: &mut Node<'_>) -> Results {
    let limit = |node: &Node<'_>, i: usize, name: &str| -> Result<Option<f32>, Fault> {
        if node.has(i) {
            return node.known_number(i).map(Some);
        }
        Ok(if node.has_attribute(name) { Some(node.attr_float(name, 0.0)?) } else { None })
    };
    let (low, high) = (limit(node, 1, "min")?, limit(node, 2, "max")?);
    // Limits that cut nothing are there in files of old versions.
    let low = low.filter(|v| *v > f32::MIN);
    let high = high.filter(|v| *v < f32::MAX);
    let x = node.tensor(0)?;
    match (low, high) {
        (None, None) => node.result(Op::Identity, &[x]),
        (Some(0.0), None) => node.result(Activation::Relu, &[x]),
        (Some(0.0), Some(limit)) if limit > 0.0 => node.result(Activation::ClippedRelu { limit }, &[x]),
        (Some(low), None) => {
            let low = node.number("min", low);
            node.result(Arithmetic::Maximum, &[x, low])
        }
        (None, Some(high)) => {
            let high = node.number("max", high);
            node.result(Arithmetic::Minimum, &[x, high])
        }
        (Some(low), Some(high)) if low < high => {
            // low + min(max(x − low, 0), high − low): one step of a protocol.
            let offset = node.number("min", low);
            let above = node.part("above", Arithmetic::Sub, &[x, offset])?;
            let cut = node.part("cut", Activation::ClippedRelu { limit: high - low }, &[above])?;
            node.result(Arithmetic::Add, &[cut, offset])
        }
        (Some(_), Some(high)) => {
            // The upper limit wins.
            let zero = node.number("zero", 0.0);
            let high = node.number("max", high);
            let nothing = node.part("nothing", Arithmetic::Mul, &[x, zero])?;
            node.result(Arithmetic::Add, &[nothing, high])
        }
    }
}

/// `slope · x + (1 − slope) · relu(x)`, with slopes that broadcast to x.
fn p_relu(node: &mut Node<'_>) -> Results {
    let (x, slope) = (node.tensor(0)?, node.tensor(1)?);
    let one = node.number("one", 1.0);
    let rest = node.part("rest", Arithmetic::Sub, &[one, slope])?;
    let positive = node.part("relu", Activation::Relu, &[x])?;
    let positive = node.part("positive", Arithmetic::Mul, &[positive, rest])?;
    let line = node.part("line", Arithmetic::Mul, &[x, slope])?;
    node.result(Arithmetic::Add, &[line, positive])
}

/// `x · sigmoid(alpha · x)`.
fn swish(node: &mut Node<'_>) -> Results {
    let x = node.tensor(0)?;
    let alpha = node.attr_float("alpha", 1.0)?;
    if alpha == 1.0 {
        return node.result(Function::SWISH, &[x]);
    }
    if alpha == 0.0 {
        let half = node.number("half", 0.5);
        return node.result(Arithmetic::Mul, &[x, half]);
    }
    let (factor, back) = (node.number("alpha", alpha), node.number("one_by_alpha", 1.0 / alpha));
    let scaled = node.part("scaled", Arithmetic::Mul, &[x, factor])?;
    let swish = node.part("swish", Function::SWISH, &[scaled])?;
    node.result(Arithmetic::Mul, &[swish, back])
}

fn gelu(node: &mut Node<'_>) -> Results {
    let function = match node.attr_text("approximate", "none")? {
        "none" => Function::GELU,
        "tanh" => Function::GELU_TANH,
        _ => return Err(Node::wrong("approximate")),
    };
    let x = node.tensor(0)?;
    node.result(function, &[x])
}

/// The functions of the catalogue that ONNX has.
pub(super) fn functions() -> impl Iterator<Item = Row> {
    catalogue().flat_map(|f| f.entry().onnx.iter().map(move |&name| (name, function as Import, doc::of(f))))
}

fn function(node: &mut Node<'_>) -> Results {
    let name = node.def.op_type.as_str();
    let function = catalogue().find(|f| f.entry().onnx.contains(&name));
    let function = function.ok_or_else(|| super::advice(name))?;
    let entry = function.entry();
    if let (Value::Int(ints), Some(of_integer)) = (node.operand(0)?, entry.of_integer) {
        return Ok(vec![Value::Int(ints.map(of_integer))]);
    }
    let given = entry.parameters.iter().map(|p| node.attr_float(p.onnx.0, p.onnx.1));
    let parameters = given.collect::<Result<Vec<f32>, Fault>>()?;
    let x = node.tensor(0)?;
    node.result(function.with(&parameters), &[x])
}

fn compare(node: &mut Node<'_>, comparison: Comparison, f: impl Fn(i64, i64) -> bool) -> Results {
    binary(node, Arithmetic::Compare(comparison), |a, b| Some(f(a, b).into()))
}

fn equal(node: &mut Node<'_>) -> Results {
    compare(node, Comparison::Equal, |a, b| a == b)
}

fn less(node: &mut Node<'_>) -> Results {
    compare(node, Comparison::Less, |a, b| a < b)
}

fn less_or_equal(node: &mut Node<'_>) -> Results {
    compare(node, Comparison::LessEqual, |a, b| a <= b)
}

fn greater(node: &mut Node<'_>) -> Results {
    compare(node, Comparison::Greater, |a, b| a > b)
}

fn greater_or_equal(node: &mut Node<'_>) -> Results {
    compare(node, Comparison::GreaterEqual, |a, b| a >= b)
}

fn and(node: &mut Node<'_>) -> Results {
    binary(node, Arithmetic::Mul, |a, b| Some((a != 0 && b != 0).into()))
}

fn or(node: &mut Node<'_>) -> Results {
    binary(node, Arithmetic::Maximum, |a, b| Some((a != 0 || b != 0).into()))
}

fn xor(node: &mut Node<'_>) -> Results {
    binary(node, Arithmetic::Compare(Comparison::NotEqual), |a, b| Some(((a != 0) != (b != 0)).into()))
}

fn not(node: &mut Node<'_>) -> Results {
    if let Value::Int(ints) = node.operand(0)? {
        return Ok(vec![Value::Int(ints.map(|v| (v == 0).into()))]);
    }
    let x = node.tensor(0)?;
    let one = node.number("one", 1.0);
    node.result(Arithmetic::Sub, &[one, x])
}

/// Bits of known integers.
fn bitwise(node: &mut Node<'_>) -> Results {
    let f: fn(i64, i64) -> i64 = match node.def.op_type.as_str() {
        "BitwiseAnd" => |a, b| a & b,
        "BitwiseOr" => |a, b| a | b,
        _ => |a, b| a ^ b,
    };
    let (a, b) = (node.ints(0)?, node.ints(1)?);
    Ok(vec![Value::Int(a.with(&b, |a, b| Some(f(a, b)))?)])
}

/// Known integers and a known condition give known integers; a known condition of one element chooses at once.
fn choose(node: &mut Node<'_>) -> Results {
    if let (Value::Int(c), Value::Int(a), Value::Int(b)) =
        (node.operand(0)?, node.operand(1)?, node.operand(2)?)
    {
        // c · a + (1 − c) · b, without a product of large integers.
        let a = c.with(a, |c, a| Some(if c != 0 { a } else { 0 }))?;
        let b = c.with(b, |c, b| Some(if c != 0 { 0 } else { b }))?;
        return Ok(vec![Value::Int(a.with(&b, |a, b| Some(a | b))?)]);
    }
    let (c, a, b) = (node.tensor(0)?, node.tensor(1)?, node.tensor(2)?);
    node.result(Arithmetic::Select, &[c, a, b])
}

//! Arithmetic: of numbers, of known integers; activations and other functions of one number.

use super::{Gives, Node, Number, Results, Row, Value, row};
use crate::compose;
use crate::docs as doc;
use crate::value::{Fault, Ints, fits, floor_remainder};
use cryptflow_graph::operations::{ENDLESS, broadcast};
use cryptflow_graph::{Activation, Arithmetic, Array, Comparison, Function, NodeId, Op};
use cryptflow_ring::Movement;

pub(super) const TABLE: &[Row] = &[
    row("Add", |n| n.sum(), doc::SUM.note(doc::notes::ADDED)),
    row("Sub", |n| n.difference(), doc::SUM.note(doc::notes::ADDED)),
    row("Mul", |n| n.product(), doc::PRODUCT.note("a linear map, where one operand is a constant")),
    row(
        "Div",
        div,
        doc::QUOTIENT.note("a linear map, where the divisor is a constant; of integers, towards zero"),
    ),
    row("Mod", modulo, doc::FLOOR.note("of a quotient: the remainder; towards zero with `fmod`")),
    row("Pow", pow, doc::POWER.note("one constant exponent for all elements, or a positive constant base")),
    row(
        "Max",
        |n| several(n, &Arithmetic::Maximum, i64::max),
        doc::LARGER.note("of several, one after another"),
    ),
    row(
        "Min",
        |n| several(n, &Arithmetic::Minimum, i64::min),
        doc::LARGER.note("the smaller; of several, one after another"),
    ),
    row("Sum", |n| several(n, &Arithmetic::Add, i64::wrapping_add), doc::SUM),
    row("Mean", mean, doc::LINEAR.note("the sum of all operands, times a constant")),
    row("Neg", |n| n.negation(), doc::SUM.note("the sign changes")),
    row(
        "Clip",
        clip,
        doc::CLIP.note("a limit that is no constant is a maximum or a minimum; one limit alone is a ReLU or the larger of two"),
    ),
    row("PRelu", p_relu, doc::RELU.note("and linear maps by the slopes; products, where these are secret")),
    row("Relu", |n| n.of_one(Activation::Relu), doc::RELU),
    row("Gelu", gelu, doc::GELU),
    row("Swish", swish, doc::SWISH),
    row("Equal", |n| n.comparison(Comparison::Equal), doc::COMPARISON).gives_flags(),
    row("Less", |n| n.comparison(Comparison::Less), doc::COMPARISON).gives_flags(),
    row("LessOrEqual", |n| n.comparison(Comparison::LessEqual), doc::COMPARISON).gives_flags(),
    row("Greater", |n| n.comparison(Comparison::Greater), doc::COMPARISON).gives_flags(),
    row("GreaterOrEqual", |n| n.comparison(Comparison::GreaterEqual), doc::COMPARISON).gives_flags(),
    row("And", |n| n.conjunction(), doc::PRODUCT.note(doc::notes::FLAGS)).gives_flags(),
    row("Or", |n| n.disjunction(), doc::LARGER.note(doc::notes::FLAGS)).gives_flags(),
    row("Xor", xor, doc::COMPARISON.note(doc::notes::FLAGS)).gives_flags(),
    row("Not", |n| n.complement(), doc::SUM.note("1 − flag")).gives_flags(),
    row("Where", |n| n.chosen(false), doc::CHOICE.note(doc::notes::CONDITION)).gives(Gives::Like(1)),
    row("IsNaN", |n| n.finiteness(f32::is_nan), doc::KNOWN.note(doc::notes::FINITE)).gives_flags(),
    row("IsInf", is_infinite, doc::KNOWN.note(doc::notes::FINITE)).gives_flags(),
    row("BitwiseAnd", |n| bitwise(n, |a, b| a & b), doc::KNOWN.note("of known integers")),
    row("BitwiseOr", |n| bitwise(n, |a, b| a | b), doc::KNOWN.note("of known integers")),
    row("BitwiseXor", |n| bitwise(n, |a, b| a ^ b), doc::KNOWN.note("of known integers")),
];

/// Both infinities, or one of them.
fn is_infinite(node: &mut Node<'_>) -> Results {
    let (negative, positive) =
        (node.attr_flag("detect_negative", true)?, node.attr_flag("detect_positive", true)?);
    node.finiteness(|v| v.is_infinite() && if v < 0.0 { negative } else { positive })
}

/// Integers are divided towards zero.
fn div(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(i64::checked_div)? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    if node.constant_of(b).is_some_and(|c| c.data.contains(&0.0)) {
        return Err("divides by a constant that has a zero in it. Put another number there, and choose with Where what \
                    the result is"
            .into());
    }
    if node.number(0) == Number::Float {
        return node.result(Arithmetic::Div, &[a, b]);
    }
    towards_zero(node, a, b)
}

/// The quotient of integers without its fraction, as the node's result.
pub(super) fn towards_zero(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Results {
    // Half a unit away from zero, so that a quotient which is whole cannot fall below itself.
    let half = node.add_number("half", 0.5);
    let sign = node.add_part("sign", Function::SIGN, &[a])?;
    let more = node.add_part("more", Arithmetic::Mul, &[sign, half])?;
    let a = node.add_part("away_from_zero", Arithmetic::Add, &[a, more])?;
    let quotient = node.add_part("quotient", Arithmetic::Div, &[a, b])?;
    node.result(Function::TRUNCATE, &[quotient])
}

/// The roots of integers without their fractions, as the node's result: half an integer more keeps those
/// that are whole from falling below themselves, and reaches no next one.
pub(super) fn root_of_integers(node: &mut Node<'_>, x: NodeId) -> Results {
    let half = node.add_number("half", 0.5);
    let more = node.add_part("more", Arithmetic::Add, &[x, half])?;
    let root = node.add_part("root", Function::SQRT, &[more])?;
    node.result(Function::TRUNCATE, &[root])
}

/// The sign of the divisor, or with `fmod` that of the dividend: a − b · floor(a / b), a − b ·
/// truncate(a / b).
fn modulo(node: &mut Node<'_>) -> Results {
    let truncate = node.attr_flag("fmod", false)?;
    let of_integers = |a: i64, b: i64| if truncate { a.checked_rem(b) } else { floor_remainder(a, b) };
    if let Some(known) = node.known_pair(of_integers)? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let quotient = match node.number(0) {
        Number::Float => node.add_part("quotient", Arithmetic::Div, &[a, b])?,
        // Half a unit on, so that a quotient which is whole cannot fall below itself.
        _ => {
            let half = node.add_number("half", 0.5);
            let sign = node.add_part("sign", Function::SIGN, &[if truncate { a } else { b }])?;
            let more = node.add_part("more", Arithmetic::Mul, &[sign, half])?;
            let on = node.add_part("on", Arithmetic::Add, &[a, more])?;
            node.add_part("quotient", Arithmetic::Div, &[on, b])?
        }
    };
    let round = if truncate { Function::TRUNCATE } else { Function::FLOOR };
    let whole = node.add_part("whole", round, &[quotient])?;
    let product = node.add_part("product", Arithmetic::Mul, &[whole, b])?;
    node.result(Arithmetic::Sub, &[a, product])
}

/// A constant exponent, the same for all elements; or exponents of a constant: b^x = exp(x ln b).
fn pow(node: &mut Node<'_>) -> Results {
    let of_integers = |a: i64, b: i64| a.checked_pow(u32::try_from(b).ok()?);
    let known = node.known_pair(of_integers).map_err(|fault| match fault {
        Fault::Unsupported(_) => "raises integers to a power that is no integer of 64 bits".into(),
        // What is not known yet has been reported.
        Fault::Unknown | Fault::Fatal(_) => fault,
    })?;
    if let Some(known) = known {
        return Ok(known);
    }
    let (x, exponents) = (node.tensor(0)?, node.tensor(1)?);
    if let Some(exponent) = single_exponent(node, x, exponents) {
        return power(node, x, exponent);
    }
    let above_zero = |a: &Array| a.data.iter().all(|b| *b > 0.0);
    match (node.constant_of(x), node.constant_of(exponents)) {
        (Some(_), Some(_)) => known_powers(node, x, exponents),
        (Some(base), None) if above_zero(base) => {
            let logarithm = node.add_part("logarithm", Function::LOG, &[x])?;
            let product = node.add_part("product", Arithmetic::Mul, &[exponents, logarithm])?;
            node.result(Function::EXP, &[product])
        }
        _ => Err("raises to powers that differ from element to element, or are secret. Only one constant exponent, or a \
                  positive constant base, is supported"
            .into()),
    }
}

/// The exponent, where it is known and the same for all elements, and the result is no larger than
/// x.
fn single_exponent(node: &Node<'_>, x: NodeId, exponents: NodeId) -> Option<f32> {
    let exponents = node.constant_of(exponents)?;
    let (&first, rest) = exponents.data.split_first()?;
    let wide = exponents.shape.len() > node.shape(x).len() || exponents.shape.iter().any(|&n| n != 1);
    (!wide && rest.iter().all(|v| *v == first)).then_some(first)
}

/// Powers of constants, number by number, broadcasting.
fn known_powers(node: &mut Node<'_>, x: NodeId, exponents: NodeId) -> Results {
    let (bases, exponents) = (wide_constant(node, x, exponents)?, wide_constant(node, exponents, x)?);
    let powers = bases.data.iter().zip(exponents.data.iter()).map(|(a, b)| a.powf(*b)).collect();
    let value = Array::new(bases.shape, powers)?;
    Ok(vec![Value::Tensor(node.add_known(value))])
}

fn power(node: &mut Node<'_>, x: NodeId, exponent: f32) -> Results {
    if node.number(0) == Number::Integer && (exponent < 0.0 || exponent.fract() != 0.0) {
        return match exponent {
            0.5 => root_of_integers(node, x),
            _ => Err("raises integers to a power that is no integer. Cast them to floats first".into()),
        };
    }
    let op = match exponent {
        1.0 => Op::Identity,
        2.0 => return node.result(Arithmetic::Mul, &[x, x]),
        exponent => Function::power(exponent).simplest().into(),
    };
    node.result(op, &[x])
}

/// A constant broadcast to the shape that it has together with another one.
fn wide_constant(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Result<Array, Fault> {
    let (shape_a, shape_b) = (node.shape(a).to_vec(), node.shape(b).to_vec());
    let shape = broadcast(&shape_a, &shape_b)
        .ok_or_else(|| format!("{shape_a:?} and {shape_b:?} do not broadcast"))?;
    let wide = Op::Movement(Movement::Broadcast { shape: shape.clone() });
    node.budget.take_evaluation(&wide, &[&shape_a], fits(&shape)?)?;
    let constant = node.constant_of(a).ok_or("is no constant")?;
    Ok(wide.evaluate(&[constant])?)
}

/// Several operands, one after another.
fn several(node: &mut Node<'_>, op: &Arithmetic, f: impl Fn(i64, i64) -> i64) -> Results {
    let ints: Vec<&Ints> = node.operands.iter().filter_map(Value::ints).collect();
    if let (true, Some((first, rest))) = (ints.len() == node.operands.len(), ints.split_first()) {
        let all = rest.iter().try_fold((*first).clone(), |all, i| all.with(i, |a, b| Some(f(a, b))))?;
        return Ok(vec![Value::Int(all)]);
    }
    let operands = node.tensors()?;
    match operands.as_slice() {
        [one] => node.result(Op::Identity, &[*one]),
        all => Ok(vec![Value::Tensor(node.chain(op, all, false)?)]),
    }
}

fn mean(node: &mut Node<'_>) -> Results {
    let operands = node.tensors()?;
    let all = node.chain(&Arithmetic::Add, &operands, true)?;
    let share = node.add_number("share", 1.0 / operands.len() as f32);
    node.result(Arithmetic::Mul, &[all, share])
}

/// Between two limits, either of which may be missing: attributes up to version 6, operands since
/// 11.
fn clip(node: &mut Node<'_>) -> Results {
    let secret = |node: &Node<'_>, i: usize| match node.operands.get(i) {
        Some(Value::Tensor(id)) => node.constant_of(*id).is_none(),
        _ => false,
    };
    if secret(node, 1) || secret(node, 2) {
        return clip_to_values(node);
    }
    let limit = |node: &Node<'_>, i: usize, name: &str| -> Result<Option<f32>, Fault> {
        if node.has(i) {
            return node.known_number(i).map(Some);
        }
        Ok(if node.has_attribute(name) { Some(node.attr_float(name, 0.0)?) } else { None })
    };
    let (low, high) = (limit(node, 1, "min")?, limit(node, 2, "max")?);
    // Files of old versions have the largest float where there is no limit.
    let low = low.filter(|v| *v > -ENDLESS);
    let high = high.filter(|v| *v < ENDLESS);
    let x = node.tensor(0)?;
    if let (Some(low), Some(high)) = (low, high)
        && low >= high
    {
        // The upper limit wins.
        let zero = node.add_number("zero", 0.0);
        let high = node.add_number("max", high);
        let nothing = node.add_part("nothing", Arithmetic::Mul, &[x, zero])?;
        return node.result(Arithmetic::Add, &[nothing, high]);
    }
    node.composed(|c| compose::within(c, x, low, high))
}

/// Between limits that are computed: the upper one wins.
fn clip_to_values(node: &mut Node<'_>) -> Results {
    let mut x = node.tensor(0)?;
    if node.has(1) {
        let low = node.tensor(1)?;
        if !node.has(2) {
            return node.result(Arithmetic::Maximum, &[x, low]);
        }
        x = node.add_part("above", Arithmetic::Maximum, &[x, low])?;
    }
    let high = node.tensor(2)?;
    node.result(Arithmetic::Minimum, &[x, high])
}

/// `slope · x + (1 − slope) · relu(x)`, with slopes that broadcast to x.
fn p_relu(node: &mut Node<'_>) -> Results {
    let (x, slope) = (node.tensor(0)?, node.tensor(1)?);
    let one = node.add_number("one", 1.0);
    let rest = node.add_part("rest", Arithmetic::Sub, &[one, slope])?;
    let positive = node.add_part("relu", Activation::Relu, &[x])?;
    let positive = node.add_part("positive", Arithmetic::Mul, &[positive, rest])?;
    let line = node.add_part("line", Arithmetic::Mul, &[x, slope])?;
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
        let half = node.add_number("half", 0.5);
        return node.result(Arithmetic::Mul, &[x, half]);
    }
    let (factor, back) = (node.add_number("alpha", alpha), node.add_number("one_by_alpha", 1.0 / alpha));
    let scaled = node.add_part("scaled", Arithmetic::Mul, &[x, factor])?;
    let swish = node.add_part("swish", Function::SWISH, &[scaled])?;
    node.result(Arithmetic::Mul, &[swish, back])
}

fn gelu(node: &mut Node<'_>) -> Results {
    let function = match node.attr_text("approximate", "none")? {
        "none" => Function::GELU,
        "tanh" => Function::GELU_TANH,
        _ => return Err(Node::wrong("approximate")),
    };
    node.of_one(function)
}

fn xor(node: &mut Node<'_>) -> Results {
    node.binary(Arithmetic::Compare(Comparison::NotEqual), |a, b| Some(((a != 0) != (b != 0)).into()))
}

/// Bits of known integers.
fn bitwise(node: &mut Node<'_>, f: fn(i64, i64) -> i64) -> Results {
    let (a, b) = (node.ints(0)?, node.ints(1)?);
    Ok(vec![Value::Int(a.with(&b, |a, b| Some(f(a, b)))?)])
}

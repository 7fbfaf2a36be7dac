//! Division: of floats, of integers that are known, and of integers that depend on an input.
//!
//! Secret integers are floats that hold integers. Their quotient is never rounded from an inexact
//! one: with half a unit added to the dividend, `(a + ½) / b` is at least `½ / b` away from every
//! integer, however its last bits come out.

use super::{Fault, Node, Results, Row, row};
use crate::docs as doc;
use crate::value::floor_remainder;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, NodeId};

/// What is said of a constant divisor with a zero in it.
const ZERO: &str = "divides by a constant that has a zero in it. Put another number there, and choose with \
     Select what the result is";

pub(super) const TABLE: &[Row] = &[
    row(
        "Div",
        div,
        doc::QUOTIENT.note(
            "a linear map, where the divisor is a constant; of integers towards zero, by positive \
             constants only",
        ),
    ),
    row("RealDiv", div, doc::QUOTIENT.note("a linear map, where the divisor is a constant")),
    row(
        "DivNoNan",
        div,
        doc::QUOTIENT
            .note("a linear map, where the divisor is a constant; divisors that are zero are refused, too"),
    ),
    row("FloorDiv", floor_div, doc::FLOOR.note("of a quotient; of integers, by constants only")),
    row(
        "FloorMod",
        floor_mod,
        doc::FLOOR
            .note("of a quotient: the remainder, with the divisor's sign; of integers, by constants only"),
    ),
    row(
        "TruncateDiv",
        truncate_div,
        doc::FLOOR.note("of a quotient, towards zero; of integers, by positive constants only"),
    ),
];

fn div(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(i64::checked_div)? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    if node.constant_of(b).is_some_and(|c| c.data.contains(&0.0)) {
        return Err(ZERO.into());
    }
    // `Div` of integers leaves the fraction away.
    if of_integers(node) { truncated(node, a, b) } else { node.result(Arithmetic::Div, &[a, b]) }
}

fn floor_div(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(floor_of_ints)? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let quotient = to_floor(node, a, b)?;
    node.result(Function::FLOOR, &[quotient])
}

/// `a − floor(a / b)·b`.
fn floor_mod(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(floor_remainder)? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    let quotient = to_floor(node, a, b)?;
    let floor = node.add_part("floor", Function::FLOOR, &[quotient])?;
    let multiple = node.add_part("multiple", Arithmetic::Mul, &[floor, b])?;
    node.result(Arithmetic::Sub, &[a, multiple])
}

/// A quotient whose floor is that of `a / b`.
fn to_floor(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    if of_integers(node) { halfway(node, a, b) } else { node.add_part("quotient", Arithmetic::Div, &[a, b]) }
}

fn truncate_div(node: &mut Node<'_>) -> Results {
    if let Some(known) = node.known_pair(i64::checked_div)? {
        return Ok(known);
    }
    let (a, b) = (node.tensor(0)?, node.tensor(1)?);
    truncated(node, a, b)
}

/// Towards zero: for integers `floor(max(a, 0) / b) − floor(max(−a, 0) / b)`.
fn truncated(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Results {
    if !of_integers(node) {
        let quotient = node.add_part("quotient", Arithmetic::Div, &[a, b])?;
        return node.result(Function::TRUNCATE, &[quotient]);
    }
    let positive_divisor = node.constant_of(b).is_some_and(|c| c.data.iter().all(|&v| v > 0.0));
    if !positive_divisor {
        return Err("divides integers by something else than positive constants. Cast both to floats, \
             divide, and cast back"
            .into());
    }
    let minus_one = node.add_number("minus_one", -1.0);
    let negated = node.add_part("negated", Arithmetic::Mul, &[a, minus_one])?;
    let mut parts = [a, negated];
    for (part, name) in parts.iter_mut().zip(["positive", "negative"]) {
        let relu = node.add_part(name, Activation::Relu, &[*part])?;
        let quotient = halfway(node, relu, b)?;
        *part = node.add_part(&format!("{name}_quotient"), Function::FLOOR, &[quotient])?;
    }
    node.result(Arithmetic::Sub, &parts)
}

/// `(a + ½) / b` for positive constants b, `(a − ½) / b` for negative ones: its floor is that of
/// `a / b`, for integers.
fn halfway(node: &mut Node<'_>, a: NodeId, b: NodeId) -> Result<NodeId, Fault> {
    let Some(divisors) = node.constant_of(b).cloned() else {
        return Err("divides integers by something that depends on an input; only constants are supported. Cast both to \
                    floats, divide, and take the floor"
            .into());
    };
    if divisors.data.contains(&0.0) {
        return Err(ZERO.into());
    }
    let halves = divisors.data.iter().map(|b| 0.5f32.copysign(*b)).collect();
    let halves = node.add_constant("half", Array::new(divisors.shape, halves)?);
    let dividend = node.add_part("dividend", Arithmetic::Add, &[a, halves])?;
    node.add_part("quotient", Arithmetic::Div, &[dividend, b])
}

/// Whether the node's operands hold integers.
fn of_integers(node: &Node<'_>) -> bool {
    node.attr_type("T").is_ok_and(|t| t.is_integer())
}

fn floor_of_ints(a: i64, b: i64) -> Option<i64> {
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

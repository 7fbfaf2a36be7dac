//! Element by element: functions, comparisons, conditions. Booleans that depend on an input are
//! floats that are 0 or 1.

use std::f32::consts::{FRAC_PI_2, PI};

use super::{Fault, Node, Results, Row, row};
use crate::docs as doc;
use crate::tensorflow::messages::Attr;
use cryptflow_graph::operations::ENDLESS;
use cryptflow_graph::{Activation, Arithmetic, Array, Comparison, Function, Reduce, Reduction};

pub(super) const TABLE: &[Row] = &[
    row("Log1p", log1p, doc::LOG.note("of 1 + x")),
    row("Expm1", expm1, doc::EXP.note("less 1")),
    row("Erfc", erfc, doc::ERF.note("1 − erf(x)")),
    row(
        "Atan2",
        atan2,
        doc::of(Function::ATAN)
            .note("of a quotient, whose divisor is the larger of the two; both are zero nowhere"),
    ),
    row("Bucketize", bucketize, doc::COMPARISON.note("with each boundary")),
    row("Pow", power, doc::POWER.note("one constant exponent for all elements")),
    row("Equal", |n| n.comparison(Comparison::Equal), doc::COMPARISON),
    row("NotEqual", |n| n.comparison(Comparison::NotEqual), doc::COMPARISON),
    row("Less", |n| n.comparison(Comparison::Less), doc::COMPARISON),
    row("LessEqual", |n| n.comparison(Comparison::LessEqual), doc::COMPARISON),
    row("Greater", |n| n.comparison(Comparison::Greater), doc::COMPARISON),
    row("GreaterEqual", |n| n.comparison(Comparison::GreaterEqual), doc::COMPARISON),
    row("LogicalAnd", |n| n.conjunction(), doc::PRODUCT.note(doc::notes::FLAGS)),
    row("LogicalOr", |n| n.disjunction(), doc::LARGER.note(doc::notes::FLAGS)),
    row("LogicalNot", |n| n.complement(), doc::SUM.note("1 − flag")),
    row("Select", |n| n.chosen(true), doc::CHOICE.note(doc::notes::CONDITION)),
    row("SelectV2", |n| n.chosen(false), doc::CHOICE.note(doc::notes::CONDITION)),
    row("IsNan", |n| n.finiteness(f32::is_nan), doc::KNOWN.note(doc::notes::FINITE)),
    row("IsInf", |n| n.finiteness(f32::is_infinite), doc::KNOWN.note(doc::notes::FINITE)),
    row("IsFinite", |n| n.finiteness(f32::is_finite), doc::KNOWN.note(doc::notes::FINITE)),
    row(
        "ClipByValue",
        clip,
        doc::CLIP.note("where both limits are single constants, the lower one below; else two comparisons"),
    ),
];

fn log1p(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let one = node.add_number("one", 1.0);
    let sum = node.add_part("sum", Arithmetic::Add, &[x, one])?;
    node.result(Function::LOG, &[sum])
}

fn expm1(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let one = node.add_number("one", 1.0);
    let exp = node.add_part("exp", Function::EXP, &[x])?;
    node.result(Arithmetic::Sub, &[exp, one])
}

fn erfc(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let one = node.add_number("one", 1.0);
    let erf = node.add_part("erf", Function::ERF, &[x])?;
    node.result(Arithmetic::Sub, &[one, erf])
}

/// The angle of (x, y): the arc tangent of the smaller of the two by the larger one, and where that lies.
fn atan2(node: &mut Node<'_>) -> Results {
    let (y, x) = (node.floats(0)?, node.floats(1)?);
    let [zero, half, whole, two] =
        [0.0, FRAC_PI_2, PI, 2.0].map(|v| node.add_number(&format!("number_{v}"), v));
    let (across, up) =
        (node.add_part("across", Function::ABS, &[x])?, node.add_part("up", Function::ABS, &[y])?);
    let small = node.add_part("smaller", Arithmetic::Minimum, &[across, up])?;
    let large = node.add_part("larger", Arithmetic::Maximum, &[across, up])?;
    let quotient = node.add_part("quotient", Arithmetic::Div, &[small, large])?;
    let angle = node.add_part("angle", Function::ATAN, &[quotient])?;
    // From the other axis, where it is nearer to that.
    let steep = node.add_part("steep", Arithmetic::Compare(Comparison::Greater), &[up, across])?;
    let rest = node.add_part("from_above", Arithmetic::Sub, &[half, angle])?;
    let angle = node.add_part("above", Arithmetic::Select, &[steep, rest, angle])?;
    let behind = node.add_part("behind", Arithmetic::Compare(Comparison::Less), &[x, zero])?;
    let rest = node.add_part("from_behind", Arithmetic::Sub, &[whole, angle])?;
    let angle = node.add_part("whole", Arithmetic::Select, &[behind, rest, angle])?;
    let below = node.add_part("below", Arithmetic::Compare(Comparison::Less), &[y, zero])?;
    let twice = node.add_part("twice", Arithmetic::Mul, &[below, two])?;
    let one = node.add_number("one", 1.0);
    let sign = node.add_part("sign", Arithmetic::Sub, &[one, twice])?;
    node.result(Arithmetic::Mul, &[sign, angle])
}

/// How many boundaries a number has reached.
fn bucketize(node: &mut Node<'_>) -> Results {
    let x = node.floats(0)?;
    let boundaries = match node.attr("boundaries") {
        Some(Attr::List(list)) => list.f.clone(),
        Some(_) | None => return Err(Node::wrong("boundaries")),
    };
    if boundaries.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(Node::wrong("boundaries"));
    }
    let shape = node.shape(x).to_vec();
    node.composed(|c| {
        let column = c.reshape([&shape[..], &[1]].concat(), x)?;
        let boundaries = c.add_numbered_constant(Array::vector(boundaries));
        let reached = Arithmetic::Compare(Comparison::GreaterEqual);
        let reached = c.add_numbered(reached, &[column, boundaries])?;
        let axes = vec![shape.len()];
        c.add_numbered(Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[reached])
    })
}

/// A power with a public exponent.
fn power(node: &mut Node<'_>) -> Results {
    let known = |a: i64, b: i64| Some(a.wrapping_pow(u32::try_from(b).ok()?));
    match node.known_pair(known) {
        Ok(Some(known)) => return Ok(known),
        Ok(None) => {}
        Err(Fault::Unsupported(_)) => {
            return Err(
                "raises integers to a negative power, or to one of another shape. Cast them to floats".into(),
            );
        }
        Err(other) => return Err(other),
    }
    let (x, exponent) = (node.tensor(0)?, node.tensor(1)?);
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
    node.result(Function::power(exponent), &[x])
}

/// Between two single constants it is one step of a protocol:
/// `low + min(max(x − low, 0), high − low)`.
fn clip(node: &mut Node<'_>) -> Results {
    let [x, low, high] = [node.tensor(0)?, node.tensor(1)?, node.tensor(2)?];
    if let (Some(from), Some(to)) = (node.number_of(low), node.number_of(high))
        && from < to
        // Limits that cut nothing are left to the passes.
        && from > -ENDLESS
        && to < ENDLESS
        && node.shape(low).len().max(node.shape(high).len()) <= node.shape(x).len()
    {
        let op = Activation::ClippedRelu { limit: to - from };
        if from == 0.0 {
            return node.result(op, &[x]);
        }
        let above = node.add_part("above", Arithmetic::Sub, &[x, low])?;
        let cut = node.add_part("cut", op, &[above])?;
        return node.result(Arithmetic::Add, &[cut, low]);
    }
    let cut = node.add_part("from_below", Arithmetic::Maximum, &[x, low])?;
    node.result(Arithmetic::Minimum, &[cut, high])
}

//! Arithmetic and comparison of two tensors, and the choice between two, broadcasting as numpy
//! does.

use super::{Function, OpError, operands};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::Operands;

/// From this magnitude on a constant stands for infinity: nothing that fixed point computes with comes
/// near it. As a limit it cuts nothing, and what it is added to has no weight in a softmax.
pub const ENDLESS: f32 = 1e10;

/// An operation on two tensors, or the choice between two.
#[derive(Clone, Debug, PartialEq)]
pub enum Arithmetic {
    /// `a + b`, broadcasting as in numpy.
    Add,
    /// `a − b`, broadcasting.
    Sub,
    /// `a * b`, broadcasting.
    Mul,
    /// `a / b`, broadcasting.
    Div,
    /// The larger of two, broadcasting.
    Maximum,
    /// The smaller of two, broadcasting.
    Minimum,
    /// 1 where the comparison of two holds and 0 where it does not, broadcasting.
    Compare(Comparison),
    /// `a` where the condition is not zero, else `b`. Operands: condition, a, b, broadcasting.
    Select,
}

/// A comparison of two numbers, in the order of the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// a = b.
    Equal,
    /// a ≠ b.
    NotEqual,
    /// a < b.
    Less,
    /// a ≤ b.
    LessEqual,
    /// a > b.
    Greater,
    /// a ≥ b.
    GreaterEqual,
}

impl Comparison {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Comparison::Equal => "equal",
            Comparison::NotEqual => "not equal",
            Comparison::Less => "less",
            Comparison::LessEqual => "less or equal",
            Comparison::Greater => "greater",
            Comparison::GreaterEqual => "greater or equal",
        }
    }

    /// Whether it holds.
    pub fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Comparison::Equal => a == b,
            Comparison::NotEqual => a != b,
            Comparison::Less => a < b,
            Comparison::LessEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterEqual => a >= b,
        }
    }
}

impl Arithmetic {
    /// The operation's name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Arithmetic::Add => "add",
            Arithmetic::Sub => "sub",
            Arithmetic::Mul => "mul",
            Arithmetic::Div => "div",
            Arithmetic::Maximum => "maximum",
            Arithmetic::Minimum => "minimum",
            Arithmetic::Compare(comparison) => comparison.name(),
            Arithmetic::Select => "select",
        }
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let both = |a: &[usize], b: &[usize]| {
            broadcast(a, b).ok_or_else(|| {
                OpError::shape(
                    self.name(),
                    format!(
                        "{a:?} and {b:?} do not broadcast: counted from the right, axes must be equal or 1"
                    ),
                )
            })
        };
        if matches!(self, Arithmetic::Select) {
            let [condition, a, b] = operands(self.name(), "three (condition, a, b)", inputs)?;
            return both(condition, &both(a, b)?);
        }
        let [a, b] = operands(self.name(), "two", inputs)?;
        both(a, b)
    }

    pub(super) fn evaluate(&self, inputs: &[&Array], result: Vec<usize>) -> Result<Array, OpError> {
        let two = |f: &dyn Fn(f32, f32) -> f32| {
            let [a, b] = operands(self.name(), "two", inputs)?;
            Ok(combine(a, b, &result, f))
        };
        let data = match self {
            Arithmetic::Add => two(&|a, b| a + b),
            Arithmetic::Sub => two(&|a, b| a - b),
            Arithmetic::Mul => two(&|a, b| a * b),
            Arithmetic::Div => two(&|a, b| a / b),
            // A NaN on either side stays one.
            Arithmetic::Maximum => two(&|a, b| if a > b || a.is_nan() { a } else { b }),
            Arithmetic::Minimum => two(&|a, b| if a < b || a.is_nan() { a } else { b }),
            Arithmetic::Compare(comparison) => two(&|a, b| comparison.holds(a, b).into()),
            Arithmetic::Select => {
                let [condition, a, b] = operands(self.name(), "three (condition, a, b)", inputs)?;
                let wide = |x: &Array| combine(x, x, &result, |x, _| x);
                let pick = |((c, a), b): ((f32, f32), f32)| if c != 0.0 { a } else { b };
                Ok(wide(condition).into_iter().zip(wide(a)).zip(wide(b)).map(pick).collect())
            }
        }?;
        Array::new(result, data)
    }

    pub(super) fn image(&self, [a, b]: [Range; 2], operands: &[Range], same: bool) -> Range {
        match self {
            Arithmetic::Add => a.plus(b),
            Arithmetic::Sub => a.minus(b),
            // What is multiplied by itself is not negative.
            Arithmetic::Mul if same => Range { low: 0.0, high: f64::INFINITY },
            Arithmetic::Mul => endless_product(a, b),
            Arithmetic::Div if b.low > 0.0 || b.high < 0.0 => {
                endless_product(a, Range { low: 1.0 / b.high, high: 1.0 / b.low })
            }
            Arithmetic::Div => Range::ALL,
            Arithmetic::Maximum => a.maximum(b),
            Arithmetic::Minimum => a.minimum(b),
            Arithmetic::Compare(_) => Range::FRACTION,
            Arithmetic::Select => Range::of_all(operands.get(1..).unwrap_or(&[])),
        }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        let unit = given.rounding.unit;
        let two = |f: &dyn Fn(Range, Range) -> Range| match given.all {
            [a, b] => pairs(given, a.channels, b.channels, f),
            _ => given.nothing(),
        };
        match self {
            Arithmetic::Add => two(&Range::plus),
            Arithmetic::Sub => two(&Range::minus),
            // What is multiplied by itself is not negative.
            Arithmetic::Mul if given.same => given.each(|r| {
                let squares = r.map(|v| v * v);
                let low = if r.low <= 0.0 && r.high >= 0.0 { 0.0 } else { squares.low.min(squares.high) };
                Range { low, high: squares.low.max(squares.high) }.grown(2.0 * unit)
            }),
            Arithmetic::Mul => two(&Range::times).into_iter().map(|r| r.grown(2.0 * unit)).collect(),
            Arithmetic::Div => {
                let quotients = two(&|a, b| {
                    let b = Function::RECIPROCAL.asked(b, given.image(1));
                    a.times(Range { low: 1.0 / b.high, high: 1.0 / b.low })
                });
                let error = |r: Range| 4.0 * unit + r.magnitude() / 512.0;
                match given.constant(1) {
                    Some(_) => quotients,
                    None => quotients.into_iter().map(|r| r.grown(error(r))).collect(),
                }
            }
            Arithmetic::Maximum => two(&Range::maximum),
            Arithmetic::Minimum => two(&Range::minimum),
            Arithmetic::Compare(_) => given.filled(Range::FRACTION),
            Arithmetic::Select => match given.all {
                [_, a, b] => pairs(given, a.channels, b.channels, &Range::union),
                _ => given.nothing(),
            },
        }
    }
}

/// Products, where ranges may have no ends: zero times whatever there is no end to is zero.
pub(super) fn endless_product(a: Range, b: Range) -> Range {
    let times = |x: f64, y: f64| Range::point(if x == 0.0 || y == 0.0 { 0.0 } else { x * y });
    Range::of_all(&[times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)])
}

/// What an operation makes of two tensors that are broadcast against each other.
fn pairs(given: &Operands<'_>, a: &[Range], b: &[Range], f: &dyn Fn(Range, Range) -> Range) -> Vec<Range> {
    let n = given.channels;
    let at = |side: &[Range], i: usize| if side.len() == n { side[i] } else { Range::of_all(side) };
    let result = (0..n).map(|i| f(at(a, i), at(b, i)));
    let (first, second) = (given.constant(0), given.constant(1));
    let Some(constant) = first.or(second) else { return result.collect() };
    // A diagonal layer: its weights and its result are rounded.
    let largest = constant.data.iter().fold(1.0f32, |m, v| m.max(v.abs())).max(1.0);
    let x = Range::of_all(if first.is_some() { b } else { a });
    let rounding = given.rounding;
    let error = rounding.of_weights(largest) * x.magnitude() + 2.0 * rounding.unit;
    result.map(|r| r.grown(error + r.magnitude() * rounding.weight)).collect()
}

/// The shape to which both broadcast, if they do.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let axis =
        |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).and_then(|i| s.get(i)).copied().unwrap_or(1);
    (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (m, n) if m == n => Some(m),
            (1, n) => Some(n),
            (m, 1) => Some(m),
            _ => None,
        })
        .collect()
}

pub(crate) fn combine(a: &Array, b: &Array, result: &[usize], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    if a.shape == result && b.shape == result {
        return a.data.iter().zip(b.data.iter()).map(|(&a, &b)| f(a, b)).collect();
    }
    let Some((&columns, leading)) = result.split_last() else {
        return a.data.iter().zip(b.data.iter()).map(|(&a, &b)| f(a, b)).collect();
    };
    let (sa, sb) = (steps(&a.shape, result.len()), steps(&b.shape, result.len()));
    let rows: usize = leading.iter().product();
    let mut out = Vec::with_capacity(rows * columns);
    let mut index = vec![0; leading.len()];
    for _ in 0..rows {
        let at = |s: &[usize]| index.iter().zip(s).map(|(i, s)| i * s).sum::<usize>();
        let (pa, pb) = (at(&sa), at(&sb));
        let (ca, cb) = (sa[leading.len()], sb[leading.len()]);
        out.extend((0..columns).map(|c| f(a.data[pa + c * ca], b.data[pb + c * cb])));
        for (i, &n) in index.iter_mut().zip(leading).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// Distance of elements along each axis of a result of that rank; 0 along an axis that repeats.
fn steps(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut steps = vec![0; rank];
    let mut step = 1;
    for (s, &n) in steps.iter_mut().rev().zip(shape.iter().rev()) {
        *s = if n == 1 { 0 } else { step };
        step *= n;
    }
    steps
}

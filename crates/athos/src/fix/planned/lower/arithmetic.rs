//! Sums, differences, products and quotients: of secret values, and of a secret value with a
//! constant.
//!
//! Constants are the model's, and secret, with two exceptions. The one number with which values are
//! compared, or at which they are cut, is public, as the limit of a clipped ReLU is; and so is a
//! single 0, 1 or −1, with which a negation or `1 − x` is written.

use cryptflow_ring::Movement;

use cryptflow_graph::{Arithmetic, Array, Function, NodeId, Range};

use super::super::plan::{self, Limits, Operation, PlanValue};
use super::constant::Sum;
use super::flags::Logic;
use super::floor::before_broadcast;
use super::function::Approximation;
use super::linear::Target;
use super::{Lowered, Lowering, Refusal, malformed};
use crate::fix::units::exp2;

/// The four basic operations.
#[derive(Clone, Copy)]
enum Basic {
    Add,
    Sub,
    Mul,
    Div,
}

/// `x * factor`, broadcast.
pub(super) struct Diagonal<'a> {
    /// What the weight is called after.
    pub(super) named: NodeId,
    pub(super) shape: &'a [usize],
    pub(super) factor: Vec<f32>,
}

impl Diagonal<'_> {
    fn factor(named: NodeId, factor: &Array) -> Diagonal<'_> {
        Diagonal { named, shape: &factor.shape, factor: factor.data.to_vec() }
    }
}

impl Lowering<'_> {
    pub(super) fn arithmetic(&mut self, id: NodeId, arithmetic: &Arithmetic) -> Result<Lowered, Refusal> {
        let logic = match arithmetic {
            Arithmetic::Mul | Arithmetic::Minimum => Some(Logic::And),
            Arithmetic::Maximum => Some(Logic::Or),
            Arithmetic::Add | Arithmetic::Sub | Arithmetic::Div => None,
            Arithmetic::Compare(_) | Arithmetic::Select => None,
        };
        if let Some(logic) = logic
            && let Some(flags) = self.logic(id, logic)?
        {
            return Ok(flags);
        }
        match arithmetic {
            Arithmetic::Add => self.computed(id, Basic::Add),
            Arithmetic::Sub => self.computed(id, Basic::Sub),
            Arithmetic::Mul => self.computed(id, Basic::Mul),
            Arithmetic::Div => self.computed(id, Basic::Div),
            Arithmetic::Maximum => self.larger(id, false),
            Arithmetic::Minimum => self.larger(id, true),
            Arithmetic::Compare(comparison) => self.compare(id, *comparison),
            Arithmetic::Select => self.select(id),
        }
    }

    fn computed(&mut self, id: NodeId, op: Basic) -> Result<Lowered, Refusal> {
        let (a, b) = (self.operand(id, 0)?, self.operand(id, 1)?);
        let (c, secret, named, first) = match (self.constant(a).cloned(), self.constant(b).cloned()) {
            (None, None) => return self.of_secrets(id, op, a, b),
            (None, Some(c)) => (c, a, b, false),
            (Some(c), _) => (c, b, a, true),
        };
        within_fixed_point(&c)?;
        let flag = if matches!(op, Basic::Mul) { self.flag(secret)? } else { None };
        let x = flag.map_or_else(|| self.secret(secret), Ok)?;
        if let Some((sign, number)) = trivial(op, &c, first) {
            return self.plainly(id, x, sign, number);
        }
        let factor = match (op, first) {
            (Basic::Add, _) => return self.sum_with(id, x, &c, Sum::Plus),
            (Basic::Sub, false) => return self.sum_with(id, x, &c, Sum::Minus),
            (Basic::Sub, true) => return self.sum_with(id, x, &c, Sum::From),
            (Basic::Div, true) => return self.quotient(id, None, b),
            (Basic::Mul, _) => c.data.to_vec(),
            (Basic::Div, false) => inverse(&c)?,
        };
        self.with_constant(id, x, Diagonal { named, shape: &c.shape, factor })
    }

    fn of_secrets(&mut self, id: NodeId, op: Basic, a: NodeId, b: NodeId) -> Result<Lowered, Refusal> {
        let op = match op {
            Basic::Add => Operation::Add,
            Basic::Sub => Operation::Sub,
            Basic::Mul => return self.mul_secrets(id, a, b),
            Basic::Div => return self.quotient(id, Some(a), b),
        };
        let (x, y) = self.pair(id, a, b)?;
        let (x, y) = self.aligned(id, x, y);
        Ok(self.last_step(id, op, &[x, y]))
    }

    /// Two operands as secret values in the shape of the node's result.
    pub(super) fn pair(&mut self, id: NodeId, a: NodeId, b: NodeId) -> Result<(usize, usize), Refusal> {
        let x = self.secret(a)?;
        let x = self.broadcast(id, x);
        let y = self.secret(b)?;
        Ok((x, self.broadcast(id, y)))
    }

    /// `sign · x + number` as the node's result, exactly, at no cost.
    fn plainly(&mut self, id: NodeId, x: usize, sign: i32, number: f64) -> Result<Lowered, Refusal> {
        let x = self.broadcast(id, x);
        let y = self.offset(id, x, sign, number)?;
        if y == x {
            return Ok(self.reshaped(id, x));
        }
        // The value is new: it is the node's.
        self.plan.values[y].node = Some(id);
        Ok(Lowered::Value(y))
    }

    /// `a / b`, b secret, as a product with the reciprocal of b; where there is no `a`, a constant
    /// follows.
    fn quotient(&mut self, id: NodeId, a: Option<NodeId>, b: NodeId) -> Result<Lowered, Refusal> {
        // What is repeated is divided by once.
        let divisor = before_broadcast(self.graph, b);
        let y = self.secret(divisor)?;
        // The larger what is divided, the more bits of the reciprocal matter.
        let divided = match a {
            Some(a) => self.range(a).magnitude(),
            None => self
                .constant(self.operand(id, 0)?)
                .map_or(1.0, |c| c.data.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()))),
        };
        let extra = divided.max(1.0).log2().ceil().min(10.0) as i32 + 1;
        let (seen, floor) = self.range_seen(Function::RECIPROCAL, divisor, y);
        let function = Function::RECIPROCAL;
        let reciprocal =
            Approximation { function, seen, results: None, extra, whole: false, sound: false, floor, tie: 0 };
        let reciprocal = self.approximate(id, y, &reciprocal)?;
        let reciprocal = self.broadcast(id, reciprocal);
        match a {
            Some(a) => {
                let x = self.secret(a)?;
                let x = self.broadcast(id, x);
                let (extra, range) = (self.extra_of(id), self.range(id));
                Ok(Lowered::Value(self.product_of(id, x, reciprocal, extra, range, true)))
            }
            None => {
                let operand = self.operand(id, 0)?;
                let nothing = || malformed("it divides nothing");
                let constant = self.constant(operand).cloned().ok_or_else(nothing)?;
                // One is no number of the model: the reciprocal is the result.
                if uniform(&constant) == Some(1.0) && self.shape(reciprocal) == self.own_shape(id) {
                    self.plan.values[reciprocal].node = Some(id);
                    return Ok(Lowered::Value(reciprocal));
                }
                self.with_constant(id, reciprocal, Diagonal::factor(operand, &constant))
            }
        }
    }

    /// `a − b` in the node's shape, of which one may be a constant; not the node's result. A
    /// constant that is one number is public.
    pub(super) fn difference(&mut self, id: NodeId, a: NodeId, b: NodeId) -> Result<usize, Refusal> {
        let (left, right) = (self.constant(a).cloned(), self.constant(b).cloned());
        let (x, sum, constant) = match (&left, &right) {
            (None, None) => {
                let (x, y) = self.pair(id, a, b)?;
                let (x, y) = self.aligned(id, x, y);
                let limits = Limits::Proved(self.bounds[x].minus(self.bounds[y]));
                let (left, right) = (self.plan.values[x].range, self.plan.values[y].range);
                let blank = self.blank(id, self.own_shape(id), difference(left, right));
                let value = PlanValue { extra: self.plan.values[x].extra, limits, ..blank };
                return Ok(self.step_to(id, Operation::Sub, &[x, y], value));
            }
            (None, Some(c)) => (self.secret(a)?, Sum::Minus, c),
            (Some(c), _) => (self.secret(b)?, Sum::From, c),
        };
        let x = self.broadcast(id, x);
        within_fixed_point(constant)?;
        match (uniform(constant).map(f64::from), sum) {
            (None, _) => self.exact_sum_with(id, x, constant, sum),
            (Some(number), Sum::Plus | Sum::Minus) => self.offset(id, x, 1, -number),
            (Some(number), Sum::From) => self.offset(id, x, -1, number),
        }
    }

    /// `sign · x + number`, exactly, for a public number.
    fn offset(&mut self, id: NodeId, x: usize, sign: i32, number: f64) -> Result<usize, Refusal> {
        let x = self.holding(id, x, number);
        let value = self.plan.values[x].clone();
        let scale = value.scale(self.setting.scale);
        let units = (number * exp2(scale)).round();
        if units.abs() > exp2(50) {
            return Err(too_large(number * f64::from(-sign)));
        }
        let units = units as i64;
        if sign == 1 && units == 0 {
            return Ok(x);
        }
        self.plan.fitted = Some(self.setting.scale);
        let (bounds, range) = (self.bounds[x], value.range);
        let (bounds, range) = if sign < 0 { (bounds.negated(), negative(range)) } else { (bounds, range) };
        let range = Range { low: range.low + number, high: range.high + number };
        let limits = Limits::Proved(bounds.map(|end| end.saturating_add(units)));
        let result = PlanValue { extra: value.extra, limits, ..self.blank(id, value.shape, range) };
        let op = plan::combine(vec![sign.into()], vec![units]);
        Ok(self.step_to(id, op, &[x], result))
    }

    /// A value plus an operand, as the node's result.
    pub(super) fn plus(&mut self, id: NodeId, x: usize, operand: NodeId) -> Result<Lowered, Refusal> {
        if let Some(constant) = self.constant(operand).cloned() {
            return self.plus_array(id, x, &constant);
        }
        let y = self.secret(operand)?;
        let y = self.broadcast(id, y);
        let (x, y) = self.aligned(id, x, y);
        Ok(self.last_step(id, Operation::Add, &[x, y]))
    }

    /// A value plus a constant of the model, as the node's result.
    pub(super) fn plus_array(&mut self, id: NodeId, x: usize, constant: &Array) -> Result<Lowered, Refusal> {
        if constant.data.iter().all(|&v| v == 0.0) {
            return Ok(self.reshaped(id, x));
        }
        self.sum_with(id, x, constant, Sum::Plus)
    }

    /// Two values at the same scale: what has fewer fractional bits gets zeros.
    pub(super) fn aligned(&mut self, id: NodeId, x: usize, y: usize) -> (usize, usize) {
        let extra = self.plan.values[x].extra.max(self.plan.values[y].extra);
        (self.raised(id, x, extra), self.raised(id, y, extra))
    }

    /// A value with so many extra fractional bits, which it has not got more of.
    pub(super) fn raised(&mut self, id: NodeId, x: usize, extra: i32) -> usize {
        let value = self.plan.values[x].clone();
        let up = extra - value.extra;
        if up <= 0 {
            return x;
        }
        let factor = 1i64 << up.min(62);
        let limits = Limits::Proved(self.bounds[x].map(|end| end.saturating_mul(factor)));
        let raised = PlanValue { extra, limits, node: None, ..value };
        self.step_to(id, plan::combine(vec![factor], vec![0]), &[x], raised)
    }

    /// A value in the shape of a node's result.
    pub(super) fn broadcast(&mut self, id: NodeId, x: usize) -> usize {
        self.moved(id, Movement::Broadcast { shape: self.own_shape(id) }, x)
    }

    /// A value with an axis moved behind all others.
    pub(super) fn with_axis_last(&mut self, id: NodeId, x: usize, axis: usize) -> usize {
        let rank = self.plan.values[x].shape.len();
        if axis + 1 == rank {
            return x;
        }
        let permutation = (0..rank).filter(|&a| a != axis).chain([axis]).collect();
        self.moved(id, Movement::Transpose { permutation }, x)
    }

    /// A value moved, on the way to the node's result.
    pub(super) fn moved(&mut self, id: NodeId, movement: Movement, x: usize) -> usize {
        let value = &self.plan.values[x];
        let range = value.range;
        // Shapes that do not fit are found when the program is checked.
        let shape = movement.output_shape(&[&value.shape]).unwrap_or_default();
        if shape == value.shape && matches!(movement, Movement::Reshape { .. } | Movement::Broadcast { .. }) {
            return x;
        }
        self.step(id, Operation::Movement(movement), &[x], shape, range, false)
    }

    /// A diagonal layer as the node's result.
    fn with_constant(&mut self, id: NodeId, x: usize, layer: Diagonal<'_>) -> Result<Lowered, Refusal> {
        self.diagonal_with(id, x, layer, self.own_target(id, true)).map(Lowered::Value)
    }

    /// A diagonal layer, broadcast against a value.
    pub(super) fn diagonal_with(
        &mut self,
        id: NodeId,
        x: usize,
        layer: Diagonal<'_>,
        to: Target,
    ) -> Result<usize, Refusal> {
        let Diagonal { named, shape: constant, factor } = layer;
        let x = self.broadcast(id, x);
        let shape = self.shape(x);
        // The constant spans the axes from the first one along which it varies; before that it is
        // repeated.
        let missing = shape.len().saturating_sub(constant.len());
        let lead =
            constant.iter().position(|&d| d != 1).map_or(shape.len().saturating_sub(1), |at| missing + at);
        let span = shape.get(lead..).unwrap_or(&[]).to_vec();
        let own: Vec<usize> = constant.iter().copied().skip(lead.saturating_sub(missing)).collect();
        let repeat = Movement::Broadcast { shape: span };
        let factor = repeat.apply(&[(&own, &factor)])?;
        Ok(self.diagonal_to(id, x, factor, None, named, to))
    }
}

/// The sign and the number where an operation with a constant is no more than `±x`, `±x ± 1`: `1 −
/// x`, say, or a negation. Such a constant is the operation's, not the model's.
fn trivial(op: Basic, c: &Array, constant_first: bool) -> Option<(i32, f64)> {
    let &[c] = c.data.as_slice() else { return None };
    if c != 0.0 && c != 1.0 && c != -1.0 {
        return None;
    }
    let number = f64::from(c);
    let times = (c != 0.0).then_some((c as i32, 0.0));
    match op {
        Basic::Add => Some((1, number)),
        Basic::Sub if constant_first => Some((-1, number)),
        Basic::Sub => Some((1, -number)),
        Basic::Mul => times,
        Basic::Div => times.filter(|_| !constant_first),
    }
}

/// Why a number is not computed with.
pub(super) fn too_large(number: f64) -> Refusal {
    // It is a float of the model.
    let number = number as f32;
    let said = format!(
        "its constant {number:e} is too large for fixed point. Infinity, and what stands for it, is understood where it \
         hides places from a softmax, a maximum or a minimum, borders what a max pool sees, or limits nothing; elsewhere put a \
         smaller number there (for a mask -10000)"
    );
    Refusal::Constant(said.into())
}

/// Whether fixed point holds all elements of a constant, at any scale.
pub(super) fn within_fixed_point(c: &Array) -> Result<(), Refusal> {
    let most = exp2(50) as f32;
    match c.data.iter().find(|v| v.is_nan() || v.abs() > most) {
        Some(&number) => Err(too_large(number.into())),
        None => Ok(()),
    }
}

/// The number that all elements of an array are, if they are one.
pub(super) fn uniform(c: &Array) -> Option<f32> {
    c.data.first().copied().filter(|first| c.data.iter().all(|v| v == first))
}

/// The smallest and the largest element.
pub(super) fn extremes(c: &Array) -> Range {
    c.data.iter().fold(Range::EMPTY, |r, &v| r.union(Range { low: v.into(), high: v.into() }))
}

/// What negatives may be.
pub(super) fn negative(range: Range) -> Range {
    Range { low: -range.high, high: -range.low }
}

/// What differences of two values may be.
pub(super) fn difference(x: Range, y: Range) -> Range {
    Range { low: x.low - y.high, high: x.high - y.low }
}

/// The elements, times a sign.
pub(super) fn reals(c: &Array, sign: f64) -> Vec<f64> {
    c.data.iter().map(|&v| f64::from(v) * sign).collect()
}

fn inverse(c: &Array) -> Result<Vec<f32>, Refusal> {
    if c.data.contains(&0.0) {
        return Err(Refusal::Constant("it divides by zero".into()));
    }
    Ok(c.data.iter().map(|&v| (1.0 / f64::from(v)) as f32).collect())
}

//! How far a step's result can be at most, whatever its operands are within their bounds: by the
//! weights themselves, where the plan's own bounds say what examples led to.

use cryptflow_operation::{Bounds, Combine, Linear, Product, Reach, ScalePublic, SumPool};

use cryptflow_ring::LinearMap;

use super::bounds::ROUNDING;
use super::plan::{Operation, Plan, PlanStep, PlanWeight, Reals};

/// How much a weight may be off by, as a part of the largest of its layer: see
/// [`crate::fix::chosen`], where weights lose precision to fit a ring.
const COARSEST_WEIGHT: f64 = 1.0 / 128.0;

/// The magnitude beyond which bounds are as good as infinite: no ring holds them.
const ENDLESS: f64 = (1u64 << 62) as f64;

/// The farthest that the result of a step can be, in units at this scale, for operands within these
/// bounds.
pub(super) fn farthest(plan: &Plan, step: &PlanStep, operands: &[Bounds], scale: u32) -> Bounds {
    let value = &plan.values[step.output];
    let extra = |input: usize| step.inputs.get(input).map_or(0, |&i| plan.values[i].extra);
    // What a unit of an operand comes to in units of the result.
    let unit = |input: usize| f64::from(value.extra - extra(input)).exp2();
    let at = |input: usize| Interval::of(operands.get(input).copied().unwrap_or(Bounds::ZERO));
    let (first, second) = (at(0), at(1));
    match &step.op {
        Operation::Linear(linear) => {
            let at = |input: usize| at(input).times(unit(input));
            sum_of_terms(plan, linear, value.scale(scale), &at).rounded()
        }
        Operation::Product(Product { map, .. }) => {
            // Of a value with itself, no product is negative.
            let own = match map {
                LinearMap::Scale { rows: 1, .. } | LinearMap::BatchMatMul { rows: 1, columns: 1, .. } => true,
                LinearMap::Scale { .. }
                | LinearMap::BatchMatMul { .. }
                | LinearMap::MatMul { .. }
                | LinearMap::Conv2d(_) => false,
            };
            let square = step.inputs.first() == step.inputs.get(1) && own;
            let one = if square { first.square() } else { first.times_any(second) };
            // Both operands' fractional bits are in it.
            let shifted = f64::from(value.extra - extra(0) - extra(1) - scale as i32).exp2();
            one.times(map.terms() as f64 * shifted).rounded()
        }
        Operation::ScalePublic(ScalePublic { factors, .. }) => {
            let all = factors.iter().map(|&factor| first.times(factor * unit(0)));
            all.reduce(Interval::union).unwrap_or(Interval::ZERO).rounded()
        }
        Operation::SumPool(SumPool { window, .. }) => {
            first.with_zero().times((window.kernel[0] * window.kernel[1]) as f64).exact()
        }
        Operation::Combine(Combine { factors, offsets }) => {
            let columns = factors.len() / offsets.len().max(1);
            let row = |(row, &offset): (usize, &i64)| {
                let factors = &factors[row * columns..][..columns];
                let sum = factors.iter().map(|&f| first.times(f as f64)).fold(Interval::ZERO, Interval::plus);
                sum.plus(Interval { low: offset as f64, high: offset as f64 })
            };
            offsets.iter().enumerate().map(row).reduce(Interval::union).unwrap_or(Interval::ZERO).exact()
        }
        Operation::Add => first.plus(second).exact(),
        Operation::Sub => first.plus(second.times(-1.0)).exact(),
        op @ (Operation::Compare(_)
        | Operation::Widen
        | Operation::Activation(_)
        | Operation::MaxPool(_)
        | Operation::Movement(_)) => match op.reach(operands, value.scale(scale)) {
            Reach::Follows(bounds) | Reach::Always(bounds) => bounds,
            // None of these says so of itself: they pick, cut and move.
            Reach::NotNegative | Reach::Data => Interval { low: -ENDLESS, high: ENDLESS }.exact(),
        },
    }
}

/// The sums of a layer, column by column of its weights; `at` is an operand, in units of the result.
fn sum_of_terms(plan: &Plan, linear: &Linear<Reals>, scale: u32, at: &dyn Fn(usize) -> Interval) -> Interval {
    let bias = linear.bias.as_ref().map(|bias| {
        let unit = f64::from(scale).exp2();
        bias.iter().map(|b| Interval { low: b * unit, high: b * unit }).collect::<Vec<_>>()
    });
    let mut columns: Option<Vec<Interval>> = None;
    let mut others = Interval::ZERO;
    for term in &linear.terms {
        let sums = column_sums(&plan.weights[term.weight], at(term.input).with_zero());
        match &mut columns {
            None => columns = Some(sums),
            Some(columns) if columns.len() == sums.len() => {
                columns.iter_mut().zip(sums).for_each(|(all, one)| *all = all.plus(one));
            }
            Some(_) => others = others.plus(hull(&sums)),
        }
    }
    let sums = match (columns, bias) {
        (Some(columns), Some(bias)) if columns.len() == bias.len() => {
            columns.into_iter().zip(bias).map(|(sum, bias)| sum.plus(bias)).collect()
        }
        (Some(columns), Some(bias)) => vec![hull(&columns).plus(hull(&bias))],
        (Some(columns), None) => columns,
        (None, bias) => bias.unwrap_or_default(),
    };
    hull(&sums).plus(others)
}

/// For each column of a weight (its last axis) the sum of all products with operands in this
/// interval, which has zero in it: not every product is there at a picture's edge.
fn column_sums(weight: &PlanWeight, x: Interval) -> Vec<Interval> {
    let columns = weight.shape.last().copied().unwrap_or(1).max(1);
    let slack = f64::from(weight.largest) * COARSEST_WEIGHT;
    let mut sums = vec![Interval::ZERO; columns];
    for row in weight.data.chunks(columns) {
        for (sum, &w) in sums.iter_mut().zip(row) {
            let w = f64::from(w);
            let (up, down) = (w.max(0.0) + slack, (-w).max(0.0) + slack);
            *sum = sum.plus(Interval { low: up * x.low - down * x.high, high: up * x.high - down * x.low });
        }
    }
    sums
}

fn hull(all: &[Interval]) -> Interval {
    all.iter().copied().reduce(Interval::union).unwrap_or(Interval::ZERO)
}

/// Numbers that need not fit any ring.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: f64,
    high: f64,
}

impl Interval {
    const ZERO: Interval = Interval { low: 0.0, high: 0.0 };

    fn of(bounds: Bounds) -> Interval {
        Interval { low: bounds.low as f64, high: bounds.high as f64 }
    }

    fn plus(self, other: Interval) -> Interval {
        Interval { low: self.low + other.low, high: self.high + other.high }
    }

    fn union(self, other: Interval) -> Interval {
        Interval { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn with_zero(self) -> Interval {
        self.union(Interval::ZERO)
    }

    fn times(self, factor: f64) -> Interval {
        let (a, b) = (self.low * factor, self.high * factor);
        Interval { low: a.min(b), high: a.max(b) }
    }

    fn times_any(self, other: Interval) -> Interval {
        self.times(other.low).union(self.times(other.high))
    }

    /// Of a number times itself.
    fn square(self) -> Interval {
        let most = self.low.abs().max(self.high.abs());
        Interval { low: 0.0, high: most * most }
    }

    /// As integers.
    fn exact(self) -> Bounds {
        let end = |v: f64| v.clamp(-ENDLESS, ENDLESS);
        Bounds { low: end(self.low).floor() as i64, high: end(self.high).ceil() as i64 }
    }

    /// As integers after a truncation.
    fn rounded(self) -> Bounds {
        let Bounds { low, high } = self.exact();
        Bounds { low: low.saturating_sub(ROUNDING), high: high.saturating_add(ROUNDING) }
    }
}

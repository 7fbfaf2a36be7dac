//! Softmax inside of a graph: `e^(x − largest) · 1/Σ`, and that of rows of which some places are
//! hidden.

use cryptflow_ring::Movement;

use cryptflow_graph::{Function, NodeId, Range};
use cryptflow_operation::Bounds;

use super::super::plan::{self, Limits, Operation, PlanValue, Skips};
use super::floor::Floor;
use super::function::Approximation;
use super::{Lowered, Lowering, Refusal, column, malformed};
use crate::fix::units::exp2;

/// Fractional bits that the terms and their sum have beyond those of activations.
const EXTRA: i32 = 2;

/// Fractional bits of the largest element of a row, as far as softmax asks: what all are compared with may be less than the largest
/// by a unit of so many for each level of a tournament. It is the same for all of a row, and drops out.
const OF_LARGEST: u32 = 5;

/// By how much it may be less, among so many.
fn missed(n: usize) -> f64 {
    f64::from(n.max(1).next_power_of_two().ilog2()) / exp2(OF_LARGEST)
}

impl Lowering<'_> {
    /// The softmax of a value along its last axis, as the node's value.
    ///
    /// The operands of the exponential are at most a little above zero, where they underflow it is zero; the sum
    /// is from 1 to little more than the number of elements, so that its reciprocal has no pole.
    pub(super) fn softmax_inside(&mut self, id: NodeId, x: usize) -> Result<usize, Refusal> {
        self.softmax_above(id, x, None)
    }

    /// The same, where what lies below `least` counts for nothing: a row of nothing else is zero.
    fn softmax_above(&mut self, id: NodeId, x: usize, least: Option<i64>) -> Result<usize, Refusal> {
        let [rows, n] = self.rows(x)?;
        let folded = self.moved(id, Movement::Reshape { shape: vec![rows, n, 1, 1] }, x);
        let mut largest = self.about_largest(id, folded, [rows, n]);
        if let Some(least) = least {
            // Beside it, the exponentials of a row that is hidden are all zero.
            largest = self.at_least(id, largest, least);
        }
        let largest = self.moved(id, Movement::Broadcast { shape: vec![rows, n, 1, 1] }, largest);
        let below = self.below(id, x, folded, largest, n);
        let terms = self.exponentials(id, x, below, n)?;
        let reciprocal = self.reciprocals(id, terms, [rows, n], least.is_some())?;
        let reciprocal = self.moved(id, Movement::Broadcast { shape: vec![rows, n, 1, 1] }, reciprocal);
        let product = self.fractions(id, terms, reciprocal);
        let shape = self.shape(x);
        let fraction = Range { low: 0.0, high: 1.0 };
        Ok(self.step(id, plan::reshape(&shape), &[product], shape, fraction, true))
    }

    /// The softmax of the places that are not hidden. What is computed of the others is nothing, where
    /// they are known; else they are put so far below that their exponentials are zero.
    pub(super) fn masked_softmax(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let x = self.broadcast(id, x);
        let hidden = self.operand(id, 1)?;
        if let Some(constant) = self.constant(hidden).cloned() {
            let wide = Movement::Broadcast { shape: self.own_shape(id) };
            let hidden = wide.apply(&[(&constant.shape, &constant.data)])?;
            let kept: Vec<usize> = (0..hidden.len()).filter(|&i| hidden[i] == 0.0).collect();
            return Ok(Lowered::Value(self.softmax_of_kept(id, x, &kept)?));
        }
        let hidden = self.condition(id, hidden)?;
        let hidden = self.broadcast(id, hidden);
        let lowered = self.lowered_by(id, x, hidden);
        let scale = |value: usize| self.plan.values[value].scale(self.setting.scale);
        let raised = scale(lowered).saturating_sub(scale(x));
        let least = self.bounds[x].low.saturating_mul(1i64 << raised.min(62));
        Ok(Lowered::Value(self.softmax_above(id, lowered, Some(least))?))
    }

    /// A value, less a number where a flag is set: one so large that the exponential of what is left
    /// is zero beside that of any value.
    fn lowered_by(&mut self, id: NodeId, x: usize, flag: usize) -> usize {
        let scale = self.setting.scale;
        let value = self.plan.values[x].clone();
        let apart = self.bounds[x].apart() as f64 / exp2(value.scale(scale));
        let bits = f64::from(scale.saturating_add_signed(EXTRA)) + 2.0;
        let down = (apart + bits * std::f64::consts::LN_2).ceil().min(exp2(40));
        self.plan.fitted = Some(scale);
        let set = self.plan.values[flag].range.union(Range { low: 0.0, high: 1.0 });
        let range = Range { low: -down * set.high, high: -down * set.low };
        let bounds = self.bounds[flag].negated().map(|end| end.saturating_mul(down as i64));
        let shape = self.shape(flag);
        let extra = self.plan.values[flag].extra;
        let offset = PlanValue { extra, limits: Limits::Proved(bounds), ..self.blank(id, shape, range) };
        let offset = self.step_to(id, plan::combine(vec![-(down as i64)], vec![0]), &[flag], offset);
        let (x, offset) = self.aligned(id, x, offset);
        let range = Range { low: value.range.low + range.low, high: value.range.high + range.high };
        self.step(id, Operation::Add, &[x, offset], value.shape, range, false)
    }

    /// The softmax of some places of the rows of a value, by their numbers, as the node's value.
    ///
    /// The other places are not compared with anything but themselves: one that is kept stands for
    /// them. No exponential is computed of them, and their weight is exactly zero.
    fn softmax_of_kept(&mut self, id: NodeId, x: usize, kept: &[usize]) -> Result<usize, Refusal> {
        let [rows, n] = self.rows(x)?;
        let mut places: Vec<Option<usize>> = vec![None; rows];
        for &at in kept.iter().rev() {
            places[at / n] = Some(at);
        }
        let Some(first) = places.into_iter().collect::<Option<Vec<usize>>>() else {
            return Err(malformed("all places of a row are hidden"));
        };
        let mut stand: Vec<usize> = (0..rows * n).map(|at| first[at / n]).collect();
        for &at in kept {
            stand[at] = at;
        }
        let gather = |indices: Vec<usize>| Movement::Gather { axis: 0, indices };
        let own_row: Vec<usize> = kept.iter().map(|at| at / n).collect();
        let flat = self.moved(id, Movement::Reshape { shape: vec![rows * n] }, x);
        let filled = self.moved(id, gather(stand), flat);
        let filled = self.moved(id, Movement::Reshape { shape: vec![rows, n, 1, 1] }, filled);
        let largest = self.about_largest(id, filled, [rows, n]);
        let largest = self.moved(id, Movement::Reshape { shape: vec![rows] }, largest);
        let largest = self.moved(id, gather(own_row.clone()), largest);
        let own = self.moved(id, gather(kept.to_vec()), flat);
        let below = self.below(id, x, own, largest, n);
        let terms = self.exponentials(id, x, below, n)?;
        let all = self.scattered(id, terms, kept, rows * n);
        let all = self.moved(id, Movement::Reshape { shape: vec![rows, n, 1, 1] }, all);
        let reciprocal = self.reciprocals(id, all, [rows, n], false)?;
        let reciprocal = self.moved(id, Movement::Reshape { shape: vec![rows] }, reciprocal);
        let reciprocal = self.moved(id, gather(own_row), reciprocal);
        let product = self.fractions(id, terms, reciprocal);
        let all = self.scattered(id, product, kept, rows * n);
        let (shape, fraction) = (self.shape(x), Range { low: 0.0, high: 1.0 });
        Ok(self.step(id, plan::reshape(&shape), &[all], shape, fraction, true))
    }

    /// Flat values at these places of so many, zeros elsewhere.
    fn scattered(&mut self, id: NodeId, values: usize, places: &[usize], count: usize) -> usize {
        let padded = self.moved(id, Movement::Pad { before: vec![0], after: vec![1] }, values);
        let mut indices = vec![places.len(); count];
        for (i, &at) in places.iter().enumerate() {
            indices[at] = i;
        }
        self.moved(id, Movement::Gather { axis: 0, indices }, padded)
    }

    /// The largest of each row of `n`, or little less.
    fn about_largest(&mut self, id: NodeId, x: usize, [rows, n]: [usize; 2]) -> usize {
        self.plan.fitted = Some(self.setting.scale);
        let own = self.plan.values[x].scale(self.setting.scale);
        self.largest_but(id, x, [rows, n, 1], Skips::Units(own.saturating_sub(OF_LARGEST)))
    }

    /// Elements of `x` less the largest of their rows of `n`, or about that: hardly above zero, and no further below than
    /// the bounds of `x` are apart.
    fn below(&mut self, id: NodeId, x: usize, elements: usize, largest: usize, n: usize) -> usize {
        let own = self.plan.values[x].scale(self.setting.scale);
        let above = (missed(n) * exp2(own)).ceil() as i64;
        let bounds = Bounds { low: -self.bounds[x].apart(), high: above.min(self.bounds[x].apart()) };
        let below = self.integers(id, self.shape(elements), bounds, own);
        self.step_to(id, Operation::Sub, &[elements, largest], below)
    }

    /// The exponentials of what lies below the largest elements of `x`, in rows of `n`.
    fn exponentials(&mut self, id: NodeId, x: usize, below: usize, n: usize) -> Result<usize, Refusal> {
        let Range { low, high } = self.plan.values[x].range;
        let exp = Approximation {
            function: Function::EXP,
            seen: Range { low: -(high - low).max(0.0), high: missed(n).min((high - low).max(0.0)) },
            results: None,
            extra: EXTRA,
            whole: false,
            sound: true,
            floor: Floor::Seen,
            tie: 0,
        };
        self.approximate(id, below, &exp)
    }

    /// A value, or an integer where that is more.
    fn at_least(&mut self, id: NodeId, x: usize, least: i64) -> usize {
        self.plan.fitted = Some(self.setting.scale);
        let (shape, scale) = (self.shape(x), self.plan.values[x].scale(self.setting.scale));
        let from_least = self.bounds[x].map(|end| end.saturating_sub(least));
        let above = self.integers(id, shape.clone(), from_least, scale);
        let above = self.step_to(id, plan::combine(vec![1], vec![-least]), &[x], above);
        let above_zero = from_least.map(|end| end.max(0));
        let positive = self.integers(id, shape.clone(), above_zero, scale);
        let positive = self.step_to(id, plan::relu(), &[above], positive);
        let result = self.integers(id, shape, above_zero.map(|end| end.saturating_add(least)), scale);
        self.step_to(id, plan::combine(vec![1], vec![least]), &[positive], result)
    }

    /// For each row of exponentials the reciprocal of their sum: `[rows, 1, 1, 1]`. Where rows may be
    /// empty, their sums count as if they were not: what they are multiplied with is zero.
    fn reciprocals(
        &mut self,
        id: NodeId,
        terms: usize,
        [rows, n]: [usize; 2],
        empty: bool,
    ) -> Result<usize, Refusal> {
        // One term is e^0 or a little more; what rounding leaves of it is within an eighth.
        let units = exp2(self.setting.scale.saturating_add_signed(EXTRA));
        let most = n as f64 * 1.125 * missed(n).exp();
        let bounds = Bounds { low: (0.875 * units) as i64, high: (most * units).ceil() as i64 };
        let least = bounds.low;
        // Each term of nothing may be off by a unit.
        let bounds = if empty { Bounds { low: -(n as i64), ..bounds } } else { bounds };
        let low = if empty { 0.0 } else { 0.875 };
        let blank = self.blank(id, vec![rows, 1, 1, 1], Range { low, high: most });
        let sum = PlanValue { extra: EXTRA, limits: Limits::Proved(bounds), ..blank };
        let mut sum = self.step_to(id, plan::sum_pool([rows, n, 1, 1], column(n)), &[terms], sum);
        if empty {
            sum = self.at_least(id, sum, least);
        }
        let reciprocal = Approximation {
            function: Function::RECIPROCAL,
            seen: Range { low: 0.875, high: most },
            results: None,
            extra: EXTRA + 2,
            whole: false,
            sound: true,
            floor: Floor::Seen,
            tie: 0,
        };
        self.approximate(id, sum, &reciprocal)
    }

    /// Exponentials times the reciprocals of their sums: within an eighth of 0 to 1.
    fn fractions(&mut self, id: NodeId, terms: usize, reciprocals: usize) -> usize {
        let one = exp2(self.setting.scale) as i64;
        let limits = Limits::Proved(Bounds { low: -one / 8, high: one + one / 8 });
        let shape = self.shape(terms);
        let count = shape.iter().product();
        let product = PlanValue { limits, ..self.blank(id, shape, Range { low: 0.0, high: 1.0 }) };
        self.step_to(id, plan::elementwise(count), &[terms, reciprocals], product)
    }
}

//! The guard: whether any value of a run left its bounds.
//!
//! Bounds of most values are what examples led to, and comparisons look at no more bits than these
//! need. The guard makes of each such value two: what the step computes, whose bounds are the
//! farthest that it can be ([`super::farthest`]), and, for all that comes after, a copy with the bounds of the
//! plan. Where the former may leave the latter, it is compared with their ends. All that is found
//! outside is counted; where that is nothing, every value was within its bounds, one after another from
//! the inputs on, and so every comparison was right, those of the guard included.
//!
//! The outputs are multiplied with whether that is so, and it is opened beside them: a client learns
//! the outputs, or that there are none.

use cryptflow_operation::Bounds;
use cryptflow_ring::Movement;

use super::bounds::{own_bounds, result_bounds, value_bounds};
use super::farthest::farthest;
use super::lower::column;
use super::lower::precision::GUARD as DIGITS;
use super::plan::{self, Gap, Limits, Operation, Plan, PlanStep, PlanValue};
use cryptflow_graph::Range;

/// The name of what the guard adds, in the program and in what is said of it.
const NAME: &str = "guard";

/// Bits by which the results that a function is made for may exceed those that were seen.
const FAR: u32 = 4;

/// Adds the guard to a plan for this scale and margin; nothing where no value can leave its bounds.
pub(super) fn guard(plan: &mut Plan, scale: u32, margin: f64) {
    let bounds = value_bounds(plan, scale, margin);
    let steps = std::mem::take(&mut plan.steps);
    let values = plan.values.len();
    let mut guarding = Guarding { plan, scale, margin, bounds, raw: vec![None; values], counts: Vec::new() };
    for step in steps {
        guarding.step(step);
    }
    guarding.finish();
}

/// A value as it is computed, before it is known to be within its bounds.
#[derive(Clone, Copy)]
struct Raw {
    value: usize,
    bounds: Bounds,
}

struct Guarding<'a> {
    plan: &'a mut Plan,
    scale: u32,
    margin: f64,
    /// The bounds of every value of the plan.
    bounds: Vec<Bounds>,
    /// For each value of the plan that nobody has compared yet, what is computed.
    raw: Vec<Option<Raw>>,
    /// How many elements of each value that was compared are outside.
    counts: Vec<usize>,
}

impl Guarding<'_> {
    /// The next step of the plan.
    fn step(&mut self, mut step: PlanStep) {
        let copies = is_copy(&step.op);
        let mut operands = Vec::with_capacity(step.inputs.len());
        for input in &mut step.inputs {
            // A copy has bounds of its own, and is compared with those. But what a value was made for
            // is made sure of.
            let seen = self.plan.values[*input].limits == Limits::Seen;
            match self.raw[*input].filter(|_| copies && seen) {
                Some(raw) => {
                    *input = raw.value;
                    operands.push(raw.bounds);
                }
                None => {
                    self.compared(*input);
                    operands.push(self.bounds[*input]);
                }
            }
        }
        let output = step.output;
        let value = &self.plan.values[output];
        // Bounds that follow from its operands' follow from what these were seen to be.
        let mut own = result_bounds(&step.op, &operands, value, self.scale, self.margin);
        let farthest = match value.limits {
            // What an operation does not let its result leave, or what is known of a function's table.
            Limits::Proved(_) if !copies => {
                let known = own;
                own = self.near_seen(value, known);
                known
            }
            Limits::Proved(_) | Limits::Seen | Limits::Assumed(_) => {
                farthest(self.plan, &step, &operands, self.scale)
            }
        };
        self.bounds[output] = own;
        if own.low <= farthest.low && farthest.high <= own.high {
            self.plan.steps.push(step);
            return;
        }
        let mut value = self.plan.values[output].clone();
        value.limits = Limits::Proved(farthest);
        let raw = self.value(value, farthest);
        let copy = &mut self.plan.values[output];
        // The float model says what is computed.
        copy.node = None;
        if copy.limits != Limits::Seen {
            copy.limits = Limits::Assumed(own);
        }
        self.raw[output] = Some(Raw { value: raw, bounds: farthest });
        step.output = raw;
        self.plan.steps.push(step);
    }

    /// The bounds of a function's result: what is known of it; or what was seen, with the margin, where
    /// that is far less. What is divided by next to nothing is next to nothing itself, or else its
    /// product would take a ring that there is not.
    fn near_seen(&self, value: &PlanValue, known: Bounds) -> Bounds {
        let Some(range) = value.seen else { return known };
        let like = PlanValue { range, limits: Limits::Seen, ..value.clone() };
        let seen = own_bounds(&like, self.scale, self.margin);
        if known.magnitude() >> FAR <= seen.magnitude() {
            return known;
        }
        Bounds { low: seen.low.max(known.low), high: seen.high.min(known.high) }
    }

    /// Sees to it that a value of the plan is there, and that it was compared with its bounds.
    fn compared(&mut self, value: usize) {
        let Some(raw) = self.raw[value].take() else { return };
        let name = self.plan.values[value].name.clone();
        let Bounds { low, high } = self.bounds[value];
        let (below, above) = (raw.bounds.low < low, raw.bounds.high > high);
        // 1 where an element is not below the one, and where it is above the other.
        let ends = [below.then_some((low, -1)), above.then_some((high.saturating_add(1), 1))];
        let ends: Vec<(i64, i64)> = ends.into_iter().flatten().collect();
        self.count(&name, raw.value, &ends);
        self.plan.steps.push(PlanStep {
            name,
            op: plan::combine(vec![1], vec![0]),
            inputs: vec![raw.value],
            output: value,
        });
    }

    /// Counts the elements of a value that are in a gap.
    fn told_apart(&mut self, gap: Gap) {
        self.compared(gap.value);
        let name = self.plan.values[gap.value].name.clone();
        let within = gap.low > self.bounds[gap.value].low;
        let ends: Vec<(i64, i64)> =
            within.then_some((gap.low, 1)).into_iter().chain([(gap.high, -1)]).collect();
        self.count(&name, gap.value, &ends);
    }

    /// Adds up, over all elements, what each end gives where an element reaches it; and all of them,
    /// where more take away than add: what is below all ends counts then.
    fn count(&mut self, name: &str, value: usize, ends: &[(i64, i64)]) {
        let factors: Vec<i64> = ends.iter().map(|&(_, factor)| factor).collect();
        let all = factors[0] < 0;
        let thresholds = ends.iter().map(|&(end, _)| end).collect();
        let ends = ends.len();
        let shape = self.plan.values[value].shape.clone();
        let count: usize = shape.iter().product();
        let bits = self.integers([vec![ends], shape].concat(), Bounds { low: 0, high: 1 });
        let bits = self.add(name, plan::compare(thresholds), &[value], bits);
        let flat = self.integers(vec![ends, count, 1, 1], Bounds { low: 0, high: 1 });
        let flat = self.add(name, plan::reshape(&[ends, count, 1, 1]), &[bits], flat);
        let most = count as i64;
        let sums = self.integers(vec![ends, 1, 1, 1], Bounds { low: 0, high: most });
        let sums = self.add(name, plan::sum_pool([ends, count, 1, 1], column(count)), &[flat], sums);
        let outside = self.integers(vec![1; 4], Bounds { low: 0, high: most });
        let op = plan::combine(factors, vec![if all { most } else { 0 }]);
        let outside = self.add(name, op, &[sums], outside);
        self.counts.push(outside);
    }

    /// Multiplies the outputs with whether nothing was outside, and opens that.
    fn finish(&mut self) {
        let outputs: Vec<usize> = self.plan.outputs.iter().map(|output| output.value).collect();
        for &value in &outputs {
            self.compared(value);
        }
        for gap in std::mem::take(&mut self.plan.gaps) {
            self.told_apart(gap);
        }
        let counts = std::mem::take(&mut self.counts);
        let Some(all) = counts.into_iter().reduce(|a, b| self.sum(a, b)) else { return };
        self.plan.fitted = Some(self.scale);
        let bit = Bounds { low: 0, high: 1 };
        let flag = self.integers(vec![1; 5], bit);
        let flag = self.add(NAME, plan::compare(vec![1]), &[all], flag);
        let flat = self.integers(vec![1], bit);
        let flag = self.add(NAME, plan::reshape(&[1]), &[flag], flat);
        // 1 with one fractional bit, which the products shift out.
        let within = self.integers_with(1, vec![1], Bounds { low: 0, high: 2 });
        let within = self.add(NAME, plan::combine(vec![-2], vec![2]), &[flag], within);
        for (index, value) in outputs.into_iter().enumerate() {
            self.plan.outputs[index].value = self.masked(value, within);
        }
        self.plan.guard = Some(flag);
    }

    fn sum(&mut self, a: usize, b: usize) -> usize {
        let bounds = self.bounds[a].plus(self.bounds[b]);
        let sum = self.integers(vec![1; 4], bounds);
        self.add(NAME, Operation::Add, &[a, b], sum)
    }

    /// A value times 0 or 1. It gets so many more digits that what the product is off by does not
    /// change those that it had.
    fn masked(&mut self, value: usize, within: usize) -> usize {
        let PlanValue { name, shape, range, extra, noise, .. } = self.plan.values[value].clone();
        let factor = 1i64 << DIGITS;
        let bounds = self.bounds[value].map(|end| end.saturating_mul(factor));
        let like = PlanValue {
            name: name.clone(),
            shape: shape.clone(),
            range,
            seen: None,
            node: None,
            wide: false,
            extra: extra + DIGITS as i32,
            noise,
            room: 0,
            limits: Limits::Proved(bounds),
        };
        let raised = self.add(&name, plan::combine(vec![factor], vec![0]), &[value], like.clone());
        let one = self.integers_with(1, vec![1; shape.len()], Bounds { low: 0, high: 2 });
        let one = self.add(&name, plan::reshape(&vec![1; shape.len()]), &[within], one);
        let all = self.integers_with(1, shape.clone(), Bounds { low: 0, high: 2 });
        let broadcast = Operation::Movement(Movement::Broadcast { shape: shape.clone() });
        let all = self.add(&name, broadcast, &[one], all);
        let rounding = super::bounds::ROUNDING;
        let around = bounds.with_zero();
        let limits = Limits::Proved(Bounds { low: around.low - rounding, high: around.high + rounding });
        let product = plan::elementwise(shape.iter().product());
        self.add(&name, product, &[raised, all], PlanValue { limits, ..like })
    }

    /// Integers without fractional bits.
    fn integers(&self, shape: Vec<usize>, bounds: Bounds) -> PlanValue {
        self.integers_with(0, shape, bounds)
    }

    /// Integers with so many fractional bits.
    fn integers_with(&self, bits: i32, shape: Vec<usize>, bounds: Bounds) -> PlanValue {
        let unit = f64::from(bits).exp2();
        PlanValue {
            name: NAME.to_string(),
            shape,
            range: Range { low: bounds.low as f64 / unit, high: bounds.high as f64 / unit },
            seen: None,
            node: None,
            wide: false,
            extra: bits - self.scale as i32,
            noise: 0,
            room: 0,
            limits: Limits::Proved(bounds),
        }
    }

    fn value(&mut self, value: PlanValue, bounds: Bounds) -> usize {
        self.plan.values.push(value);
        self.bounds.push(bounds);
        self.raw.push(None);
        self.plan.values.len() - 1
    }

    /// A step of the guard, whose result has the bounds that it states.
    fn add(&mut self, name: &str, op: Operation, inputs: &[usize], value: PlanValue) -> usize {
        let bounds = value.limits.stated().unwrap_or(Bounds::ZERO);
        let output = self.value(value, bounds);
        self.plan.steps.push(PlanStep { name: name.to_string(), op, inputs: inputs.to_vec(), output });
        output
    }
}

/// Whether an operation copies its operand.
fn is_copy(op: &Operation) -> bool {
    match op {
        Operation::Combine(combine) => combine.factors == [1] && combine.offsets == [0],
        Operation::Linear(_)
        | Operation::Product(_)
        | Operation::Compare(_)
        | Operation::ScalePublic(_)
        | Operation::Widen
        | Operation::Activation(_)
        | Operation::MaxPool(_)
        | Operation::SumPool(_)
        | Operation::Add
        | Operation::Sub
        | Operation::Movement(_) => false,
    }
}

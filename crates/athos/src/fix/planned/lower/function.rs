//! Functions of one value, element by element: exact where they are made of a ReLU, tables of
//! polynomials otherwise.

use cryptflow_ring::{LinearMap, Movement};

use crate::functions::{Form, Table, Wanted, beside_jumps, breaks, domain};
use cryptflow_graph::{Function, NodeId, Range};
use cryptflow_operation::Bounds;

use super::super::bounds::{ROUNDING, own_bounds, smallest_bound};
use super::super::plan::{self, FunctionReport, Limits, Operation, PlanValue};
use super::super::tables::{Asked, Made};
use super::floor::{FEW, Floor, divides, is_few};
use super::pairs::Pairs;
use super::{Lowered, Lowering, Refusal};
use crate::fix::units::exp2;

/// An approximation to be made.
pub(super) struct Approximation {
    /// The function.
    pub(super) function: Function,
    /// What the operand was seen to be.
    pub(super) seen: Range,
    /// What the result may be; further out the function stays what it was.
    pub(super) results: Option<Range>,
    /// Fractional bits of the result beyond those of activations.
    pub(super) extra: i32,
    /// Whether it is the node's result.
    pub(super) whole: bool,
    /// Whether the operand never leaves its bounds, whatever the input.
    pub(super) sound: bool,
    /// How close to a pole at zero it is made for.
    pub(super) floor: Floor,
    /// Units of the operand by which rounding alone leads to the other side of a jump.
    pub(super) tie: i64,
}

/// Bits that a function's comparisons see beyond the bounds of its operand: what calibration did not
/// show is no reason for a sigmoid to leave 0 to 1.
const ROOM: u32 = 2;

/// Steps at most, over all that room, of a function that jumps.
const MOST_STEPS: usize = 256;

/// The same for an operand of few elements, where they cost next to nothing: what is divided by it
/// is a whole row.
const ROOM_OF_FEW: u32 = 4;

/// Units of a result that a function may change by beyond its domain and count as staying what it is.
const FLAT: f64 = 4.0;

/// Places at which a function is looked at, beyond its domain or where its operand was seen.
const LOOKS: u32 = 16;

/// The magnitude that room is given up to.
const FARTHEST: i64 = 1 << 40;

/// By how much the results of a function that grows fast may exceed their bounds where its operand is
/// within its own.
const GROWTH: f64 = 8.0;

impl Lowering<'_> {
    pub(super) fn function(&mut self, id: NodeId, function: Function) -> Result<Lowered, Refusal> {
        let operand = self.operand(id, 0)?;
        let x = self.secret(operand)?;
        if function == Function::ABS {
            return Ok(self.absolute(id, x));
        }
        if self.wholes[operand.0] && function == Function::SIGN {
            return Ok(Lowered::Value(self.sign_of_integers(id, x)));
        }
        // Of integers, the nearest integer is themselves, and so is the one below.
        let integers = self.wholes[operand.0] && function.gives_integers();
        if integers || function == Function::power(1.0) {
            return Ok(Lowered::Value(x));
        }
        if function == Function::power(2.0) {
            let y = self.product_of(id, x, x, self.extra_of(id), self.range(id), true);
            return Ok(Lowered::Value(y));
        }
        let function = function.simplest();
        let value = &self.plan.values[x];
        let unit = 1.0 / exp2(value.scale(self.setting.scale));
        let (seen, floor) = self.range_seen(function, operand, x);
        // What the examples led to, as the result's bounds have it.
        let blank = PlanValue { limits: Limits::Seen, ..self.blank(id, Vec::new(), self.range(id)) };
        let bounds = own_bounds(&blank, self.setting.scale, self.setting.margin);
        let results = self.integers(id, Vec::new(), bounds, self.setting.scale).range;
        let known = self.setting.known && results.low.is_finite() && unit > 0.0;
        // The operand has its own margin, in which results may grow by more. Worst cases are not
        // exceeded.
        let growth = if self.setting.margin > 0.0 { GROWTH } else { 1.0 };
        let farther = Range { low: results.low * growth, high: results.high * growth };
        let known_floor = matches!(floor, Floor::Model(_) | Floor::Lower(_));
        let approximation = Approximation {
            function,
            seen,
            results: (known && !known_floor).then_some(farther),
            extra: self.extra_of(id),
            whole: true,
            sound: false,
            floor,
            tie: if function.jumps() { self.tie(&[operand], x).unwrap_or(0) } else { 0 },
        };
        Ok(Lowered::Value(self.approximate(id, x, &approximation)?))
    }

    /// |x| = 2·relu(x) − x, exactly.
    fn absolute(&mut self, id: NodeId, x: usize) -> Lowered {
        let (shape, range) = (self.shape(x), self.plan.values[x].range);
        let positive = self.step(id, plan::relu(), &[x], shape.clone(), range, false);
        let bounds = Bounds { low: 0, high: self.bounds[positive].high.saturating_mul(2) };
        let blank = self.blank(id, shape, range);
        let twice = PlanValue { limits: Limits::Proved(bounds), extra: self.plan.values[x].extra, ..blank };
        let twice = self.step_to(id, Operation::Add, &[positive, positive], twice);
        self.last_step(id, Operation::Sub, &[twice, x])
    }

    /// A value through a function, by a table that is made for what the value may be.
    pub(super) fn approximate(
        &mut self,
        id: NodeId,
        x: usize,
        wanted: &Approximation,
    ) -> Result<usize, Refusal> {
        self.plan.fitted = Some(self.setting.scale);
        if !self.setting.known {
            let op = plan::combine(vec![1], vec![0]);
            let value = self.plan.values[x].clone();
            let node = wanted.whole.then_some(id);
            return Ok(self.step_to(id, op, &[x], PlanValue { node, extra: wanted.extra, ..value }));
        }
        let from_scale = self.plan.values[x].scale(self.setting.scale);
        let to_scale = self.setting.scale.saturating_add_signed(wanted.extra);
        let unit = 1.0 / exp2(from_scale);
        let real = |b: Bounds| Range { low: b.low as f64 * unit, high: b.high as f64 * unit };
        let function = wanted.function;
        let own = self.bounds[x];
        self.told_from_zero(wanted, unit)?;
        let room = if wanted.sound { own } else { self.room(x) };
        // What bends for ever is made for its operand's bounds; beyond, it stays what it is there. Steps
        // go on, unless there are too many of them.
        let steps = function.jumps()
            && breaks(function, room.low, room.high, unit, 0).is_some_and(|b| b.len() <= MOST_STEPS);
        let bounds = real(if function.straight() || steps { room } else { own });
        let domain = self.domain(wanted, bounds, unit)?;
        // Leaving the domain is seen as leaving these bounds.
        let ends = self.ends(id, x, wanted, domain, room);
        let x = if wanted.sound || ends == room { x } else { self.with_bounds(id, x, Limits::Assumed(ends)) };
        let x = self.with_bounds(id, x, Limits::Proved(room));
        let Bounds { low, high } = room;
        // What is next to nothing is told from the rest half way to it.
        let zero_below = match wanted.floor {
            Floor::Beside(_) => Some(domain.low / 2.0),
            Floor::Seen | Floor::Model(_) | Floor::Lower(_) => None,
        };
        let clamped = |v: f64| match zero_below {
            Some(end) if v < end => 0.0,
            Some(_) | None => {
                beside_jumps(function, v.clamp(domain.low, domain.high), wanted.tie as f64 * unit)
            }
        };
        let calibrated = self.setting.margin > 0.0;
        let too_many = || Refusal::TooWide { function: function.name(), operand: domain, calibrated };
        // Beyond the domain the function stays what it is there.
        let (first, last) = ((domain.low / unit).ceil() as i64, (domain.high / unit).floor() as i64);
        let mut breaks =
            breaks(function, first.max(low), last.min(high), unit, wanted.tie).ok_or_else(too_many)?;
        let beside = zero_below.map(|end| (end / unit).ceil() as i64);
        breaks.extend([first, last + 1].into_iter().chain(beside).filter(|&b| b > low && b <= high));
        breaks.sort_unstable();
        breaks.dedup();
        let elements = self.plan.values[x].shape.iter().product();
        let (at, bits_per_round) = (&clamped, self.setting.bits_per_round);
        let request = Wanted { at, low, high, from_scale, to_scale, breaks, elements, bits_per_round };
        let asked = Asked::new(function, domain, zero_below, wanted.tie, &request);
        let made = self.shared.tables.get(asked, &request, [first, last]).ok_or_else(too_many)?;
        self.plan.functions.push(FunctionReport {
            name: self.graph.node(id).name.clone(),
            function: function.name().to_string(),
            low: domain.low,
            high: domain.high,
            pieces: made.form.pieces(),
            degree: made.form.degree(),
            largest_error: made.largest_error,
            zero_below,
        });
        let y = match &made.form {
            Form::Table(table) => self.tabulated(id, x, &made, table, wanted),
            Form::Curve(curve) => self.curved(id, x, &made, &curve.0, wanted),
        };
        let seen = seen_results(&clamped, wanted.seen);
        self.plan.values[y].seen = Some(seen);
        // Where the function is not defined beyond, nothing that is right goes there.
        let goes_on =
            |at: f64, out: f64| (!wanted.sound && function.at(at + out * unit).is_finite()).then_some(at);
        let stuck = [
            goes_on(domain.low, -1.0).filter(|_| ends.low > room.low),
            goes_on(domain.high, 1.0).filter(|_| ends.high < room.high),
        ];
        let stuck = stuck.into_iter().flatten().map(|at| function.at(at));
        if let Some(bounds) = short_of(made.bounds, stuck, seen, exp2(to_scale)) {
            self.short_of_ends.insert(y, bounds);
        }
        Ok(y)
    }

    /// The bounds of a value with room for what calibration did not show.
    fn room(&self, x: usize) -> Bounds {
        let bounds = self.bounds[x];
        // Worst cases are not exceeded.
        if self.setting.margin == 0.0 {
            return bounds;
        }
        let few = is_few(self.most, &self.plan.values[x].shape, FEW);
        let bits = if few { ROOM_OF_FEW } else { ROOM };
        let magnitude = i64::try_from(bounds.magnitude()).unwrap_or(i64::MAX);
        let far = magnitude.saturating_mul(1 << bits).min(FARTHEST.max(magnitude));
        Bounds { low: if bounds.low >= 0 { 0 } else { -far }, high: far }
    }

    /// Where the function is what it was made to be: its domain, and on a side on which it hardly
    /// changes any more all the room that its operand has.
    fn ends(&self, id: NodeId, x: usize, wanted: &Approximation, domain: Range, room: Bounds) -> Bounds {
        let unit = 1.0 / exp2(self.plan.values[x].scale(self.setting.scale));
        let at = |x: f64| wanted.function.at(x);
        let units = exp2(self.setting.scale.saturating_add_signed(wanted.extra));
        // Nobody sees a change of a few units; what is not defined there is another matter.
        let changes = |from: f64, to: i64| {
            let to = to as f64 * unit;
            let between = (1..=LOOKS).map(|look| from + (to - from) * f64::from(look) / f64::from(LOOKS));
            !between.map(at).all(|y| (y - at(from)).abs() * units <= FLAT)
        };
        // Rounding may lead out of where it is defined, as far as to the bounds of what is zero.
        let noise = |inside: f64, out: f64| match at(inside + out * unit).is_finite() {
            true => ROUNDING,
            false => smallest_bound(&self.plan.values[x]),
        };
        // The float model itself goes no lower, or what is lower counts as nothing.
        let free = match wanted.floor {
            Floor::Seen | Floor::Lower(_) => false,
            Floor::Model(_) | Floor::Beside(_) => true,
        };
        let mut ends = room;
        if !free && changes(domain.low, room.low) {
            let low = (domain.low / unit).floor() as i64 - noise(domain.low, -1.0);
            ends.low = low.max(room.low);
        }
        if changes(domain.high, room.high) {
            let high = (domain.high / unit).ceil() as i64 + noise(domain.high, 1.0);
            ends.high = high.min(room.high);
        }
        // As far as rounding led on examples, and that much again.
        if let Some(stray) = self.rounding.and_then(|rounding| rounding.strays.get(&self.graph.node(id).name))
        {
            let beyond = |end: i64, stray: f64| end + 2 * ((stray / unit).round() as i64 - end);
            ends.low = beyond(ends.low, stray.low).min(ends.low).max(room.low);
            ends.high = beyond(ends.high, stray.high).max(ends.high).min(room.high);
        }
        ends
    }

    /// A value with other limits; itself where they are its own.
    fn with_bounds(&mut self, id: NodeId, x: usize, limits: Limits) -> usize {
        if limits == Limits::Proved(self.bounds[x]) {
            return x;
        }
        let copy = PlanValue { limits, node: None, ..self.plan.values[x].clone() };
        self.step_to(id, plan::combine(vec![1], vec![0]), &[x], copy)
    }

    /// Whether fixed point tells from zero what is divided by, as small as calibration shows it.
    fn told_from_zero(&self, wanted: &Approximation, unit: f64) -> Result<(), Refusal> {
        let Approximation { function, seen, floor, .. } = *wanted;
        let smallest = seen.low.max(-seen.high);
        // Worst cases are no reason to refuse what calibration would show to be none.
        let known = self.setting.margin > 0.0 && floor == Floor::Seen;
        if known && divides(function) && smallest > 0.0 && smallest < unit {
            return Err(Refusal::NextToZero { function: function.name(), smallest, unit });
        }
        Ok(())
    }

    /// The part of what the operand may be for which the function is made.
    fn domain(&self, wanted: &Approximation, bounds: Range, unit: f64) -> Result<Range, Refusal> {
        let function = wanted.function;
        let wider = match wanted.floor {
            // It is no lower, whatever the input, or is made for no lower.
            Floor::Model(_) | Floor::Lower(_) => 1.0,
            Floor::Seen | Floor::Beside(_) => self.setting.margin.exp2(),
        };
        let defined = domain(function, wanted.seen, bounds, unit, wider)?;
        let domain = match wanted.results {
            // What grows no faster than its operand is none of those that leave all numbers.
            Some(results) => {
                let far = bounds.magnitude() + 1.0;
                clip_domain(function, wanted.seen, defined, results.union(Range { low: -far, high: far }))
            }
            None => defined,
        };
        if function.at(domain.low).is_finite() && function.at(domain.high).is_finite() {
            return Ok(domain);
        }
        Err(Refusal::NotFinite { function: function.name(), operand: domain })
    }

    /// The steps of a table.
    fn tabulated(
        &mut self,
        id: NodeId,
        x: usize,
        made: &Made,
        table: &Table,
        wanted: &Approximation,
    ) -> usize {
        let &Approximation { extra, whole, .. } = wanted;
        let shape = self.shape(x);
        let count: usize = shape.iter().product();
        let result = self.integers(id, shape.clone(), made.bounds, table.to_scale);
        let result = PlanValue { node: whole.then_some(id), extra, ..result };
        let only = table.thresholds.is_empty();
        let thresholds = if only { vec![self.bounds[x].low] } else { table.thresholds.clone() };
        let bits = self.flags(id, x, thresholds);
        if table.degree == 0 {
            let op = picked(&[&table.constants], only);
            return self.step_to(id, op, &[bits], result);
        }
        let pick = |this: &mut Self, rows: &[&Vec<i64>], scale: u32| {
            let bounds = Bounds::of(rows.iter().flat_map(|row| row.iter().copied()));
            let mut of = shape.clone();
            if rows.len() > 1 {
                of.insert(0, rows.len());
            }
            let value = this.integers(id, of, bounds, scale);
            this.step_to(id, picked(rows, only), &[bits], value)
        };
        let constants = pick(self, &[&table.constants], table.to_scale);
        let centres = pick(self, &[&table.centres], table.from_scale);
        let away = self.integers(id, shape.clone(), Bounds::within(table.farthest), table.from_scale);
        let away = self.step_to(id, Operation::Sub, &[x, centres], away);
        let products = self.integers(id, shape.clone(), Bounds::within(table.largest_sum()), table.to_scale);
        let products = PlanValue { extra, ..products };
        let rows: Vec<&Vec<i64>> = table.factors.iter().collect();
        let factors = pick(self, &rows, table.factor_scale);
        let products = if table.degree == 1 {
            self.step_to(id, plan::elementwise(count), &[away, factors], products)
        } else {
            let normalisers = pick(self, &[&table.normalisers], table.normaliser_scale);
            let first = self.integers(id, vec![1, count], Bounds::within(table.reach), table.power_scale);
            let first = self.step_to(id, plan::elementwise(count), &[away, normalisers], first);
            let factors = self.moved(id, Movement::Reshape { shape: vec![table.degree, count] }, factors);
            let (powers, factors) = Pairs { id, table, count, first, factors }.sum(self);
            let terms = self.shape(powers)[0];
            let [powers, factors] = [powers, factors]
                .map(|rows| self.moved(id, Movement::Transpose { permutation: vec![1, 0] }, rows));
            let map = LinearMap::BatchMatMul { batch: count, rows: 1, inner: terms, columns: 1 };
            self.step_to(id, plan::product(map), &[powers, factors], products)
        };
        self.step_to(id, Operation::Add, &[products, constants], result)
    }
}

/// Rows of numbers of which the comparisons pick one each: what is reached adds the difference to
/// the one before.
fn picked(rows: &[&Vec<i64>], only: bool) -> Operation {
    let mut factors = Vec::new();
    for row in rows {
        if only {
            factors.push(0);
        } else {
            factors.extend(row.windows(2).map(|pair| pair[1] - pair[0]));
        }
    }
    plan::combine(factors, rows.iter().map(|row| row.first().copied().unwrap_or(0)).collect())
}

/// The bounds of results that are no result of an end of the domain, where the function would go on.
/// None where such a result says nothing, or was `seen`.
fn short_of(all: Bounds, stuck: impl Iterator<Item = f64>, seen: Range, units: f64) -> Option<Bounds> {
    // A table's bounds are a little wider than its results.
    let close = FLAT as i64 + all.apart() / 128;
    let mut bounds = all;
    for end in stuck.map(|end| (end * units).round() as i64) {
        if end >= all.high.saturating_sub(2 * close) {
            bounds.high = bounds.high.min(end - FLAT as i64 - 1);
        } else if end <= all.low.saturating_add(2 * close) {
            bounds.low = bounds.low.max(end + FLAT as i64 + 1);
        }
    }
    let [low, high] = [seen.low * units, seen.high * units];
    (bounds != all && bounds.low as f64 <= low - FLAT && high + FLAT <= bounds.high as f64).then_some(bounds)
}

/// The results of a function for operands that were seen.
fn seen_results(at: &dyn Fn(f64) -> f64, seen: Range) -> Range {
    let places =
        (0..=LOOKS).map(|look| seen.low + (seen.high - seen.low) * f64::from(look) / f64::from(LOOKS));
    places.map(at).fold(Range::EMPTY, |range, y| range.union(Range { low: y, high: y }))
}

/// The part of a domain, around what was seen, in which results stay within bounds.
fn clip_domain(function: Function, seen: Range, domain: Range, results: Range) -> Range {
    const STEPS: usize = 256;
    let fits = |x: f64| {
        let y = function.at(x);
        y >= results.low && y <= results.high
    };
    let outwards = |from: f64, to: f64| {
        let mut last = from;
        for step in 1..=STEPS {
            let x = from + (to - from) * step as f64 / STEPS as f64;
            if !fits(x) {
                // Between the last one that fits and this one, closer.
                let (mut good, mut bad) = (last, x);
                for _ in 0..30 {
                    let middle = (good + bad) / 2.0;
                    if fits(middle) {
                        good = middle;
                    } else {
                        bad = middle;
                    }
                }
                return good;
            }
            last = x;
        }
        to
    };
    let (low, high) = (seen.low.clamp(domain.low, domain.high), seen.high.clamp(domain.low, domain.high));
    Range { low: outwards(low, domain.low), high: outwards(high, domain.high) }
}

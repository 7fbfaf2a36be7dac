//! The choice between two values by a condition: free where the condition is public.

use cryptflow_ring::{LinearMap, Movement};

use cryptflow_graph::{Array, Comparison, NodeId, Range};
use cryptflow_operation::Bounds;

use super::super::bounds::ROUNDING;
use super::super::plan::{self, Limits, LinearTerm, Operation, PlanValue};
use super::arithmetic::{extremes, too_large, within_fixed_point};
use super::{Lowered, Lowering, Refusal};
use crate::fix::units::exp2;

/// Bits by which what a choice cannot leave may exceed what was seen of it, to be its bounds.
const FAR: u32 = 3;

impl Lowering<'_> {
    pub(super) fn select(&mut self, id: NodeId) -> Result<Lowered, Refusal> {
        let [condition, a, b] = [self.operand(id, 0)?, self.operand(id, 1)?, self.operand(id, 2)?];
        if let Some(condition) = self.constant(condition).cloned() {
            return self.select_publicly(id, &condition, a, b);
        }
        let bit = self.condition(id, condition)?;
        let bit = self.broadcast(id, bit);
        if let (Some(x), Some(y)) = (self.constant(a).cloned(), self.constant(b).cloned()) {
            return self.select_constant(id, bit, [(a, &x), (b, &y)]);
        }
        // b + condition · (a − b)
        let d = self.difference(id, a, b)?;
        let d = self.with_fraction(id, d);
        let range = self.plan.values[d].range.with_zero();
        let both = self.real(a)?.union(self.real(b)?);
        let chosen = self.product_of(id, d, bit, self.plan.values[d].extra, range, false);
        let unit = exp2(self.plan.values[d].scale(self.setting.scale));
        let difference =
            Range { low: self.bounds[d].low as f64 / unit, high: self.bounds[d].high as f64 / unit };
        self.stays_within(chosen, difference.with_zero());
        let result = self.plus(id, chosen, b)?;
        if let Lowered::Value(result) = result {
            // The product may be coarser than the sum.
            let rounding = 2.0 * ROUNDING as f64 / exp2(self.plan.values[chosen].scale(self.setting.scale));
            self.stays_within(result, Range { low: both.low - rounding, high: both.high + rounding });
        }
        Ok(result)
    }

    /// What an operand cannot leave.
    fn real(&mut self, id: NodeId) -> Result<Range, Refusal> {
        if let Some(constant) = self.constant(id) {
            return Ok(extremes(constant));
        }
        let x = self.secret(id)?;
        let unit = exp2(self.plan.values[x].scale(self.setting.scale));
        Ok(Range { low: self.bounds[x].low as f64 / unit, high: self.bounds[x].high as f64 / unit })
    }

    /// A result that is picked from numbers in a range stays there, whatever was seen of it: it is told
    /// so, unless what was seen is far narrower.
    fn stays_within(&mut self, value: usize, range: Range) {
        let unit = exp2(self.plan.values[value].scale(self.setting.scale));
        let low = ((range.low * unit).floor() as i64).saturating_sub(2 * ROUNDING);
        let high = ((range.high * unit).ceil() as i64).saturating_add(2 * ROUNDING);
        let sound = Bounds { low, high };
        if sound.magnitude() >> FAR <= self.bounds[value].magnitude() {
            self.plan.values[value].limits = Limits::Proved(sound);
            self.bounds[value] = sound;
        }
    }

    /// One of two constants: `condition · a + (1 − condition) · b`, one layer. Their difference would
    /// be no float where one is a thousand times the other.
    fn select_constant(
        &mut self,
        id: NodeId,
        bit: usize,
        constants: [(NodeId, &Array); 2],
    ) -> Result<Lowered, Refusal> {
        let other = self.counted(id, bit, self.shape(bit), vec![-1], 1, false);
        let shape = self.own_shape(id);
        let count: usize = shape.iter().product();
        // Two numbers are two weights, whatever the shape.
        let numbers = constants.iter().all(|(_, constant)| constant.data.len() == 1);
        let wide = if numbers { vec![1; shape.len()] } else { shape };
        let channels: usize = wide.iter().product();
        let rows = count / channels.max(1);
        let mut terms = Vec::new();
        let mut picked = Vec::new();
        for (index, (name, constant)) in constants.into_iter().enumerate() {
            within_fixed_point(constant)?;
            let flag = if index == 0 { bit } else { other };
            let whole = Movement::Broadcast { shape: wide.clone() };
            let data = whole.apply(&[(&constant.shape, &constant.data)])?;
            picked.push(self.moved(id, Movement::Reshape { shape: vec![rows, channels] }, flag));
            let name = self.graph.node(name).name.clone();
            let weight = self.weight(&name, vec![channels], data);
            let map = LinearMap::Scale { rows, channels };
            terms.push(LinearTerm { input: index, weight, map });
        }
        let to = self.own_target(id, false);
        let blank = self.blank(id, vec![rows, channels], to.range);
        let value = PlanValue { extra: to.extra, ..blank };
        let value = self.step_to(id, plan::linear(terms, None), &picked, value);
        let [(_, one), (_, other)] = constants;
        let both = extremes(one).union(extremes(other));
        // Weights may lose precision to fit a ring.
        let coarse = both.magnitude() / 64.0;
        self.stays_within(value, Range { low: both.low - coarse, high: both.high + coarse });
        Ok(self.reshaped(id, value))
    }

    /// The condition as 0 or 1: itself where it can be nothing else.
    pub(super) fn condition(&mut self, id: NodeId, condition: NodeId) -> Result<usize, Refusal> {
        if let Some(flag) = self.flag(condition)? {
            return Ok(flag);
        }
        let x = self.secret(condition)?;
        let tie = self.equal(&[condition], x);
        Ok(self.compared_with_zero(id, x, tie, Comparison::NotEqual, false))
    }

    /// A public condition: the elements of the two are gathered; where one of them is a constant,
    /// zeros are, and it is added.
    fn select_publicly(
        &mut self,
        id: NodeId,
        condition: &Array,
        a: NodeId,
        b: NodeId,
    ) -> Result<Lowered, Refusal> {
        let shape = self.own_shape(id);
        let count: usize = shape.iter().product();
        let wide = |array: &Array| {
            let movement = Movement::Broadcast { shape: shape.clone() };
            movement.apply(&[(&array.shape, &array.data)])
        };
        let condition = wide(condition)?;
        let flat = |this: &mut Self, operand: NodeId| -> Result<usize, Refusal> {
            let x = this.secret(operand)?;
            let x = this.broadcast(id, x);
            Ok(this.moved(id, Movement::Reshape { shape: vec![count] }, x))
        };
        let constant = match (self.constant(a).cloned(), self.constant(b).cloned()) {
            (None, None) => {
                let (x, y) = (flat(self, a)?, flat(self, b)?);
                let (x, y) = self.aligned(id, x, y);
                let indices = (0..count).map(|i| if condition[i] != 0.0 { i } else { count + i }).collect();
                let both = self.joined(id, &[x, y]);
                let chosen = self.moved(id, Movement::Gather { axis: 0, indices }, both);
                return Ok(self.reshaped(id, chosen));
            }
            (Some(a), _) => (a, true),
            (None, Some(b)) => (b, false),
        };
        let (array, when) = constant;
        let value = flat(self, if when { b } else { a })?;
        let picks = |i: usize| (condition[i] != 0.0) == when;
        let all = wide(&array)?;
        let used: Vec<f32> = (0..count).filter(|&i| picks(i)).map(|i| all[i]).collect();
        // One number for all, at the end, made of nothing.
        let first = used.first().copied().unwrap_or(0.0);
        within_fixed_point(&Array::vector(used.clone()))?;
        if used.iter().any(|&v| v != first) {
            let zeros = Movement::Pad { before: vec![0], after: vec![1] };
            let padded = self.moved(id, zeros, value);
            let indices = (0..count).map(|i| if picks(i) { count } else { i }).collect();
            let kept = self.moved(id, Movement::Gather { axis: 0, indices }, padded);
            let kept = self.moved(id, Movement::Reshape { shape: shape.clone() }, kept);
            let added = (0..count).map(|i| if picks(i) { all[i] } else { 0.0 }).collect();
            return self.plus_array(id, kept, &Array::new(shape, added)?);
        }
        let value = self.holding(id, value, first.into());
        let number = self.public_number(id, value, first)?;
        let both = self.joined(id, &[value, number]);
        let indices = (0..count).map(|i| if picks(i) { count } else { i }).collect();
        let chosen = self.moved(id, Movement::Gather { axis: 0, indices }, both);
        Ok(self.reshaped(id, chosen))
    }

    /// A public number, made of an element of a flat value times nothing, with as many fractional
    /// bits as that has.
    fn public_number(&mut self, id: NodeId, value: usize, number: f32) -> Result<usize, Refusal> {
        let extra = self.plan.values[value].extra;
        let units = (f64::from(number) * exp2(self.setting.scale.saturating_add_signed(extra))).round();
        if units.abs() > exp2(50) {
            return Err(too_large(number.into()));
        }
        self.plan.fitted = Some(self.setting.scale);
        let one = Movement::Slice { begin: vec![0], size: vec![1], stride: vec![1] };
        let any = self.moved(id, one, value);
        let range = Range { low: number.into(), high: number.into() };
        let units = units as i64;
        let limits = Limits::Proved(Bounds { low: units, high: units });
        let made = PlanValue { extra, limits, ..self.blank(id, vec![1], range) };
        Ok(self.step_to(id, plan::combine(vec![0], vec![units]), &[any], made))
    }

    /// Flat values one after another.
    fn joined(&mut self, id: NodeId, parts: &[usize]) -> usize {
        let length = parts.iter().map(|&p| self.plan.values[p].shape.iter().product::<usize>()).sum();
        let range = parts.iter().fold(Range::EMPTY, |r, &p| r.union(self.plan.values[p].range));
        self.step(id, Operation::Movement(Movement::Concat { axis: 0 }), parts, vec![length], range, false)
    }
}

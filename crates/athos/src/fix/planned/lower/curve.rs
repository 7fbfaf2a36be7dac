//! The steps of a function that is one polynomial of an operand which ReLUs have cut off or folded.

use cryptflow_graph::NodeId;
use cryptflow_operation::{Bounds, Rectifier};
use cryptflow_ring::{LinearMap, Movement};

use super::super::plan::{self, Limits, Operation, PlanValue, Skips};
use super::super::tables::Made;
use super::Lowering;
use super::function::Approximation;
use crate::fix::units::exp2;
use crate::functions::{Curve, Ends, Polynomial, Reach};

impl Lowering<'_> {
    /// The steps of a curve.
    pub(super) fn curved(
        &mut self,
        id: NodeId,
        x: usize,
        made: &Made,
        curve: &Curve,
        wanted: &Approximation,
    ) -> usize {
        let polynomial = &curve.polynomial;
        let (shape, count) = (self.shape(x), self.shape(x).iter().product());
        let to_scale = self.setting.scale.saturating_add_signed(wanted.extra);
        let noise = self.plan.values[x].noise.min(wanted.extra);
        let flat = self.moved(id, Movement::Reshape { shape: vec![count] }, x);
        let (first, positive) = self.brought_within(id, flat, curve);
        let reach = polynomial.reach();
        let powers = self.powers_of(id, first, polynomial, &reach);
        let sum = self.brackets(id, powers, polynomial, &reach, to_scale);
        let result = self.integers(id, vec![count], made.bounds, to_scale);
        let result = PlanValue { extra: wanted.extra, ..result };
        let sum = match positive {
            Some(positive) => {
                let positive = self.raised(id, positive, wanted.extra);
                self.step_to(id, Operation::Add, &[sum, positive], result.clone())
            }
            None => sum,
        };
        let result = PlanValue {
            node: wanted.whole.then_some(id),
            shape: shape.clone(),
            limits: Limits::Proved(made.bounds),
            ..result
        };
        let y = self.step_to(id, plan::reshape(&shape), &[sum], result);
        // Of its own rounding; what scales say of values on the way is how products shift.
        self.plan.values[y].noise = noise;
        y
    }

    /// The first power, of the operand within the polynomial's range; and what the polynomial is added to.
    fn brought_within(&mut self, id: NodeId, x: usize, curve: &Curve) -> (usize, Option<usize>) {
        let Polynomial { low, high, centre, factor, label, .. } = curve.polynomial;
        let scale = self.plan.values[x].scale(self.setting.scale);
        let shape = self.shape(x);
        // A value on the way, which is this far from zero.
        let moved = |this: &mut Self, op: Operation, x: &[usize], bounds: Bounds| {
            let value = this.integers(id, shape.clone(), bounds, scale);
            this.step_to(id, op, x, value)
        };
        let shifted = |this: &mut Self, x: usize, sign: i64, by: i64| {
            let Bounds { low, high } = this.bounds[x];
            let (a, b) = (sign * low + by, sign * high + by);
            let bounds = Bounds { low: a.min(b), high: a.max(b) };
            moved(this, plan::combine(vec![sign], vec![by]), &[x], bounds)
        };
        let positive = |this: &mut Self, x: usize, skipped: u32| {
            let bounds = this.bounds[x].map(|end| end.max(0));
            moved(this, plan::activation(Rectifier::Relu, Skips::Units(skipped)), &[x], bounds)
        };
        let skipped = curve.skipped;
        // What the polynomial's operand is: `sign · value + base`.
        let mut rectified = None;
        let (value, sign, base) = match curve.ends {
            Ends::Within => (x, 1, 0),
            Ends::NotBelow => {
                let above = shifted(self, x, 1, -low);
                (positive(self, above, skipped), 1, low)
            }
            Ends::NotAbove => {
                let below = shifted(self, x, -1, high);
                (positive(self, below, skipped), -1, high)
            }
            Ends::Between => {
                let above = shifted(self, x, 1, -low);
                let bounds = Bounds { low: 0, high: high - low };
                let limit = (high - low) as f64 / exp2(scale);
                let op = plan::activation(Rectifier::ClippedRelu { limit }, Skips::Units(skipped));
                (moved(self, op, &[above], bounds), 1, low)
            }
            Ends::Rectified => {
                let own = self.bounds[x];
                let above = positive(self, x, curve.skipped_at_fold);
                let twice = self.bounds[above].map(|end| end.saturating_mul(2));
                let twice = moved(self, plan::combine(vec![2], vec![0]), &[above], twice);
                let largest = i64::try_from(own.magnitude()).unwrap_or(i64::MAX);
                let size =
                    moved(self, Operation::Sub, &[twice, x], Bounds { low: low.min(0), high: largest });
                let below = shifted(self, size, -1, high);
                rectified = Some(above);
                (positive(self, below, skipped), -1, high)
            }
        };
        let bounds = Bounds { low: (low - centre) * factor, high: (high - centre) * factor };
        let first = self.integers(id, shape.clone(), bounds, label);
        let op = plan::combine(vec![sign * factor], vec![(base - centre) * factor]);
        (self.step_to(id, op, &[value], first), rectified)
    }

    /// The powers up to the size of a block: `[powers, elements]`. The rounds are those of a tree.
    fn powers_of(&mut self, id: NodeId, first: usize, polynomial: &Polynomial, reach: &Reach) -> usize {
        let Polynomial { fine, block, label, .. } = *polynomial;
        let count: usize = self.plan.values[first].shape.iter().product();
        let mut all = self.moved(id, Movement::Reshape { shape: vec![1, count] }, first);
        let mut have = 1;
        while have < block {
            // The next ones are the last one times each that is there.
            let more = have.min(block - have);
            let take = |begin: usize, rows: usize| Movement::Slice {
                begin: vec![begin, 0],
                size: vec![rows, count],
                stride: vec![1, 1],
            };
            let left = self.moved(id, take(0, more), all);
            let last = self.moved(id, take(have - 1, 1), all);
            let right = self.moved(id, Movement::Broadcast { shape: vec![more, count] }, last);
            let bounds = Bounds::hull(&reach.powers[have..have + more]);
            let next = self.integers(id, vec![more, count], bounds, 2 * label - fine);
            let next = self.step_to(id, plan::elementwise(more * count), &[left, right], next);
            let next = self.labelled(id, next, label);
            let bounds = Bounds::hull(&reach.powers[..have + more]);
            let together = self.integers(id, vec![have + more, count], bounds, label);
            all = self.step_to(id, Operation::Movement(Movement::Concat { axis: 0 }), &[all, next], together);
            have += more;
        }
        all
    }

    /// What is in the brackets, from the innermost on; the last is the result, at its scale.
    fn brackets(
        &mut self,
        id: NodeId,
        powers: usize,
        polynomial: &Polynomial,
        reach: &Reach,
        to_scale: u32,
    ) -> usize {
        let &Polynomial { block, ref rows, ref shifts, label, .. } = polynomial;
        let count = self.plan.values[powers].shape[1];
        let concat = Operation::Movement(Movement::Concat { axis: 0 });
        let combined = |rows: &[&Vec<i64>]| {
            let of_powers = |row: &&Vec<i64>| -> Vec<i64> {
                (1..=block).map(|k| row.get(k).copied().unwrap_or(0)).collect()
            };
            plan::combine(rows.iter().flat_map(of_powers).collect(), rows.iter().map(|row| row[0]).collect())
        };
        // The highest power beside a one: what is added within a product is rounded with it.
        let bounds = Bounds::hull(&[reach.powers[block - 1], Bounds { low: 1, high: 1 }]);
        let beside = self.integers(id, vec![2, count], bounds, label);
        let mut highest = vec![0; block];
        highest[block - 1] = 1;
        let op = plan::combine([highest, vec![0; block]].concat(), vec![0, 1]);
        let left = self.step_to(id, op, &[powers], beside);
        let left = self.moved(id, Movement::Transpose { permutation: vec![1, 0] }, left);
        let mut inner = powers;
        for (i, &shift) in shifts.iter().enumerate() {
            let done = i + 1 == shifts.len();
            // From this scale on the last product leads to the result's.
            let at = if done { to_scale + shift - label } else { label };
            let before = if i == 0 { reach.blocks[0] } else { reach.brackets[i - 1] };
            let bounds = Bounds::hull(&[before, reach.blocks[i + 1]]);
            let both = self.integers(id, vec![2, count], bounds, at);
            let right = if i == 0 {
                self.step_to(id, combined(&[&rows[0], &rows[1]]), &[powers], both)
            } else {
                let block = self.integers(id, vec![1, count], reach.blocks[i + 1], at);
                let block = self.step_to(id, combined(&[&rows[i + 1]]), &[powers], block);
                let before = self.labelled(id, inner, at);
                let before = self.moved(id, Movement::Reshape { shape: vec![1, count] }, before);
                self.step_to(id, concat.clone(), &[before, block], both)
            };
            let right = self.moved(id, Movement::Transpose { permutation: vec![1, 0] }, right);
            let map = LinearMap::BatchMatMul { batch: count, rows: 1, inner: 2, columns: 1 };
            let value = self.integers(id, vec![count], reach.brackets[i], label + at - shift);
            inner = self.step_to(id, plan::product(map), &[left, right], value);
        }
        inner
    }

    /// The same integers at another scale.
    fn labelled(&mut self, id: NodeId, x: usize, scale: u32) -> usize {
        let value = self.integers(id, self.shape(x), self.bounds[x], scale);
        self.step_to(id, plan::combine(vec![1], vec![0]), &[x], value)
    }
}

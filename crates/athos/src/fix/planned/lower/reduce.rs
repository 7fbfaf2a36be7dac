//! Reductions over axes: the axes are brought together, and one window covers them.

use cryptflow_operation::Bounds;
use cryptflow_ring::Movement;

use cryptflow_graph::{NodeId, Reduce, Reduction};

use super::super::bounds::own_bounds;
use super::super::plan::{self, Limits, PlanValue};
use super::pool::multiple;
use super::{Lowered, Lowering, Refusal, column, malformed, no_axis};

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, id: NodeId, reduce: &Reduce) -> Result<Lowered, Refusal> {
        let axes = &reduce.axes;
        match reduce.kind {
            Reduction::Mean => self.total(id, axes, true),
            Reduction::Sum => self.total(id, axes, false),
            Reduction::Max => self.extreme(id, axes, false),
            Reduction::Min => self.extreme(id, axes, true),
        }
    }

    /// The largest over axes, or the smallest: the negative of the largest of the negatives.
    fn extreme(&mut self, id: NodeId, axes: &[usize], smallest: bool) -> Result<Lowered, Refusal> {
        let mut x = self.secret(self.operand(id, 0)?)?;
        if axes.is_empty() {
            return Ok(Lowered::Value(x));
        }
        if smallest {
            x = self.negated(id, x);
        }
        let (x, _) = self.gathered_axes(id, x, axes)?;
        let [before, count, _, after] = self.nhwc(x)?;
        let mut y = self.largest(id, x, [before, count, after]);
        if smallest {
            y = self.negated(id, y);
        }
        Ok(self.reshaped(id, y))
    }

    /// The sum or the mean over axes: the axes are brought together, and one window covers them.
    fn total(&mut self, id: NodeId, axes: &[usize], mean: bool) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let (x, count) = self.gathered_axes(id, x, axes)?;
        let input = self.nhwc(x)?;
        let out = vec![input[0], 1, 1, input[3]];
        let range = self.range(id);
        let sums = if mean { multiple(range, count) } else { range };
        let blank = PlanValue { extra: self.plan.values[x].extra, ..self.blank(id, out.clone(), sums) };
        let limits = self.sum_of_integers(x, count, &blank);
        let mut y =
            self.step_to(id, plan::sum_pool(input, column(count)), &[x], PlanValue { limits, ..blank });
        if mean {
            let value = PlanValue { extra: self.extra_of(id), ..self.blank(id, out, range) };
            y = self.step_to(id, plan::scale_public(vec![1.0 / count as f64]), &[y], value);
        }
        Ok(self.reshaped(id, y))
    }

    /// What bounds the sum of so many elements, as which it has these: integers that are not rounded cannot leave
    /// theirs, which for flags are narrower than what was seen of them and the margin.
    fn sum_of_integers(&self, x: usize, count: usize, sum: &PlanValue) -> Limits {
        let (own, seen) = (self.bounds[x], own_bounds(sum, self.setting.scale, self.setting.margin));
        let times = |bound: i64| bound.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
        let sure = Bounds { low: times(own.low), high: times(own.high) };
        let narrower = sure.low >= seen.low && sure.high <= seen.high;
        if self.is_whole(x) && narrower { Limits::Proved(sure) } else { Limits::Seen }
    }

    /// A value with these axes brought together: `[before, elements of the axes, 1, after]`, and
    /// the number of elements.
    pub(super) fn gathered_axes(
        &mut self,
        id: NodeId,
        x: usize,
        axes: &[usize],
    ) -> Result<(usize, usize), Refusal> {
        let mut x = x;
        let mut shape = self.shape(x);
        let count: usize = axes.iter().filter_map(|&a| shape.get(a)).product();
        let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else {
            return Err(malformed("it reduces over no axis"));
        };
        if last >= shape.len() {
            return Err(no_axis(last));
        }
        let mut lead = first;
        if last - first + 1 != axes.len() {
            let kept = (0..shape.len()).filter(|a| !axes.contains(a));
            let permutation: Vec<usize> = kept.chain(axes.iter().copied()).collect();
            lead = shape.len() - axes.len();
            shape = permutation.iter().map(|&a| shape[a]).collect();
            x = self.moved(id, Movement::Transpose { permutation }, x);
        }
        let before: usize = shape[..lead].iter().product();
        let after: usize = shape[lead + axes.len()..].iter().product();
        Ok((self.moved(id, Movement::Reshape { shape: vec![before, count, 1, after] }, x), count))
    }
}

//! Pooling, means and sums over axes.

use cryptflow_ring::{Movement, Window};

use cryptflow_graph::{NodeId, Range};

use super::super::plan::{PlanOp, PlanValue};
use super::{Lowered, Lowering, Refusal};

impl Lowering<'_> {
    pub(super) fn max_pool(&mut self, id: NodeId, window: &Window) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let input = self.nhwc(x)?;
        let counts = taps(input, window).map_err(|e| e.to_string())?;
        if counts.contains(&0) {
            return Err("a window of it sees nothing but padding".into());
        }
        Ok(self.last_step(id, PlanOp::MaxPool(input, window.clone()), &[x]))
    }

    pub(super) fn sum_pool(&mut self, id: NodeId, window: &Window) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let input = self.nhwc(x)?;
        Ok(self.last_step(id, PlanOp::SumPool(input, window.clone()), &[x]))
    }

    /// A sum, then a multiplication by 1 / (elements of the window), which differs at the edges where padding does not count.
    pub(super) fn avg_pool(
        &mut self,
        id: NodeId,
        window: &Window,
        padding: bool,
    ) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let input = self.nhwc(x)?;
        let all = window.kernel[0] * window.kernel[1];
        let counts = if padding { vec![all] } else { taps(input, window).map_err(|e| e.to_string())? };
        if counts.contains(&0) {
            return Err("a window of it sees nothing but padding".into());
        }
        let factors = if counts.iter().all(|&n| n == counts[0]) {
            vec![1.0 / counts[0] as f64]
        } else {
            counts.iter().flat_map(|&n| vec![1.0 / n as f64; input[3]]).collect()
        };
        let shape = self.graph.node(id).shape.clone();
        let sums = multiple(self.range(id), all);
        let sum = self.step(id, PlanOp::SumPool(input, window.clone()), &[x], shape, sums, false);
        Ok(self.last_step(id, PlanOp::ScalePublic(factors), &[sum]))
    }

    /// The sum or the mean over axes: the axes are brought together, and one window covers them.
    pub(super) fn reduce(&mut self, id: NodeId, axes: &[usize], mean: bool) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let (x, count) = self.gathered_axes(id, x, axes)?;
        let input = self.nhwc(x)?;
        let window = Window { kernel: [count, 1], stride: [1; 2], dilation: [1; 2], padding: [[0; 2]; 2] };
        let out = vec![input[0], 1, 1, input[3]];
        let range = self.range(id);
        let sums = if mean { multiple(range, count) } else { range };
        let mut y = self.step(id, PlanOp::SumPool(input, window), &[x], out.clone(), sums, false);
        if mean {
            let value = PlanValue { extra: self.extra_of(id), ..self.blank(id, out, range) };
            y = self.step_to(id, PlanOp::ScalePublic(vec![1.0 / count as f64]), &[y], value);
        }
        let shape = self.graph.node(id).shape.clone();
        Ok(self.last_step(id, PlanOp::Movement(Movement::Reshape { shape }), &[y]))
    }

    /// A value with these axes brought together: `[before, elements of the axes, 1, after]`, and the number of elements.
    pub(super) fn gathered_axes(
        &mut self,
        id: NodeId,
        x: usize,
        axes: &[usize],
    ) -> Result<(usize, usize), Refusal> {
        let mut x = x;
        let mut shape = self.plan.values[x].shape.clone();
        let count: usize = axes.iter().filter_map(|&a| shape.get(a)).product();
        let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else {
            return Err("it reduces over no axis".into());
        };
        if last >= shape.len() {
            return Err(format!("it has no axis {last}"));
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

    fn nhwc(&self, x: usize) -> Result<[usize; 4], Refusal> {
        let shape = &self.plan.values[x].shape;
        <[usize; 4]>::try_from(shape.as_slice()).map_err(|_| format!("{shape:?} does not have four axes"))
    }
}

/// The range of sums of up to `n` elements whose means have this one.
fn multiple(mean: Range, n: usize) -> Range {
    let mean = mean.with_zero();
    Range { low: mean.low * n as f64, high: mean.high * n as f64 }
}

/// How many elements each window sees, padding not counted: one number for each position of the output, row by row.
fn taps(input: [usize; 4], window: &Window) -> Result<Vec<usize>, cryptflow_ring::GeometryError> {
    let [height, width] = window.output([input[1], input[2]])?;
    let along = |axis: usize, out: usize| {
        let start = (out * window.stride[axis]) as i64 - window.padding[axis][0] as i64;
        let seen = |tap: &usize| {
            let at = start + (tap * window.dilation[axis]) as i64;
            at >= 0 && at < input[axis + 1] as i64
        };
        (0..window.kernel[axis]).filter(seen).count()
    };
    let columns: Vec<usize> = (0..width).map(|c| along(1, c)).collect();
    Ok((0..height).flat_map(|r| columns.iter().map(move |c| along(0, r) * c).collect::<Vec<_>>()).collect())
}

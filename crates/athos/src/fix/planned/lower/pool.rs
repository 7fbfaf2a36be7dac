//! Pooling.

use cryptflow_ring::Window;

use cryptflow_graph::{NodeId, Pool, Pooling, Range};

use super::super::plan::{self, Skips};
use super::{Lowered, Lowering, Refusal, malformed};

impl Lowering<'_> {
    pub(super) fn pool(&mut self, id: NodeId, pool: &Pool) -> Result<Lowered, Refusal> {
        match pool.kind {
            Pooling::Max => self.max_pool(id, &pool.window),
            Pooling::Average { count_padding } => self.avg_pool(id, &pool.window, count_padding),
            Pooling::Sum => self.sum_pool(id, &pool.window),
        }
    }

    fn max_pool(&mut self, id: NodeId, window: &Window) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let input = self.nhwc(x)?;
        taps(input, window)?;
        Ok(self.last_step(id, plan::max_pool(input, window.clone(), Skips::LikeRounding), &[x]))
    }

    fn sum_pool(&mut self, id: NodeId, window: &Window) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let input = self.nhwc(x)?;
        Ok(self.last_step(id, plan::sum_pool(input, window.clone()), &[x]))
    }

    /// A sum, then a multiplication by 1 / (elements of the window), which differs at the edges
    /// where padding does not count.
    fn avg_pool(&mut self, id: NodeId, window: &Window, padding: bool) -> Result<Lowered, Refusal> {
        let x = self.secret(self.operand(id, 0)?)?;
        let x = self.with_fraction(id, x);
        let input = self.nhwc(x)?;
        let all = window.kernel[0] * window.kernel[1];
        let counts = if padding { vec![all] } else { taps(input, window)? };
        let factors = if counts.iter().all(|&n| n == counts[0]) {
            vec![1.0 / counts[0] as f64]
        } else {
            counts.iter().flat_map(|&n| vec![1.0 / n as f64; input[3]]).collect()
        };
        let sums = multiple(self.range(id), all);
        let pool = plan::sum_pool(input, window.clone());
        let sum = self.step(id, pool, &[x], self.own_shape(id), sums, false);
        Ok(self.last_step(id, plan::scale_public(factors), &[sum]))
    }

    pub(super) fn nhwc(&self, x: usize) -> Result<[usize; 4], Refusal> {
        let shape = &self.plan.values[x].shape;
        <[usize; 4]>::try_from(shape.as_slice())
            .map_err(|_| malformed(format!("{shape:?} does not have four axes")))
    }
}

/// The range of sums of up to `n` elements whose means have this one.
pub(super) fn multiple(mean: Range, n: usize) -> Range {
    let mean = mean.with_zero();
    Range { low: mean.low * n as f64, high: mean.high * n as f64 }
}

/// How many elements each window sees, padding not counted: one number for each position of the
/// output, row by row. Each must see one at least.
fn taps(input: [usize; 4], window: &Window) -> Result<Vec<usize>, Refusal> {
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
    let rows = (0..height).map(|r| along(0, r));
    let counts: Vec<usize> = rows.flat_map(|r| columns.iter().map(move |c| r * c)).collect();
    if counts.contains(&0) {
        return Err(malformed("a window of it sees nothing but padding"));
    }
    Ok(counts)
}

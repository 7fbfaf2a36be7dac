//! Mirror's costs, step by step, as functions of lengths and widths. Rounds count messages between the evaluators: what P2
//! deals depends on no input and is on its way before it is needed.

use cryptflow_mpc::{Cost, CostModel, Layout};
use cryptflow_ring::pack::packed_len;
use cryptflow_ring::planes::plane_bytes;
use cryptflow_ring::pool::taps;
use cryptflow_ring::{LinearMap, Movement, Window};

use crate::circuit::Circuit;
use crate::compare;
use crate::plan::{Plan, Tuning};
use crate::session::{BLOCK, WAVE, cut};

/// What Mirror's operations cost under a tuning.
#[derive(Clone, Copy, Debug, Default)]
pub struct MirrorCosts {
    /// The tuning that the parties run with.
    pub tuning: Tuning,
}

/// Sums a size over the blocks of a tensor; all blocks but the last are alike.
fn over_blocks(len: usize, size: impl Fn(usize) -> usize) -> u64 {
    let full = len / BLOCK;
    let rest = len % BLOCK;
    (full * size(BLOCK) + if rest > 0 { size(rest) } else { 0 }) as u64
}

/// P2 deals a block of which P1 is sent the first part and P0 the rest.
fn dealt(len: usize, size: impl Fn(usize) -> usize) -> Cost {
    let (to0, to1) = (over_blocks(len, |n| size(n - cut(n))), over_blocks(len, |n| size(cut(n))));
    Cost { rounds: 0, bytes: [[0; 3], [0; 3], [to0, to1, 0]].into() }
}

/// Each evaluator sends the other a message for each block.
fn opened(len: usize, size: impl Fn(usize) -> usize) -> Cost {
    let bytes = over_blocks(len, size);
    Cost { rounds: u64::from(bytes > 0), bytes: [[0, bytes, 0], [bytes, 0, 0], [0; 3]].into() }
}

fn deal_values(len: usize, bits: u32) -> Cost {
    dealt(len, |n| packed_len(n, bits))
}

fn open_values(len: usize, bits: u32) -> Cost {
    opened(len, |n| packed_len(n, bits))
}

/// One step on at most [`WAVE`] elements after another.
fn in_waves(len: usize, step: impl Fn(usize) -> Cost) -> Cost {
    let mut cost = Cost::FREE;
    for start in (0..len).step_by(WAVE) {
        cost += step(WAVE.min(len - start));
    }
    cost
}

impl MirrorCosts {
    /// The comparison's tree: every level one round; leaves (once for all thresholds), products and r's sign bit dealt; then β opened.
    fn sign(&self, len: usize, thresholds: usize, compare_bits: u32) -> Cost {
        let plan = Plan::best(compare_bits.saturating_sub(1).max(1), len, thresholds, self.tuning);
        let circuit = Circuit::new(&plan, thresholds);
        let mut cost = dealt(len, |n| (circuit.dealt() + 1) * plane_bytes(n));
        for level in &circuit.levels {
            let count = thresholds * Circuit::opened(level);
            cost += opened(len, |n| count * plane_bytes(n));
        }
        cost + opened(len, |n| thresholds * plane_bytes(n))
    }

    /// Two values dealt for each of `copies` comparisons, one opening.
    fn choose(len: usize, copies: usize, bits: u32) -> Cost {
        (0..2 * copies).fold(open_values(len, bits), |cost, _| cost + deal_values(len, bits))
    }

    fn lift(len: usize, from: u32, to: u32) -> Cost {
        if from >= to {
            return Cost::FREE;
        }
        deal_values(len, to - from) + deal_values(len, to - from) + open_values(len, to - from)
    }

    /// `inputs` thresholds for each of `len` results.
    fn activation(
        &self,
        x: Layout,
        inputs: usize,
        compare_bits: u32,
        widen_to: Option<u32>,
    ) -> (Cost, Layout) {
        let bits = widen_to.map_or(x.bits, |to| to.max(x.bits));
        let cost = in_waves(x.len, |n| {
            self.sign(n, inputs, compare_bits) + Self::choose(n, inputs, x.bits) + Self::lift(n, x.bits, bits)
        });
        (cost, Layout { len: x.len, bits })
    }

    /// The tournament over `taps` candidates of `len` outputs.
    fn max_along(&self, len: usize, taps: usize, bits: u32, compare_bits: u32) -> Cost {
        let mut cost = Cost::FREE;
        let mut candidates = taps;
        while candidates > 1 {
            let pairs = candidates / 2;
            cost += self.activation(Layout { len: pairs * len, bits }, 1, compare_bits, None).0;
            candidates -= pairs;
        }
        cost
    }
}

impl CostModel for MirrorCosts {
    fn wide(&self, len: usize, ring_bits: u32) -> Layout {
        Layout { len, bits: ring_bits }
    }

    fn linear(&self, _maps: &[&LinearMap], sum: Layout, shift: u32) -> (Cost, Layout) {
        let len = sum.len;
        let bits = sum.bits.saturating_sub(shift + 1);
        (deal_values(len, bits) + open_values(len, bits), Layout { len, bits })
    }

    fn product(&self, map: &LinearMap, x: Layout, _y: Layout, shift: u32) -> (Cost, Layout) {
        self.linear(&[map], Layout { len: map.output_len(), bits: x.bits }, shift)
    }

    /// For each comparison its sign, then a bit of r dealt and the result opened as numbers of the large ring.
    fn compare(&self, x: Layout, thresholds: usize, compare_bits: u32, ring_bits: u32) -> (Cost, Layout) {
        let mut cost = Cost::FREE;
        let wave = compare::wave(thresholds);
        for start in (0..x.len).step_by(wave) {
            let n = wave.min(x.len - start);
            cost += self.sign(n, thresholds, compare_bits)
                + deal_values(thresholds * n, ring_bits)
                + open_values(thresholds * n, ring_bits);
        }
        (cost, Layout { len: thresholds * x.len, bits: ring_bits })
    }

    fn scale_public(&self, x: Layout, shift: u32) -> (Cost, Layout) {
        let bits = x.bits.saturating_sub(shift);
        (open_values(x.len, bits), Layout { len: x.len, bits })
    }

    fn widen(&self, x: Layout, ring_bits: u32) -> (Cost, Layout) {
        let bits = ring_bits.max(x.bits);
        (in_waves(x.len, |n| Self::lift(n, x.bits, bits)), Layout { len: x.len, bits })
    }

    fn relu(&self, x: Layout, compare_bits: u32, widen_to: Option<u32>) -> (Cost, Layout) {
        self.activation(x, 1, compare_bits, widen_to)
    }

    fn clipped_relu(&self, x: Layout, compare_bits: u32, widen_to: Option<u32>) -> (Cost, Layout) {
        self.activation(x, 2, compare_bits, widen_to)
    }

    fn max_pool(&self, x: Layout, input: [usize; 4], window: &Window, compare_bits: u32) -> (Cost, Layout) {
        let [n, h, w, c] = input;
        let along = |i: usize, len: usize| {
            taps(len, window.kernel[i], window.stride[i], window.dilation[i], window.padding[i])
                .map_or((0, 0), |t| (t.len(), t.first().map_or(0, Vec::len)))
        };
        let ((rows, row_taps), (columns, column_taps)) = (along(0, h), along(1, w));
        let cost = self.max_along(n * h * columns * c, column_taps, x.bits, compare_bits)
            + self.max_along(n * rows * columns * c, row_taps, x.bits, compare_bits);
        (cost, Layout { len: n * rows * columns * c, bits: x.bits })
    }

    fn sum_pool(&self, x: Layout, input: [usize; 4], window: &Window) -> (Cost, Layout) {
        let [n, h, w, c] = input;
        let len = window.output([h, w]).map_or(0, |[h, w]| n * h * w * c);
        (Cost::FREE, Layout { len, bits: x.bits })
    }

    fn add(&self, x: Layout, y: Layout) -> (Cost, Layout) {
        (Cost::FREE, Layout { len: x.len, bits: x.bits.min(y.bits) })
    }

    fn movement(&self, _: &Movement, inputs: &[Layout], len: usize) -> (Cost, Layout) {
        (Cost::FREE, Layout { len, bits: inputs.iter().map(|l| l.bits).min().unwrap_or(64) })
    }
}

#[cfg(test)]
mod tests {
    use cryptflow_mpc::Party;

    use super::*;

    /// The table of the specification: bytes of an activation, convolution, truncation and ReLU together.
    #[test]
    fn bytes_of_an_activation() {
        let costs = MirrorCosts { tuning: Tuning { bits_per_round: 600_000 } };
        let n = 1 << 20;
        for (ring, compare, at_most) in [(64, 32, 70.5), (64, 24, 64.5), (37, 24, 40.9)] {
            let map = LinearMap::Scale { rows: n / 64, channels: 64 };
            let (linear, narrow) = costs.linear(&[&map], Layout { len: n, bits: ring }, 12);
            let (relu, wide) = costs.relu(narrow, compare, Some(ring));
            assert_eq!(wide, Layout { len: n, bits: ring });
            let both = linear.clone() + relu;
            let bytes = both.total() as f64 / n as f64;
            assert!(bytes <= at_most + 0.01, "K = {ring}, c = {compare}: {bytes} bytes an activation");
            assert_eq!(linear.rounds, 1);
            let dealt = both.bytes.sent(Party::P2);
            assert_eq!(dealt[0], dealt[1], "both of P2's links carry the same");
        }
    }
}

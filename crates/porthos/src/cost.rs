//! Porthos' costs: the paper's formulas, with eight bits for an element of Z_p.
//!
//! | operation | bits, l = 64 |
//! |---|---|
//! | product (m×n)·(n×k) | (2mn + 2nk + mk) l |
//! | convolution, input h×w×i, kernel f×f, output q×q×o | (2·min(hwi, q²f²i) + 2f²io + q²o) l |
//! | ShareConvert | 3 l log p + 5 l |
//! | ComputeMSB | 3 l log p + 9 l |
//! | comparison with a public threshold | 6 l log p + 14 l: 496 bytes |
//! | ReLU | 6 l log p + 19 l: 536 bytes |
//! | maximum of n | n − 1 ReLUs |

use cryptflow_mpc::{Cost, CostModel, Layout};
use cryptflow_ring::small_field::LANES;
use cryptflow_ring::{LinearMap, Movement, Window};

use crate::max_pool::levels;
use crate::session::{BLOCK, WAVE, WORD, cut};
use crate::triples::Masked;
use crate::truncation::Truncation;

/// What Porthos' operations cost. Values live in one ring, Z_2^64, whatever the program's rings are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PorthosCosts {
    /// How the parties truncate.
    pub truncation: Truncation,
}

/// The elements of a tensor that P0 and P1 are sent, where P2 sends each of them to one of the two.
fn halves(len: usize) -> [u64; 2] {
    let of_block = |n: usize| [n - cut(n), cut(n)];
    let (full, rest) = (of_block(BLOCK), of_block(len % BLOCK));
    std::array::from_fn(|i| (len / BLOCK * full[i] + rest[i]) as u64)
}

/// P0 and P1 send each other `words`; P2 deals `dealt` elements of `bytes`, half of them to each. One round.
fn exchanged(words: u64, dealt: usize, bytes: u64) -> Cost {
    let sent = words * WORD as u64;
    let [to0, to1] = halves(dealt).map(|n| n * bytes);
    Cost { rounds: 1, bytes: [[0, sent, 0], [sent, 0, 0], [to0, to1, 0]].into() }
}

/// Shares of products, element by element: (2 + 2 + 1) l.
fn multiply(len: usize) -> Cost {
    exchanged(2 * len as u64, len, WORD as u64)
}

/// What P0 and P1 send P2 for a comparison, and its dealt bits: (2 + 1) l log p. One round.
fn private_compare(len: usize) -> Cost {
    let sent = (len * LANES) as u64;
    let [to0, to1] = halves(len).map(|n| n * LANES as u64);
    Cost { rounds: 1, bytes: [[0, 0, sent], [0, 0, sent], [to0, to1, 0]].into() }
}

fn share_convert(len: usize) -> Cost {
    let words = (len * WORD) as u64;
    let [to0, to1] = halves(len).map(|n| n * WORD as u64);
    // c̃ to P2; δ, half of it drawn; both shares of η'.
    let hidden = Cost { rounds: 1, bytes: [[0, 0, words], [0, 0, words], [0; 3]].into() };
    let wraps = Cost { rounds: 1, bytes: [[0; 3], [0; 3], [to0, to1, 0]].into() };
    let answers = Cost { rounds: 1, bytes: [[0; 3], [0; 3], [words, words, 0]].into() };
    hidden + wraps + private_compare(len) + answers
}

fn msb(len: usize) -> Cost {
    let [to0, to1] = halves(len).map(|n| n * WORD as u64);
    let answers = Cost { rounds: 1, bytes: [[0; 3], [0; 3], [to0, to1, 0]].into() };
    // r opened, with x's lowest bits dealt; the comparison; β'; the product.
    exchanged(len as u64, len, WORD as u64) + private_compare(len) + answers + multiply(len)
}

/// One step on at most [`WAVE`] elements after another.
fn in_waves(len: usize, step: impl Fn(usize) -> Cost) -> Cost {
    let mut cost = Cost::FREE;
    for start in (0..len).step_by(WAVE) {
        cost += step(WAVE.min(len - start));
    }
    cost
}

/// DReLU.
fn derivative(len: usize) -> Cost {
    share_convert(len) + msb(len)
}

fn relu(len: usize) -> Cost {
    in_waves(len, |n| derivative(n) + multiply(n))
}

fn pooled(x: Layout, input: [usize; 4], window: &Window) -> Layout {
    let [rows, columns] = window.output([input[1], input[2]]).unwrap_or([0, 0]);
    Layout { len: input[0] * rows * columns * input[3], ..x }
}

impl PorthosCosts {
    /// Nothing, or an opening and two dealt words an element.
    fn truncate(&self, len: usize, shift: u32) -> Cost {
        if self.truncation == Truncation::Local || shift == 0 || len == 0 {
            return Cost::FREE;
        }
        exchanged(len as u64, len, 2 * WORD as u64)
    }
}

impl CostModel for PorthosCosts {
    fn wide(&self, len: usize, _ring_bits: u32) -> Layout {
        Layout { len, bits: 64 }
    }

    fn linear(&self, maps: &[&LinearMap], sum: Layout, shift: u32) -> (Cost, Layout) {
        let len = sum.len;
        let layout = Layout { len, bits: 64 };
        if len == 0 {
            return (Cost::FREE, layout);
        }
        if maps.is_empty() {
            return (self.truncate(len, shift), layout);
        }
        let opened: usize = maps.iter().map(|m| Masked::len(m) + m.weight_len()).sum();
        (exchanged(opened as u64, len, WORD as u64) + self.truncate(len, shift), layout)
    }

    fn product(&self, map: &LinearMap, x: Layout, _y: Layout, shift: u32) -> (Cost, Layout) {
        self.linear(&[map], Layout { len: map.output_len(), bits: x.bits }, shift)
    }

    fn compare(&self, x: Layout, thresholds: usize, _: u32, _: u32) -> (Cost, Layout) {
        let len = thresholds * x.len;
        (in_waves(len, derivative), Layout { len, bits: 64 })
    }

    fn scale_public(&self, x: Layout, shift: u32) -> (Cost, Layout) {
        (self.truncate(x.len, shift), x)
    }

    fn widen(&self, x: Layout, _ring_bits: u32) -> (Cost, Layout) {
        (Cost::FREE, x)
    }

    fn relu(&self, x: Layout, _compare_bits: u32, _widen_to: Option<u32>) -> (Cost, Layout) {
        (relu(x.len), x)
    }

    fn clipped_relu(&self, x: Layout, _compare_bits: u32, _widen_to: Option<u32>) -> (Cost, Layout) {
        (relu(2 * x.len), x)
    }

    fn max_pool(&self, x: Layout, input: [usize; 4], window: &Window, _: u32) -> (Cost, Layout) {
        let layout = pooled(x, input, window);
        let mut cost = Cost::FREE;
        for pairs in levels(window.kernel[0] * window.kernel[1]) {
            cost += relu(pairs * layout.len);
        }
        (cost, layout)
    }

    fn sum_pool(&self, x: Layout, input: [usize; 4], window: &Window) -> (Cost, Layout) {
        (Cost::FREE, pooled(x, input, window))
    }

    fn add(&self, x: Layout, _y: Layout) -> (Cost, Layout) {
        (Cost::FREE, x)
    }

    fn movement(&self, _movement: &Movement, _inputs: &[Layout], len: usize) -> (Cost, Layout) {
        (Cost::FREE, Layout { len, bits: 64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_the_paper() {
        let (l, log_p) = (64, 8);
        for n in [1, 63, 64, 1000, BLOCK, 3 * BLOCK + 1, 2 * WAVE] {
            let bits = |cost: Cost| cost.total() * 8 / n as u64;
            assert_eq!(bits(share_convert(n)), 3 * l * log_p + 5 * l);
            assert_eq!(bits(msb(n)), 3 * l * log_p + 9 * l);
            assert_eq!(bits(relu(n)), 6 * l * log_p + 19 * l);
            assert_eq!(bits(multiply(n)), 5 * l);
            assert_eq!(relu(n).total(), 536 * n as u64);
        }
        assert_eq!(relu(WAVE).rounds, 9);
        let matmul = LinearMap::MatMul { rows: 3, inner: 5, columns: 7 };
        let cost = PorthosCosts::default().linear(&[&matmul], Layout { len: 21, bits: 64 }, 12).0;
        assert_eq!(cost.total() * 8, (2 * 15 + 2 * 35 + 21) * l);
    }
}

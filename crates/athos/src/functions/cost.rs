//! What forms of a function cost, in bits of traffic for an element: Mirror's formulas (`tree.rs`, `compare.rs`,
//! `relu.rs`, `linear.rs` and `lift.rs` there), for the rings that functions usually take, and rounds with them.

use super::Wanted;

/// Bits that a round is worth on a local network, as Mirror has it: where a program is for no other.
pub(crate) const LOCAL_ROUND: u64 = 600_000;

/// Bits of the ring in which tables are computed.
const TABLE_RING: f64 = 54.0;

/// Bits of a result.
const RESULT: f64 = 26.0;

/// Rounds of a comparison, on to a value.
const COMPARISON_ROUNDS: f64 = 5.0;

/// Fewer elements than these count as so many: for a handful, rounds would have hundreds of pieces of straight lines in
/// place of a few that are curved, of which each is off by another part of a unit, and examples show only some.
const FEWEST: usize = 1 << 12;

/// What costs depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Bits that operands are compared on.
    pub(super) bits: f64,
    /// What a round is worth, for each element.
    round: f64,
}

impl Place {
    pub(super) fn new(wanted: &Wanted<'_>) -> Place {
        let apart = wanted.high.saturating_sub(wanted.low).max(1);
        let round = wanted.bits_per_round as f64 / wanted.elements.max(FEWEST) as f64;
        Place { bits: f64::from(apart.ilog2() + 2), round }
    }

    /// Thresholds at one operand: leaves of the tree are dealt once, products and opened bits are each threshold's, and
    /// a bit becomes a number of the ring for three times its bits.
    pub(super) fn threshold(&self) -> f64 {
        1.6 * self.bits + 3.0 * TABLE_RING
    }

    /// A table's polynomials: what picks and scales an operand, its powers, and the sum of their products with
    /// coefficients. Each is dealt, opened and widened, for three times the bits of the ring.
    pub(super) fn table(&self, degree: usize) -> f64 {
        let shared = 4.0 * self.bits + COMPARISON_ROUNDS * self.round;
        let widened = 3.0 * (TABLE_RING - self.bits).max(0.0) + self.round;
        shared
            + match degree {
                0 => 0.0,
                1 => widened + 3.0 * RESULT + self.round,
                _ => {
                    let products = degree as f64 * 3.0 * TABLE_RING + 3.0 * RESULT;
                    // The square, and pairs; and from degree 4 on pairs of these.
                    let before = if degree < 4 { 1.0 } else { 2.0 };
                    widened + products + self.round * (3.0 + 2.0 * before)
                }
            }
    }

    /// A ReLU: a comparison, and a choice.
    pub(super) fn relu(&self) -> f64 {
        7.5 * self.bits + COMPARISON_ROUNDS * self.round
    }

    /// Two of them at one operand.
    pub(super) fn clipped(&self) -> f64 {
        11.0 * self.bits + COMPARISON_ROUNDS * self.round
    }

    /// A polynomial with public coefficients: its powers and brackets, in a ring of so many bits.
    pub(super) fn polynomial(&self, block: usize, brackets: usize, ring: u32) -> f64 {
        let ring = f64::from(ring);
        let widened = (block + brackets - 2) as f64 * 3.0 * ring + 3.0 * (ring - self.bits).max(0.0);
        let rounds = 2.0 * (levels(block) + brackets as f64);
        widened + 3.0 * RESULT + rounds * self.round
    }
}

/// Products after each other that lead to a power.
fn levels(power: usize) -> f64 {
    f64::from(power.next_power_of_two().ilog2())
}

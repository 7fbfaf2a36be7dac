//! The table of problems, family by family.

mod activation;
mod chain;
mod compare;
mod length;
mod linear;
mod million;
mod placement;
mod pool;
mod product;
mod skipped;
mod small_ring;
mod widen;

use cryptflow_ring::Window;

use super::generate::Random;
use super::problem::Problem;
use super::{Family, Traits};

/// Widths of the ring of linear layers that the table uses.
const RINGS: [u32; 4] = [64, 63, 48, 37];
/// Bits that truncations shift out.
const SHIFTS: [u32; 3] = [1, 12, 15];
/// Local truncation fails with probability |z| / 2^64 for each element: in all of a problem below
/// 2^−22.
const LOCAL_TRUNCATION: i64 = 1 << 42;

/// The problems of a family. The long ones are made one at a time.
pub(super) fn problems<'a>(family: Family, traits: &'a Traits) -> Box<dyn Iterator<Item = Problem> + 'a> {
    let make = Make { traits };
    match family {
        Family::Linear => Box::new(linear::problems(make).into_iter()),
        Family::Product => Box::new(product::problems(make).into_iter()),
        Family::Compare => Box::new(compare::problems(make).into_iter()),
        Family::Activation => Box::new(activation::problems(make).into_iter()),
        Family::Pool => Box::new(pool::problems(make).into_iter()),
        Family::Widen => Box::new(widen::problems(make).into_iter()),
        Family::Placement => Box::new(placement::problems(make).into_iter()),
        Family::Length => Box::new(length::problems(make)),
        Family::Chain => Box::new(chain::problems(make).into_iter()),
        Family::Skipped => Box::new(skipped::problems(make).into_iter()),
        Family::SmallRing => Box::new(small_ring::problems(make).into_iter()),
        Family::Million => Box::new(million::problems(make)),
    }
}

/// What every family needs to make problems for one protocol.
#[derive(Clone, Copy)]
struct Make<'a> {
    traits: &'a Traits,
}

impl Make<'_> {
    fn problem(&self, name: &str, ring_bits: u32) -> (Problem, Random) {
        (Problem::new(name, ring_bits, self.traits.local_truncation), Random::named(name))
    }

    /// The sums that a truncation of `len` elements is exact for.
    fn sums(&self, len: usize, ring_bits: u32, shift: u32) -> (i64, i64) {
        let (quarter, half) = (1i64 << (ring_bits - 2), 1i64 << (shift - 1));
        self.capped(len, -quarter + half, quarter - 3 * half - 1)
    }

    /// The products with a public factor that a truncation of `len` elements is exact for.
    fn products(&self, len: usize, ring_bits: u32, shift: u32) -> (i64, i64) {
        let (half, unit) = (1i128 << (ring_bits - 1), 1i128 << shift);
        self.capped(len, (-half + unit) as i64, (half - 1 - unit) as i64)
    }

    fn capped(&self, len: usize, low: i64, high: i64) -> (i64, i64) {
        if !self.traits.local_truncation {
            return (low, high);
        }
        let cap = LOCAL_TRUNCATION / len.max(1) as i64;
        (low.max(-cap), high.min(cap))
    }

    /// What `narrow` can bring into Z_2^bits: all of it but the ends.
    fn narrow_range(&self, bits: u32, ring_bits: u32) -> (i64, i64) {
        let half = 1i128 << (bits - 1);
        let ends = if bits == ring_bits || self.traits.local_truncation {
            (-half, half - 1)
        } else {
            (1 - half, half - 2)
        };
        (ends.0 as i64, ends.1 as i64)
    }

    /// The most bits that a comparison in Z_2^bits can look at.
    fn compare_bits(&self, bits: u32) -> u32 {
        bits.min(self.traits.compare_bits)
    }
}

/// The range of `bits` signed bits.
fn signed_range(bits: u32) -> (i64, i64) {
    let half = 1i128 << (bits - 1);
    ((-half) as i64, (half - 1) as i64)
}

/// The smaller of two ranges, which both contain 0.
fn both(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    (a.0.max(b.0), a.1.min(b.1))
}

fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2], padding: [[usize; 2]; 2]) -> Window {
    Window { kernel, stride, dilation, padding }
}

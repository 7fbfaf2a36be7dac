//! The choice of a ReLU in the large ring: what `choose` and `lift` do one after the other, in one round, for
//! more dealt bits. A program that is for a slow network has it where the round is worth them
//! ([`crate::Tuning::chooses_wide`]).
//!
//! Where x >= 0, and so below 2^(k−1), x = m − r + 2^k (1 − msb m)·msb r as integers, r = r0 + r1 − 2^k q, q the wrap
//! of r0 + r1: the lift's formula, before the choice in place of behind it. With a bit s = β ⊕ ρ
//!
//! ```text
//! s·x = β·x + (1 − 2β)·ρ·x        ρ·x = m·ρ − ρ·r + 2^k (1 − msb m)·ρ·msb r
//! ```
//!
//! over Z_2^K, where what stands at 2^k is shared over Z_2^(K−k) alone. Where x < 0, s is 0, and so is s·x, whatever
//! these formulas make of x.

use cryptflow_mpc::{Cost, Error};

use crate::less_than::Sign;
use crate::scratch::Scratch;
use crate::share::{Masked, low_bits};
use crate::tuning::Tuning;
use crate::{Mirror, MirrorCosts};

/// Values that P2 deals for each comparison: ρ, ρ·r and ρ·msb r.
const EACH: usize = 3;

impl Tuning {
    /// Whether a choice is made in the large ring, of so many elements and comparisons of each, from Z_2^from to Z_2^to.
    pub(crate) fn wide_choice(&self, len: usize, comparisons: usize, from: u32, to: u32) -> bool {
        let (from, to, comparisons) = (u64::from(from), u64::from(to), comparisons as u64);
        let missing = to.saturating_sub(from);
        let apart = self.comes_to(len, 2 * from * comparisons + 2 * missing, to, 2);
        let wide = self.comes_to(len, (2 * to + missing) * comparisons + 2 * missing, to, 1);
        self.chooses_wide && from < to && wide <= apart
    }
}

impl Mirror {
    /// (β ⊕ ρ)·x over Z_2^K, K the bits of `ring`; with a limit, less (β' ⊕ ρ')·(x − limit), as [`Mirror::choose`]. One round.
    pub(crate) async fn choose_wide(
        &mut self,
        x: &Masked,
        sign: &Sign,
        limit: Option<u64>,
        ring: u32,
    ) -> Result<Masked, Error> {
        let k = x.bits;
        let (missing, narrow) = (ring - k, low_bits(k));
        let comparisons = if limit.is_some() { 2 } else { 1 };
        let (first, shared) = (if self.session.is_first() { u64::MAX } else { 0 }, EACH * comparisons);
        let mut dealt = [ring, ring, missing].repeat(comparisons);
        dealt.extend([missing; 2]);
        planted!(self.session.tuning, BareWideChoice: self.session.bare_next(true));
        self.session
            .deal_and_open(
                x.len(),
                &dealt,
                ring,
                // Behind those of the comparisons, q and msb r.
                |v, range, out| {
                    if v < shared {
                        sign.masks(v / EACH, range.clone(), out);
                    } else {
                        out.fill(u64::MAX);
                    }
                    let masks = x.a[range.clone()].iter().zip(&x.b[range]);
                    for (out, (r0, r1)) in out.iter_mut().zip(masks) {
                        let sum = r0.wrapping_add(*r1);
                        *out &= match (v < shared, v % EACH) {
                            (true, 0) => 1,
                            (true, 1) => sum & narrow,
                            (false, 0) => sum >> k & 1,
                            (true | false, _) => sum >> (k - 1) & 1,
                        };
                    }
                },
                |range, dealt, out| {
                    let mut beta = Scratch::of(out.len());
                    for (i, of_one) in dealt.chunks_exact(EACH).take(comparisons).enumerate() {
                        // The second comparison is of x − limit, which is subtracted.
                        let (down, negate) = if i == 0 { (0, 0) } else { (limit.unwrap_or(0), u64::MAX) };
                        sign.masks(i, range.clone(), &mut beta);
                        let x = x.a[range.clone()].iter().zip(&x.b[range.clone()]);
                        let high = dealt[shared].iter().zip(&dealt[shared + 1]);
                        let of_one = of_one[0].iter().zip(&of_one[1]).zip(&of_one[2]);
                        let rows = x.zip(high).zip(of_one).zip(&beta);
                        for (out, (((x, (wrap, top)), ((rho, rho_r), rho_top)), beta)) in
                            out.iter_mut().zip(rows)
                        {
                            let (m, r) = (x.0.wrapping_sub(down) & narrow, x.1);
                            let clear = (m >> (k - 1)).wrapping_sub(1);
                            let high = wrap.wrapping_add(clear & top) << k;
                            let plain = (m & first).wrapping_sub(*r).wrapping_add(high);
                            let product = m.wrapping_mul(*rho).wrapping_sub(*rho_r);
                            let product = product.wrapping_add((clear & rho_top) << k);
                            // β·plain + (1 − 2β)·product without a branch: negate under the mask β.
                            let y = (beta & plain).wrapping_add((product ^ beta).wrapping_sub(*beta));
                            let y = (y ^ negate).wrapping_sub(negate);
                            *out = if i == 0 { y } else { out.wrapping_add(y) };
                        }
                    }
                },
            )
            .await
    }
}

impl MirrorCosts {
    /// Its cost: for each comparison two values of the large ring dealt and one of the bits that are missing, two of these
    /// for all comparisons; one opening. One round.
    pub(crate) fn choose_wide(&self, len: usize, comparisons: usize, from: u32, to: u32) -> Cost {
        let missing = to - from;
        let dealt = [to, to, missing].repeat(comparisons).into_iter().chain([missing; 2]);
        dealt.fold(self.open_values(len, to), |cost, bits| cost + self.deal_values(len, bits))
    }
}

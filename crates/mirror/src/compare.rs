//! Comparisons with public thresholds, as zeros and ones that can be computed with.
//!
//! `x − t` is masked as x is, under m − t: its sign is found as a ReLU finds it (`less_than.rs`), a
//! bit β ⊕ ρ with β known to the evaluators and ρ to P2. P2 deals shares of ρ over Z_2^K, K the bits of the ring that the result shall have, and β ⊕ ρ
//! = β + (1 − 2β)·ρ is opened in masked form. Thresholds move m alone, so what is dealt of r's bits
//! serves all of them.

use cryptflow_mpc::{Cost, Error, Layout};
use cryptflow_operation::{Compare, Looks};

use crate::less_than::Sign;
use crate::share::{Masked, low_bits};
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// `[x >= t]` for each t, the elements for one after those for another, over Z_2^ring, as exact as [`Compare`] says.
    pub(crate) async fn compare(
        &mut self,
        x: &Masked,
        thresholds: &[i64],
        looks: Looks,
        ring: u32,
    ) -> Result<Masked, Error> {
        let moved: Vec<u64> = thresholds.iter().map(|&t| t.wrapping_add(looks.below()) as u64).collect();
        let (len, wave) = (x.len(), self.session.tuning.compared(thresholds.len()));
        let all = len * thresholds.len();
        let mut out = Masked { a: vec![0; all], b: vec![0; all], bits: ring };
        planted!(self.session.tuning, RewoundThresholds: self.session.mark());
        for (begin, (a, b)) in (0..).step_by(wave).zip(x.a.chunks(wave).zip(x.b.chunks(wave))) {
            planted!(self.session.tuning, RewoundThresholds: self.session.rewind());
            let part = Masked { a: a.to_vec(), b: b.to_vec(), bits: x.bits };
            let sign = self.sign(&part, &moved, looks).await?;
            let bits = self.bits(&sign, part.len(), thresholds.len(), ring).await?;
            if part.len() == len {
                return Ok(bits);
            }
            for (out, bits) in [(&mut out.a, &bits.a), (&mut out.b, &bits.b)] {
                for (out, bits) in out.chunks_mut(len).zip(bits.chunks(part.len())) {
                    out[begin..begin + bits.len()].copy_from_slice(bits);
                }
            }
        }
        Ok(out)
    }

    /// The bits of each element as numbers, threshold by threshold. One round.
    async fn bits(&mut self, sign: &Sign, len: usize, thresholds: usize, ring: u32) -> Result<Masked, Error> {
        let public = u64::from(self.session.is_first());
        // A block may hold the end of one threshold's elements and the begin of the next one's.
        let masks = |range: std::ops::Range<usize>, out: &mut [u64]| {
            let mut rest = out;
            let mut at = range.start;
            while !rest.is_empty() {
                let (threshold, element) = (at / len, at % len);
                let (now, later) = rest.split_at_mut((len - element).min(rest.len()));
                sign.masks(threshold, element..element + now.len(), now);
                at += now.len();
                rest = later;
            }
        };
        planted!(self.session.tuning, OnePadForBits: self.session.repeat_next(len));
        self.session
            .deal_and_open(
                len * thresholds,
                &[ring],
                ring,
                |_, range, out| {
                    masks(range, out);
                    out.iter_mut().for_each(|rho| *rho &= 1);
                },
                |range, rho, out| {
                    masks(range, out);
                    for (out, rho) in out.iter_mut().zip(&rho[0]) {
                        let beta = *out;
                        // Negate under the mask β, and let one evaluator add β.
                        *out = (rho ^ beta).wrapping_sub(beta).wrapping_add(beta & public);
                    }
                },
            )
            .await
    }
}

impl Masked {
    /// Public combinations: m and masks are combined alike, and m takes the offsets.
    pub(crate) fn combined(&self, factors: &[i64], offsets: &[i64], dealer: bool) -> Result<Masked, Error> {
        let n = cryptflow_mpc::combine::tensor_len(self.len(), factors, offsets)?;
        let nothing = vec![0; offsets.len()];
        let mask = low_bits(self.bits);
        let part = |v: &[u64], offsets: &[i64]| {
            let mut out = cryptflow_mpc::combine::combined(v, n, factors, offsets);
            out.iter_mut().for_each(|v| *v &= mask);
            out
        };
        let a = part(&self.a, if dealer { &nothing } else { offsets });
        Ok(Masked { a, b: part(&self.b, &nothing), bits: self.bits })
    }
}

impl MirrorCosts {
    /// A comparison's cost: for each threshold its sign, then a bit of r dealt and the result
    /// opened as numbers of the ring that they go to.
    pub(crate) fn compare(&self, x: Layout, compare: &Compare, ring_bits: u32) -> Cost {
        let thresholds = compare.thresholds.len();
        let mut cost = Cost::FREE;
        let wave = self.tuning.compared(thresholds);
        for start in (0..x.len).step_by(wave) {
            let n = wave.min(x.len - start);
            cost += self.sign(n, thresholds, compare.looks())
                + self.deal_values(thresholds * n, ring_bits)
                + self.open_values(thresholds * n, ring_bits);
        }
        cost
    }
}

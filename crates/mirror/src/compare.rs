//! Comparisons with public thresholds, as zeros and ones that can be computed with.
//!
//! `x − t` is masked as x is, under m − t: its sign is found as a ReLU finds it (`less_than.rs`), a bit β ⊕ ρ with β known to the
//! evaluators and ρ to P2. P2 deals shares of ρ over Z_2^K, and β ⊕ ρ = β + (1 − 2β)·ρ is opened in masked form.

use cryptflow_mpc::Error;

use crate::Mirror;
use crate::less_than::Sign;
use crate::share::{Masked, low_bits};

impl Mirror {
    /// `[x >= t]` for each t, the elements for one after those for another, over Z_2^K. Exact where every x − t fits `compare_bits`
    /// signed bits.
    pub(crate) fn compare_step(
        &mut self,
        x: &Masked,
        thresholds: &[i64],
        compare_bits: u32,
    ) -> Result<Masked, Error> {
        let all = x.shifted_by(thresholds, self.session.is_dealer());
        self.in_waves(&all, |mirror, x| {
            let sign = mirror.sign(x, compare_bits)?;
            mirror.bit(&sign, x.len())
        })
    }

    /// The bit of each element as a number. One round.
    fn bit(&mut self, sign: &Sign, len: usize) -> Result<Masked, Error> {
        let ring = self.session.ring_bits;
        let public = u64::from(self.session.is_first());
        self.session.deal_and_open(
            len,
            &[ring],
            ring,
            |_, range, out| {
                sign.masks(range, out);
                out.iter_mut().for_each(|rho| *rho &= 1);
            },
            |range, rho, out| {
                sign.masks(range, out);
                for (out, rho) in out.iter_mut().zip(&rho[0]) {
                    let beta = *out;
                    // Negate under the mask β, and let one evaluator add β.
                    *out = (rho ^ beta).wrapping_sub(beta).wrapping_add(beta & public);
                }
            },
        )
    }
}

impl Masked {
    /// x − t for each of the public constants t, one tensor after another: only m moves.
    fn shifted_by(&self, thresholds: &[i64], dealer: bool) -> Masked {
        let mask = low_bits(self.bits);
        let mut a = Vec::with_capacity(self.len() * thresholds.len());
        for &t in thresholds {
            let t = if dealer { 0 } else { t as u64 };
            a.extend(self.a.iter().map(|m| m.wrapping_sub(t) & mask));
        }
        Masked { a, b: self.b.repeat(thresholds.len()), bits: self.bits }
    }

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

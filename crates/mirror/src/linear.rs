//! Linear maps of secrets, and truncation: one local product a party, whatever the bilinear map B,
//! since
//!
//! ```text
//! B(x − d, w − e) + B(x + d, w + e) − 2·B(d, e) = 2·B(x, w)
//! ```
//!
//! Each of the three addends is shifted right by s = shift + 1 bits on its own. The wraps of their
//! sum are multiples of 2^K, after the shift of 2^k with k = K − s: they vanish mod 2^k. The result
//! is z / 2^shift rounded, −1, 0 or +1 unit in the last place, with mean error zero, for −2^(K−2) +
//! 2^(shift−1) <= z <= 2^(K−2) − 3·2^(shift−1) − 1.

use std::borrow::Cow;
use std::ops::Range;

use cryptflow_mpc::{Cost, Error, Layout, Term};
use cryptflow_ring::Drawn;
use cryptflow_ring::bilinear::bilinear_into;
use rayon::prelude::*;

use crate::session::CHUNK;
use crate::share::{Masked, MirroredWeight, WeightPart, low_bits};
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// `(Σ map(x, w) + bias) / 2^shift` over Z_2^(K − shift − 1), K the bits of the smallest ring of an
    /// x; `otherwise` where there is none. P2's addend is dealt; one round.
    pub(crate) async fn linear(
        &mut self,
        terms: &[Term<'_, Mirror>],
        bias: Option<&MirroredWeight>,
        shift: u32,
        otherwise: u32,
    ) -> Result<Masked, Error> {
        let ring = terms.iter().map(|term| term.x.bits).min().unwrap_or(otherwise);
        let range = |reason: String| Error::Range { operation: "linear", reason };
        // Without a term it is a constant: the bias alone.
        let len = terms.first().map(|t| t.map.output_len()).or(bias.map(|b| b.len));
        let len = len.ok_or_else(|| range("it has neither a term nor a bias".into()))?;
        let kept = terms.iter().map(|term| term.w.bits).chain(bias.map(|b| b.bits)).min().unwrap_or(ring);
        if kept < ring {
            return Err(range(format!("{kept} bits of a weight were kept, and its ring has {ring}")));
        }
        let mut z = vec![0; len];
        for term in terms {
            if term.map.output_len() != len {
                return Err(range("its terms have different shapes".into()));
            }
            let x = term.x.mirrored(self.session.is_dealer());
            match &term.w.part {
                WeightPart::Evaluator(w) | WeightPart::Difference(w) => {
                    bilinear_into(term.map, &x, w, ring, &mut z)?;
                }
                WeightPart::Dealer(seeds) => match seeds.kept(term.w.len, &mut self.session.common().room) {
                    Some(e) => bilinear_into(term.map, &x, e, ring, &mut z)?,
                    // All of it would be a layer's weights once more, to be read once.
                    None => {
                        let draw = seeds.draw();
                        bilinear_into(
                            term.map,
                            &x,
                            Drawn::new(term.w.len, term.w.bits, &draw),
                            ring,
                            &mut z,
                        )?;
                    }
                },
            }
        }
        // Both evaluators add their half of the bias: twice the bias, as there is twice the
        // product.
        let bias = match bias.map(|b| &b.part) {
            Some(WeightPart::Evaluator(b)) => b.borrowed().widened(),
            Some(WeightPart::Dealer(_) | WeightPart::Difference(_)) | None => Cow::default(),
        };
        planted!(self.session.tuning, BareConstant: self.session.bare_next(terms.is_empty()));
        self.open_truncated("linear", (z, ring), &bias, shift).await
    }

    /// A party's local product over Z_2^ring, half a bias added, truncated and opened. P2's addend is
    /// dealt; one round.
    pub(crate) async fn open_truncated(
        &mut self,
        operation: &'static str,
        (mut z, ring): (Vec<u64>, u32),
        bias: &[u64],
        shift: u32,
    ) -> Result<Masked, Error> {
        let s = shift + 1;
        if s >= ring {
            let reason = format!("a shift by {shift} bits leaves nothing of {ring} bits");
            return Err(Error::Range { operation, reason });
        }
        let k = ring - s;
        let (ring_mask, first) = (low_bits(ring), self.session.is_first());
        if self.session.is_dealer() {
            z.par_iter_mut()
                .with_min_len(CHUNK)
                .for_each(|z| *z = (z.wrapping_mul(2).wrapping_neg() & ring_mask) >> s);
        } else {
            // Half a unit, less what P2's even addend brings: with the 1 below, the mean error is
            // zero.
            let half = (1u64 << shift).wrapping_sub(2);
            let channels = bias.len().max(1);
            z.par_chunks_mut(channels * (CHUNK / channels).max(1)).for_each(|chunk| {
                for row in chunk.chunks_mut(channels) {
                    for (z, b) in row.iter_mut().zip(bias) {
                        *z = z.wrapping_add(*b);
                    }
                    for z in row {
                        *z = if first {
                            (z.wrapping_add(half) & ring_mask) >> s
                        } else {
                            ((*z & ring_mask) >> s).wrapping_add(1)
                        };
                    }
                }
            });
        }
        self.session.deal_and_open_sum(z, k).await
    }

    /// `x * factors / 2^shift` for public factors, over Z_2^(K − shift): two addends, nothing
    /// dealt, the error in (−1, 1) with mean zero. One round.
    pub(crate) async fn scale_public(
        &mut self,
        x: &Masked,
        factors: &[u64],
        shift: u32,
    ) -> Result<Masked, Error> {
        let range = |reason: String| Error::Range { operation: "scale public", reason };
        if factors.is_empty() || !x.len().is_multiple_of(factors.len()) {
            return Err(range(format!("{} factors do not go with {} elements", factors.len(), x.len())));
        }
        if shift >= x.bits {
            return Err(range(format!("a shift by {shift} bits leaves nothing of {} bits", x.bits)));
        }
        let (k, mask, first) = (x.bits - shift, low_bits(x.bits), self.session.is_first());
        let nothing = |_, _: Range<usize>, _: &mut [u64]| {};
        planted!(self.session.tuning, BareFactors: self.session.bare_next(true));
        self.session
            .deal_and_open(x.len(), &[], k, nothing, |range, _, out| {
                for (i, out) in range.zip(out) {
                    let c = factors[i % factors.len()];
                    *out = if first {
                        // Half a unit, less what the factor's low zero bits leave of the mean.
                        let low = if c == 0 { 1 << shift } else { c & c.wrapping_neg() };
                        let half = (1u64 << shift).saturating_sub(low);
                        c.wrapping_mul(x.a[i].wrapping_sub(x.b[i])).wrapping_add(half)
                    } else {
                        c.wrapping_mul(x.b[i]).wrapping_neg()
                    };
                    *out = (*out & mask) >> shift;
                }
            })
            .await
    }
}

impl Masked {
    /// This party's element of the mirrored view: x − d, x + d or d, with d = r0 − r1.
    pub(crate) fn mirrored(&self, dealer: bool) -> Vec<u64> {
        let times = if dealer { 1 } else { 2 };
        let mask = low_bits(self.bits);
        let mut out = vec![0; self.len()];
        out.par_chunks_mut(CHUNK).zip(self.a.par_chunks(CHUNK).zip(self.b.par_chunks(CHUNK))).for_each(
            |(out, (a, b))| {
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = a.wrapping_sub(b.wrapping_mul(times)) & mask;
                }
            },
        );
        out
    }
}

impl MirrorCosts {
    /// A truncation's cost: an addend dealt and the sum opened, over the ring that is left. One round.
    pub(crate) fn truncate(&self, result: Layout) -> Cost {
        self.deal_values(result.len, result.bits) + self.open_values(result.len, result.bits)
    }
}

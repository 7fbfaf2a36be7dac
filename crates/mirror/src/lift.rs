//! From the ring after a truncation into a larger one, Z_2^K.

use cryptflow_mpc::{Cost, Error, Layout};
use rayon::prelude::*;

use crate::session::CHUNK;
use crate::share::{Masked, low_bits};
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// Masked over Z_2^k to masked over Z_2^K: m and the masks stay, only the K − k high bits are
    /// opened. One round.
    ///
    /// As integers, with 0 <= x + offset <= 2^(k−1): x = m − r0 − r1 + 2^k (q + (1 − msb m)·msb r),
    /// where q is the wrap of r0 + r1. Offset 0 serves after a ReLU; 2^(k−2) for signed x, exact
    /// for |x| <= 2^(k−2).
    pub(crate) async fn lift(&mut self, x: Masked, offset: u64, ring: u32) -> Result<Masked, Error> {
        let k = x.bits;
        if k >= ring {
            return Ok(if k == ring { x } else { x.reduced(ring) });
        }
        let (high_bits, mask) = (ring - k, low_bits(k));
        let len = x.len();
        let shifted = |m: u64| m.wrapping_add(offset) & mask;
        planted!(self.session.tuning, BareLift: self.session.bare_next(true));
        let high = self
            .session
            .deal_and_open(
                len,
                &[high_bits, high_bits],
                high_bits,
                // q, then msb r. x.a and x.b are reduced mod 2^k, so the wrap of their sum is its bit
                // k.
                |v, range, out| {
                    let bit = if v == 0 { k } else { k - 1 };
                    for ((out, r0), r1) in out.iter_mut().zip(&x.a[range.clone()]).zip(&x.b[range]) {
                        *out = r0.wrapping_add(*r1) >> bit & 1;
                    }
                },
                |range, dealt, out| {
                    let dealt = dealt[0].iter().zip(&dealt[1]);
                    for ((out, m), (wrap, top)) in out.iter_mut().zip(&x.a[range]).zip(dealt) {
                        let clear = (shifted(*m) >> (k - 1)).wrapping_sub(1);
                        *out = wrap.wrapping_add(clear & top);
                    }
                },
            )
            .await?;
        let mut y = x;
        let (dealer, ring_mask) = (self.session.is_dealer(), low_bits(ring));
        y.a.par_iter_mut().with_min_len(CHUNK).zip(&high.a).for_each(|(a, h)| {
            let low = if dealer { *a } else { shifted(*a).wrapping_sub(offset) };
            *a = low.wrapping_add(h << k) & ring_mask;
        });
        y.b.par_iter_mut().with_min_len(CHUNK).zip(&high.b).for_each(|(b, h)| {
            *b = b.wrapping_add(h << k) & ring_mask;
        });
        y.bits = ring;
        Ok(y)
    }

    /// [`Mirror::lift`] for signed values.
    pub(crate) async fn widen(&mut self, x: &Masked, ring: u32) -> Result<Masked, Error> {
        if x.bits < 2 {
            return Err(Error::Range { operation: "widen", reason: format!("a ring of {} bits", x.bits) });
        }
        let offset = 1 << (x.bits - 2);
        self.in_waves(x, async |mirror, x| mirror.lift(x.clone(), offset, ring).await).await
    }
}

impl MirrorCosts {
    /// A lift's cost: two values of the missing bits dealt, one opened. One round.
    pub(crate) fn lift(&self, len: usize, from: u32, to: u32) -> Cost {
        if from >= to {
            return Cost::FREE;
        }
        let missing = to - from;
        self.deal_values(len, missing) + self.deal_values(len, missing) + self.open_values(len, missing)
    }

    /// The cost of widening.
    pub(crate) fn widen(&self, x: Layout, to: u32) -> Cost {
        Cost::in_waves(x.len, self.tuning.wave, |n| self.lift(n, x.bits, to))
    }
}

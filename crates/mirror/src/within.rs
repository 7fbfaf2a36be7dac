//! Whether inputs are within their bounds, as P1 and P0 learn, and no more.
//!
//! Bounds take few bits, k − 1 of them with a sign, and x may be any element of Z_2^K. Of x' = x mod
//! 2^k, which is masked as x is, [x' >= low] and [x' >= high + 1] are found as a comparison finds them
//! (`less_than.rs`), for whatever x' is: bits β ⊕ ρ with β known to the evaluators and ρ to P2. Then x'
//! is lifted to Z_2^K as z (`lift.rs`), which is exact where x' is within its bounds. All x are within
//! theirs if every first bit is one, every second bit zero, and x − z zero: if the evaluators' β are
//! P2's ¬ρ and ρ, and the difference of their m is that of the masks, which
//! P2 knows. Whether all that is the same is asked by P0 and P2 ([`cryptflow_mpc::same`]), of P1, which
//! tells P0. P2 hears nothing.

use cryptflow_mpc::same::{self, Roles};
use cryptflow_mpc::{Cost, Error, Party};
use cryptflow_operation::{Bounds, Looks};

use crate::mirror::PARTIES;
use crate::share::{Masked, low_bits};
use crate::{Mirror, MirrorCosts};

const ROLES: Roles = Roles { holders: [Party::P0, Party::P2], judge: Party::P1, told: &[Party::P0] };

/// The two ends of a value's bounds.
const ENDS: usize = 2;

impl Mirror {
    /// Exact for every element of Z_2^K, if the bounds hold at most half of them.
    pub(crate) async fn within(&mut self, values: &[(&Masked, Bounds)]) -> Result<(), Error> {
        let ring = self.session.ring_bits;
        let mut same = self.session.same(ROLES);
        let dealer = self.session.is_dealer();
        for (x, bounds) in values {
            if x.bits != ring || i128::from(bounds.high) - i128::from(bounds.low) >= 1 << (ring - 1) {
                let reason = format!(
                    "inputs of {} bits from {} to {} in a ring of {ring}",
                    x.bits, bounds.low, bounds.high
                );
                return Err(Error::Range { operation: "input check", reason });
            }
            let ends = [bounds.low as u64, (bounds.high as u64).wrapping_add(1)];
            let wave = self.session.tuning.compared(ENDS);
            let narrow = narrow(*bounds).min(ring);
            for (a, b) in x.a.chunks(wave).zip(x.b.chunks(wave)) {
                let part = Masked { a: a.to_vec(), b: b.to_vec(), bits: ring };
                let low = part.reduced(narrow);
                planted!(self.session.tuning, BareInputCheck: self.session.bare_signs = true);
                let sign = self.sign(&low, &ends, Looks::at_all(narrow)).await?;
                planted!(self.session.tuning, BareInputCheck: self.session.bare_signs = false);
                for (end, complement) in [dealer, false].into_iter().enumerate() {
                    same.update(&sign.written(end, complement));
                }
                if narrow < ring {
                    let lifted = self.lift(low, 1 << (narrow - 2), ring).await?;
                    same.update(&differences(&part, &lifted, dealer));
                }
            }
        }
        match self.session.answered(same).await? {
            Some(false) => Err(Error::Outside),
            Some(true) | None => Ok(()),
        }
    }
}

/// Bits k of the ring in which inputs are compared with these bounds, and from which they are lifted:
/// the bounds are within −2^(k−2) to 2^(k−2) − 1.
fn narrow(bounds: Bounds) -> u32 {
    let largest = [bounds.low, bounds.high].map(|end| if end < 0 { !end } else { end }.unsigned_abs());
    let [low, high] = largest.map(|largest| u64::BITS - largest.leading_zeros());
    2 + low.max(high).max(1)
}

/// What a party knows of x − z, each of which is m − r0 − r1, in bytes: the evaluators the difference of
/// the m, P2 that of the masks. They are the same where x is z.
fn differences(x: &Masked, z: &Masked, dealer: bool) -> Vec<u8> {
    let mask = low_bits(x.bits);
    let of =
        |x: &[u64], z: &[u64]| -> Vec<u64> { x.iter().zip(z).map(|(x, z)| x.wrapping_sub(*z)).collect() };
    let mut found = of(&x.a, &z.a);
    if dealer {
        found.iter_mut().zip(of(&x.b, &z.b)).for_each(|(a, b)| *a = a.wrapping_add(b));
    }
    found.into_iter().flat_map(|word| (word & mask).to_le_bytes()).collect()
}

impl MirrorCosts {
    /// What it costs to find out whether inputs of these lengths are within these bounds.
    pub(crate) fn within(&self, inputs: &[(usize, Bounds)], ring_bits: u32) -> Cost {
        let compared = |(len, bounds): &(usize, Bounds)| {
            let narrow = narrow(*bounds).min(ring_bits);
            let step = |n| self.sign(n, ENDS, Looks::at_all(narrow)) + self.lift(n, narrow, ring_bits);
            Cost::in_waves(*len, self.tuning.compared(ENDS), step)
        };
        inputs.iter().fold(same::cost(PARTIES, ROLES), |cost, input| cost + compared(input))
    }
}

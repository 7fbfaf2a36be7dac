//! Inputs of a run that is dealt ahead. P2 has dealt for masks of its own, r0 from its key with P0 and r1
//! from that with P1, as it did not know those that the owner of an input would choose. So the evaluators
//! take x = m' − s0 − s1, as its owner shared it, and open it under r0 and r1: P0 sends m' − s0 + r0, P1
//! sends −s1 + r1, and m = x + r0 + r1 is the sum. P2 is not needed for it.

use std::ops::Range;

use cryptflow_mpc::{Cost, Error};

use crate::share::{Masked, Part, expand, read_part, unpacked};
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// This party's side of a run that is dealt ahead.
    pub(crate) fn dealt_ahead(mut self) -> Mirror {
        self.ahead = true;
        self
    }

    /// Takes an input from its owner, under fresh masks. P2, which deals, has no part of it. One round.
    pub(crate) async fn take_ahead(
        &mut self,
        name: &str,
        len: usize,
        part: Vec<u8>,
    ) -> Result<Masked, Error> {
        let bits = self.session.ring_bits;
        if self.session.is_dealer() {
            if part.is_empty() {
                return self.mask_anew(len, &[], &[]).await;
            }
            let reason = "the dealer has no part of an input of a run that it deals ahead".into();
            return Err(Error::Share { name: name.into(), reason });
        }
        match read_part(name, &part, false, len, bits)? {
            Part::Evaluator(seed, m) => {
                self.mask_anew(len, &unpacked(m, len, bits), &expand(&seed, len, bits)).await
            }
            Part::Dealer(_) => self.mask_anew(len, &[], &[]).await,
        }
    }

    /// Opens x = m − s0 − s1 under fresh masks; `own` is an evaluator's s. P2 has neither.
    pub(crate) async fn mask_anew(&mut self, len: usize, m: &[u64], own: &[u64]) -> Result<Masked, Error> {
        let (bits, first) = (self.session.ring_bits, self.session.is_first());
        let nothing = |_, _: Range<usize>, _: &mut [u64]| {};
        self.session
            .deal_and_open(len, &[], bits, nothing, |range, _, out| {
                for ((out, m), s) in out.iter_mut().zip(&m[range.clone()]).zip(&own[range]) {
                    *out = if first { m.wrapping_sub(*s) } else { s.wrapping_neg() };
                }
            })
            .await
    }
}

impl MirrorCosts {
    /// What it costs to mask an input anew.
    pub(crate) fn masked_anew(&self, len: usize, ring_bits: u32) -> Cost {
        self.open_values(len, ring_bits)
    }
}

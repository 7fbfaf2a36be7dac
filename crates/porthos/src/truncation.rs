//! Truncation, in two ways.
//!
//! **Local**, as published (from SecureML): each evaluator shifts its own share, and nothing is
//! sent.
//!
//! For z = z0 + z1 mod 2^64 the result is ⌊z / 2^f⌋ or one more, and exact where 2^f divides z; its
//! mean error is zero. With probability |z| / 2^64 (over the shares) the shares wrap around
//! otherwise than z, and the result is off by 2^(64 − f). The number of elements, their size and
//! their scale make this a property of a program: see [`failure_probability`].
//!
//! **Dealt**, which never fails: P0 and P1 open m = z + 2^62 + r for a mask r that P2 knows, and P2
//! deals r >> f and the top bit of r. For
//! |z| < 2^62 the sum z + 2^62 lies below 2^63, so it wraps past m exactly where m's top bit is 0 and r's is 1:
//! (z + 2^62) / 2^f = (m >> f) − (r >> f) + 2^(64−f)·(1 − msb m)·msb r, rounded down or one more.
//! Each evaluator sees m under the other's half of r; P2 sees nothing. 32 bytes an element, and one
//! round.

use cryptflow_mpc::stream::Ring;
use cryptflow_mpc::{Cost, Error, Party};

use crate::PorthosCosts;
use crate::odd;
use crate::session::{Dealt, Session, WORD, draw};

/// How products come back to the scale of their factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// As published: nothing is sent, and it fails with probability |z| / 2^64.
    #[default]
    Local,
    /// With P2's help, for |z| < 2^62: it never fails.
    Dealt,
}

impl<const L: u32> Session<L> {
    /// Added to z, so that it is not negative.
    const OFFSET: u64 = 1 << (L - 2);

    /// `share / 2^shift`, as the session truncates. All three parties call it; P2's share is empty.
    pub(crate) fn truncate(&mut self, share: &mut [u64], len: usize, shift: u32) -> Result<(), Error> {
        match self.truncation {
            Truncation::Local => truncate::<L>(self.party, share, shift),
            Truncation::Dealt if shift > 0 && len > 0 => self.truncate_dealt(share, len, shift)?,
            Truncation::Dealt => {}
        }
        Ok(())
    }

    fn truncate_dealt(&mut self, share: &mut [u64], len: usize, shift: u32) -> Result<(), Error> {
        planted!(self.tuning, BareTruncation: self.plant.bare_next());
        match self.dealt() {
            Dealt::Dealer([k02, k12]) => {
                let (r0, r1) = (draw::<L>(k02, len), draw::<L>(k12, len));
                let r: Vec<u64> = r0.iter().zip(&r1).map(|(a, b)| odd::add_words::<L>(*a, *b)).collect();
                self.deal_words(len, &r.iter().map(|r| r >> shift).collect::<Vec<_>>())?;
                self.deal_words(len, &r.iter().map(|r| r >> (L - 1)).collect::<Vec<_>>())?;
            }
            Dealt::Evaluator(own) => {
                let first = self.is_first();
                let offset = if first { Self::OFFSET } else { 0 };
                let z = share.iter().map(|z| z.wrapping_add(offset)).collect();
                let m = self.exchange(&Ring(L), self.hide(&Ring(L), z, own).0)?;
                let (low, top) = (self.deal_words(len, &[])?, self.deal_words(len, &[])?);
                for (((z, m), low), top) in share.iter_mut().zip(&m).zip(&low).zip(&top) {
                    let public = if first { (m >> shift).wrapping_sub(Self::OFFSET >> shift) } else { 0 };
                    let wrap = (1 - (m >> (L - 1))).wrapping_mul(*top) << (L - shift);
                    *z = public.wrapping_sub(*low).wrapping_add(wrap);
                }
            }
        }
        Ok(())
    }
}

/// Shifts a share in place: P0's as a signed number, P1's negated, so that one rounds down and the
/// other up.
pub(crate) fn truncate<const L: u32>(party: Party, share: &mut [u64], shift: u32) {
    let signed = |v: u64| ((v << (64 - L)) as i64) >> (64 - L);
    match party {
        Party::P0 => share.iter_mut().for_each(|v| *v = (signed(*v) >> shift) as u64),
        Party::P1 => {
            share.iter_mut().for_each(|v| *v = (signed(v.wrapping_neg()) >> shift).wrapping_neg() as u64)
        }
        _ => {}
    }
}

/// An upper bound of the probability that any of `len` truncations fails, when no value before the
/// shift is larger than `largest` (which has twice the scale of the result).
pub fn failure_probability(len: u64, largest: u64) -> f64 {
    (len as f64 * largest as f64 / 2f64.powi(64)).min(1.0)
}

impl PorthosCosts {
    /// Nothing where it is local; else an opening and two dealt words an element.
    pub(crate) fn truncation(&self, len: usize, shift: u32) -> Cost {
        if self.truncation == Truncation::Local || shift == 0 || len == 0 {
            return Cost::FREE;
        }
        self.exchanged(len as u64, len, 2 * WORD as u64)
    }
}

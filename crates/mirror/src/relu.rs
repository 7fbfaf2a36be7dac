//! ReLU: compare, choose, open, lift.

use cryptflow_mpc::Error;
use cryptflow_ring::planes::expand_masks;
use rayon::prelude::*;

use crate::Mirror;
use crate::less_than::Sign;
use crate::session::{BLOCK, WAVE};
use crate::share::{Masked, low_bits};

/// Additive shares over Z_2^bits; P2's is empty, as it holds none.
pub(crate) struct Additive {
    pub(crate) shares: Vec<u64>,
}

impl Mirror {
    /// `max(x, 0)`, exact for −2^(c−1) <= x < 2^(c−1); over Z_2^K if `widen`, else over x's ring.
    pub(crate) fn relu_step(&mut self, x: &Masked, compare_bits: u32, widen: bool) -> Result<Masked, Error> {
        self.in_waves(x, |mirror, x| {
            let sign = mirror.sign(x, compare_bits)?;
            let y = mirror.choose(x, &sign)?;
            let y = mirror.open_additive(x.len(), x.bits, &y)?;
            if widen { mirror.lift(y, 0) } else { Ok(y) }
        })
    }

    /// `min(max(x, 0), limit) = relu(x) − relu(x − limit)`: both comparisons side by side, one opening.
    pub(crate) fn clipped_relu_step(
        &mut self,
        x: &Masked,
        limit: u64,
        compare_bits: u32,
        widen: bool,
    ) -> Result<Masked, Error> {
        self.in_waves(x, |mirror, x| {
            let n = x.len();
            let both = x.with_shifted(limit, mirror.session.is_dealer());
            let sign = mirror.sign(&both, compare_bits)?;
            let y = mirror.choose(&both, &sign)?;
            let y = Additive {
                shares: y
                    .shares
                    .iter()
                    .zip(y.shares.get(n..).unwrap_or(&[]))
                    .map(|(a, b)| a.wrapping_sub(*b))
                    .collect(),
            };
            let y = mirror.open_additive(n, x.bits, &y)?;
            if widen { mirror.lift(y, 0) } else { Ok(y) }
        })
    }

    /// Additive shares of (β ⊕ ρ)·x in x's ring; P2 deals shares of ρ and ρ·r.
    ///
    /// With x = plain0 + plain1, plain0 = m − r0 and plain1 = −r1:
    /// (β ⊕ ρ)·x = β·x + (1 − 2β)·ρ·x, and ρ·x = m·ρ − ρ·r.
    pub(crate) fn choose(&mut self, x: &Masked, sign: &Sign) -> Result<Additive, Error> {
        let (len, bits) = (x.len(), x.bits);
        let rho = self.session.deal_values(len, bits, |range, out| {
            expand_masks(sign.block(range.start / BLOCK), out);
            for rho in out {
                *rho &= 1;
            }
        })?;
        let rho_r = self.session.deal_values(len, bits, |range, out| {
            expand_masks(sign.block(range.start / BLOCK), out);
            for ((rho, r0), r1) in out.iter_mut().zip(&x.a[range.clone()]).zip(&x.b[range]) {
                *rho &= r0.wrapping_add(*r1);
            }
        })?;
        let first = if self.session.is_first() { u64::MAX } else { 0 };
        let mut shares = vec![0; rho.len()];
        shares.par_chunks_mut(BLOCK).enumerate().for_each(|(block, out)| {
            let range = block * BLOCK..block * BLOCK + out.len();
            let mut beta = vec![0; out.len()];
            expand_masks(sign.block(block), &mut beta);
            let x = x.a[range.clone()].iter().zip(&x.b[range.clone()]);
            let dealt = rho[range.clone()].iter().zip(&rho_r[range]);
            for (((out, beta), (m, r)), (g0, g1)) in out.iter_mut().zip(&beta).zip(x).zip(dealt) {
                let plain = (m & first).wrapping_sub(*r);
                let product = m.wrapping_mul(*g0).wrapping_sub(*g1);
                // β·plain + (1 − 2β)·product without a branch: negate under the mask β.
                *out = (beta & plain).wrapping_add((product ^ beta).wrapping_sub(*beta));
            }
        });
        Ok(Additive { shares })
    }

    /// Opens additive shares into masked form.
    pub(crate) fn open_additive(&mut self, len: usize, bits: u32, y: &Additive) -> Result<Masked, Error> {
        self.session.open_values(len, bits, |range, out| out.copy_from_slice(&y.shares[range]))
    }

    /// Runs a step on at most [`WAVE`] elements at a time: the material of a comparison is many times larger than its input.
    pub(crate) fn in_waves(
        &mut self,
        x: &Masked,
        mut step: impl FnMut(&mut Mirror, &Masked) -> Result<Masked, Error>,
    ) -> Result<Masked, Error> {
        if x.len() <= WAVE {
            return step(self, x);
        }
        let mut out = Masked { a: Vec::with_capacity(x.len()), b: Vec::with_capacity(x.len()), bits: x.bits };
        for (a, b) in x.a.chunks(WAVE).zip(x.b.chunks(WAVE)) {
            let part = step(self, &Masked { a: a.to_vec(), b: b.to_vec(), bits: x.bits })?;
            out.a.extend(part.a);
            out.b.extend(part.b);
            out.bits = part.bits;
        }
        Ok(out)
    }
}

impl Masked {
    /// x, followed by x − c for a public constant c: only m moves.
    pub(crate) fn with_shifted(&self, c: u64, dealer: bool) -> Masked {
        let mask = low_bits(self.bits);
        let c = if dealer { 0 } else { c };
        let a = self.a.iter().copied().chain(self.a.iter().map(|m| m.wrapping_sub(c) & mask)).collect();
        Masked { a, b: self.b.repeat(2), bits: self.bits }
    }
}

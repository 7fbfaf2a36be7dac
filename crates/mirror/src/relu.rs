//! ReLU: compare, choose, open, lift.

use cryptflow_mpc::{Cost, Error, Layout};
use cryptflow_operation::{Activation, Looks, Rectifier};

use crate::less_than::Sign;
use crate::scratch::Scratch;
use crate::share::Masked;
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// `max(x, 0)`, as exact as [`Activation`] says, and never negative within its range, so that it can be lifted; over Z_2^widen if there is such a
    /// ring, else over x's.
    pub(crate) async fn relu(
        &mut self,
        x: &Masked,
        looks: Looks,
        widen: Option<u32>,
    ) -> Result<Masked, Error> {
        self.in_waves(x, async |mirror, x| {
            let sign = mirror.sign(x, &[looks.below() as u64], looks).await?;
            mirror.chosen(x, &sign, None, widen).await
        })
        .await
    }

    /// `min(max(x, 0), limit) = relu(x) − relu(x − limit)`: both comparisons side by side, one
    /// opening.
    pub(crate) async fn clipped_relu(
        &mut self,
        x: &Masked,
        limit: u64,
        looks: Looks,
        widen: Option<u32>,
    ) -> Result<Masked, Error> {
        self.in_waves(x, async |mirror, x| {
            // What skipped bits lose makes x − limit count as zero from above the limit in the first case, and as more than
            // that from below it in the second: so the result never exceeds the limit.
            let sign = mirror.sign(x, &[looks.below() as u64, limit], looks).await?;
            mirror.chosen(x, &sign, Some(limit), widen).await
        })
        .await
    }

    /// The choice, and the lift where the result is to be in a larger ring.
    async fn chosen(
        &mut self,
        x: &Masked,
        sign: &Sign,
        limit: Option<u64>,
        widen: Option<u32>,
    ) -> Result<Masked, Error> {
        let comparisons = if limit.is_some() { 2 } else { 1 };
        let tuning = self.session.tuning;
        match widen {
            Some(ring) if tuning.wide_choice(x.len(), comparisons, x.bits, ring) => {
                self.choose_wide(x, sign, limit, ring).await
            }
            Some(ring) => {
                let y = self.choose(x, sign, limit).await?;
                self.lift(y, 0, ring).await
            }
            None => self.choose(x, sign, limit).await,
        }
    }

    /// (β ⊕ ρ)·x in masked form; P2 deals shares of ρ and ρ·r. With a limit, less (β' ⊕ ρ')·(x −
    /// limit), where β' and ρ' follow β and ρ in `sign`. One round.
    ///
    /// With x = plain0 + plain1, plain0 = m − r0 and plain1 = −r1:
    /// (β ⊕ ρ)·x = β·x + (1 − 2β)·ρ·x, and ρ·x = m·ρ − ρ·r.
    async fn choose(&mut self, x: &Masked, sign: &Sign, limit: Option<u64>) -> Result<Masked, Error> {
        let (len, bits) = (x.len(), x.bits);
        let (first, is_first) = (if self.session.is_first() { u64::MAX } else { 0 }, self.session.is_first());
        let dealt = vec![bits; if limit.is_some() { 4 } else { 2 }];
        self.session
            .deal_and_open(
                len,
                &dealt,
                bits,
                |v, range, out| {
                    sign.masks(v / 2, range.clone(), out);
                    for ((rho, r0), r1) in out.iter_mut().zip(&x.a[range.clone()]).zip(&x.b[range]) {
                        *rho &= if v % 2 == 0 { 1 } else { r0.wrapping_add(*r1) };
                    }
                },
                |range, dealt, out| {
                    let mut beta = Scratch::of(out.len());
                    for (i, dealt) in dealt.chunks_exact(2).enumerate() {
                        // The second comparison is of x − limit, which is subtracted.
                        let (down, negate) = if i == 0 { (0, 0) } else { (limit.unwrap_or(0), u64::MAX) };
                        let own_down = if is_first { down } else { 0 };
                        sign.masks(i, range.clone(), &mut beta);
                        let x = x.a[range.clone()].iter().zip(&x.b[range.clone()]);
                        let rows = x.zip(dealt[0].iter().zip(&dealt[1]));
                        for ((out, beta), ((m, r), (rho, rho_r))) in out.iter_mut().zip(&beta).zip(rows) {
                            let plain = (m & first).wrapping_sub(*r).wrapping_sub(own_down);
                            let product = m.wrapping_sub(down).wrapping_mul(*rho).wrapping_sub(*rho_r);
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

    /// Runs a step on at most a wave's elements at a time: the material of a comparison is many
    /// times larger than its input.
    pub(crate) async fn in_waves(
        &mut self,
        x: &Masked,
        mut step: impl AsyncFnMut(&mut Mirror, &Masked) -> Result<Masked, Error>,
    ) -> Result<Masked, Error> {
        let wave = self.session.tuning.wave;
        if x.len() <= wave {
            return step(self, x).await;
        }
        let mut out = Masked { a: Vec::with_capacity(x.len()), b: Vec::with_capacity(x.len()), bits: x.bits };
        planted!(self.session.tuning, RewoundWaves: self.session.mark());
        for (a, b) in x.a.chunks(wave).zip(x.b.chunks(wave)) {
            planted!(self.session.tuning, RewoundWaves: self.session.rewind());
            let part = step(self, &Masked { a: a.to_vec(), b: b.to_vec(), bits: x.bits }).await?;
            out.a.extend(part.a);
            out.b.extend(part.b);
            out.bits = part.bits;
        }
        Ok(out)
    }
}

impl MirrorCosts {
    /// A choice's cost: two values dealt for each of `copies` comparisons, one opening. One round.
    fn choose(&self, len: usize, copies: usize, bits: u32) -> Cost {
        let opened = self.open_values(len, bits);
        (0..2 * copies).fold(opened, |cost, _| cost + self.deal_values(len, bits))
    }

    /// An activation's cost, its result over Z_2^to.
    pub(crate) fn activation(&self, x: Layout, activation: &Activation, to: u32) -> Cost {
        let thresholds = match activation.function {
            Rectifier::Relu => 1,
            Rectifier::ClippedRelu { .. } => 2,
        };
        self.rectify(x, thresholds, activation.looks(), to)
    }

    /// `thresholds` comparisons of each of `x.len` elements, a choice and a lift.
    pub(crate) fn rectify(&self, x: Layout, thresholds: usize, looks: Looks, to: u32) -> Cost {
        Cost::in_waves(x.len, self.tuning.wave, |n| {
            let chosen = if self.tuning.wide_choice(n, thresholds, x.bits, to) {
                self.choose_wide(n, thresholds, x.bits, to)
            } else {
                self.choose(n, thresholds, x.bits) + self.lift(n, x.bits, to)
            };
            self.sign(n, thresholds, looks) + chosen
        })
    }
}

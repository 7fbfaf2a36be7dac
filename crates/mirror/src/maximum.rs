//! Maximum of two values, and over windows.

use cryptflow_mpc::{Cost, Error, Layout};
use cryptflow_operation::{Looks, MaxPool};
use cryptflow_ring::Window;
use cryptflow_ring::pool::taps;

use crate::share::{Masked, low_bits};
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// max(a, b) = b + relu(a − b) in their own ring, of the first and the second half of `pairs`, which
    /// keeps the maxima: b where a is larger by so little that skipped bits do not tell.
    async fn maxima(&mut self, pairs: &mut Masked, looks: Looks) -> Result<(), Error> {
        let (half, mask) = (pairs.len() / 2, low_bits(pairs.bits));
        let difference = |v: &[u64]| {
            let (a, b) = v.split_at(half);
            a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b) & mask).collect()
        };
        let difference = Masked { a: difference(&pairs.a), b: difference(&pairs.b), bits: pairs.bits };
        let positive = self.relu(&difference, looks, None).await?;
        let mask = low_bits(positive.bits);
        for (v, positive) in [(&mut pairs.a, &positive.a), (&mut pairs.b, &positive.b)] {
            let (a, b) = v.split_at_mut(half);
            for ((a, b), positive) in a.iter_mut().zip(b).zip(positive) {
                *a = positive.wrapping_add(*b) & mask;
            }
            v.truncate(half);
        }
        pairs.bits = positive.bits;
        Ok(())
    }

    /// Maximum over windows of NHWC, one axis after the other. A tap in the padding is read as
    /// another tap of the same window, which leaves the maximum unchanged.
    pub(crate) async fn max_pool(
        &mut self,
        x: &Masked,
        input: [usize; 4],
        window: &Window,
        looks: Looks,
    ) -> Result<Masked, Error> {
        let [n, h, w, c] = input;
        if x.len() != n * h * w * c {
            return Err(Error::Range {
                operation: "max pool",
                reason: format!("{} elements do not make {input:?}", x.len()),
            });
        }
        let axis = |i: usize, len| {
            taps(len, window.kernel[i], window.stride[i], window.dilation[i], window.padding[i])
        };
        let (rows, columns) = (axis(0, h)?, axis(1, w)?);
        let across = self.max_along(x, n * h, w, c, &columns, looks).await?;
        self.max_along(&across, n, h, columns.len() * c, &rows, looks).await
    }

    /// x of `[outer, len, inner]`: maximum over `taps[o]` along the middle axis for each output o,
    /// as a tournament.
    async fn max_along(
        &mut self,
        x: &Masked,
        outer: usize,
        len: usize,
        inner: usize,
        taps: &[Vec<usize>],
        looks: Looks,
    ) -> Result<Masked, Error> {
        let count = taps.first().map_or(0, Vec::len);
        let each = outer * taps.len() * inner;
        // Candidate t of every output, one candidate after another.
        let pick = |v: &[u64]| {
            let mut out = Vec::with_capacity(count * each);
            for t in 0..count {
                for row in v.chunks_exact((len * inner).max(1)).take(outer) {
                    for positions in taps {
                        out.extend_from_slice(&row[positions[t] * inner..][..inner]);
                    }
                }
            }
            out
        };
        let mut candidates = Masked { a: pick(&x.a), b: pick(&x.b), bits: x.bits };
        planted!(self.session.tuning, RewoundTournament: self.session.mark());
        let mut left = count;
        while left > 1 {
            planted!(self.session.tuning, RewoundTournament: self.session.rewind());
            // The last of an odd number waits.
            let paired = left / 2 * 2 * each;
            let odd = [candidates.a.split_off(paired), candidates.b.split_off(paired)];
            self.maxima(&mut candidates, looks).await?;
            candidates.a.extend_from_slice(&odd[0]);
            candidates.b.extend_from_slice(&odd[1]);
            left = left.div_ceil(2);
        }
        Ok(candidates)
    }
}

impl Masked {
    fn zip(&self, other: &Masked, f: impl Fn(u64, u64) -> u64) -> Masked {
        let bits = self.bits.min(other.bits);
        let mask = low_bits(bits);
        let apply = |x: &[u64], y: &[u64]| x.iter().zip(y).map(|(x, y)| f(*x, *y) & mask).collect();
        Masked { a: apply(&self.a, &other.a), b: apply(&self.b, &other.b), bits }
    }

    /// x + y in the smaller of their rings: m and masks add up.
    pub(crate) fn add(&self, other: &Masked) -> Masked {
        self.zip(other, u64::wrapping_add)
    }

    /// x − y in the smaller of their rings.
    pub(crate) fn sub(&self, other: &Masked) -> Masked {
        self.zip(other, u64::wrapping_sub)
    }
}

impl MirrorCosts {
    /// The cost of a maximum over windows: a tournament along one axis, then along the other.
    pub(crate) fn max_pool(&self, x: Layout, pool: &MaxPool) -> Cost {
        let ([n, h, w, c], window) = (pool.input, &pool.window);
        let along = |i: usize, len: usize| {
            taps(len, window.kernel[i], window.stride[i], window.dilation[i], window.padding[i])
                .map_or((0, 0), |t| (t.len(), t.first().map_or(0, Vec::len)))
        };
        let ((rows, row_taps), (columns, column_taps)) = (along(0, h), along(1, w));
        self.tournament(n * h * columns * c, column_taps, x.bits, pool.looks())
            + self.tournament(n * rows * columns * c, row_taps, x.bits, pool.looks())
    }

    /// The tournament over `taps` candidates of `len` outputs.
    fn tournament(&self, len: usize, taps: usize, bits: u32, looks: Looks) -> Cost {
        let mut cost = Cost::FREE;
        let mut candidates = taps;
        while candidates > 1 {
            let pairs = candidates / 2;
            cost += self.rectify(Layout { len: pairs * len, bits }, 1, looks, bits);
            candidates -= pairs;
        }
        cost
    }
}

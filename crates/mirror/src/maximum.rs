//! Maximum of two values, and over windows.

use cryptflow_mpc::{Cost, Error, Layout};
use cryptflow_operation::MaxPool;
use cryptflow_ring::Window;
use cryptflow_ring::pool::taps;

use crate::share::{Masked, low_bits};
use crate::{Mirror, MirrorCosts};

impl Mirror {
    /// max(a, b) = b + relu(a − b) in their own ring. Exact where −2^(c−1) <= a − b < 2^(c−1).
    fn maximum(&mut self, a: &Masked, b: &Masked, compare_bits: u32) -> Result<Masked, Error> {
        let difference = a.sub(b);
        let positive = self.relu(&difference, compare_bits, false)?;
        Ok(positive.add(b))
    }

    /// Maximum over windows of NHWC, one axis after the other. A tap in the padding is read as
    /// another tap of the same window, which leaves the maximum unchanged.
    pub(crate) fn max_pool(
        &mut self,
        x: &Masked,
        input: [usize; 4],
        window: &Window,
        compare_bits: u32,
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
        let across = self.max_along(x, n * h, w, c, &columns, compare_bits)?;
        self.max_along(&across, n, h, columns.len() * c, &rows, compare_bits)
    }

    /// x of `[outer, len, inner]`: maximum over `taps[o]` along the middle axis for each output o,
    /// as a tournament.
    fn max_along(
        &mut self,
        x: &Masked,
        outer: usize,
        len: usize,
        inner: usize,
        taps: &[Vec<usize>],
        compare_bits: u32,
    ) -> Result<Masked, Error> {
        let count = taps.first().map_or(0, Vec::len);
        // Candidate t of every output.
        let mut candidates: Vec<Masked> = (0..count)
            .map(|t| {
                let pick = |v: &[u64]| {
                    let mut out = Vec::with_capacity(outer * taps.len() * inner);
                    for o in 0..outer {
                        for positions in taps {
                            let at = (o * len + positions[t]) * inner;
                            out.extend_from_slice(&v[at..at + inner]);
                        }
                    }
                    out
                };
                Masked { a: pick(&x.a), b: pick(&x.b), bits: x.bits }
            })
            .collect();
        planted!(self.session.tuning, RewoundTournament: self.session.mark());
        while candidates.len() > 1 {
            planted!(self.session.tuning, RewoundTournament: self.session.rewind());
            let odd = if candidates.len() % 2 == 1 { candidates.pop() } else { None };
            let half = candidates.len() / 2;
            let second = concat(candidates.split_off(half), x.bits);
            let first = concat(candidates, x.bits);
            let winners = self.maximum(&first, &second, compare_bits)?;
            let each = winners.len() / half;
            candidates = (0..half)
                .map(|i| Masked {
                    a: winners.a[i * each..(i + 1) * each].to_vec(),
                    b: winners.b[i * each..(i + 1) * each].to_vec(),
                    bits: winners.bits,
                })
                .collect();
            candidates.extend(odd);
        }
        Ok(candidates.pop().unwrap_or(Masked { a: Vec::new(), b: Vec::new(), bits: x.bits }))
    }
}

fn concat(parts: Vec<Masked>, bits: u32) -> Masked {
    let mut out = Masked { a: Vec::new(), b: Vec::new(), bits };
    for part in parts {
        out.a.extend(part.a);
        out.b.extend(part.b);
    }
    out
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
        self.tournament(n * h * columns * c, column_taps, x.bits, pool.compare_bits)
            + self.tournament(n * rows * columns * c, row_taps, x.bits, pool.compare_bits)
    }

    /// The tournament over `taps` candidates of `len` outputs.
    fn tournament(&self, len: usize, taps: usize, bits: u32, compare_bits: u32) -> Cost {
        let mut cost = Cost::FREE;
        let mut candidates = taps;
        while candidates > 1 {
            let pairs = candidates / 2;
            cost += self.rectify(Layout { len: pairs * len, bits }, 1, compare_bits, bits);
            candidates -= pairs;
        }
        cost
    }
}

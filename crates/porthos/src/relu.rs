//! DReLU, `x >= 0`, and ReLU, x·DReLU(x): 536 bytes for each element, nine messages one after
//! another.
//!
//! 2x is shared modulo N by ShareConvert (it is even, so it is not N), and its most significant bit
//! is the sign of x where −2^62 <= x < 2^62.

use cryptflow_mpc::{Cost, Error};

use crate::session::Session;
use crate::share::Share;
use crate::{PorthosCosts, odd};

/// Comparisons are exact for numbers of this many signed bits.
pub const COMPARE_BITS: u32 = 63;

impl<const L: u32> Session<L> {
    /// Shares of 1 where x >= 0 and of 0 elsewhere.
    pub(crate) fn derivative(&mut self, x: &[u64], len: usize) -> Result<Vec<u64>, Error> {
        let doubled: Vec<u64> = x.iter().map(|x| odd::add_words::<L>(*x, *x)).collect();
        let converted = self.share_convert(&doubled, len)?;
        let mut sign = self.msb(&converted, len)?;
        let one = self.one();
        sign.iter_mut().for_each(|s| *s = one.wrapping_sub(*s));
        Ok(sign)
    }

    /// Shares of max(x, 0).
    pub(crate) fn relu(&mut self, x: &[u64], len: usize) -> Result<Vec<u64>, Error> {
        let mut out = Vec::with_capacity(x.len());
        planted!(self.tuning, RewoundWaves: self.mark());
        for wave in self.tuning.waves(len) {
            planted!(self.tuning, RewoundWaves: self.rewind());
            let n = wave.len();
            let x = x.get(wave).unwrap_or_default();
            let positive = self.derivative(x, n)?;
            out.extend(self.multiply(&positive, x, n)?);
        }
        Ok(out)
    }

    /// min(max(x, 0), limit) = max(x, 0) − max(x − limit, 0): two ReLUs side by side.
    pub(crate) fn clipped_relu(&mut self, x: &Share, limit: u64) -> Result<Share, Error> {
        let constant = limit.wrapping_mul(self.one());
        let mut both = x.data.clone();
        both.extend(x.data.iter().map(|v| v.wrapping_sub(constant)));
        let mut data = self.relu(&both, 2 * x.len)?;
        if !data.is_empty() {
            let above = data.split_off(x.len);
            data.iter_mut().zip(above).for_each(|(a, b)| *a = a.wrapping_sub(b));
        }
        Ok(Share { data, len: x.len })
    }
}

impl PorthosCosts {
    /// The cost of DReLU.
    pub(crate) fn derivative(&self, len: usize) -> Cost {
        self.share_convert(len) + self.msb(len)
    }

    /// The cost of ReLU.
    pub(crate) fn relu(&self, len: usize) -> Cost {
        Cost::in_waves(len, self.tuning.wave, |n| self.derivative(n) + self.multiply(n))
    }
}

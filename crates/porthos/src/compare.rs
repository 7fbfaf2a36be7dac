//! Comparisons with public thresholds: DReLU of x − t, whose shares are those of a number already.

use cryptflow_mpc::Error;

use crate::session::Session;
use crate::share::Share;

impl<const L: u32> Session<L> {
    /// Shares of `[x >= t]` for each t, the elements for one after those for another.
    pub(crate) fn compare(&mut self, x: &Share, thresholds: &[i64]) -> Result<Share, Error> {
        let mut all = Vec::with_capacity(x.data.len() * thresholds.len());
        for &t in thresholds {
            let constant = (t as u64).wrapping_mul(self.one());
            all.extend(x.data.iter().map(|v| v.wrapping_sub(constant)));
        }
        let len = x.len * thresholds.len();
        let mut data = Vec::with_capacity(all.len());
        planted!(self.tuning, RewoundThresholds: self.mark());
        for wave in self.tuning.waves(len) {
            planted!(self.tuning, RewoundThresholds: self.rewind());
            data.extend(self.derivative(all.get(wave.clone()).unwrap_or_default(), wave.len())?);
        }
        Ok(Share { data, len })
    }
}

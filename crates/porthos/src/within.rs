//! Whether inputs are within their bounds, as all parties learn, and no more.
//!
//! ShareConvert takes N = 2^64 − 1, that is −1, for 0 modulo N, and every other word for itself. So the
//! most significant bit of what it converts is zero for −1 and for 0 to 2^63 − 1: it tells of x − low − 1
//! whether x >= low, and of high − 1 − x whether x <= high, for whatever word x is. (2x, which a ReLU
//! converts, would leave out x's first bit.) The evaluators add up the bits; the sum is zero if the one's
//! share is the other's negative, which P2 finds out for them ([`cryptflow_mpc::same`]).

use cryptflow_mpc::same::{self, Roles};
use cryptflow_mpc::{Cost, Error, Party};
use cryptflow_operation::Bounds;

use crate::PorthosCosts;
use crate::odd;
use crate::porthos::PARTIES;
use crate::session::Session;
use crate::share::Share;

const ROLES: Roles =
    Roles { holders: [Party::P0, Party::P1], judge: Party::P2, told: &[Party::P0, Party::P1] };

/// What is asked of each element: c·x + d, which must be −1 or not negative. Of bounds that are one
/// number it takes three such questions: x − low for low + 2^63, which passes the two others.
fn questions(bounds: Bounds) -> Vec<(u64, u64)> {
    let (low, high) = (bounds.low as u64, bounds.high as u64);
    let mut asked = vec![(1, !low), (u64::MAX, high.wrapping_sub(1))];
    if low == high {
        asked.push((1, low.wrapping_neg()));
    }
    asked
}

impl<const L: u32> Session<L> {
    /// Exact for every word.
    pub(crate) fn within(&mut self, values: &[(&Share, Bounds)]) -> Result<(), Error> {
        let mut same = self.same(ROLES);
        for (x, bounds) in values {
            if bounds.high.checked_sub(bounds.low).is_none_or(|width| width < 0) {
                let reason = format!("inputs from {} to {}", bounds.low, bounds.high);
                return Err(Error::Range { operation: "input check", reason });
            }
            let outside = self.outside(x, *bounds)?;
            let own = if self.is_first() { outside } else { odd::sub_words::<L>(0, outside) };
            same.update(&own.to_le_bytes());
        }
        match self.answered(same)? {
            Some(false) => Err(Error::Outside),
            Some(true) | None => Ok(()),
        }
    }

    /// Shares of how many of a value's questions are answered with no.
    fn outside(&mut self, x: &Share, bounds: Bounds) -> Result<u64, Error> {
        let one = self.one();
        let asked = questions(bounds);
        let mut all = Vec::with_capacity(x.data.len() * asked.len());
        for (factor, offset) in &asked {
            let offset = offset.wrapping_mul(one);
            all.extend(x.data.iter().map(|x| odd::add_words::<L>(x.wrapping_mul(*factor), offset)));
        }
        let len = x.len * asked.len();
        let mut sum = 0;
        for wave in self.tuning.waves(len) {
            let n = wave.len();
            let converted = self.share_convert(all.get(wave).unwrap_or_default(), n)?;
            let negative = self.msb(&converted, n)?;
            sum = negative.iter().fold(sum, |sum, bit| odd::add_words::<L>(sum, *bit));
        }
        Ok(sum)
    }
}

impl PorthosCosts {
    /// What it costs to find out whether inputs of these lengths are within these bounds.
    pub(crate) fn within(&self, inputs: &[(usize, Bounds)]) -> Cost {
        let asked = |(len, bounds): &(usize, Bounds)| {
            let all = len * questions(*bounds).len();
            Cost::in_waves(all, self.tuning.wave, |n| self.derivative(n))
        };
        inputs.iter().fold(same::cost(PARTIES, ROLES), |cost, input| cost + asked(input))
    }
}

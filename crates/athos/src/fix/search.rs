//! The search for the scale and the ring.
//!
//! **Scale.** The smallest number of fractional bits from 8 to 20 at which the fixed-point program agrees with the float model
//! on the calibration examples (the hardest ones, where there are many: those with the thinnest margin between the best and the
//! second class). To agree means that every arg-max is the same (ties of the float model, within a 1024th of the largest
//! output, do not count), and that no output is further off than a 64th of the median margin; for outputs that are
//! no choice among classes, than a 256th of the largest output. Fewer bits make comparisons, and so ReLUs, cheaper.
//!
//! **Ring.** 64 bits, unless asked otherwise. `auto`: the smallest ring in which the bounds fit and the program still agrees; where
//! room is short, weights lose precision, layer by layer, before anything else does.

use super::planner::Planner;
use super::quantise::{Choice, ring_limits};
use super::trial::{Agreement, Examples, compare};
use super::{FixError, FixedRunner};

/// The scales that are tried.
pub(crate) const SCALES: std::ops::RangeInclusive<u32> = 8..=20;

/// Multiply-accumulate operations that one trial may take, over all its examples.
const BUDGET: u64 = 16_000_000_000;

/// What the search looks at.
pub(crate) struct Search<'a, 'b> {
    pub(crate) planner: &'a mut Planner<'b>,
    pub(crate) examples: &'a Examples,
    pub(crate) runner: &'a dyn FixedRunner,
    /// Multiply-accumulate operations of one run.
    pub(crate) macs: u64,
    /// Told of every trial.
    pub(crate) progress: &'a mut dyn FnMut(Choice, &Result<Agreement, FixError>),
}

impl Search<'_, '_> {
    /// The examples of a trial.
    pub(crate) fn chosen(&self) -> Vec<usize> {
        let affordable = BUDGET / self.macs.max(1);
        self.examples.hardest(usize::try_from(affordable).unwrap_or(64).clamp(2, 64))
    }

    fn trial(&mut self, choice: Choice, chosen: &[usize], tolerance: f64) -> Result<Agreement, FixError> {
        let result = self
            .planner
            .plan(choice.scale)
            .and_then(|plan| compare(&plan, choice, self.examples, chosen, tolerance, self.runner));
        (self.progress)(choice, &result);
        result
    }

    /// The smallest scale that agrees, and how well it does.
    ///
    /// # Errors
    /// Where none does: either all that fit the ring are too coarse, or none fits.
    pub(crate) fn scale(&mut self, choice: Choice) -> Result<(u32, Agreement), FixError> {
        let (chosen, tolerance) = (self.chosen(), self.examples.tolerance());
        let (mut low, mut high) = (*SCALES.start(), *SCALES.end());
        let mut best = None;
        let mut misfit = None;
        let mut coarse: Option<(u32, Agreement)> = None;
        let mut next = 12;
        while low <= high {
            match self.trial(Choice { scale: next, ..choice }, &chosen, tolerance) {
                Ok(agreement) if agreement.holds() => {
                    best = Some((next, agreement));
                    high = next - 1;
                }
                Ok(agreement) => {
                    coarse = Some((next, agreement));
                    low = next + 1;
                }
                // The plan for 12 bits was made: what another scale has no plan for does not fit there.
                Err(error @ (FixError::DoesNotFit { .. } | FixError::Unsupported(_))) => {
                    misfit = Some(error);
                    high = next - 1;
                }
                Err(error) => return Err(error),
            }
            next = (low + high) / 2;
        }
        match (best, coarse, misfit) {
            (Some(best), _, _) => Ok(best),
            (None, None, Some(misfit)) => Err(misfit),
            (None, Some((scale, a)), misfit) => {
                let why = misfit.map_or(String::new(), |m| format!(" With more, {m}."));
                Err(FixError::NoScale(format!(
                    "no scale makes fixed point agree with the float model. At {scale} fractional bits, {} of {} arg-max differ \
                     and the largest error of an output is {:.3e} where {:.3e} is allowed.{why} If that is good enough, choose it \
                     with --scale",
                    a.flips, a.rows, a.error, a.tolerance
                )))
            }
            (None, None, None) => Err(FixError::Internal("no scale was tried".into())),
        }
    }

    /// The smallest ring, up to 64 bits, in which the program of this scale agrees.
    ///
    /// # Errors
    /// Where it does not fit 64 bits.
    pub(crate) fn ring(&mut self, choice: Choice) -> Result<u32, FixError> {
        let (chosen, tolerance) = (self.chosen(), self.examples.tolerance());
        let plan = self.planner.plan(choice.scale)?;
        let (least, roomy) = ring_limits(&plan, choice);
        if least > 64 {
            // The error names the layer.
            self.trial(Choice { ring_bits: 64, ..choice }, &chosen, tolerance)?;
        }
        let (mut low, mut high) = (least, roomy.min(64));
        // In the roomy ring every weight has full precision: nothing is to be gained from a larger one.
        let mut best = high;
        while low < high {
            let middle = (low + high) / 2;
            match self.trial(Choice { ring_bits: middle, ..choice }, &chosen, tolerance) {
                Ok(agreement) if agreement.holds() => {
                    best = middle;
                    high = middle;
                }
                Ok(_) | Err(FixError::DoesNotFit { .. }) => low = middle + 1,
                Err(error) => return Err(error),
            }
        }
        Ok(best.max(low))
    }
}

//! The search for the scale and the ring.
//!
//! **Scale.** The smallest number of fractional bits from 5 to 20 at which the fixed-point program
//! agrees with the float model (see [`crate::fix::bounded::agreement`]) on the calibration examples
//! (the hardest ones, where there are many: those with the thinnest margin between the best and the
//! second class). It is that of the values that matter least; the others have more, by as much as
//! they matter more (see [`crate::fix::bounded::sensitivity`]). Fewer bits make comparisons, and so
//! ReLUs, cheaper.
//!
//! **Ring.** The smallest one in which the bounds fit and the program still agrees; where headroom
//! is short, weights lose precision, layer by layer, before anything else does.

use crate::fix::bounded::Bounded;
use crate::fix::bounded::agreement::Agreement;
use crate::fix::bounded::examples::Examples;
use crate::fix::bounded::sensitivity::{Needs, needs};
use crate::fix::options::{CompileOptions, DEFAULT_SCALE, Ring, Scale, WEIGHT_BITS, WORST_CASE_WEIGHT_BITS};
use crate::fix::planned::{Planner, Strays};
use crate::fix::progress::Progress;
use crate::fix::{Defect, FixError, counted};

use super::choice::Choice;
use super::{Chosen, ring_limits};

/// The scales that are tried.
const SCALES: std::ops::RangeInclusive<u32> = 5..=20;

/// Multiply-accumulate operations that one trial may take, over all its examples.
const BUDGET: u64 = 16_000_000_000;

/// The error where values decide, as a part of what is allowed there: three deviations.
const OF_DECISIONS: f64 = 1.0 / 3.0;

/// Examples that a trial runs, at most.
const MOST_EXAMPLES: usize = 256;

/// Examples on which every layer of the chosen program is measured, at most.
pub(crate) const MEASURED: usize = 4;

/// What a trial compares a program with: these examples, and the error that is allowed.
pub(crate) struct Touchstone<'a> {
    pub(crate) examples: &'a Examples,
    /// Their indices.
    pub(crate) indices: &'a [usize],
}

/// Makes the program, runs it on the examples, and says how far it is from the float model.
pub(crate) type Try<'a> = &'a dyn Fn(&Chosen, &Touchstone<'_>) -> Result<Agreement, FixError>;

/// Makes the program, runs it on the examples, and says which functions' operands leave their domains.
pub(crate) type Stray<'a> = &'a dyn Fn(&Chosen, &Touchstone<'_>) -> Result<Strays, FixError>;

/// A program that the search tried, or wanted to.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) choice: Choice,
    pub(crate) result: Result<Agreement, FixError>,
}

/// What was chosen, and why.
pub(crate) struct Decision {
    pub(crate) chosen: Chosen,
    pub(crate) scale_reason: String,
    pub(crate) ring_reason: &'static str,
    /// The trials that led to it.
    pub(crate) trials: Vec<Trial>,
    /// Indices of the examples that the program is measured on: its layers on the first
    /// [`MEASURED`], its outputs on all.
    pub(crate) measured: Vec<usize>,
    /// Whether the parties compute what a client would apply to outputs.
    pub(crate) hides_logits: bool,
}

/// Chooses every number: by trials where there are examples, by worst cases where there are none.
///
/// # Errors
/// Nodes that cannot be computed, a ring that is too small, or no scale that agrees.
pub(crate) fn decide(
    bounded: &Bounded<'_>,
    options: &CompileOptions,
    (try_out, stray): (Try<'_>, Stray<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Decision, FixError> {
    match &bounded.examples {
        Some(examples) => by_trials(bounded, examples, options, (try_out, stray), progress),
        None => by_worst_cases(bounded, options),
    }
}

fn by_worst_cases(bounded: &Bounded<'_>, options: &CompileOptions) -> Result<Decision, FixError> {
    let scale = options.scale.first();
    let plan = Planner::new(bounded, options.hide_logits).plan(scale)?;
    let mut choice = Choice {
        scale,
        ring_bits: options.ring.first(),
        margin: bounded.margin,
        may_round_weights: false,
        // Worst-case bounds allow for so much rounding of weights and no more.
        weight_bits: options.weight_bits.unwrap_or(WEIGHT_BITS).max(WORST_CASE_WEIGHT_BITS),
    };
    if options.ring == Ring::Auto {
        choice.ring_bits = ring_limits(&plan, choice).1.min(choice.ring_bits);
    }
    let scale_reason = match options.scale {
        Scale::Bits(_) => "chosen by the user",
        Scale::Auto => "the default, as there are no examples to search with",
    };
    Ok(Decision {
        chosen: Chosen::new(plan, choice)?,
        scale_reason: scale_reason.to_string(),
        ring_reason: "from worst-case bounds",
        trials: Vec::new(),
        measured: Vec::new(),
        hides_logits: options.hide_logits,
    })
}

fn by_trials(
    bounded: &Bounded<'_>,
    examples: &Examples,
    options: &CompileOptions,
    (try_out, stray): (Try<'_>, Stray<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Decision, FixError> {
    let mut planner = Planner::new(bounded, false);
    let macs = planner.plan(options.scale.first())?.macs();
    // A scale that was asked for is that of all values.
    let mut needs_of_nodes = match options.scale {
        Scale::Auto => needs(bounded.graph, examples, macs)?,
        Scale::Bits(_) => Needs::default(),
    };
    let planner = planner.with_needs(needs_of_nodes.clone());
    let affordable = BUDGET / macs.max(1);
    let hardest =
        examples.hardest(usize::try_from(affordable).unwrap_or(MOST_EXAMPLES).clamp(2, MOST_EXAMPLES));
    let touchstone = Touchstone { examples, indices: &hardest };
    let mut search = Search { planner, touchstone, try_out, progress, trials: Vec::new() };
    let mut choice = Choice {
        scale: options.scale.first(),
        ring_bits: options.ring.first(),
        margin: bounded.margin,
        may_round_weights: true,
        weight_bits: options.weight_bits.unwrap_or(WEIGHT_BITS),
    };
    let mut scale_reason = "chosen by the user".to_string();
    if options.scale == Scale::Auto {
        let agreement;
        (choice.scale, agreement) = match search.scale(choice) {
            Ok(found) => found,
            Err(error @ (FixError::NoScale { .. } | FixError::DoesNotFit { .. })) => {
                // What matters most may ask for more bits than any ring has, and the same for all do.
                needs_of_nodes = Needs::default();
                search.planner = Planner::new(bounded, false);
                search.scale(choice).map_err(|_| error)?
            }
            Err(error) => return Err(error),
        };
        scale_reason = format!(
            "{} on {}: the largest error of {} is {:.3e}, {:.3e} is wanted",
            if agreement.holds() {
                "the smallest that agrees with the float model"
            } else {
                "the one that comes closest to the float model"
            },
            counted(hardest.len(), "example"),
            examples.place(&agreement),
            agreement.error,
            agreement.tolerance
        );
    }
    // What rounding alone leads out of a function's domain is not beyond what calibration saw.
    let chosen = Chosen::new(search.planner.plan(choice.scale)?, choice)?;
    let strays = stray(&chosen, &search.touchstone)?;
    search.planner = search.planner.with_strays(strays.clone());
    // Where values are within their bounds, the guard changes nothing but what has to fit the ring.
    search.planner = search.planner.with_guard(options.guard);
    let mut ring_reason = "as chosen";
    if options.ring == Ring::Auto {
        choice.ring_bits = search.ring(choice)?;
        ring_reason = "the smallest in which bounds fit and the program agrees";
    }
    (search.progress)(Progress::Measuring);
    // The scale is found on the logits, where there are any: they say more than answers.
    let plan = if options.hide_logits {
        let plan = Planner::new(bounded, true).with_needs(needs_of_nodes);
        let plan = plan.with_guard(options.guard).with_strays(strays).plan(choice.scale)?;
        if options.ring == Ring::Auto {
            // What the parties compute beyond the logits may need more.
            choice.ring_bits = choice.ring_bits.max(ring_limits(&plan, choice).0).min(64);
        }
        plan
    } else {
        search.planner.plan(choice.scale)?
    };
    Ok(Decision {
        chosen: Chosen::new(plan, choice)?,
        scale_reason,
        ring_reason,
        trials: search.trials,
        hides_logits: options.hide_logits,
        measured: hardest,
    })
}

struct Search<'a> {
    planner: Planner<'a>,
    touchstone: Touchstone<'a>,
    try_out: Try<'a>,
    progress: &'a mut dyn FnMut(Progress),
    trials: Vec<Trial>,
}

impl Search<'_> {
    fn trial(&mut self, choice: Choice) -> Result<Agreement, FixError> {
        let chosen = self.planner.plan(choice.scale).and_then(|plan| Chosen::new(plan, choice));
        let result = chosen.and_then(|chosen| (self.try_out)(&chosen, &self.touchstone));
        let trial = Trial { choice, result: result.clone() };
        (self.progress)(trial.progress());
        self.trials.push(trial);
        result
    }

    /// The smallest scale that agrees, and how well it does.
    ///
    /// # Errors
    /// Where none does: either all that fit the ring are too coarse, or none fits.
    fn scale(&mut self, choice: Choice) -> Result<(u32, Agreement), FixError> {
        let (mut low, mut high) = (*SCALES.start(), *SCALES.end());
        // Few examples are near a decision: what decides sees enough by calculation.
        while low < high && self.planner.error_of_decisions(low) > OF_DECISIONS {
            low += 1;
        }
        let mut best = None;
        let mut misfit = None;
        // The one that comes closest.
        let mut coarse: Option<(u32, Agreement)> = None;
        let mut next = DEFAULT_SCALE.clamp(low, high);
        while low <= high {
            match self.trial(Choice { scale: next, ..choice }) {
                Ok(agreement) if agreement.holds() => {
                    best = Some((next, agreement));
                    high = next - 1;
                }
                Ok(agreement) => {
                    if coarse.is_none_or(|(_, best)| closer(&agreement, &best)) {
                        coarse = Some((next, agreement));
                    }
                    low = next + 1;
                }
                // The plan for the first scale was made: what another has no plan for does not fit
                // there.
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
            (None, Some(coarse), _) if coarse.1.nearly_holds() => Ok(coarse),
            (None, None, Some(misfit)) => Err(misfit),
            (None, Some((scale, a)), misfit) => Err(FixError::NoScale {
                scale,
                flips: a.flips,
                rows: a.rows,
                error: a.error,
                tolerance: a.tolerance,
                place: self.touchstone.examples.place(&a),
                coarsest: self.planner.coarsest(scale).map(Box::new),
                misfit: misfit.map(Box::new),
            }),
            (None, None, None) => Err(Defect::NoTrial.into()),
        }
    }

    /// The smallest ring, up to 64 bits, in which the program of this scale agrees.
    ///
    /// # Errors
    /// Where it does not fit 64 bits.
    fn ring(&mut self, choice: Choice) -> Result<u32, FixError> {
        let plan = self.planner.plan(choice.scale)?;
        let (least, ample) = ring_limits(&plan, choice);
        if least > 64 {
            // The error names the layer.
            self.trial(Choice { ring_bits: 64, ..choice })?;
        }
        let (mut low, mut high) = (least, ample.min(64));
        // In the ample ring every weight has full precision: nothing is to be gained from a larger
        // one.
        let mut best = high;
        while low < high {
            let middle = (low + high) / 2;
            match self.trial(Choice { ring_bits: middle, ..choice }) {
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

/// Whether one is closer to the float model than another.
fn closer(one: &Agreement, other: &Agreement) -> bool {
    (one.flips, one.part()) < (other.flips, other.part())
}

impl Trial {
    fn progress(&self) -> Progress {
        let outcome = match &self.result {
            Ok(a) => {
                let verdict = if a.holds() { "agrees" } else { "too coarse" };
                let choices = match a.rows {
                    0 => String::new(),
                    rows => format!(", {} of {rows} arg-max differ", a.flips),
                };
                format!("{verdict}: largest error {:.3e} of {:.3e} allowed{choices}", a.error, a.tolerance)
            }
            Err(e) => e.fact(),
        };
        Progress::Tried { scale: self.choice.scale, ring_bits: self.choice.ring_bits, outcome }
    }
}

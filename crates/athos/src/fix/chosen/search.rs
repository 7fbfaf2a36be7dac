//! The search for the scale and the ring.
//!
//! **Scale.** The smallest number of fractional bits from 5 to 20 (from 1, where only decisions are to be kept), or to 28 where no other does, at which the fixed-point program
//! agrees with the float model (see [`crate::fix::bounded::agreement`]) on the calibration examples
//! (the hardest ones, where there are many: those with the thinnest margin between the best and the
//! second class). It is that of the values that matter least; the others have more, by as much as
//! they matter more (see [`crate::fix::bounded::sensitivity`]). Fewer bits make comparisons, and so
//! ReLUs, cheaper. Where values matter unequally, there is something between two numbers: some values have one more,
//! others do not. The search looks for it in quarters of a bit.
//!
//! **Draws.** Rounding is random, and the largest error of one run is not that of the next. The search
//! goes by one run of each example; what it comes to is judged by several, and the report says what
//! these showed. Where they are worse, the search goes on from there. Who picks the cheapest of many programs that were judged
//! well picks one that was lucky: where a run costs little, the choice is judged by as many runs again.
//!
//! **Rings.** Wide values have rings of their own, the smallest in which the bounds fit and the program still agrees
//! (see [`super::headroom`]): weights lose precision, in each layer as much as its results can bear beside their own rounding. A scale
//! that is a quarter of a bit finer may leave room for smaller ones; of both the program is taken whose messages come to less
//! ([`super::traffic`]).

use std::cmp::Ordering;
use std::rc::{Rc, Weak};

use crate::fix::bounded::Bounded;
use crate::fix::bounded::agreement::Agreement;
use crate::fix::bounded::examples::Examples;
use crate::fix::bounded::sensitivity::{Needs, needs};
use crate::fix::options::{
    Accuracy, CompileOptions, DEFAULT_SCALE, Ring, Scale, WEIGHT_BITS, WORST_CASE_WEIGHT_BITS,
};
use crate::fix::planned::Planner;
use crate::fix::planned::plan::Plan;
use crate::fix::planned::rounding::Rounding;
use crate::fix::progress::Progress;
use crate::fix::{Defect, FixError};

use super::Chosen;
use super::choice::{Choice, Rings};

/// The scales that are tried; and those that are where all of them are too coarse.
const SCALES: std::ops::RangeInclusive<u32> = 5..=20;
const SCALES_OF_LABELS: std::ops::RangeInclusive<u32> = 1..=20;
const BEYOND: std::ops::RangeInclusive<u32> = 21..=28;

/// Multiply-accumulate operations that one trial may take, over all its examples.
const BUDGET: u64 = 16_000_000_000;

/// The error where values decide, as a part of what is allowed there: three deviations.
const OF_DECISIONS: f64 = 1.0 / 3.0;

/// Examples that a trial runs, at most.
const MOST_EXAMPLES: usize = 256;

/// How often each example is run for a judgement.
const DRAWS: std::ops::RangeInclusive<u64> = 2..=8;

/// Work that a judgement may take, of [`Plan::work`].
const BUDGET_OF_DRAWS: u64 = 24_000_000_000;

/// How often the next scale is guessed from an error; then the middle of what is left comes next.
const GUESSES: u32 = 4;

/// Bits that are guessed at a time, at most.
const MOST_GUESSED: f64 = 8.0;
/// Bits by which the error of rounded weights lies below what is allowed, with which programs are tried.
const FINENESS: [f64; 15] = [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0];

/// Quarters of a bit by which a scale may be finer for smaller rings.
const FINER: usize = 2;

/// Bits by which a scale may have to exceed the one that a single run was enough for.
const MORE: u32 = 4;

/// Examples on which every layer of the chosen program is measured, at most.
pub(crate) const MEASURED: usize = 4;

/// What a trial compares a program with: these examples, and the error that is allowed.
#[derive(Clone, Copy)]
pub(crate) struct Touchstone<'a> {
    pub(crate) examples: &'a Examples,
    /// Their indices.
    pub(crate) indices: &'a [usize],
    /// How often each is run.
    pub(crate) draws: usize,
    /// Whether the runs go on where one has shown that the program does not agree.
    pub(crate) to_the_end: bool,
    /// What a run of each has shown of the same program, where that is known: it need not be made again.
    pub(crate) known: Option<Agreement>,
}

/// Makes the program, runs it on the examples, and says how far it is from the float model.
pub(crate) type Try<'a> = &'a dyn Fn(&Chosen, &Touchstone<'_>) -> Result<Agreement, FixError>;

/// Makes the program, runs it on the examples, and says what rounding does to its values.
pub(crate) type Round<'a> = &'a dyn Fn(&Chosen, &Touchstone<'_>) -> Result<Rounding, FixError>;

/// A program that the search tried, or wanted to.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) choice: Choice,
    /// Bits of its largest ring.
    pub(crate) ring_bits: u32,
    /// How often each example was to be run.
    pub(crate) draws: usize,
    pub(crate) result: Result<Agreement, FixError>,
}

/// What was chosen, and why.
pub(crate) struct Decision {
    pub(crate) chosen: Chosen,
    pub(crate) scale_reason: &'static str,
    pub(crate) ring_reason: &'static str,
    /// The trials that led to it.
    pub(crate) trials: Vec<Trial>,
    /// How the program compares with the float model before a client's part is done by the parties:
    /// the last judgement. None without examples.
    pub(crate) agreement: Option<Agreement>,
    /// Indices of the examples that it was judged on; its layers are measured on the first
    /// [`MEASURED`].
    pub(crate) measured: Vec<usize>,
    /// How often each was run.
    pub(crate) draws: usize,
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
    (try_out, round): (Try<'_>, Round<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Decision, FixError> {
    match &bounded.examples {
        Some(examples) => by_trials(bounded, examples, options, (try_out, round), progress),
        None => by_worst_cases(bounded, options),
    }
}

fn by_worst_cases(bounded: &Bounded<'_>, options: &CompileOptions) -> Result<Decision, FixError> {
    let scale = options.scale.first();
    let plan = Planner::new(bounded, options.hide_logits).plan(scale)?;
    let choice = Choice {
        scale,
        ring_bits: options.ring.first(),
        rings: match options.ring {
            Ring::Auto => Rings::AMPLE,
            Ring::Bits(_) => Rings::One,
        },
        margin: bounded.margin,
        may_round_weights: false,
        // Worst-case bounds allow for so much rounding of weights and no more.
        weight_bits: options.weight_bits.unwrap_or(WEIGHT_BITS).max(WORST_CASE_WEIGHT_BITS),
    };
    let scale_reason = match options.scale {
        Scale::Bits(_) => "chosen by the user",
        Scale::Auto => "the default, as there are no examples to search with",
    };
    Ok(Decision {
        chosen: Chosen::new(plan, choice)?,
        scale_reason,
        ring_reason: "from worst-case bounds",
        trials: Vec::new(),
        agreement: None,
        measured: Vec::new(),
        draws: 0,
        hides_logits: options.hide_logits,
    })
}

fn by_trials(
    bounded: &Bounded<'_>,
    examples: &Examples,
    options: &CompileOptions,
    (try_out, round): (Try<'_>, Round<'_>),
    progress: &mut dyn FnMut(Progress),
) -> Result<Decision, FixError> {
    let mut planner = Planner::new(bounded, false);
    let first = planner.plan(options.scale.first())?;
    let macs = first.macs();
    // A scale that was asked for is that of all values.
    let mut needs_of_nodes = match options.scale {
        Scale::Auto => needs(bounded.graph, examples, macs)?,
        Scale::Bits(_) => Needs::default(),
    };
    let planner = planner.with_needs(needs_of_nodes.clone());
    let affordable = BUDGET / macs.max(1);
    let hardest =
        examples.hardest(usize::try_from(affordable).unwrap_or(MOST_EXAMPLES).clamp(2, MOST_EXAMPLES));
    let work = first.work().saturating_mul(hardest.len() as u64);
    let draws = (BUDGET_OF_DRAWS / work.max(1)).clamp(*DRAWS.start(), *DRAWS.end()) as usize;
    let touchstone = Touchstone { examples, indices: &hardest, draws: 1, to_the_end: false, known: None };
    let scales = match options.accuracy {
        Accuracy::Exact => SCALES,
        Accuracy::Labels => SCALES_OF_LABELS,
    };
    let (singles, trials) = (Vec::new(), Vec::new());
    let mut search = Search { planner, touchstone, scales, draws, try_out, progress, singles, trials };
    let mut choice = Choice {
        scale: options.scale.first(),
        ring_bits: options.ring.first(),
        rings: Rings::One,
        margin: bounded.margin,
        may_round_weights: true,
        weight_bits: options.weight_bits.unwrap_or(WEIGHT_BITS),
    };
    let mut agreement = None;
    if options.scale == Scale::Auto {
        search.foresee(choice, round)?;
        let found = match search.scale(choice) {
            Ok(found) => search.between(choice, found)?,
            Err(error @ (FixError::NoScale { .. } | FixError::DoesNotFit { .. })) => {
                // What matters most may ask for more bits than any ring has, and the same for all do.
                needs_of_nodes = Needs::default();
                search.planner = Planner::new(bounded, false);
                search.scale(choice).map_err(|_| error)?
            }
            Err(error) => return Err(error),
        };
        choice.scale = found.0;
        agreement = Some(found.1);
    }
    let rounding;
    let mut finer = false;
    (choice, agreement, rounding) = search.rounded(choice, agreement, round, options.scale == Scale::Auto)?;
    // Where values are within their bounds, the guard changes nothing but what has to fit the ring.
    if options.guard {
        search.planner = search.planner.with_guard(true);
    }
    if options.ring == Ring::Auto {
        let before = (choice.scale, search.planner.quarters());
        let may_be_finer = options.scale == Scale::Auto && !rounding.compares;
        (choice, agreement) = search.cheapest_rings(choice, agreement, may_be_finer)?;
        finer = (choice.scale, search.planner.quarters()) != before;
    }
    let agreement = match agreement {
        Some(agreement) => agreement,
        None => search.judgement(choice, true)?,
    };
    let scale_reason = match options.scale {
        Scale::Bits(_) => "chosen by the user",
        Scale::Auto if agreement.holds() && options.accuracy == Accuracy::Labels => {
            "the smallest that keeps the float model's decisions"
        }
        Scale::Auto if agreement.holds() && finer => {
            "that agrees with the float model, and leaves enough for smaller rings"
        }
        Scale::Auto if agreement.holds() => "the smallest that agrees with the float model",
        Scale::Auto => "the one that comes closest to the float model",
    };
    let ring_reason = match options.ring {
        Ring::Bits(_) => "as chosen",
        Ring::Auto if agreement.holds() => "each the smallest in which bounds fit and the program agrees",
        Ring::Auto => "each the smallest in which bounds fit and weights keep their precision",
    };
    (search.progress)(Progress::Measuring);
    // The scale is found on the logits, where there are any: they say more than answers.
    let chosen = if options.hide_logits {
        let planner = Planner::new(bounded, true).with_needs(needs_of_nodes);
        let quarters = search.planner.quarters();
        search.planner = planner.with_guard(options.guard);
        search.planner.finer(quarters);
        search.planner.round(rounding);
        search.hidden(choice, options, &examples.answered()?)?
    } else {
        Chosen::new(search.planner.plan(choice.scale)?, choice)?
    };
    Ok(Decision {
        chosen,
        scale_reason,
        ring_reason,
        trials: search.trials,
        hides_logits: options.hide_logits,
        agreement: Some(agreement),
        measured: hardest,
        draws,
    })
}

/// A choice, how well it does, and what rounding does.
type Rounded = (Choice, Option<Agreement>, Rounding);

struct Search<'a> {
    planner: Planner<'a>,
    /// What a trial is made on.
    touchstone: Touchstone<'a>,
    /// The scales that are tried first.
    scales: std::ops::RangeInclusive<u32>,
    /// How often a judgement runs each example.
    draws: usize,
    try_out: Try<'a>,
    progress: &'a mut dyn FnMut(Progress),
    /// What a run of each example showed of programs.
    singles: Vec<Single>,
    trials: Vec<Trial>,
}

/// What a run of each example showed of the program that a choice makes of a plan.
struct Single {
    plan: Weak<Plan>,
    choice: Choice,
    agreement: Agreement,
}

impl Search<'_> {
    /// A single run of each example, until one does not agree.
    fn trial(&mut self, choice: Choice) -> Result<Agreement, FixError> {
        self.tried(choice, self.touchstone)
    }

    /// Several runs of each.
    fn judgement(&mut self, choice: Choice, to_the_end: bool) -> Result<Agreement, FixError> {
        self.tried(choice, Touchstone { draws: self.draws, to_the_end, ..self.touchstone })
    }

    /// Several runs of each, and as many again where they take little time.
    fn settled(&mut self, choice: Choice) -> Result<Agreement, FixError> {
        let first = self.judgement(choice, false)?;
        if !first.holds() || self.draws < *DRAWS.end() as usize {
            return Ok(first);
        }
        self.tried(choice, Touchstone { draws: 2 * self.draws, ..self.touchstone })
    }

    fn tried(&mut self, choice: Choice, touchstone: Touchstone<'_>) -> Result<Agreement, FixError> {
        let chosen = self.planner.plan(choice.scale).and_then(|plan| Chosen::new(plan, choice));
        let ring_bits = chosen.as_ref().map_or(choice.ring_bits, |chosen| chosen.ring_bits);
        let result = chosen.and_then(|chosen| {
            let plan = Rc::downgrade(&chosen.plan);
            let same = |single: &&Single| single.choice == choice && single.plan.ptr_eq(&plan);
            let known = self.singles.iter().find(same).map(|single| single.agreement);
            let agreement = (self.try_out)(&chosen, &Touchstone { known, ..touchstone })?;
            if touchstone.draws == 1 && agreement.examples == touchstone.indices.len() {
                self.singles.push(Single { plan, choice, agreement });
            }
            Ok(agreement)
        });
        let trial = Trial { choice, ring_bits, draws: touchstone.draws, result: result.clone() };
        (self.progress)(trial.progress());
        self.trials.push(trial);
        result
    }

    /// What rounding does at the first scale says what is equal at others, until it is measured there: an
    /// example in which values are equal agrees at none otherwise.
    fn foresee(&mut self, choice: Choice, round: Round<'_>) -> Result<(), FixError> {
        let chosen = self.planner.plan(choice.scale).and_then(|plan| Chosen::new(plan, choice));
        // What does not fit, or cannot be planned, the search finds.
        if let Ok(chosen) = chosen {
            let rounding = round(&chosen, &self.touchstone)?;
            if rounding.compares {
                self.planner.round(rounding);
            }
        }
        Ok(())
    }

    /// Takes into account what rounding does: what it alone leads out of a function's domain is not
    /// beyond what calibration saw, and what it leads apart is equal. The latter may take a finer scale, as
    /// what examples have close together must stay apart.
    fn rounded(
        &mut self,
        choice: Choice,
        agreement: Option<Agreement>,
        round: Round<'_>,
        finer: bool,
    ) -> Result<Rounded, FixError> {
        let held = agreement.is_none_or(|agreement| agreement.holds());
        let mut first = None;
        for scale in choice.scale..=choice.scale + if finer && held { MORE } else { 0 } {
            let choice = Choice { scale, ..choice };
            self.planner.round(Rounding::default());
            let chosen = self.planner.plan(scale).and_then(|plan| Chosen::new(plan, choice));
            let rounding = match (chosen, &first) {
                (Ok(chosen), _) => round(&chosen, &self.touchstone)?,
                (Err(error), None) => return Err(error),
                // It no longer fits.
                (Err(_), Some(_)) => break,
            };
            self.planner.round(rounding.clone());
            if !rounding.compares {
                return Ok((choice, agreement, rounding));
            }
            match self.judgement(choice, true) {
                Ok(judged) if judged.holds() || !held => return Ok((choice, Some(judged), rounding)),
                Ok(_) | Err(FixError::DoesNotFit { .. } | FixError::Unsupported(_)) => {}
                Err(error) => return Err(error),
            }
            first.get_or_insert(Rounding { compares: false, ..rounding });
        }
        let rounding = first.unwrap_or_default();
        self.planner.round(rounding.clone());
        Ok((choice, agreement, rounding))
    }

    /// The program that computes what a client would have, at the scale that was found on the logits, or
    /// as many more as the answers need.
    fn hidden(
        &mut self,
        mut choice: Choice,
        options: &CompileOptions,
        answered: &Examples,
    ) -> Result<Chosen, FixError> {
        let touchstone = Touchstone { examples: answered, draws: self.draws, ..self.touchstone };
        let most = if options.scale == Scale::Auto { choice.scale + MORE } else { choice.scale };
        let mut best: Option<(f64, Chosen)> = None;
        while choice.scale <= most {
            let plan = self.planner.plan(choice.scale);
            let chosen = plan.and_then(|plan| Chosen::new(plan, choice));
            let chosen = match (chosen, best.is_some()) {
                (Ok(chosen), _) => chosen,
                (Err(error), false) => return Err(error),
                (Err(_), true) => break,
            };
            if choice.scale == most && best.is_none() {
                return Ok(chosen);
            }
            let agreement = (self.try_out)(&chosen, &touchstone)?;
            if agreement.holds() {
                return Ok(chosen);
            }
            if best.as_ref().is_none_or(|(part, _)| agreement.part() < *part) {
                best = Some((agreement.part(), chosen));
            }
            choice.scale += 1;
        }
        best.map(|(_, chosen)| chosen).ok_or(Defect::NoTrial.into())
    }

    /// The smallest scale that agrees, or the closest, and how well it does.
    ///
    /// # Errors
    /// Where none does: either all that fit the ring are too coarse, or none fits.
    fn scale(&mut self, choice: Choice) -> Result<(u32, Agreement), FixError> {
        let mut tried = self.scales(choice)?;
        if let Some(agrees) = tried.agrees {
            for scale in agrees..=(agrees + MORE).min(*BEYOND.end()) {
                match self.judgement(Choice { scale, ..choice }, false) {
                    Ok(agreement) if agreement.holds() => return Ok((scale, agreement)),
                    Ok(agreement) => tried.coarse.push((scale, agreement)),
                    Err(error @ (FixError::DoesNotFit { .. } | FixError::Unsupported(_))) => {
                        tried.misfit = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.closest(choice, tried)
    }

    /// A scale that agrees may be more than is needed, by less than a bit: then the one below it, with so many
    /// quarters of a bit for all values.
    fn between(&mut self, choice: Choice, found: (u32, Agreement)) -> Result<(u32, Agreement), FixError> {
        let scale = found.0.saturating_sub(1);
        if !self.planner.has_needs() || !found.1.holds() || scale < *self.scales.start() {
            return Ok(found);
        }
        let mut best = (4, found.1);
        let (mut low, mut high) = (1, 4);
        while low < high {
            let quarters = (low + high) / 2;
            self.planner.finer(quarters);
            match self.settled(Choice { scale, ..choice }) {
                Ok(agreement) if agreement.holds() => (best, high) = ((quarters, agreement), quarters),
                Ok(_) | Err(FixError::DoesNotFit { .. } | FixError::Unsupported(_)) => low = quarters + 1,
                Err(error) => return Err(error),
            }
        }
        let (quarters, agreement) = best;
        self.planner.finer(quarters % 4);
        Ok((scale + quarters / 4, agreement))
    }

    /// Where single runs agree, and where they do not.
    fn scales(&mut self, choice: Choice) -> Result<Tried, FixError> {
        let (mut low, mut high) = (*self.scales.start(), *self.scales.end());
        // Few examples are near a decision: what decides sees enough by calculation.
        while low < high && self.planner.error_of_decisions(low) > OF_DECISIONS {
            low += 1;
        }
        let mut tried = Tried { agrees: None, coarse: Vec::new(), misfit: None };
        let mut next = DEFAULT_SCALE.clamp(low, high);
        let mut guesses = GUESSES;
        while low <= high {
            // Errors are as large as the unit: how large they are says how many bits there are too many.
            let mut guess = None;
            match self.trial(Choice { scale: next, ..choice }) {
                Ok(agreement) if agreement.holds() => {
                    tried.agrees = Some(next);
                    high = next - 1;
                    guess = Some(next.saturating_sub(bits(1.0 / agreement.part()).max(1)));
                }
                Ok(agreement) => {
                    tried.coarse.push((next, agreement));
                    low = next + 1;
                    guess = Some(next + bits(agreement.part()) + 1);
                }
                // The plan for the first scale was made: what another has no plan for does not fit
                // there.
                Err(error @ (FixError::DoesNotFit { .. } | FixError::Unsupported(_))) => {
                    tried.misfit = Some(error);
                    high = next - 1;
                }
                Err(error) => return Err(error),
            }
            if low > high && low <= *BEYOND.start() && tried.agrees.is_none() && tried.misfit.is_none() {
                (low, high) = BEYOND.into_inner();
            }
            next = match guess.filter(|_| guesses > 0) {
                Some(guess) => guess.clamp(low.min(high), high),
                None => (low + high) / 2,
            };
            guesses = guesses.saturating_sub(1);
        }
        Ok(tried)
    }

    /// The scale that comes closest to the float model, of those that do not agree.
    ///
    /// # Errors
    /// Where it is not close enough, or there is none.
    fn closest(&mut self, choice: Choice, tried: Tried) -> Result<(u32, Agreement), FixError> {
        let Tried { mut coarse, misfit, .. } = tried;
        coarse.sort_by(|(scale, one), (finer, other)| by_closeness(one, other).then(scale.cmp(finer)));
        // Where all that matters has the most bits that fit, another scale changes nothing.
        coarse.dedup_by(|(_, one), (_, other)| one == other);
        let mut best: Option<(u32, Agreement)> = None;
        for (scale, seen) in coarse {
            // A run that was broken off says of an error that it is no smaller.
            if best.is_some_and(|(_, best)| by_closeness(&seen, &best).is_ge()) {
                break;
            }
            let agreement = self.judgement(Choice { scale, ..choice }, true)?;
            if best.is_none_or(|(_, best)| by_closeness(&agreement, &best).is_lt()) {
                best = Some((scale, agreement));
            }
        }
        match (best, misfit) {
            (Some(best), _) if best.1.nearly_holds() => Ok(best),
            (None, Some(misfit)) => Err(misfit),
            (Some((scale, a)), misfit) => Err(FixError::NoScale {
                scale,
                flips: a.flips,
                rows: a.rows,
                error: a.error,
                tolerance: a.tolerance,
                place: self.touchstone.examples.place(&a),
                coarsest: self.planner.coarsest(scale).map(Box::new),
                misfit: misfit.map(Box::new),
            }),
            (None, None) => Err(Defect::NoTrial.into()),
        }
    }

    /// The smallest rings; or those of a scale that is some quarters of a bit finer, where they take less: the smallest scale may
    /// leave so little of what is allowed that no weight can be rounded.
    ///
    /// # Errors
    /// Where it does not fit 64 bits.
    fn cheapest_rings(
        &mut self,
        choice: Choice,
        ample: Option<Agreement>,
        may_be_finer: bool,
    ) -> Result<(Choice, Option<Agreement>), FixError> {
        let mut best = self.rings(choice, ample)?;
        if !may_be_finer || !self.planner.has_needs() || best.1.is_none_or(|agreement| !agreement.holds()) {
            return Ok(best);
        }
        let mut taken = Chosen::new(self.planner.plan(choice.scale)?, best.0)?.traffic();
        for _ in 0..FINER {
            let quarters = self.planner.quarters();
            let finer = Choice { scale: best.0.scale + (quarters + 1) / 4, rings: choice.rings, ..best.0 };
            self.planner.finer((quarters + 1) % 4);
            let found = match self.rings(finer, best.1) {
                Ok((found, Some(agreement))) if agreement.holds() => {
                    let traffic = Chosen::new(self.planner.plan(found.scale)?, found)?.traffic();
                    (traffic < taken).then_some(((found, Some(agreement)), traffic))
                }
                Ok(_) | Err(FixError::DoesNotFit { .. } | FixError::Unsupported(_)) => None,
                Err(error) => return Err(error),
            };
            match found {
                Some((found, traffic)) => (best, taken) = (found, traffic),
                None => {
                    self.planner.finer(quarters);
                    break;
                }
            }
        }
        Ok(best)
    }

    /// The smallest rings, each up to 64 bits, in which the program of this scale agrees, and how well
    /// it does there, where that is known. `ample` says how well it does where no weight loses
    /// precision.
    ///
    /// # Errors
    /// Where it does not fit 64 bits.
    fn rings(
        &mut self,
        choice: Choice,
        ample: Option<Agreement>,
    ) -> Result<(Choice, Option<Agreement>), FixError> {
        let with = |index: usize| Choice { rings: rings(index), ..choice };
        let plan = self.planner.plan(choice.scale)?;
        // In ample rings every weight has full precision: nothing is to be gained from larger ones, and
        // nothing is to be lost where the program does not agree.
        let (mut low, mut high) = (0, FINENESS.len());
        if let Err(error) = Chosen::new(plan, with(high)) {
            // The trials show it, too.
            self.trial(with(high))?;
            return Err(error);
        }
        while low < high && ample.is_none_or(|ample| ample.holds()) {
            let middle = (low + high) / 2;
            match self.trial(with(middle)) {
                Ok(agreement) if agreement.holds() => high = middle,
                Ok(_) | Err(FixError::DoesNotFit { .. }) => low = middle + 1,
                Err(error) => return Err(error),
            }
        }
        for index in high..FINENESS.len() {
            match self.settled(with(index)) {
                Ok(agreement) if agreement.holds() => return Ok((with(index), Some(agreement))),
                Ok(_) | Err(FixError::DoesNotFit { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((with(FINENESS.len()), ample))
    }
}

/// The rings for weights of this fineness; ample ones beyond the last.
fn rings(index: usize) -> Rings {
    FINENESS.get(index).map_or(Rings::AMPLE, |&fine| Rings::Own(fine))
}

/// What single runs showed of scales.
struct Tried {
    /// The smallest one that agrees.
    agrees: Option<u32>,
    /// Those that do not, and by how much at least.
    coarse: Vec<(u32, Agreement)>,
    /// Why another one cannot be.
    misfit: Option<FixError>,
}

/// The whole bits of a factor.
fn bits(factor: f64) -> u32 {
    factor.log2().clamp(0.0, MOST_GUESSED) as u32
}

/// What is closer to the float model comes first.
fn by_closeness(one: &Agreement, other: &Agreement) -> Ordering {
    one.flips.cmp(&other.flips).then(one.part().total_cmp(&other.part()))
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
                let verdict = match self.draws {
                    1 => verdict.to_string(),
                    draws => format!("{verdict}, in {draws} runs of each example"),
                };
                format!("{verdict}: largest error {:.3e} of {:.3e} allowed{choices}", a.error, a.tolerance)
            }
            Err(e) => e.fact(),
        };
        Progress::Tried { scale: self.choice.scale, ring_bits: self.ring_bits, outcome }
    }
}

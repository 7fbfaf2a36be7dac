//! How far a program may be from the float model, and how far it is.
//!
//! Classes agree where the same one is the best, and no number is off by more than a part of what
//! lies between the best and the second, nor by so much that another could be the best in any
//! example. Other outputs agree where no number is off by more than a part of what its column (the
//! last axis) spans over the examples: a risk of 0.004 beside a price of 1000 has its own measure.

use crate::fix::options::{Accuracy, Tolerance};

/// The part of the median margin between the best and the second class that errors may come to.
const OF_MARGIN: f64 = 1.0 / 128.0;

/// The same where only decisions are to be kept: classes that are so close are rare, and examples show
/// whether errors lead from one to the other.
const OF_MARGIN_OF_LABELS: f64 = 1.0 / 32.0;

/// The error of a logit at most, where its softmax is the answer and no tolerance was asked for.
const OF_SOFTMAX: f64 = 1.0 / 32.0;

/// How many times more is taken, with a warning, where no scale does better and no tolerance was
/// asked for: of numbers, and of the margin between classes.
const SLACK: f64 = 8.0;
const SLACK_OF_CLASSES: f64 = 2.0;

/// What a column spans at least, of its largest number: what hardly varies is judged by its size.
const LEAST_SPAN: f64 = 1.0 / 64.0;

/// The part of a largest output below which the float model itself is not exact.
const FLOATS: f64 = 1.0 / 65536.0;

/// The margin of a row, of its largest number, within which two classes count as equal.
const TIE: f64 = 1.0 / 8192.0;

/// What an output says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Rows of scores of so many classes.
    Classes(usize),
    /// Numbers, in so many columns.
    Columns(usize),
}

/// The largest error that is allowed of an output's numbers.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    says: Says,
    /// For each column; for classes the same one everywhere.
    columns: Vec<f64>,
    /// How many times more is taken where no scale does better.
    slack: f64,
}

/// Where the largest error is, beside what is allowed there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Agreement {
    /// That error.
    pub(crate) error: f64,
    /// The largest error that is allowed there.
    pub(crate) tolerance: f64,
    /// The largest that is taken, with a warning, where no scale does better.
    pub(crate) most: f64,
    /// The output.
    pub(crate) output: usize,
    /// The column, where columns are judged apart and there are several.
    pub(crate) column: Option<usize>,
    /// Examples that were compared.
    pub(crate) examples: usize,
    /// Rows of outputs that are choices among classes.
    pub(crate) rows: usize,
    /// Rows with another arg-max, the float model's ties not counted.
    pub(crate) flips: usize,
}

impl Agreement {
    /// Whether fixed point agrees.
    pub(crate) fn holds(&self) -> bool {
        self.flips == 0 && self.error <= self.tolerance
    }

    /// Whether it does well enough where nothing does better.
    pub(crate) fn nearly_holds(&self) -> bool {
        self.flips == 0 && self.error <= self.most
    }

    /// The error as a part of what is allowed.
    pub(crate) fn part(&self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.tolerance }
    }

    /// Adds one example's output.
    pub(crate) fn add(&mut self, output: usize, allowed: &Allowed, float: &[f32], fixed: &[f64]) {
        if float.len() != fixed.len() {
            (self.error, self.output, self.column) = (f64::INFINITY, output, None);
            return;
        }
        let columns = allowed.columns.len().max(1);
        for (at, (&a, b)) in float.iter().zip(fixed).enumerate() {
            let tolerance = allowed.at(at);
            let several = matches!(allowed.says, Says::Columns(n) if n > 1);
            let here = Agreement {
                error: (f64::from(a) - b).abs(),
                tolerance,
                most: tolerance * allowed.slack,
                output,
                column: several.then_some(at % columns),
                ..*self
            };
            if here.part() > self.part() || self.tolerance == 0.0 {
                *self = here;
            }
        }
        let Says::Classes(classes) = allowed.says else { return };
        let largest = float.iter().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()));
        for (float, fixed) in float.chunks_exact(classes.max(1)).zip(fixed.chunks_exact(classes.max(1))) {
            self.rows += 1;
            let reals: Vec<f64> = float.iter().map(|&v| v.into()).collect();
            let tie = margin(float) <= largest * TIE;
            if !tie && arg_max(&reals) != arg_max(fixed) {
                self.flips += 1;
            }
        }
    }
}

impl Allowed {
    /// The largest error that is allowed of an element.
    pub(super) fn at(&self, element: usize) -> f64 {
        self.columns.get(element % self.columns.len().max(1)).copied().unwrap_or(1.0)
    }

    /// The fractional bits of the output that mean something: rounded to them, an error grows by an
    /// eighth of what is allowed at most. None where errors are unlike from row to row.
    pub(crate) fn digits(&self) -> Option<u32> {
        let Says::Columns(_) = self.says else { return None };
        let narrowest = self.columns.iter().copied().fold(f64::INFINITY, f64::min);
        Some((4.0 / narrowest).log2().ceil().clamp(0.0, 62.0) as u32)
    }

    /// For an output of this name, of which these are the values in all examples.
    pub(crate) fn of(
        name: &str,
        says: Says,
        examples: &[&[f32]],
        (wanted, accuracy): (&Tolerance, Accuracy),
    ) -> Allowed {
        let columns = match says {
            Says::Classes(_) => 1,
            Says::Columns(n) => n.max(1),
        };
        if let Some(error) = wanted.named(name) {
            return Allowed { says, columns: vec![error; columns], slack: 1.0 };
        }
        let largest = largest(examples);
        let columns = match says {
            Says::Classes(classes) => {
                let Margins { median, thinnest } = Margins::of(examples, classes, largest);
                // Of two classes each may be off.
                let error = match accuracy {
                    Accuracy::Exact => (median * OF_MARGIN * wanted.beside_default()).min(thinnest / 2.0),
                    Accuracy::Labels => {
                        (median * OF_MARGIN_OF_LABELS * wanted.beside_default()).max(thinnest / 2.0)
                    }
                };
                vec![error.max(largest * FLOATS)]
            }
            Says::Columns(_) => (0..columns).map(|c| span(examples, c, columns) * wanted.share).collect(),
        };
        let slack = match says {
            _ if wanted.is_strict() => 1.0,
            Says::Classes(_) => SLACK_OF_CLASSES,
            Says::Columns(_) => SLACK,
        };
        // An output that was nothing but zero is judged as one that is about one.
        let otherwise = if largest > 0.0 { largest * wanted.share } else { wanted.share };
        Allowed { says, columns: judged_by_others(columns, otherwise), slack }
    }

    /// The same of what a client takes the softmax of. Where places are hidden, classes are far apart,
    /// and their probabilities may be none the less: these are off by a quarter of this at most.
    pub(crate) fn of_softmax(self) -> Allowed {
        let columns = self.columns.iter().map(|&error| error.min(OF_SOFTMAX)).collect();
        Allowed { columns, ..self }
    }
}

/// How far the best class lies before the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Margins {
    /// In the middle of all rows.
    pub(crate) median: f64,
    /// Where it is least, ties not counted.
    pub(crate) thinnest: f64,
}

impl Margins {
    /// Of rows of so many classes whose numbers are no larger than `largest`.
    fn of(examples: &[&[f32]], classes: usize, largest: f64) -> Margins {
        let mut margins: Vec<f64> =
            examples.iter().flat_map(|e| e.chunks_exact(classes.max(1)).map(margin)).collect();
        margins.sort_by(f64::total_cmp);
        let median = margins.get(margins.len() / 2).copied().unwrap_or(0.0);
        let thinnest = margins.iter().copied().find(|&m| m > largest * TIE).unwrap_or(median);
        Margins { median, thinnest }
    }

    /// Of an output's values in all examples.
    pub(crate) fn of_output(examples: &[&[f32]], classes: usize) -> Margins {
        Margins::of(examples, classes, largest(examples))
    }
}

/// The largest magnitude of an output in all examples.
fn largest(examples: &[&[f32]]) -> f64 {
    examples.iter().copied().flatten().fold(0.0f64, |m, &v| m.max(f64::from(v).abs()))
}

/// What a column spans over all examples.
fn span(examples: &[&[f32]], column: usize, columns: usize) -> f64 {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in examples.iter().flat_map(|e| e.iter().skip(column).step_by(columns)).map(|&v| f64::from(v)) {
        (low, high) = (low.min(v), high.max(v));
    }
    if low > high { 0.0 } else { (high - low).max(low.abs().max(high.abs()) * LEAST_SPAN) }
}

/// A column of nothing but zeros has no measure of its own: that of the narrowest beside it, or of
/// the whole output.
fn judged_by_others(mut columns: Vec<f64>, otherwise: f64) -> Vec<f64> {
    let narrowest = columns.iter().copied().filter(|&c| c > 0.0).fold(f64::INFINITY, f64::min);
    let instead = if narrowest.is_finite() { narrowest } else { otherwise };
    columns.iter_mut().filter(|c| **c == 0.0).for_each(|c| *c = instead);
    columns
}

/// The distance between the largest and the second largest number.
pub(super) fn margin(row: &[f32]) -> f64 {
    let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for v in row.iter().map(|&v| f64::from(v)) {
        if v > first {
            (first, second) = (v, first);
        } else if v > second {
            second = v;
        }
    }
    first - second
}

fn arg_max(row: &[f64]) -> Option<usize> {
    row.iter()
        .enumerate()
        .fold(None, |best: Option<(usize, f64)>, (i, &v)| match best {
            Some((_, most)) if most >= v => best,
            _ => Some((i, v)),
        })
        .map(|(i, _)| i)
}

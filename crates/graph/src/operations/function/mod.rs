//! Functions of one number, element by element: the catalogue of activations of networks and of the
//! usual elementary functions.
//!
//! All that is known of a function is its [`Entry`], which stands once, in the file of its group: a
//! new function is one entry there, and its name in the group's list. Importers, the page of
//! operations, the passes and the fixed-point step take it from there.

mod activations;
mod circular;
mod elementary;
mod steps;

use super::{OpError, operands};
use crate::graph::Array;
use crate::range::Range;
use crate::ranges::{Operands, Rounding};

/// What is known of a function. Its parameters, as many as it has, are given to all that depends on
/// them; the others are zero.
#[derive(Debug)]
pub struct Entry {
    /// The function's name in reports.
    pub name: &'static str,
    /// What it is called on the page of operations: the title tells entries apart.
    pub title: &'static str,
    /// What TensorFlow calls it, where an operation is this function and nothing else.
    pub tensorflow: &'static [&'static str],
    /// What ONNX calls it, where an operator is this function and nothing else.
    pub onnx: &'static [&'static str],
    /// Its parameters, which are public: two at most.
    pub parameters: &'static [Parameter],
    /// What of it must be known when compiling, as the page says it.
    pub public: &'static str,
    /// Where it is defined, as the page says it; nothing where that is everywhere.
    pub defined: &'static str,
    /// What the page says about it besides.
    pub note: &'static str,
    /// Smallest and largest operand of the page's example.
    pub shown: (f64, f64),
    /// The value at a number: NaN where there is none, and where the number is one.
    value: fn(f64, [f64; 2]) -> f64,
    /// The same of integers that are known when compiling, where frameworks have it.
    pub of_integer: Option<fn(i64) -> i64>,
    domain: fn([f64; 2]) -> Domain,
    /// Where it bends or jumps.
    pub breaks: Breaks,
    image: fn(Range, [f64; 2]) -> Range,
    steep_at_zero: fn([f64; 2]) -> bool,
    /// Whether it comes close to a line wherever numbers are large, so that a few pieces reach as
    /// far as they do.
    straight: bool,
    /// Whether models often have it written out in smaller operations.
    pub written_out: bool,
}

/// A parameter of a function, as frameworks give it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The attribute of TensorFlow's operation, if it is one, and its value where it is left out.
    pub tensorflow: (Option<&'static str>, f32),
    /// The attribute of ONNX's operator, and its value where it is left out.
    pub onnx: (&'static str, f32),
}

/// An end of a function's domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// None: the function is defined as far as numbers reach.
    Open,
    /// The last number at which it is defined.
    At(f64),
    /// A number towards which it grows without limit.
    Pole(f64),
}

/// Where a function is defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// From one end to the other.
    Between(End, End),
    /// Everywhere but at zero, which is a pole.
    BesideZero,
}

impl Domain {
    /// The ends of the part that holds a number of this sign.
    pub fn ends(self, positive: bool) -> (End, End) {
        match self {
            Domain::Between(low, high) => (low, high),
            Domain::BesideZero if positive => (End::Pole(0.0), End::Open),
            Domain::BesideZero => (End::Open, End::Pole(0.0)),
        }
    }
}

/// A number at which another smooth part of a function begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Break {
    /// The number itself belongs to the part above it.
    From(f64),
    /// The number itself belongs to the part below it.
    Above(f64),
}

/// Where a function bends or jumps.
#[derive(Clone, Copy, Debug)]
pub enum Breaks {
    /// Nowhere.
    Nowhere,
    /// At these numbers.
    At(fn([f64; 2]) -> Vec<Break>),
    /// Once for each integer.
    Steps(fn(i64) -> Break),
}

/// The entry that others differ from, with its name and its title: defined and smooth everywhere,
/// with no parameters, and in no framework.
const fn smooth(name: &'static str, title: &'static str) -> Entry {
    Entry {
        name,
        title,
        tensorflow: &[],
        onnx: &[],
        parameters: &[],
        public: "",
        defined: "",
        note: "",
        shown: (-4.0, 4.0),
        value: |x, _| x,
        of_integer: None,
        domain: |_| Domain::Between(End::Open, End::Open),
        breaks: Breaks::Nowhere,
        image: |_, _| Range::ALL,
        steep_at_zero: |_| false,
        straight: true,
        written_out: false,
    }
}

impl Entry {
    /// The same with the names that both frameworks have for it.
    const fn in_both(self, names: &'static [&'static str]) -> Entry {
        Entry { tensorflow: names, onnx: names, ..self }
    }
}

/// A function of one number: an entry of the catalogue, and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    entry: &'static Entry,
    parameters: [f32; 2],
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.entry.title == other.entry.title && self.parameters == other.parameters
    }
}

/// The functions of the catalogue, with the parameters that the page of operations shows them with.
pub fn catalogue() -> impl Iterator<Item = Function> {
    const GROUPS: [&[Function]; 4] =
        [elementary::FUNCTIONS, steps::FUNCTIONS, circular::FUNCTIONS, activations::FUNCTIONS];
    GROUPS.into_iter().flatten().copied()
}

impl Function {
    /// The function of an entry without parameters.
    const fn of(entry: &'static Entry) -> Function {
        Function { entry, parameters: [0.0; 2] }
    }

    /// What the catalogue knows of it.
    pub const fn entry(&self) -> &'static Entry {
        self.entry
    }

    /// The same function with other parameters: as many as it has.
    pub fn with(self, given: &[f32]) -> Function {
        let mut parameters = [0.0; 2];
        for ((to, from), _) in parameters.iter_mut().zip(given).zip(self.entry.parameters) {
            *to = *from;
        }
        Function { parameters, ..self }
    }

    /// What tells it from all others: its title, and the bits of its parameters.
    pub fn key(&self) -> (&'static str, [u32; 2]) {
        (self.entry.title, self.parameters.map(f32::to_bits))
    }

    fn parameters(&self) -> [f64; 2] {
        self.parameters.map(f64::from)
    }

    /// The function's name in reports.
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// The value at x, NaN where there is none. A NaN stays one.
    pub fn at(&self, x: f64) -> f64 {
        (self.entry.value)(x, self.parameters())
    }

    /// Where it is defined.
    pub fn domain(&self) -> Domain {
        (self.entry.domain)(self.parameters())
    }

    /// The numbers at which it bends or jumps between these two; nothing where there are more than
    /// `most`.
    pub fn breaks(&self, low: f64, high: f64, most: usize) -> Option<Vec<Break>> {
        match self.entry.breaks {
            Breaks::Nowhere => Some(Vec::new()),
            Breaks::At(places) => Some(places(self.parameters())),
            Breaks::Steps(begin) => {
                let (from, to) = (low.floor() as i64 - 1, high.ceil() as i64 + 1);
                (to - from <= most as i64).then(|| (from..=to).map(begin).collect())
            }
        }
    }

    /// What its values may be where its operand's are within a range.
    pub fn image(&self, operand: Range) -> Range {
        (self.entry.image)(operand, self.parameters())
    }

    /// Whether fractional bits of a small operand are worth more than others': the function is
    /// steep near zero.
    pub fn steep_at_zero(&self) -> bool {
        (self.entry.steep_at_zero)(self.parameters())
    }

    /// Whether it comes close to a line wherever numbers are large.
    pub fn straight(&self) -> bool {
        self.entry.straight
    }

    /// Whether it jumps somewhere.
    pub fn jumps(&self) -> bool {
        const BESIDE: f64 = 1e-6;
        let jumps = |place: &Break| {
            let (Break::From(at) | Break::Above(at)) = *place;
            (self.at(at + BESIDE) - self.at(at - BESIDE)).abs() > 1e-3
        };
        match self.entry.breaks {
            Breaks::Nowhere => false,
            Breaks::At(places) => places(self.parameters()).iter().any(jumps),
            Breaks::Steps(_) => true,
        }
    }

    /// Whether it jumps at every integer, or half way between them.
    pub fn steps(&self) -> bool {
        matches!(self.entry.breaks, Breaks::Steps(_))
    }

    /// Whether its values are integers, whatever its operand is.
    pub fn gives_integers(&self) -> bool {
        self.steps() || *self == Function::SIGN
    }

    pub(super) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        Ok(x.to_vec())
    }

    pub(super) fn evaluate(&self, inputs: &[&Array]) -> Result<Array, OpError> {
        let [x] = operands(self.name(), "one", inputs)?;
        let (value, parameters) = (self.entry.value, self.parameters());
        Array::new(x.shape.clone(), x.data.iter().map(|&v| value(v.into(), parameters) as f32).collect())
    }

    /// The part of an operand's range that lies in what the float model allows it to be, at the
    /// ends at which the function's domain ends: beyond these the fixed-point function stays what
    /// it is, so that rounding is no reason to ask it for more. The range, where rounding has put
    /// it beside the image.
    pub fn asked(&self, range: Range, image: Range) -> Range {
        let (low, high) = self.domain().ends(image.low > 0.0);
        let inner = Range {
            low: if low == End::Open { range.low } else { range.low.max(image.low) },
            high: if high == End::Open { range.high } else { range.high.min(image.high) },
        };
        if inner.low <= inner.high { inner } else { range }
    }

    pub(super) fn interval(&self, given: &Operands<'_>) -> Vec<Range> {
        given.each(|r| self.sampled(self.asked(r, given.image(0)), given.rounding))
    }

    /// What it makes of a range, where it is defined: by sampling it densely, and allowing for what
    /// lies between samples.
    fn sampled(&self, range: Range, rounding: &Rounding<'_>) -> Range {
        const SAMPLES: usize = 4096;
        let Some(domain) = (rounding.domain)(*self, range) else { return Range::EMPTY };
        let width = domain.high - domain.low;
        let samples: Vec<f64> =
            (0..=SAMPLES).map(|i| self.at(domain.low + width * i as f64 / SAMPLES as f64)).collect();
        let apart = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        let values = samples.iter().fold(Range::EMPTY, |r, &v| r.union(Range::point(v)));
        let grown = values.grown(apart + 8.0 * rounding.unit + values.magnitude() / 512.0);
        // What is never negative stays so, but for rounding.
        if values.low > 0.0 { Range { low: grown.low.max(values.low / 2.0), ..grown } } else { grown }
    }
}

/// All numbers from this one on.
const fn above(low: f64) -> Range {
    Range { low, high: f64::INFINITY }
}

/// All numbers between two.
const fn between(low: f64, high: f64) -> Range {
    Range { low, high }
}

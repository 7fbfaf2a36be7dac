//! The conformance suite: one table of problems that every protocol solves, in one process and over
//! TCP.
//!
//! A protocol's crate asks in its tests for a [`check`] of its [`Definition`], with what the suite
//! must know beside it, its [`Traits`].
//!
//! For each problem an [`Owner`](cryptflow_mpc::Owner) shares the inputs and weights, a thread each runs the parties, and
//! what they reveal is opened. Each value that a step computes is then compared with what
//! [`Clear`](cryptflow_mpc::Clear) makes of the step's own opened operands, so that allowed errors
//! of one step are not counted against the next. Besides the values, each step must
//! * send exactly the bytes that [`CostModel`](cryptflow_mpc::CostModel) declares, from each party to each other one, and
//!   report them;
//! * lengthen the longest chain of dependent messages by exactly the declared rounds;
//! * leave no message unread.
//!
//! A truncation's error is also averaged: over 10,000 elements and more its mean must be within
//! five standard deviations of what the protocol states.

mod generate;
mod inputs;
mod judge;
mod problem;
mod session;
mod table;

use cryptflow_mpc::Definition;

pub use inputs::check_inputs;

/// What a protocol can do, and how exactly.
#[derive(Clone, Debug)]
pub struct Traits {
    /// The widest and the narrowest ring for wide values.
    pub ring_bits: std::ops::RangeInclusive<u32>,
    /// The most bits that a comparison can look at.
    pub compare_bits: u32,
    /// A truncation stays in its ring, and fails with probability |z| / 2^64 for each element
    /// (local truncation). The suite then keeps z so small that a problem fails with a probability
    /// below 2^−20.
    pub local_truncation: bool,
    /// Largest mean of a truncation's error against the exact quotient, in units of the last place.
    pub bias: f64,
    /// Lengths at which the protocol changes its ways; tested with one more and one less.
    pub blocks: Vec<usize>,
}

/// How the parties are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In one process.
    InProcess,
    /// Over TCP on the loopback interface.
    Tcp,
}

/// A part of the table of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Every linear map with strides, dilations, padding, groups, several terms, with and without
    /// bias, over rings and shifts; sums at both ends of the range of a truncation; public factors.
    Linear,
    /// Products of two secrets: element by element, of matrices, of a value with itself, at both
    /// ends of the range.
    Product,
    /// Comparisons with public thresholds on 2 to all bits, at both bounds, and public
    /// combinations.
    Compare,
    /// ReLU and clipped ReLU on 2 to all bits, at both bounds, of narrow and wide values and of
    /// their sums.
    Activation,
    /// Maximum and sum over windows: padding, negative inputs, overlaps, dilations, differences at
    /// the bound.
    Pool,
    /// Widening at ±2^(k−2) and inside, for many k and K.
    Widen,
    /// Sums, differences and movements, of values of one width or several.
    Placement,
    /// Every operation on 0, 1, 63, 64, 65, 511, 512, 513 and 100,000 elements, and around the
    /// protocol's own block sizes.
    Length,
    /// Small programs: residual blocks, values used twice, sums of sums.
    Chain,
    /// Comparisons that do not look at their lowest bits, at both bounds and close to where they decide.
    Skipped,
    /// Rings of a few bits: every value, under many masks.
    SmallRing,
    /// Every operation on a million random values that include the edges of every bound.
    Million,
}

impl Family {
    /// All families but the million.
    pub const QUICK: &'static [Family] = &[
        Family::Linear,
        Family::Product,
        Family::Compare,
        Family::Activation,
        Family::Pool,
        Family::Widen,
        Family::Placement,
        Family::Length,
        Family::Chain,
        Family::Skipped,
        Family::SmallRing,
    ];
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Problems that were run.
    pub problems: usize,
    /// Operations that were checked in them.
    pub operations: usize,
    /// One line for each failure: the problem, the operation, what was due and what came.
    pub failures: Vec<String>,
}

impl Report {
    /// The number of problems solved, or all failures (the first twenty in full).
    pub fn verdict(&self) -> Result<usize, String> {
        if self.failures.is_empty() && self.problems > 0 {
            return Ok(self.problems);
        }
        let shown = self.failures.iter().take(20).map(|f| format!("\n  {f}")).collect::<String>();
        let (failed, all) = (self.failures.len(), self.problems);
        Err(format!("{failed} failures in {all} problems:{shown}"))
    }
}

/// Runs the problems of some families. Problems that need a ring which the protocol does not have
/// are left out.
pub fn check<D: Definition + Sync>(
    definition: &D,
    traits: &Traits,
    transport: Transport,
    families: &[Family],
) -> Report {
    let mut report = Report::default();
    for &family in families {
        let problems = table::problems(family, traits).filter(|p| traits.ring_bits.contains(&p.ring_bits));
        session::run_all(&Subject { definition, traits, transport }, problems, &mut report);
    }
    report
}

/// What is checked.
struct Subject<'a, D> {
    definition: &'a D,
    traits: &'a Traits,
    transport: Transport,
}

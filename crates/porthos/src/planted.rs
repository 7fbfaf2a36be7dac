//! Bugs that tests plant in the protocol's own code, each of which leaves every answer right: secrecy is
//! all that is lost, and the suites of secrecy must find it.
//!
//! `planted!(tuning, Bug: what it does; what is right)` is what is right (nothing, if that is nothing) wherever it is no test of this
//! crate that is compiled: `cfg(test)` is set by the compiler for the crate under test alone, and no
//! binary is linked with that. The bug is an argument of the session, in [`Tuning`](crate::Tuning).

/// Which bug.
#[cfg(all(test, debug_assertions))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Every wave of a ReLU draws the streams of the first one again.
    RewoundWaves,
    /// Every wave of comparisons with thresholds does.
    RewoundThresholds,
    /// Every level of a maximum's tournament does.
    RewoundTournament,
    /// After an output everything is drawn again.
    RewoundBatches,
    /// After an operation that is refused the last stream is drawn again.
    RewoundByErrors,
    /// Blocks all have the pads of the first one.
    OnePadForBlocks,
    /// What P2 shares with the evaluators is drawn from streams of zeros.
    BareDealing,
    /// It has 16 bits.
    ShortPads,
    /// Its lowest bit is zero.
    EvenPads,
    /// Both factors of a product have one mask.
    OneMaskForBoth,
    /// A truncation's operand is opened without a mask.
    BareTruncation,
    /// An evaluator draws its share of an answer's pad from the key that the other one holds.
    OthersKey,
    /// Bits are dealt without pads.
    BareBits,
    /// Bits of all elements are dealt under the pads of 64.
    OnePadForBits,
    /// P2 is shown the words of a comparison.
    BareWords,
    /// Both evaluators hide their words under one mask.
    OneMaskForWords,
    /// P2 learns the answer of a comparison.
    NoCoins,
    /// P2 learns at which bit a comparison is decided.
    NoPlaces,
    /// All factors are one.
    NoFactors,
    /// There are no shares of zero in cells.
    BareCells,
    /// Factors and shares of zero are from one stream.
    OneStreamForCells,
    /// An output's shares are those of the protocol, as they are.
    NoShareOfZero,
    /// All outputs are re-randomised by one share of zero.
    OneShareOfZero,
    /// The owner's seed is a constant.
    ConstantSeed,
    /// The owner's seed of a weight is.
    ConstantWeightSeed,
}

#[cfg(all(test, debug_assertions))]
pub(crate) use plant::*;

#[cfg(all(test, debug_assertions))]
mod plant;

/// What a bug does, or what is right.
#[cfg(all(test, debug_assertions))]
macro_rules! planted {
    ($tuning:expr, $bug:ident: $bad:expr; $good:expr) => {
        if $tuning.planted == Some($crate::planted::Bug::$bug) { $bad } else { $good }
    };
    ($tuning:expr, $bug:ident: $bad:expr) => {
        if $tuning.planted == Some($crate::planted::Bug::$bug) {
            $bad;
        }
    };
}

/// What is right.
#[cfg(not(all(test, debug_assertions)))]
macro_rules! planted {
    ($tuning:expr, $bug:ident: $bad:expr; $good:expr) => {{ $good }};
    ($tuning:expr, $bug:ident: $bad:expr) => {};
}

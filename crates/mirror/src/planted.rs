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
    /// A product draws the last two streams again.
    RewoundProducts,
    /// After an output everything is drawn again.
    RewoundBatches,
    /// After an operation that is refused the last stream is drawn again.
    RewoundByErrors,
    /// An opening's blocks all have the pads of the first one.
    OnePadForBlocks,
    /// An opening's windows have.
    OnePadForWindows,
    /// A dealing's blocks have.
    OneDealtPadForBlocks,
    /// All that is dealt for one opening is dealt under one pad.
    OnePadForDealt,
    /// All planes of an opening have one pad.
    OnePadForPlanes,
    /// The signs for several thresholds have.
    OnePadForThresholds,
    /// The bits for several thresholds have, as numbers.
    OnePadForBits,
    /// Planes are dealt under one pad.
    OnePadForDealtPlanes,
    /// What is opened has the pad of what was dealt for it.
    OpenedUnderDealtPad,
    /// A constant is opened without a pad.
    BareConstant,
    /// So are products with public factors.
    BareFactors,
    /// So are the missing high bits of a lift.
    BareLift,
    /// So is what is chosen in the large ring.
    BareWideChoice,
    /// So is the sign of what is compared.
    BareSign,
    /// So are the nodes of a comparison's tree.
    BareNodes,
    /// So are the signs of an input check.
    BareInputCheck,
    /// Values and planes are dealt without pads.
    BareDealing,
    /// Openings have pads of six bits.
    ShortPads,
    /// Openings have pads whose lowest bit is zero.
    EvenPads,
    /// Dealt values have.
    EvenDealtPads,
    /// P0 opens towards P2, too.
    OpenedToHelper,
    /// P2 sends each evaluator what it deals to the other one as well.
    DealtToBoth,
    /// An evaluator sends its mask along with what it opens.
    MaskSentAlong,
    /// An output's shares are those of the protocol, as they are.
    NoShareOfZero,
    /// All outputs are re-randomised by one share of zero.
    OneShareOfZero,
    /// One of the owner's seeds is a constant.
    ConstantSeed,
    /// The owner's seeds of weights are.
    ConstantWeightSeeds,
    /// The owner has one seed for both masks.
    OneSeedForBothMasks,
}

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

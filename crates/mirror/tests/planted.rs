//! A test of the tests: every bug of [`Bug`] is planted in the protocol's own code, leaves all answers
//! as they are, and is found by the suite that claims it.

use cryptflow_conformance::secrecy;
use cryptflow_conformance::secrecy::PARTIES;
use cryptflow_mirror::{MirrorDefinition, Tuning};

use super::coupling::{SHORT, SHORT_WIDE, answers, coupled};
use crate::planted::Bug;

/// The ring of the runs.
const RING: u32 = 17;
/// One in which all values are within their bounds.
const WIDE: u32 = 40;
/// By what answers may differ: truncations are rounded as shares fall.
const ROUNDING: u64 = 16;

/// The largest difference.
fn farthest(right: &[Vec<i64>], other: &[Vec<i64>]) -> u64 {
    assert!(right.iter().map(Vec::len).eq(other.iter().map(Vec::len)));
    let pairs = right.iter().flatten().zip(other.iter().flatten());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(u64::MAX)
}

/// Which suite finds it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Suite {
    /// The coupling of a party's views, of one of the parties.
    Coupling,
    /// The check of owners.
    Owners,
}

const BUGS: [(Bug, Suite); 34] = [
    (Bug::RewoundWaves, Suite::Coupling),
    (Bug::RewoundThresholds, Suite::Coupling),
    (Bug::RewoundTournament, Suite::Coupling),
    (Bug::RewoundProducts, Suite::Coupling),
    (Bug::RewoundBatches, Suite::Coupling),
    (Bug::RewoundByErrors, Suite::Coupling),
    (Bug::OnePadForBlocks, Suite::Coupling),
    (Bug::OnePadForWindows, Suite::Coupling),
    (Bug::OneDealtPadForBlocks, Suite::Coupling),
    (Bug::OnePadForDealt, Suite::Coupling),
    (Bug::OnePadForPlanes, Suite::Coupling),
    (Bug::OnePadForThresholds, Suite::Coupling),
    (Bug::OnePadForBits, Suite::Coupling),
    (Bug::OnePadForDealtPlanes, Suite::Coupling),
    (Bug::OpenedUnderDealtPad, Suite::Coupling),
    (Bug::BareConstant, Suite::Coupling),
    (Bug::BareFactors, Suite::Coupling),
    (Bug::BareLift, Suite::Coupling),
    (Bug::BareWideChoice, Suite::Coupling),
    (Bug::BareSign, Suite::Coupling),
    (Bug::BareNodes, Suite::Coupling),
    (Bug::BareInputCheck, Suite::Coupling),
    (Bug::BareDealing, Suite::Coupling),
    (Bug::ShortPads, Suite::Coupling),
    (Bug::EvenPads, Suite::Coupling),
    (Bug::EvenDealtPads, Suite::Coupling),
    (Bug::OpenedToHelper, Suite::Coupling),
    (Bug::DealtToBoth, Suite::Coupling),
    (Bug::MaskSentAlong, Suite::Coupling),
    (Bug::NoShareOfZero, Suite::Coupling),
    (Bug::OneShareOfZero, Suite::Coupling),
    (Bug::ConstantSeed, Suite::Owners),
    (Bug::ConstantWeightSeeds, Suite::Owners),
    (Bug::OneSeedForBothMasks, Suite::Owners),
];

#[test]
fn every_bug_is_found() {
    let right = answers(SHORT, WIDE);
    for (bug, suite) in BUGS {
        let began = std::time::Instant::now();
        let tuning = if bug == Bug::BareWideChoice { SHORT_WIDE } else { SHORT };
        let planted = Tuning { planted: Some(bug), ..tuning };
        let found = match suite {
            Suite::Coupling => {
                PARTIES.into_iter().find_map(|party| coupled(planted, RING, party, [1, 2]).err())
            }
            Suite::Owners => secrecy::check_owner(&MirrorDefinition { tuning: planted }, RING, RING).err(),
        };
        println!("{bug:?}: {found:?} {:?}", began.elapsed());
        assert!(found.is_some(), "{bug:?} is not found");
        let far = farthest(&right, &answers(planted, WIDE));
        assert!(far <= ROUNDING, "{bug:?}: an answer is another one by {far}");
    }
}

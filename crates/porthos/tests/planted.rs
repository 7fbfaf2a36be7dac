//! A test of the tests: every bug of [`Bug`] is planted in the protocol's own code, leaves all answers
//! as they are, and is found by the suite that claims it.

use cryptflow_conformance::secrecy;
use cryptflow_conformance::secrecy::PARTIES;
use cryptflow_porthos::{PorthosDefinition, Tuning};

use super::coupling::{SHORT, answers, coupled};
use super::subject::dealt;
use crate::planted::Bug;

/// The ring of the runs: all values are within their bounds.
const RING: u32 = 40;
/// By what answers may differ: truncations are rounded as shares fall.
const ROUNDING: u64 = 16;

/// The largest difference.
fn farthest(right: &[Vec<i64>], other: &[Vec<i64>]) -> u64 {
    assert!(right.iter().map(Vec::len).eq(other.iter().map(Vec::len)));
    let pairs = right.iter().flatten().zip(other.iter().flatten());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(u64::MAX)
}

/// What the coupling of the parties' views finds.
const COUPLING: [Bug; 23] = [
    Bug::RewoundWaves,
    Bug::RewoundThresholds,
    Bug::RewoundTournament,
    Bug::RewoundBatches,
    Bug::RewoundByErrors,
    Bug::OnePadForBlocks,
    Bug::BareDealing,
    Bug::ShortPads,
    Bug::EvenPads,
    Bug::OneMaskForBoth,
    Bug::BareTruncation,
    Bug::OthersKey,
    Bug::BareBits,
    Bug::OnePadForBits,
    Bug::BareWords,
    Bug::OneMaskForWords,
    Bug::NoCoins,
    Bug::NoPlaces,
    Bug::NoFactors,
    Bug::BareCells,
    Bug::OneStreamForCells,
    Bug::NoShareOfZero,
    Bug::OneShareOfZero,
];

/// What the check of owners finds.
const OWNERS: [Bug; 2] = [Bug::ConstantSeed, Bug::ConstantWeightSeed];

#[test]
fn every_bug_is_found() {
    let right = answers(SHORT, RING);
    let planted = |bug| Tuning { planted: Some(bug), ..SHORT };
    for bug in COUPLING {
        let subject = dealt(planted(bug));
        let found = PARTIES.into_iter().find_map(|party| coupled(&subject, RING, party, [1, 2]).err());
        println!("{bug:?}: {found:?}");
        assert!(found.is_some(), "{bug:?} is not found");
    }
    for bug in OWNERS {
        let found = secrecy::check_owner(&PorthosDefinition { tuning: planted(bug) }, RING, 64);
        assert!(found.is_err(), "{bug:?} is not found");
    }
    for bug in COUPLING.into_iter().chain(OWNERS) {
        let far = farthest(&right, &answers(planted(bug), RING));
        assert!(far <= ROUNDING, "{bug:?}: an answer is another one by {far}");
    }
}

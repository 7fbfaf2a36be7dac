//! What Porthos says of itself, with either truncation: two protocols for whoever chooses one.

use cryptflow_mpc::definition::{self, Definition, Facts, Piece, Unsupported};
use cryptflow_mpc::keys::Scope;
use cryptflow_mpc::{Error, Party};
use cryptflow_wire::Links;

use crate::porthos::PARTIES;
use crate::share::SEED;
use crate::truncation::failure_probability;
use crate::{Porthos, PorthosCosts, PorthosOwner, Truncation, Tuning};

/// A bound of the probability that a local truncation fails above which a program is not run.
const TOO_LIKELY: f64 = 0.05;
/// Bits of weights from which on products leave the local truncation enough room.
const WEIGHT_BITS: u32 = 15;
/// The dealt truncation is exact below 2^EXACT_BITS.
const EXACT_BITS: u32 = 62;

/// What both have in common.
const COMMON: Facts = Facts {
    name: "porthos",
    title: "Porthos",
    help: "As published in CrypTFlow, for comparison: at most one party may be curious; a truncation can fail",
    parties: PARTIES,
    dealer: Some(Party::P2),
    ahead: false,
    sharing: "porthos",
    // Nobody gets what another gets: whatever the two are, they are a sharing of their sum.
    pieces: &[
        Piece { holders: &[Party::P0], bytes: Some(SEED) },
        Piece { holders: &[Party::P1], bytes: None },
    ],
    usual: false,
    unprotected: None,
    weight_bits: None,
};

/// Porthos as published in CrypTFlow: its truncation is local, and can fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct PorthosDefinition {
    /// The portions of a tensor. All parties must have the same: keys follow from it.
    pub tuning: Tuning,
}

/// Porthos with a truncation that never fails, for 32 bytes an element and one round.
#[derive(Clone, Copy, Debug, Default)]
pub struct PorthosExactDefinition {
    /// The portions of a tensor. All parties must have the same: keys follow from it.
    pub tuning: Tuning,
}

impl Definition for PorthosDefinition {
    type Protocol = Porthos;
    type Owner = PorthosOwner;
    type Costs = PorthosCosts;

    const FACTS: Facts = Facts { weight_bits: Some(WEIGHT_BITS), ..COMMON };

    /// It has no choice.
    fn for_network(self, _: Option<u64>) -> Self {
        self
    }

    fn begin(&self, links: Links, scope: &Scope) -> Result<Porthos, Error> {
        Porthos::new(links, scope, Truncation::Local, self.tuning)
    }

    fn owner(&self, ring_bits: u32) -> PorthosOwner {
        let owner = PorthosOwner::new(ring_bits);
        #[cfg(all(test, debug_assertions))]
        let owner = PorthosOwner { planted: self.tuning.planted, ..owner };
        owner
    }

    fn costs(&self, _ring_bits: u32) -> PorthosCosts {
        PorthosCosts { truncation: Truncation::Local, tuning: self.tuning }
    }

    /// The bounds before a shift are those of the result, shifted back.
    fn failure(&self, truncations: &[definition::Truncation<'_>]) -> Option<f64> {
        let failure = |t: &definition::Truncation<'_>| {
            failure_probability(t.len, t.largest.saturating_mul(1 << t.shift.min(63)))
        };
        Some(truncations.iter().map(failure).sum::<f64>().min(1.0))
    }

    fn supports(&self, truncations: &[definition::Truncation<'_>]) -> Result<(), Unsupported> {
        let failure = self.failure(truncations).unwrap_or(0.0);
        if failure <= TOO_LIKELY {
            return Ok(());
        }
        Err(Unsupported(format!(
            "a truncation of this program fails with a probability of up to {failure:.1e} under porthos, and the output is \
             garbage then: run with porthos-exact or mirror, whose truncations never fail; or, for a model of layers with weights, \
             compile with --weight-bits {WEIGHT_BITS} (products of secrets, in attention and functions, are not helped by it)"
        )))
    }
}

impl Definition for PorthosExactDefinition {
    type Protocol = Porthos;
    type Owner = PorthosOwner;
    type Costs = PorthosCosts;

    const FACTS: Facts = Facts {
        name: "porthos-exact",
        title: "Porthos with exact truncation",
        help: "Porthos with a truncation that never fails: 32 bytes an element and a round more",
        usual: true,
        ..COMMON
    };

    /// It has no choice.
    fn for_network(self, _: Option<u64>) -> Self {
        self
    }

    fn begin(&self, links: Links, scope: &Scope) -> Result<Porthos, Error> {
        Porthos::new(links, scope, Truncation::Dealt, self.tuning)
    }

    fn owner(&self, ring_bits: u32) -> PorthosOwner {
        let owner = PorthosOwner::new(ring_bits);
        #[cfg(all(test, debug_assertions))]
        let owner = PorthosOwner { planted: self.tuning.planted, ..owner };
        owner
    }

    fn costs(&self, _ring_bits: u32) -> PorthosCosts {
        PorthosCosts { truncation: Truncation::Dealt, tuning: self.tuning }
    }

    /// Products of secrets are within the ring, as the program's bounds say. Those by public
    /// factors may leave it.
    fn supports(&self, truncations: &[definition::Truncation<'_>]) -> Result<(), Unsupported> {
        for t in truncations.iter().filter(|t| t.public) {
            let largest = u128::from(t.largest) << t.shift.min(63);
            if largest >= 1 << EXACT_BITS {
                return Err(Unsupported(format!(
                    "{} multiplies values of up to 2^{} before it shifts, and porthos-exact truncates exactly below 2^{EXACT_BITS}: \
                     compile with --ring {EXACT_BITS}, or run with mirror",
                    t.step,
                    128 - largest.leading_zeros()
                )));
            }
        }
        Ok(())
    }
}

//! Which protocols the parties can run, and which programs they can run with them.

use std::fmt;
use std::str::FromStr;

use cryptflow_mirror::MirrorOwner;
use cryptflow_mpc::{Clear, Owner, Party};
use cryptflow_porthos::{PorthosOwner, truncation};
use cryptflow_program::{Linear, Operation, Product, Program, ScalePublic, Step};
use serde::{Deserialize, Serialize};

use crate::messages::SessionError;

/// The protocols that the parties can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolName {
    /// Mirror: nobody sees anything; at most one party may be curious.
    Mirror,
    /// Porthos, as published in CrypTFlow: for comparison. At most one party may be curious; a truncation can fail.
    Porthos,
    /// Porthos with a truncation that never fails: 32 bytes an element and one round more.
    PorthosExact,
    /// Fixed point without any protection, every party sees everything: for finding errors.
    Clear,
}

impl ProtocolName {
    /// All of them.
    pub const ALL: [ProtocolName; 4] =
        [ProtocolName::Mirror, ProtocolName::Porthos, ProtocolName::PorthosExact, ProtocolName::Clear];

    /// As the user types it.
    pub fn name(self) -> &'static str {
        match self {
            ProtocolName::Mirror => "mirror",
            ProtocolName::Porthos => "porthos",
            ProtocolName::PorthosExact => "porthos-exact",
            ProtocolName::Clear => "clear",
        }
    }

    /// How many parties run it.
    pub fn parties(self) -> usize {
        3
    }

    /// The party that only deals, if there is one: nothing that it sends depends on an input.
    pub fn dealer(self) -> Option<Party> {
        (self != ProtocolName::Clear).then_some(Party::P2)
    }

    /// What shares secrets and opens outputs under this protocol.
    pub fn owner(self, ring_bits: u32) -> Box<dyn Owner> {
        match self {
            ProtocolName::Mirror => Box::new(MirrorOwner::new(ring_bits)),
            ProtocolName::Porthos | ProtocolName::PorthosExact => Box::new(PorthosOwner::new(ring_bits)),
            ProtocolName::Clear => Box::new(Clear::new(Party::P0, ring_bits)),
        }
    }

    /// Whether parts that were shared under this protocol serve another.
    pub fn shares_like(self, other: ProtocolName) -> bool {
        let family = |name| if name == ProtocolName::PorthosExact { ProtocolName::Porthos } else { name };
        family(self) == family(other)
    }
}

impl fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ProtocolName {
    type Err = String;
    fn from_str(name: &str) -> Result<ProtocolName, String> {
        let found = ProtocolName::ALL.into_iter().find(|protocol| protocol.name() == name);
        found.ok_or_else(|| format!("there is no protocol {name:?}"))
    }
}

/// A bound of the probability that a local truncation fails above which a program is not run.
const TOO_LIKELY: f64 = 0.05;

/// A bound of the probability that any truncation of a run fails under Porthos as published. The bounds before a shift are
/// those of the result, shifted back.
pub fn truncation_failure(program: &Program) -> f64 {
    let failure = |step: &Step| {
        let (Operation::Linear(Linear { shift, .. })
        | Operation::Product(Product { shift, .. })
        | Operation::ScalePublic(ScalePublic { shift, .. })) = step.operation
        else {
            return 0.0;
        };
        program.values.get(step.output.0).map_or(0.0, |value| {
            let largest = value.low.unsigned_abs().max(value.high.unsigned_abs());
            let len: usize = value.shape.iter().product();
            truncation::failure_probability(len as u64, largest.saturating_mul(1 << shift.min(63)))
        })
    };
    program.steps.iter().map(failure).sum::<f64>().min(1.0)
}

/// Whether a protocol computes every step of a program within its exact range.
///
/// # Errors
/// A step lies outside; it is named.
pub fn supported(protocol: ProtocolName, program: &Program) -> Result<(), SessionError> {
    if protocol == ProtocolName::Porthos {
        let failure = truncation_failure(program);
        if failure > TOO_LIKELY {
            return Err(SessionError::Manifest(format!(
                "a truncation of this program fails with a probability of up to {failure:.1e} under {protocol}, and the output is \
                 garbage then: run with porthos-exact or mirror, whose truncations never fail; or, for a model of layers with weights, \
                 compile with --weight-bits 15 (products of secrets, in attention and functions, are not helped by it)"
            )));
        }
    }
    if protocol != ProtocolName::PorthosExact {
        return Ok(());
    }
    for step in &program.steps {
        let Operation::ScalePublic(ScalePublic { shift, .. }) = step.operation else { continue };
        let Some(value) = program.values.get(step.output.0) else { continue };
        let largest = u128::from(value.low.unsigned_abs().max(value.high.unsigned_abs())) << shift;
        if largest >= 1 << 62 {
            return Err(SessionError::Manifest(format!(
                "{} multiplies values of up to 2^{} before it shifts, and {protocol} truncates exactly below 2^62: compile with \
                 --ring 62, or run with mirror",
                step.name,
                128 - largest.leading_zeros()
            )));
        }
    }
    Ok(())
}

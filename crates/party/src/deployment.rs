//! A deployed model: a program, and parts of its weights, each of which one party keeps.

use cryptflow_program::{Checked, Program, validate};
use cryptflow_protocols::ProtocolName;
use serde::{Deserialize, Serialize};

use crate::commitments::{Told, check};
use crate::difference::Difference;
use crate::messages::{Obstacle, SessionError, elements, part_limit};
use crate::serve::supported;

/// What everybody may know of a deployed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Its name.
    pub name: String,
    /// The program, as JSON.
    pub program: String,
    /// The protocol that the weights were shared for.
    pub protocol: ProtocolName,
    /// A commitment to each piece of the weights' sharing ([`crate::commitments`]). Parties keep the
    /// salts of those that they hold: a commitment without its salt says nothing of the weights.
    pub commitments: Vec<[u8; 32]>,
}

impl Deployment {
    /// What all participants of a session must agree on. The name is no part of it.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("cryptflow deployment v2");
        hasher.update(&(self.program.len() as u64).to_le_bytes()).update(self.program.as_bytes());
        hasher.update(self.protocol.name().as_bytes());
        for commitment in &self.commitments {
            hasher.update(commitment);
        }
        *hasher.finalize().as_bytes()
    }

    /// The program, valid.
    ///
    /// # Errors
    /// It is none, or one that the protocol cannot run.
    pub fn parse(&self) -> Result<Checked, SessionError> {
        let program: Program = serde_json::from_str(&self.program).map_err(|e| self.obstructed(e.into()))?;
        let program = validate(program).map_err(|e| self.obstructed(e.into()))?;
        let (pieces, due) = (self.commitments.len(), self.protocol.facts().pieces.len());
        if pieces != due {
            let difference = Difference::Pieces { pieces, protocol: self.protocol, due };
            return Err(self.obstructed(difference.into()));
        }
        supported(self.protocol, &program)?;
        Ok(program)
    }

    fn obstructed(&self, obstacle: Obstacle) -> SessionError {
        Obstacle::Model { model: self.name.clone(), obstacle: Box::new(obstacle) }.into()
    }
}

/// What one party keeps of a deployed model.
pub struct Part {
    /// What everybody may know.
    pub deployment: Deployment,
    /// The salts of the commitments to what this party holds.
    pub salts: Vec<[u8; 32]>,
    /// This party's parts of the weights, by id.
    pub weights: Vec<Vec<u8>>,
}

impl Part {
    /// Whether there are as many weights as the program has, none longer than its own.
    ///
    /// # Errors
    /// There are not.
    pub(crate) fn check_sizes(&self, index: usize, program: &Program) -> Result<(), SessionError> {
        let refused = |reason| {
            let model = self.deployment.name.clone();
            Err(SessionError::Weights { party: index, model, reason })
        };
        if self.weights.len() != program.weights.len() {
            return refused("has not as many tensors as the program");
        }
        let too_long = |(part, weight): (&Vec<u8>, &cryptflow_program::Weight)| {
            part.len() > part_limit(elements(&weight.shape))
        };
        if self.weights.iter().zip(&program.weights).any(too_long) {
            return refused("has a tensor that is longer than its weight");
        }
        Ok(())
    }

    /// Whether the weights are those that their owner committed to, as all parties know.
    pub(crate) fn fits(&self, index: usize) -> bool {
        let told = Told { commitments: self.deployment.commitments.clone(), salts: self.salts.clone() };
        check(self.deployment.protocol, index, &told, &self.weights)
    }

    /// Whether a part that was kept is still the one that was deployed.
    ///
    /// # Errors
    /// It is not (`unfit` says so), or there are too few or too many weights.
    pub fn check(&self, index: usize, program: &Program, unfit: &'static str) -> Result<(), SessionError> {
        self.check_sizes(index, program)?;
        if self.fits(index) {
            return Ok(());
        }
        Err(SessionError::Weights { party: index, model: self.deployment.name.clone(), reason: unfit })
    }
}

/// What is said of weights that are not those of their deployment.
pub const CHANGED: &str = "is not the one that was deployed: it was changed";

/// Whether a name is one that a model can have: it becomes a file's name at every party.
///
/// # Errors
/// What a name may consist of.
pub fn check_name(name: &str) -> Result<(), SessionError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(SessionError::Name(name.into()));
    }
    Ok(())
}

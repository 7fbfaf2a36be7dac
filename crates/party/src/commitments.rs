//! What keeps the parts of a sharing together.
//!
//! Some pieces of a sharing go to several parties ([`cryptflow_mpc::definition::Piece`]): in Mirror
//! each goes to two. An owner who gives the one something else than the other would have the parties
//! compute on what is no sharing of anything, and an answer to that can say more than an answer. So
//! owners tell all parties the same list: a commitment to each piece of all tensors. The key of a
//! commitment, its salt, goes to the holders of the piece, and to nobody else. A party
//! * checks the commitments to what it holds ([`check`]), and goes no further if one is wrong;
//! * then tells the others the digest of its list, and computes nothing before it has heard the same
//!   from both ([`compare`]).
//!
//! Whoever has heard the same digest from all others knows that each of them holds what the list
//! says: one round, in which nobody learns anything of a piece that it does not hold.

use cryptflow_mpc::{Cost, Party, Traffic};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::Links;
use serde::{Deserialize, Serialize};

pub use arriving::Arriving;

use crate::messages::SessionError;

mod arriving;

/// Bytes of a digest of a list.
const DIGEST: usize = 32;

/// The tensors of an owner, as they are called in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The inputs of a batch.
    Inputs,
    /// The weights of a model.
    Weights,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            What::Inputs => "inputs",
            What::Weights => "weights",
        })
    }
}

/// What an owner tells a party of all parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// A commitment to each piece, in the order of the protocol's list of them: the same for all
    /// parties.
    pub commitments: Vec<[u8; 32]>,
    /// The salts of the pieces that this party gets, in the same order.
    pub salts: Vec<[u8; 32]>,
}

/// Parts that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A party was given something else than all were told.
    #[error(
        "{owner} gave P{party} a part of the {what} that does not go with the others: nothing was computed of it"
    )]
    Part {
        /// Who shared it, by the name of its link.
        owner: String,
        /// Who noticed.
        party: usize,
        /// What was shared.
        what: What,
    },
    /// Two parties were told different things.
    #[error("{owner} told P{party} and P{other} of different {what}: nothing was computed of them")]
    Lists {
        /// Who shared it, by the name of its link.
        owner: String,
        /// Who noticed.
        party: usize,
        /// The other one.
        other: usize,
        /// What was shared.
        what: What,
    },
    /// Two parties were told of different models, or of different sharings of its weights, when one was
    /// deployed.
    #[error(
        "{owner} told P{party} and P{other} of different models, or of different weights for one: nothing of it is kept"
    )]
    Deployments {
        /// Who deploys it.
        owner: String,
        /// Who noticed.
        party: usize,
        /// The other one.
        other: usize,
    },
    /// Nothing shows that another party holds its part of a model.
    #[error(
        "{owner} does not show P{party} that P{other} holds its part of the model: nothing of it is kept"
    )]
    NotHeld {
        /// Who deploys it.
        owner: String,
        /// Who asks.
        party: usize,
        /// The other one.
        other: usize,
    },
}

/// Commits to the pieces of some tensors. `parts` has each party's parts of all of them. Returns what
/// each party is told.
///
/// # Errors
/// Parts that are none of this protocol, or the system gives no randomness.
pub fn commit(protocol: ProtocolName, parts: &[Vec<Vec<u8>>]) -> Result<Vec<Told>, SessionError> {
    let facts = protocol.facts();
    let mut all: Vec<Told> = vec![Told::default(); parts.len()];
    for (number, piece) in facts.pieces.iter().enumerate() {
        let mut salt = [0; 32];
        cryptflow_mpc::keys::random(&mut salt)?;
        let of = |party: &Party| {
            let parts = parts.get(party.index())?;
            commitment(protocol, *party, number, &salt, parts)
        };
        let made = piece.holders.first().and_then(of);
        let made =
            made.ok_or_else(|| SessionError::Operands(format!("these are no parts for {protocol}")))?;
        for (party, told) in Party::all(parts.len()).zip(&mut all) {
            told.commitments.push(made);
            if piece.holders.contains(&party) {
                told.salts.push(salt);
            }
        }
    }
    Ok(all)
}

/// Whether a party's parts of some tensors are those that its owner has committed to.
pub fn check(protocol: ProtocolName, party: usize, told: &Told, parts: &[Vec<u8>]) -> bool {
    let mut arriving = Arriving::new(protocol, party, told);
    for part in parts {
        arriving.tensor(part.len() as u64);
        arriving.take(part);
    }
    arriving.holds()
}

/// A commitment to a piece of all tensors: who does not know the salt learns nothing of them from it.
fn commitment(
    protocol: ProtocolName,
    party: Party,
    number: usize,
    salt: &[u8; 32],
    parts: &[Vec<u8>],
) -> Option<[u8; 32]> {
    let mut hasher = committing(salt);
    for part in parts {
        let pieces = protocol.facts().pieces_of(party, part)?;
        let (_, bytes) = pieces.into_iter().find(|(held, _)| *held == number)?;
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    Some(*hasher.finalize().as_bytes())
}

/// What makes a commitment of the length and the bytes of a piece, tensor by tensor.
fn committing(salt: &[u8; 32]) -> blake3::Hasher {
    blake3::Hasher::new_keyed(&blake3::derive_key("cryptflow commitment to a piece v1", salt))
}

/// The digest of a list of commitments: what parties compare.
pub fn digest(what: What, commitments: &[[u8; 32]]) -> [u8; DIGEST] {
    let mut hasher = blake3::Hasher::new_derive_key("cryptflow commitments to parts v1");
    hasher.update(&[match what {
        What::Inputs => 0,
        What::Weights => 1,
    }]);
    hasher.update(&(commitments.len() as u64).to_le_bytes());
    commitments.iter().for_each(|commitment| {
        hasher.update(commitment);
    });
    *hasher.finalize().as_bytes()
}

/// What parties compare before several batches run at once: the digest of the inputs' list, and how many there are,
/// as all must run the same program. Of one batch it is the digest itself.
pub fn at_once(inputs: [u8; DIGEST], runs: usize) -> [u8; DIGEST] {
    if runs == 1 {
        return inputs;
    }
    let mut hasher = blake3::Hasher::new_derive_key("cryptflow batches at once v1");
    hasher.update(&inputs).update(&(runs as u64).to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// Compares the digest of a list with the other parties', of whom each has checked its own parts.
/// `owner` is who told them.
///
/// # Errors
/// Two parties were told different things, or a link fails: another party's parts are not what it
/// was told.
pub fn compare(links: &Links, owner: &str, what: What, own: [u8; DIGEST]) -> Result<(), SessionError> {
    for j in links.others() {
        links.to(j).send(own.to_vec())?;
    }
    for j in links.others() {
        if links.to(j).recv(DIGEST)? != own {
            return Err(differ(links, owner, what, j).into());
        }
    }
    Ok(())
}

/// The error of a party that was told something else than another.
pub(crate) fn differ(links: &Links, owner: &str, what: What, other: usize) -> Unfit {
    Unfit::Lists { owner: owner.into(), party: links.index(), other, what }
}

/// What [`compare`] costs parties.
pub fn cost(parties: usize) -> Cost {
    let mut bytes = Traffic::NONE;
    for party in Party::all(parties) {
        let to: Vec<u64> =
            Party::all(parties).map(|to| if to == party { 0 } else { DIGEST as u64 }).collect();
        bytes += &Traffic::sent_by(party, &to);
    }
    Cost { rounds: 1, bytes }
}

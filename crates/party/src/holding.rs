//! What parties know of each other when a model is deployed.
//!
//! Each party finds out by itself whether its part is what the owner has committed to
//! ([`crate::commitments`]); whether all were told of the same commitments, they find out together,
//! before any of them keeps anything. A party that holds its part says so and signs it ([`Held`]); the
//! owner hands each party what all have signed (`agreed`). An owner cannot sign in a party's place, so
//! parties that keep a model have all found the same of it, whatever they were told by whom.

use cryptflow_wire::tls::{Fingerprint, Identity, signer};
use serde::{Deserialize, Serialize};

use crate::commitments::Unfit;
use crate::config::PartyEntry;
use crate::deployment::Deployment;
use crate::messages::SessionError;

/// What a signature is about, before everything else.
const CONTEXT: &[u8] = b"cryptflow held part v1\0";

/// That a party holds its part of a model, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Of what: [`Deployment::digest`].
    pub deployment: [u8; 32],
    /// The certificate of the party's site, DER.
    pub certificate: Vec<u8>,
    /// The signature of its key.
    pub signature: Vec<u8>,
}

impl Held {
    /// Party `party`, whose key this is, holds its part of a model of this owner's.
    ///
    /// # Errors
    /// The key cannot sign.
    pub(crate) fn sign(
        identity: &Identity,
        party: usize,
        owner: Fingerprint,
        deployment: &Deployment,
    ) -> Result<Held, SessionError> {
        let digest = deployment.digest();
        Ok(Held {
            deployment: digest,
            certificate: identity.certificate().to_vec(),
            signature: identity.sign(&statement(party, owner, &deployment.name, &digest))?,
        })
    }
}

/// What is signed.
fn statement(party: usize, owner: Fingerprint, name: &str, deployment: &[u8; 32]) -> Vec<u8> {
    let party = (party as u64).to_le_bytes();
    [CONTEXT, &party, &owner.0, deployment, name.as_bytes()].concat()
}

/// Whether all other parties hold their parts of what party `own` holds its part of. `owner` brings what
/// they have signed, in order, and is known by this name and key.
///
/// # Errors
/// One of them did not sign, or holds a part of something else.
pub(crate) fn agreed(
    held: &[Held],
    parties: &[PartyEntry],
    own: usize,
    (name, owner): (&str, Fingerprint),
    deployment: &Deployment,
) -> Result<(), Unfit> {
    let (who, digest) = (|| format!("client {name}"), deployment.digest());
    for (other, entry) in parties.iter().enumerate().filter(|(other, _)| *other != own) {
        let signed = held.get(other).filter(|held| {
            let said = statement(other, owner, &deployment.name, &held.deployment);
            signer(&held.certificate, &said, &held.signature).is_some_and(|key| entry.keys.contains(key))
        });
        let Some(signed) = signed else { return Err(Unfit::NotHeld { owner: who(), party: own, other }) };
        if signed.deployment != digest {
            return Err(Unfit::Deployments { owner: who(), party: own, other });
        }
    }
    Ok(())
}

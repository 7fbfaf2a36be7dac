//! What parties know of each other when a version of a model is decided.
//!
//! Each party finds out by itself whether its part is what the owner has committed to
//! ([`crate::commitments`]); whether all were told of the same commitments, they find out together,
//! before any of them serves anything of it. A party that holds its part says so and signs it
//! ([`Held`]); what all have signed is the *certificate* of the version: whoever has it shows each
//! party that all others hold theirs. An owner cannot sign in a party's place, so parties that keep a
//! version have all found the same of it, whatever they were told by whom.
//!
//! A party signs one holding for each number of a version, so there is one certificate at most.

use cryptflow_wire::tls::{Fingerprint, Identity, signer};
use serde::{Deserialize, Serialize};

use crate::commitments::Unfit;
use crate::config::PartyEntry;
use crate::messages::SessionError;

/// What a signature is about, before everything else.
const CONTEXT: &[u8] = b"cryptflow held part v2\0";

/// That a party holds its part of a version, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Of what: [`crate::versions::Content::digest`].
    #[serde(with = "hex::serde")]
    pub deployment: [u8; 32],
    /// The certificate of the party's site, DER.
    #[serde(with = "hex::serde")]
    pub certificate: Vec<u8>,
    /// The signature of its key.
    #[serde(with = "hex::serde")]
    pub signature: Vec<u8>,
}

/// What is promised by who signs.
#[derive(Clone, Copy, Debug)]
pub struct Promise<'a> {
    /// The model.
    pub name: &'a str,
    /// The number of the version.
    pub generation: u64,
    /// What it is: [`crate::versions::Content::digest`].
    pub deployment: [u8; 32],
    /// The key of the client that brings it.
    pub owner: Fingerprint,
}

impl Promise<'_> {
    /// What is signed by a party that says it of such a deployment.
    fn statement(&self, party: usize, deployment: &[u8; 32]) -> Vec<u8> {
        let (party, generation) = ((party as u64).to_le_bytes(), self.generation.to_le_bytes());
        [CONTEXT, &party, &self.owner.0, &generation, deployment, self.name.as_bytes()].concat()
    }

    /// Party `party`, whose key this is, makes it.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(&self, identity: &Identity, party: usize) -> Result<Held, SessionError> {
        Ok(Held {
            deployment: self.deployment,
            certificate: identity.certificate().to_vec(),
            signature: identity.sign(&self.statement(party, &self.deployment))?,
        })
    }

    /// What a party has signed, if that is its signature: it may speak of another deployment.
    fn signed<'a>(&self, held: &'a [Held], party: usize, entry: &PartyEntry) -> Option<&'a Held> {
        held.get(party).filter(|held| {
            let said = self.statement(party, &held.deployment);
            signer(&held.certificate, &said, &held.signature).is_some_and(|key| entry.keys.contains(key))
        })
    }

    /// Whether all parties have made it: `held` is what each has signed, in order.
    pub fn is_made_by_all(&self, held: &[Held], parties: &[PartyEntry]) -> bool {
        let made = |(party, entry)| {
            self.signed(held, party, entry).is_some_and(|held| held.deployment == self.deployment)
        };
        parties.iter().enumerate().all(made)
    }

    /// Whether all other parties have made what party `own` has made. `client` is how the owner is
    /// called here.
    ///
    /// # Errors
    /// One of them did not sign, or holds a part of something else.
    pub(crate) fn agreed(
        &self,
        held: &[Held],
        parties: &[PartyEntry],
        own: usize,
        client: &str,
    ) -> Result<(), Unfit> {
        let owner = || format!("client {client}");
        for (other, entry) in parties.iter().enumerate().filter(|(other, _)| *other != own) {
            match self.signed(held, other, entry) {
                None => return Err(Unfit::NotHeld { owner: owner(), party: own, other }),
                Some(held) if held.deployment != self.deployment => {
                    return Err(Unfit::Deployments { owner: owner(), party: own, other });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

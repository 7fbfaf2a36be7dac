//! [`Accord`]: what the parties of an attested session keep agreeing on, beside the protocol.

use std::time::Instant;

use cryptflow_aramis::Appraisal;
use cryptflow_wire::{Link, Links, Role};
use serde::{Deserialize, Serialize};

use super::handshake::{Proved, Terms, attest};
use super::statement::{Statement, consistent};
use super::{Discord, Instance, Trust};
use crate::commitments::{What, differ};
use crate::difference::Difference;
use crate::messages::{Manifest, Obstacle, SessionError, receive_short, send, unexpected};

/// One party's side of an attested session.
pub struct Accord {
    trust: Trust,
    instance: Instance,
    /// By the peer's index; nothing at its own.
    terms: Vec<Option<Terms>>,
    client: Terms,
    /// The instances of all parties, in order, as this party knows them.
    roster: Vec<[u8; 32]>,
    appraisals: Vec<Option<Appraisal>>,
    proved: Instant,
}

/// What a party tells the others once its links are up.
#[derive(Serialize, Deserialize)]
struct Agreement {
    manifest: [u8; 32],
    roster: Vec<[u8; 32]>,
}

/// What a party tells the others before a batch.
#[derive(Serialize, Deserialize)]
struct Intent {
    /// Its evidence, or another's, is old.
    due: bool,
    /// The digest of what it was told of the inputs.
    inputs: [u8; 32],
}

/// A batch that ended well.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What this party saw: for the client.
    pub statement: Statement,
}

impl Accord {
    /// The accord of party `index`, once every other party (`peers`, by index, with the terms of
    /// its connection) has proved itself.
    pub fn new(
        index: usize,
        trust: Trust,
        instance: Instance,
        peers: Vec<Option<(Terms, Proved)>>,
        client: Terms,
    ) -> Accord {
        let (mut roster, mut appraisals, mut terms) = (Vec::new(), Vec::new(), Vec::new());
        for (j, peer) in peers.into_iter().enumerate() {
            let nobody = if j == index { *instance.public() } else { [0; 32] };
            let (of_peer, proved) = peer.unzip();
            let (its_instance, appraisal) =
                proved.map_or((nobody, None), |proved| (proved.instance, proved.appraisal));
            roster.push(its_instance);
            appraisals.push(appraisal);
            terms.push(of_peer);
        }
        Accord { trust, instance, terms, client, roster, appraisals, proved: Instant::now() }
    }

    /// What the evidence of each other party said.
    pub fn appraisals(&self) -> &[Option<Appraisal>] {
        &self.appraisals
    }

    /// Everybody was asked for the same, and means the same instances: a party that runs twice, and
    /// shows one copy to one and the other to another, is found here.
    ///
    /// # Errors
    /// Who disagrees, on what.
    pub fn agree(&self, links: &Links, manifest: &Manifest) -> Result<(), SessionError> {
        let own = Agreement { manifest: manifest.digest(), roster: self.roster.clone() };
        for j in links.others() {
            send(links.to(j), &own)?;
        }
        for j in links.others() {
            let theirs: Agreement = receive_short(links.to(j))?;
            if theirs.manifest != own.manifest {
                let difference = Difference::AttestedManifest { party: links.index(), peer: j };
                return Err(Obstacle::from(difference).into());
            }
            let all = 0..own.roster.len().max(theirs.roster.len());
            if let Some(party) = all.into_iter().find(|&k| theirs.roster.get(k) != own.roster.get(k)) {
                return Err(Discord::Twice { party, peers: [links.index(), j] }.into());
            }
        }
        Ok(())
    }

    /// Before any mask of a batch is drawn: evidence again where it is due, and all parties were told
    /// the same of the inputs by `owner` ([`crate::commitments::compare`]). Returns what each was
    /// told.
    ///
    /// # Errors
    /// A link fails, inputs do not go together, or evidence is refused.
    pub fn before_batch(
        &mut self,
        links: &Links,
        owner: &str,
        inputs: [u8; 32],
    ) -> Result<Vec<[u8; 32]>, SessionError> {
        let own = Intent { due: self.proved.elapsed() >= self.trust.interval, inputs };
        for j in links.others() {
            send(links.to(j), &own)?;
        }
        let mut due = own.due;
        for j in links.others() {
            let theirs: Intent = receive_short(links.to(j))?;
            if theirs.inputs != inputs {
                return Err(differ(links, owner, What::Inputs, j).into());
            }
            due |= theirs.due;
        }
        // All heard the same, and come to the same conclusion.
        if due {
            self.renew(links)?;
        }
        Ok(vec![inputs; links.parties()])
    }

    /// Every party proves itself to every other again.
    fn renew(&mut self, links: &Links) -> Result<(), SessionError> {
        for j in links.others() {
            let Some(Some(terms)) = self.terms.get(j) else { continue };
            let proved = attest(links.to(j), &self.trust, &self.instance, terms)?;
            if proved.instance != self.roster[j] {
                return Err(unexpected(links.to(j), "its session key has changed"));
            }
            self.appraisals[j] = proved.appraisal;
        }
        self.proved = Instant::now();
        Ok(())
    }

    /// Proves this party to the client again.
    ///
    /// # Errors
    /// The link fails, or the client refuses.
    pub fn renew_for_client(&self, client: &Link) -> Result<(), SessionError> {
        attest(client, &self.trust, &self.instance, &self.client).map(drop)
    }

    /// After a batch, before any output leaves: all parties saw the same messages on every link.
    ///
    /// # Errors
    /// Which two parties disagree.
    pub fn after_batch(&self, links: &Links, inputs: Vec<[u8; 32]>) -> Result<Ended, SessionError> {
        let own = Statement::of(links, inputs)?;
        for j in links.others() {
            send(links.to(j), &own)?;
        }
        let mut statements = vec![own.clone(); links.parties()];
        for j in links.others() {
            statements[j] = receive_short(links.to(j))?;
        }
        consistent(&statements).map_err(SessionError::Transcript)?;
        Ok(Ended { statement: own })
    }
}

/// The roles of the parties.
pub(crate) fn role(index: usize) -> Role {
    Role::Party(u8::try_from(index).unwrap_or(u8::MAX))
}

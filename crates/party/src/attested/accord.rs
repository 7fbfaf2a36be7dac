//! [`Accord`]: what the three parties of an attested session keep agreeing on, beside the protocol.

use std::time::Instant;

use cryptflow_aramis::Appraisal;
use cryptflow_wire::{Link, Links, Role};
use serde::{Deserialize, Serialize};

use super::handshake::{Proved, Terms, attest};
use super::statement::{Statement, consistent};
use super::{Instance, Trust};
use crate::messages::{Manifest, SessionError, receive, send, unexpected};

/// One party's side of an attested session.
pub struct Accord {
    trust: Trust,
    instance: Instance,
    /// By the peer's index; nothing at its own.
    terms: [Option<Terms>; 3],
    client: Terms,
    /// The instances of P0, P1 and P2, as this party knows them.
    roster: [[u8; 32]; 3],
    appraisals: [Option<Appraisal>; 3],
    proved: Instant,
}

/// What a party tells the others once its links are up.
#[derive(Serialize, Deserialize)]
struct Agreement {
    manifest: [u8; 32],
    roster: [[u8; 32]; 3],
}

/// What a party tells the others before a batch.
#[derive(Serialize, Deserialize)]
struct Intent {
    /// Its evidence, or another's, is old.
    due: bool,
    /// Its parts of the inputs.
    inputs: [u8; 32],
}

/// A batch that ended well.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What this party saw: for the client.
    pub statement: Statement,
}

impl Accord {
    /// The accord of party `index`, once every other party (`peers`, by index, with the terms of its connection) has proved itself.
    pub fn new(
        index: usize,
        trust: Trust,
        instance: Instance,
        peers: [Option<(Terms, Proved)>; 3],
        client: Terms,
    ) -> Accord {
        let mut roster = [[0; 32]; 3];
        let mut appraisals = [None, None, None];
        let mut terms = [None, None, None];
        for (j, peer) in peers.into_iter().enumerate() {
            if let Some((of_peer, proved)) = peer {
                (roster[j], appraisals[j], terms[j]) = (proved.instance, proved.appraisal, Some(of_peer));
            }
        }
        if let Some(own) = roster.get_mut(index) {
            *own = *instance.public();
        }
        Accord { trust, instance, terms, client, roster, appraisals, proved: Instant::now() }
    }

    /// What the evidence of each other party said.
    pub fn appraisals(&self) -> &[Option<Appraisal>; 3] {
        &self.appraisals
    }

    /// Everybody was asked for the same, and means the same instances: a party that runs twice, and shows one copy to one and the other
    /// to another, is found here.
    ///
    /// # Errors
    /// Who disagrees, on what.
    pub fn agree(&self, links: &Links, manifest: &Manifest) -> Result<(), SessionError> {
        let own = Agreement { manifest: manifest.digest(), roster: self.roster };
        for j in others(links) {
            send(links.to(j), &own)?;
        }
        for j in others(links) {
            let theirs: Agreement = receive(links.to(j))?;
            if theirs.manifest != own.manifest {
                return Err(SessionError::Manifest(format!(
                    "P{} and P{j} were asked for different sessions: client, program, weights, protocol, widths or policy",
                    links.index()
                )));
            }
            if let Some(twice) = (0..3).find(|&k| theirs.roster[k] != own.roster[k]) {
                return Err(SessionError::Transcript(format!(
                    "P{twice} runs twice: P{} and P{j} do not talk to the same instance of it",
                    links.index()
                )));
            }
        }
        Ok(())
    }

    /// Before any mask of a batch is drawn: evidence again where it is due, and every party commits to its inputs. Returns the three
    /// commitments.
    ///
    /// # Errors
    /// A link fails, or evidence is refused.
    pub fn before_batch(&mut self, links: &Links, inputs: [u8; 32]) -> Result<[[u8; 32]; 3], SessionError> {
        let own = Intent { due: self.proved.elapsed() >= self.trust.interval, inputs };
        for j in others(links) {
            send(links.to(j), &own)?;
        }
        let (mut due, mut commitments) = (own.due, [inputs; 3]);
        for j in others(links) {
            let theirs: Intent = receive(links.to(j))?;
            due |= theirs.due;
            commitments[j] = theirs.inputs;
        }
        // All three heard the same, and come to the same conclusion.
        if due {
            self.renew(links)?;
        }
        Ok(commitments)
    }

    /// Every party proves itself to every other again.
    fn renew(&mut self, links: &Links) -> Result<(), SessionError> {
        for j in others(links) {
            let Some(terms) = &self.terms[j] else { continue };
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

    /// After a batch, before any output leaves: the three parties saw the same messages on every link.
    ///
    /// # Errors
    /// Which two parties disagree.
    pub fn after_batch(&self, links: &Links, inputs: [[u8; 32]; 3]) -> Result<Ended, SessionError> {
        let own = Statement::of(links, inputs)?;
        for j in others(links) {
            send(links.to(j), &own)?;
        }
        let mut statements = [own.clone(), own.clone(), own.clone()];
        for j in others(links) {
            statements[j] = receive(links.to(j))?;
        }
        consistent(&statements).map_err(SessionError::Transcript)?;
        Ok(Ended { statement: own })
    }
}

/// The two other parties.
fn others(links: &Links) -> impl Iterator<Item = usize> {
    let own = links.index();
    (0..3).filter(move |&j| j != own)
}

/// The roles of the parties.
pub(crate) fn role(index: usize) -> Role {
    Role::Party(u8::try_from(index).unwrap_or(u8::MAX))
}

//! Evidence in both directions over one connection.
//!
//! 1. Each end sends a fresh nonce and the public half of its key for this session.
//! 2. Each end that is a party sends evidence whose report data hashes what both know: version,
//!    session, roles, program, policy, both public keys, the prover's session key, the TLS
//!    exporter, and the verifier's nonce.
//! 3. Each end says whether it accepts the other's, and hears what the other says, whichever it is: who left with that
//!    unread would break the connection, and take back what it has said.
//!
//! Evidence comes after the TLS handshake, not within it: it is bound to a connection whose ends
//! are known, so it can be neither relayed to another connection nor used again on this one.

use std::time::SystemTime;

use cryptflow_aramis::{Appraisal, Binding, Evidence};
use cryptflow_mpc::keys;
use cryptflow_wire::tls::Channel;
use cryptflow_wire::{Link, Role, WireError};
use serde::{Deserialize, Serialize};

use super::{AttestationError, Instance, Trust};
use crate::code::Code;
use crate::messages::{Manifest, SessionError, decode};

/// Longest message: evidence with its certificates.
const LIMIT: usize = 1 << 20;
/// What the exporter is for (RFC 8446, section 7.5).
pub(crate) const EXPORTER_LABEL: &[u8] = b"EXPORTER-cryptflow-attestation";

/// Where the messages go: a channel, before it becomes a link, or a link.
pub trait Port {
    /// Says something.
    ///
    /// # Errors
    /// The connection failed.
    fn say(&mut self, message: Vec<u8>) -> Result<(), WireError>;
    /// Waits for what the peer says.
    ///
    /// # Errors
    /// The connection failed, or the message is too long.
    fn hear(&mut self, limit: usize) -> Result<Vec<u8>, WireError>;
}

impl Port for &mut Channel {
    fn say(&mut self, message: Vec<u8>) -> Result<(), WireError> {
        self.send(&message)
    }

    fn hear(&mut self, limit: usize) -> Result<Vec<u8>, WireError> {
        self.recv(limit)
    }
}

impl Port for &Link {
    fn say(&mut self, message: Vec<u8>) -> Result<(), WireError> {
        self.send(message)
    }

    fn hear(&mut self, limit: usize) -> Result<Vec<u8>, WireError> {
        self.recv_any(limit)
    }
}

/// What both ends of a connection know of it, and of each other.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Version of the messages.
    pub version: u32,
    /// The session's number.
    pub session: [u8; 32],
    /// Digest of the program.
    pub program: [u8; 32],
    /// What this end is.
    pub own: Role,
    /// What the peer is.
    pub peer: Role,
    /// This end's public key.
    pub own_spki: Vec<u8>,
    /// The peer's.
    pub peer_spki: Vec<u8>,
    /// What the two ends of the connection have in common.
    pub exporter: [u8; 32],
}

impl Terms {
    /// The terms of a connection.
    ///
    /// # Errors
    /// The connection is not one that exports keying material.
    pub fn of(
        channel: &Channel,
        own_spki: &[u8],
        own: Role,
        peer: Role,
        manifest: &Manifest,
    ) -> Result<Terms, SessionError> {
        let Manifest { version, session, program, .. } = *manifest;
        let exporter = channel.exporter(EXPORTER_LABEL)?;
        let (own_spki, peer_spki) = (own_spki.to_vec(), channel.peer_spki().to_vec());
        Ok(Terms { version, session, program, own, peer, own_spki, peer_spki, exporter })
    }

    fn binding<'a>(
        &'a self,
        policy: [u8; 32],
        prover_is_own: bool,
        instance_key: &'a [u8; 32],
        nonce: [u8; 32],
    ) -> Binding<'a> {
        let (own, peer) = ((self.own, &self.own_spki[..]), (self.peer, &self.peer_spki[..]));
        let (prover, verifier) = if prover_is_own { (own, peer) } else { (peer, own) };
        Binding {
            version: self.version,
            session: self.session,
            prover: judged(prover.0),
            verifier: judged(verifier.0),
            program: self.program,
            policy,
            prover_key: prover.1,
            verifier_key: verifier.1,
            instance_key,
            exporter: self.exporter,
            nonce,
        }
    }
}

/// What the peer has proved.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The public half of its key for this session.
    pub instance: [u8; 32],
    /// What its evidence says; nothing for a client.
    pub appraisal: Option<Appraisal>,
}

#[derive(Serialize, Deserialize)]
struct Hello {
    nonce: [u8; 32],
    instance: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Proof {
    evidence: Option<Evidence>,
}

#[derive(Serialize, Deserialize)]
struct Verdict {
    refused: Option<String>,
}

/// Proves this end to the peer, and has the peer prove itself. Both ends call this at the same
/// point.
///
/// # Errors
/// The connection fails, this party's hardware gives no evidence, or either end refuses the
/// other's.
pub fn attest(
    mut port: impl Port,
    trust: &Trust,
    instance: &Instance,
    terms: &Terms,
) -> Result<Proved, SessionError> {
    let peer = terms.peer;
    let mut nonce = [0; 32];
    keys::random(&mut nonce)?;
    port.say(encode(&Hello { nonce, instance: *instance.public() })?)?;
    let hello: Hello = decode(&port.hear(LIMIT)?, &peer.to_string())?;

    let gathered = match (terms.own, &trust.attester) {
        (Role::Client, _) => Ok(None),
        (_, None) => Err(AttestationError::NoHardware),
        (_, Some(attester)) => {
            let binding = terms.binding(trust.policy, true, instance.public(), hello.nonce);
            attester.evidence(&binding.report_data()).map(Some).map_err(AttestationError::from)
        }
    };
    let (evidence, failure) = match gathered {
        Ok(evidence) => (evidence, None),
        Err(error) => (None, Some(error)),
    };
    port.say(encode(&Proof { evidence })?)?;
    let proof: Proof = decode(&port.hear(LIMIT)?, &peer.to_string())?;

    let judged = match (peer, &proof.evidence) {
        (Role::Client, _) => Ok(None),
        (_, None) => Err(AttestationError::NoEvidence(peer)),
        (_, Some(evidence)) => {
            let binding = terms.binding(trust.policy, false, &hello.instance, nonce);
            let appraisal =
                trust.verifier.verify(evidence, &binding.report_data(), judged(peer), SystemTime::now());
            appraisal.map(Some).map_err(|refusal| AttestationError::Refused { peer, refusal })
        }
    };
    let judged = failure.map_or(judged, Err);
    port.say(encode(&Verdict { refused: judged.as_ref().err().map(ToString::to_string) })?)?;
    let heard = port.hear(LIMIT);
    let appraisal = judged?;
    let verdict: Verdict = decode(&heard?, &peer.to_string())?;
    match verdict.refused {
        Some(reason) => Err(SessionError::Refused {
            peer: peer.to_string(),
            code: Code::Evidence,
            reason: clean(&reason),
        }),
        None => Ok(Proved { instance: hello.instance, appraisal }),
    }
}

/// A role, as evidence names it.
fn judged(role: Role) -> cryptflow_aramis::Role {
    match role {
        Role::Party(index) => cryptflow_aramis::Role::Party(index),
        Role::Client => cryptflow_aramis::Role::Client,
    }
}

fn encode(message: &impl Serialize) -> Result<Vec<u8>, SessionError> {
    postcard::to_stdvec(message)
        .map_err(|e| SessionError::Message { peer: "this side".into(), reason: e.to_string() })
}

/// What somebody else wrote, without anything that could steer a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().take(4096).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! The 64 bytes that hardware signs together with a measurement.

use std::fmt;

use ring::digest;
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::role::Role;

/// The first bytes of what is hashed. Nothing else in this project, nor any other that signs
/// evidence, begins so.
const DOMAIN: &[u8] = b"cryptflow/aramis/report-data/v1";

/// All that one piece of evidence is bound to. Prover and verifier fill it in each from what they
/// know themselves; only the nonce is what the peer sent.
#[derive(Clone, Debug)]
pub struct Binding<'a> {
    /// The version of the wire protocol.
    pub version: u32,
    /// The session's number.
    pub session: [u8; 32],
    /// Whose evidence this is.
    pub prover: Role,
    /// Whom it is for.
    pub verifier: Role,
    /// Digest of the program that the session runs.
    pub program: [u8; 32],
    /// Digest of the policy ([`crate::Policy::digest`]).
    pub policy: [u8; 32],
    /// The prover's long-lived public key of its certificate (SPKI, DER).
    pub prover_key: &'a [u8],
    /// The verifier's.
    pub verifier_key: &'a [u8],
    /// The public key that the prover made for this session.
    pub instance_key: &'a [u8; 32],
    /// Keying material exported from the TLS connection that the evidence travels over.
    pub exporter: [u8; 32],
    /// What the verifier drew for this one piece of evidence.
    pub nonce: [u8; 32],
}

impl Binding<'_> {
    /// SHA-512 over a domain string and every field, each with its length before it.
    pub fn report_data(&self) -> ReportData {
        let fields: [&[u8]; 11] = [
            &self.version.to_le_bytes(),
            &self.session,
            &[self.prover.byte()],
            &[self.verifier.byte()],
            &self.program,
            &self.policy,
            self.prover_key,
            self.verifier_key,
            self.instance_key,
            &self.exporter,
            &self.nonce,
        ];
        let mut context = digest::Context::new(&digest::SHA512);
        for field in [DOMAIN].into_iter().chain(fields) {
            context.update(&(field.len() as u64).to_le_bytes());
            context.update(field);
        }
        let mut data = [0; 64];
        data.copy_from_slice(context.finish().as_ref());
        ReportData(data)
    }
}

/// The 64 bytes that a program chooses and its hardware signs.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportData(#[serde(with = "crate::hex::array")] pub [u8; 64]);

impl fmt::Debug for ReportData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportData({self})")
    }
}

impl fmt::Display for ReportData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

//! Aramis: what a party proves of itself, and what it takes for a proof.
//!
//! Trusted hardware signs *evidence*: which program runs, on which machine, in which state of
//! security, and 64 bytes that the program chose. This crate gathers evidence ([`evidence`]), binds
//! it to one end of one connection of one session ([`Binding`]), and judges it by a policy that all
//! participants share ([`Policy`], [`Verifier`]). It knows of no protocol, no model and no socket.
//!
//! | step | where |
//! |---|---|
//! | the verifier sends a nonce; both ends know session, program, policy, keys and the connection's exporter | the caller |
//! | the prover puts all of it into 64 bytes | [`Binding::report_data`] |
//! | its hardware signs them with its measurement | [`Attester::evidence`] |
//! | the verifier computes the same 64 bytes, and checks signature, state of security, measurement, machine | [`Verifier::verify`] |
//!
//! Verification is offline and takes the time as an argument: what manufacturers publish
//! (certificates, revocations, known weaknesses) is fetched ahead and kept in a file
//! ([`Collateral`]).
//!
//! For machines without such hardware there is a simulated one ([`simulated`]). It signs evidence
//! of the same structure, which the same code verifies with another root. It protects nothing,
//! needs the word `insecure` at each place that allows it, and is marked in every appraisal.

mod appraisal;
pub mod collateral;
mod contents;
mod der;
pub mod evidence;
pub mod hex;
pub mod policy;
mod refusal;
mod report_data;
mod role;
pub mod simulated;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;
pub mod verify;

pub use appraisal::{Appraisal, Measurement, TcbStatus, TeeKind};
pub use collateral::Collateral;
pub use contents::{Contents, Source};
pub use der::DerError;
pub use evidence::{Attester, Evidence, EvidenceError, GatherError};
pub use policy::Policy;
pub use refusal::Refusal;
pub use report_data::{Binding, ReportData};
pub use role::Role;
pub use verify::{Roots, Verifier};

//! Why evidence is not accepted.

use crate::appraisal::{Measurement, TcbStatus, TeeKind};
use crate::hex;
use crate::role::Role;

/// Why a piece of evidence is refused. Each says what was found, and what could be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The policy has no rule for this role: it proves nothing.
    #[error("the policy has no block for {role}; parties are p0, p1 and p2")]
    UnknownRole {
        /// Whose evidence was expected.
        role: Role,
    },
    /// The policy lists no measurement of this kind of hardware for the role.
    #[error(
        "{role} runs on {tee}, for which the policy lists no measurement. Add one to the policy at every participant, or run {role} on \
         hardware that it lists"
    )]
    TeeNotAllowed {
        /// Whose evidence it is.
        role: Role,
        /// What it runs on.
        tee: TeeKind,
    },
    /// The evidence is simulated, and that is not allowed here.
    #[error("{role}'s evidence is simulated, which protects nothing: {why}")]
    SimulatedNotAllowed {
        /// Whose evidence it is.
        role: Role,
        /// Which of the two permissions is missing.
        why: &'static str,
    },
    /// The bytes are not what this kind of hardware makes.
    #[error("malformed {tee} evidence: {reason}")]
    Malformed {
        /// The kind that it says it is.
        tee: TeeKind,
        /// What is wrong.
        reason: String,
    },
    /// A signature or certificate does not hold: something was changed, or was never signed by
    /// genuine hardware.
    #[error("{tee} evidence that genuine hardware did not sign: {reason}")]
    Signature {
        /// The kind that it says it is.
        tee: TeeKind,
        /// What did not hold.
        reason: String,
    },
    /// The manufacturer revoked the platform, or a key in its chain.
    #[error("the manufacturer revoked this {tee} platform: {reason}")]
    Revoked {
        /// The kind of hardware.
        tee: TeeKind,
        /// What is revoked.
        reason: String,
    },
    /// There is no collateral for this platform.
    #[error("no {tee} collateral for {platform}; fetch it with `cryptflow attest fetch`")]
    CollateralMissing {
        /// The kind of hardware.
        tee: TeeKind,
        /// Which platform or product.
        platform: String,
    },
    /// The collateral's validity has ended.
    #[error(
        "the {tee} collateral has expired ({reason}): if this machine's clock is right, fetch it anew with `cryptflow attest fetch`"
    )]
    CollateralExpired {
        /// The kind of hardware.
        tee: TeeKind,
        /// Which part of it.
        reason: String,
    },
    /// The collateral's validity has not begun.
    #[error("the {tee} collateral is not valid yet ({reason}); is this machine's clock right?")]
    CollateralNotYetValid {
        /// The kind of hardware.
        tee: TeeKind,
        /// Which part of it.
        reason: String,
    },
    /// Valid, but older than the policy wants.
    #[error(
        "the {tee} collateral is {age_hours} h old, the policy allows {allowed_hours} h; fetch it anew with `cryptflow attest fetch`"
    )]
    CollateralTooOld {
        /// The kind of hardware.
        tee: TeeKind,
        /// Hours since the manufacturer signed it (AMD: since it was fetched).
        age_hours: u64,
        /// What the policy allows.
        allowed_hours: u64,
    },
    /// The collateral itself is damaged, or not signed by the manufacturer.
    #[error("the {tee} collateral is damaged or forged: {reason}")]
    CollateralBroken {
        /// The kind of hardware.
        tee: TeeKind,
        /// What did not hold.
        reason: String,
    },
    /// The owner of the machine can look into the environment or change it.
    #[error("the {tee} environment can be opened by its host: {reason}")]
    Debug {
        /// The kind of hardware.
        tee: TeeKind,
        /// Debug, profiling, or migration.
        reason: String,
    },
    /// The platform has weaknesses that the policy does not allow.
    #[error("the {tee} platform is {status}{}{reason}, which the policy does not allow", list(.advisories))]
    Tcb {
        /// The kind of hardware.
        tee: TeeKind,
        /// The manufacturer's verdict.
        status: TcbStatus,
        /// The manufacturer's numbers of its weaknesses.
        advisories: Vec<String>,
        /// More, or empty.
        reason: String,
    },
    /// The status is allowed, but weaknesses come with it that the policy does not accept.
    #[error(
        "the {tee} platform has weaknesses that the policy does not accept: {}. Mend them, or add each to [[tcb.accept_advisory]] \
         with a reason",
        .advisories.join(", ")
    )]
    Advisory {
        /// The kind of hardware.
        tee: TeeKind,
        /// Those that are not accepted.
        advisories: Vec<String>,
    },
    /// The manufacturer's data is older than the policy's minimum.
    #[error("the {tee} collateral has TCB evaluation number {found}, the policy wants at least {wanted}")]
    EvaluationNumber {
        /// The kind of hardware.
        tee: TeeKind,
        /// What the collateral has.
        found: u32,
        /// What the policy wants.
        wanted: u32,
    },
    /// A setting of the platform that the policy does not allow.
    #[error("the {tee} platform {setting}, which the policy does not allow")]
    PlatformSetting {
        /// The kind of hardware.
        tee: TeeKind,
        /// The setting.
        setting: &'static str,
    },
    /// The machine is not on the list.
    #[error("the {tee} platform {} is not on the policy's list ([platform] allow)", hex::encode(.id))]
    Platform {
        /// The kind of hardware.
        tee: TeeKind,
        /// The machine.
        id: Vec<u8>,
    },
    /// Another program runs there.
    #[error("{role} runs something else than the policy lists: {measured}")]
    Measurement {
        /// Whose evidence it is.
        role: Role,
        /// What runs there.
        measured: Box<Measurement>,
    },
    /// Genuine evidence, but made for something else: another role, session, program, policy,
    /// connection or question.
    #[error(
        "{role}'s evidence was made for something else: another role, session, program, policy, connection or nonce. It is old, or \
         somebody else's"
    )]
    Binding {
        /// Whose evidence was expected.
        role: Role,
    },
}

fn list(advisories: &[String]) -> String {
    if advisories.is_empty() { String::new() } else { format!(" ({})", advisories.join(", ")) }
}

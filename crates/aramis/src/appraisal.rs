//! What a verified piece of evidence says.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hex::{self, Hex};

/// A kind of trusted hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TeeKind {
    /// Intel SGX: one process is protected.
    Sgx,
    /// Intel TDX: one virtual machine is protected.
    Tdx,
    /// AMD SEV-SNP: one virtual machine is protected.
    Snp,
    /// Keys in a folder. Nothing is protected.
    InsecureSimulated,
}

impl fmt::Display for TeeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TeeKind::Sgx => "SGX",
            TeeKind::Tdx => "TDX",
            TeeKind::Snp => "SEV-SNP",
            TeeKind::InsecureSimulated => "INSECURE simulated TEE",
        })
    }
}

/// The state of security of a platform. The names are Intel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TcbStatus {
    /// All known weaknesses of hardware and firmware are mended.
    UpToDate,
    /// Software must mend some weakness by itself (by the way it is compiled, say).
    SWHardeningNeeded,
    /// The owner of the machine must change a setting (of the BIOS, say).
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSWHardeningNeeded,
    /// Firmware or microcode has known weaknesses that an update mends.
    OutOfDate,
    /// The above, and a setting must change.
    OutOfDateConfigurationNeeded,
    /// A virtual machine that started on an older TDX module, which has been updated under it.
    TDRelaunchAdvised,
    /// The above, and a setting must change.
    TDRelaunchAdvisedConfigurationNeeded,
    /// The platform's keys are known to be compromised. No policy can allow it.
    Revoked,
    /// AMD publishes no verdicts: the versions are those of the policy (`[tcb.snp]`), or later.
    AtLeastMinimum,
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What ran when the evidence was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measurement {
    /// SGX, and the simulated TEE.
    Enclave {
        /// SHA-256 over the enclave's pages as they were loaded. Simulated: SHA-256 of the
        /// executable file.
        mrenclave: Hex<32>,
        /// SHA-256 of the key that signed the enclave.
        mrsigner: Hex<32>,
        /// The signer's number of the product.
        prod_id: u16,
        /// The signer's version of the product's security.
        svn: u16,
    },
    /// TDX. SHA-384 each.
    TrustDomain {
        /// The virtual firmware, as it was loaded.
        mrtd: Hex<48>,
        /// What the firmware measured at run time: itself and its settings, boot loader, kernel and
        /// command line, the rest.
        rtmr: [Hex<48>; 4],
        /// The TDX module.
        mrseam: Hex<48>,
    },
    /// SEV-SNP.
    Guest {
        /// SHA-384 over what was loaded at launch: firmware and the digests of kernel, initrd and
        /// command line.
        measurement: Hex<48>,
        /// What the hypervisor said at launch.
        host_data: Hex<32>,
        /// SHA-384 of the key that signed the image; zero where nobody did.
        id_key_digest: Hex<48>,
        /// The signer's version of the image's security.
        guest_svn: u32,
        /// Privilege level of who asked for the report; 0 is the highest.
        vmpl: u32,
    },
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measurement::Enclave { mrenclave, mrsigner, prod_id, svn } => {
                write!(f, "mrenclave {mrenclave}, mrsigner {mrsigner}, prod_id {prod_id}, svn {svn}")
            }
            Measurement::TrustDomain { mrtd, rtmr: [r0, r1, r2, r3], mrseam } => {
                write!(f, "mrtd {mrtd}, rtmr0 {r0}, rtmr1 {r1}, rtmr2 {r2}, rtmr3 {r3}, mrseam {mrseam}")
            }
            Measurement::Guest { measurement, host_data, id_key_digest, guest_svn, vmpl } => write!(
                f,
                "measurement {measurement}, host_data {host_data}, id_key_digest {id_key_digest}, guest_svn \
                 {guest_svn}, vmpl {vmpl}"
            ),
        }
    }
}

/// What a verifier has found out from a piece of evidence that its policy accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appraisal {
    /// The kind of hardware.
    pub tee: TeeKind,
    /// What runs.
    pub measurement: Measurement,
    /// The platform's state of security.
    pub status: TcbStatus,
    /// The manufacturer's numbers of the known weaknesses that are not mended there. The policy
    /// accepts each with a reason.
    pub advisories: BTreeSet<String>,
    /// Which machine: Intel's platform instance id (or PPID where there is none), or AMD's chip id.
    #[serde(with = "hex::bytes")]
    pub platform_id: Vec<u8>,
    /// True where nothing is protected: the evidence comes from keys in a folder.
    pub simulated: bool,
}

impl fmt::Display for Appraisal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.tee, self.status)?;
        if !self.advisories.is_empty() {
            let advisories: Vec<&str> = self.advisories.iter().map(String::as_str).collect();
            write!(f, " (accepted: {})", advisories.join(", "))?;
        }
        write!(f, ", {}, platform {}", self.measurement, hex::encode(&self.platform_id))?;
        if self.simulated {
            f.write_str(" - SIMULATED: nothing is protected from the machine's owner")?;
        }
        Ok(())
    }
}

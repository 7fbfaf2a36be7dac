//! What hardware will measure, from the files that it will load.

use std::fmt;
use std::path::{Path, PathBuf};

use cryptflow_aramis::hex::{self, Hex};
use cryptflow_aramis::simulated;
use serde::Serialize;
use sev::measurement::snp::{SnpMeasurementArgs, snp_calc_launch_digest};
use sev::measurement::vcpu_types::CpuType;
use sev::measurement::vmsa::{GuestFeatures, VMMType};

use super::firmware;
use crate::error::{Error, Result};

/// A prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Predicted {
    /// An executable on the simulated TEE: SHA-256 of its file.
    InsecureSimulated {
        /// The measurement.
        mrenclave: Hex<32>,
    },
    /// An enclave that Gramine has signed.
    Sgx {
        /// The exact program.
        mrenclave: Hex<32>,
        /// Who signed it.
        mrsigner: Hex<32>,
        /// The signer's number of the product.
        prod_id: u16,
        /// The signer's version of it.
        svn: u16,
        /// Whether the signature allows it to run with its memory open to the host.
        debug: bool,
    },
    /// An SEV-SNP guest.
    Snp {
        /// The launch measurement.
        measurement: Hex<48>,
    },
}

impl fmt::Display for Predicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicted::InsecureSimulated { mrenclave } => {
                writeln!(f, "sha256     {mrenclave}")?;
                writeln!(f, "policy     insecure-simulated:{mrenclave}")
            }
            Predicted::Sgx { mrenclave, mrsigner, prod_id, svn, debug } => {
                writeln!(
                    f,
                    "mrenclave  {mrenclave}\nmrsigner   {mrsigner}\nprod_id    {prod_id}\nsvn        {svn}"
                )?;
                if *debug {
                    writeln!(
                        f,
                        "debug      ALLOWED: no policy will accept it; set sgx.debug = false in the manifest"
                    )?;
                }
                writeln!(f, "policy     sgx:{mrenclave}")
            }
            Predicted::Snp { measurement } => {
                writeln!(f, "measurement  {measurement}\npolicy       snp:{measurement}")
            }
        }
    }
}

/// What SGX will measure of an enclave with this signature file (`.sig`), or what the simulated TEE
/// will of any other file.
///
/// # Errors
/// Where the file cannot be read.
pub fn file(path: &Path) -> Result<Predicted> {
    let length = std::fs::metadata(path).map_err(|e| Error::at(path, e))?.len();
    if length == SIGSTRUCT as u64 {
        let bytes = std::fs::read(path).map_err(|e| Error::at(path, e))?;
        if let Some(predicted) = sigstruct(&bytes) {
            return Ok(predicted);
        }
    }
    if path.extension().is_some_and(|extension| extension == "sig") {
        return Err(Error::at(
            path,
            format_args!("not an enclave's signature: it would be {SIGSTRUCT} bytes with SIGSTRUCT's header"),
        ));
    }
    let mrenclave = Hex(simulated::measure(path).map_err(Error::new)?);
    Ok(Predicted::InsecureSimulated { mrenclave })
}

/// Bytes of an enclave's signature.
const SIGSTRUCT: usize = 1808;

/// Reads an enclave's signature (Intel SDM volume 3D, table 38-19). The hardware checks it before
/// it starts the enclave; this does not.
fn sigstruct(bytes: &[u8]) -> Option<Predicted> {
    const HEADER: [u8; 16] = [6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    const HEADER2: [u8; 16] = [1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0];
    if bytes.len() != SIGSTRUCT || bytes.get(..16)? != HEADER || bytes.get(24..40)? != HEADER2 {
        return None;
    }
    let modulus = bytes.get(128..512)?;
    let mrsigner = ring::digest::digest(&ring::digest::SHA256, modulus);
    let number = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    Some(Predicted::Sgx {
        mrenclave: Hex(bytes.get(960..992)?.try_into().ok()?),
        mrsigner: Hex(mrsigner.as_ref().try_into().ok()?),
        prod_id: number(1024)?,
        svn: number(1026)?,
        debug: bytes.get(928)? & 2 != 0,
    })
}

/// What starts an SEV-SNP guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The virtual firmware (OVMF, built for direct boot: `AmdSev`).
    pub ovmf: PathBuf,
    /// The kernel.
    pub kernel: Option<PathBuf>,
    /// The initial file system.
    pub initrd: Option<PathBuf>,
    /// The kernel's command line.
    pub append: Option<String>,
    /// Processors of the guest.
    pub vcpus: u32,
    /// Their type: QEMU's `-cpu`, such as EPYC-Milan.
    pub vcpu_type: String,
    /// SEV features of the guest, as the kernel sets them; 1 is SNP alone.
    pub guest_features: u64,
}

/// QEMU's most processors.
const MOST_CPUS: u32 = 4096;

/// What SEV-SNP will measure of a guest that QEMU starts.
///
/// # Errors
/// Where a file cannot be read, the firmware has no SNP metadata, or the processor is unknown.
pub fn guest(guest: &Guest) -> Result<Predicted> {
    let vcpu_type = cpu(&guest.vcpu_type)?;
    if !(1..=MOST_CPUS).contains(&guest.vcpus) {
        let reason = format!("a guest of {} processors; QEMU starts 1 to {MOST_CPUS}", guest.vcpus);
        return Err(Error::new(reason));
    }
    firmware::check(&guest.ovmf)?;
    for path in [guest.kernel.as_ref(), guest.initrd.as_ref()].into_iter().flatten() {
        std::fs::metadata(path).map_err(|e| Error::at(path, e))?;
    }
    let digest = snp_calc_launch_digest(SnpMeasurementArgs {
        vcpus: guest.vcpus,
        vcpu_type,
        ovmf_file: guest.ovmf.clone(),
        guest_features: GuestFeatures(guest.guest_features),
        kernel_file: guest.kernel.clone(),
        initrd_file: guest.initrd.clone(),
        append: guest.append.as_deref(),
        ovmf_hash_str: None,
        vmm_type: Some(VMMType::QEMU),
    })
    .map_err(|e| Error::at(&guest.ovmf, e))?;
    let measurement = hex::decode_array(&digest.get_hex_ld()).map_err(Error::new)?;
    Ok(Predicted::Snp { measurement: Hex(measurement) })
}

fn cpu(name: &str) -> Result<CpuType> {
    let known = [
        ("EPYC", CpuType::Epyc),
        ("EPYC-v1", CpuType::EpycV1),
        ("EPYC-v2", CpuType::EpycV2),
        ("EPYC-v3", CpuType::EpycV3),
        ("EPYC-v4", CpuType::EpycV4),
        ("EPYC-Rome", CpuType::EpycRome),
        ("EPYC-Milan", CpuType::EpycMilan),
        ("EPYC-Milan-v1", CpuType::EpycMilanV1),
        ("EPYC-Milan-v2", CpuType::EpycMilanV2),
        ("EPYC-Genoa", CpuType::EpycGenoa),
        ("EPYC-Genoa-v1", CpuType::EpycGenoaV1),
        ("EPYC-Turin", CpuType::EpycTurin),
        ("EPYC-Turin-v1", CpuType::EpycTurinV1),
    ];
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, cpu)| cpu).ok_or_else(
        || Error::new(format_args!("{name:?} is no processor that is known; one of {}", names.join(", "))),
    )
}

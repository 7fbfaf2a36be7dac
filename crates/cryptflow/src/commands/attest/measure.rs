//! `cryptflow attest measure`: what hardware will measure.

use std::path::PathBuf;

use crate::attest::measure::{self, Guest};
use crate::error::{Error, Result};
use clap::Args;

/// Predict a measurement from files.
///
/// For an executable: its SHA-256, which is its measurement on the simulated TEE. For an enclave's
/// signature (a `.sig` file of Gramine): MRENCLAVE, MRSIGNER, product and version. With --ovmf: the
/// launch measurement of an SEV-SNP guest that QEMU starts directly from a kernel.
#[derive(Args)]
pub(crate) struct Arguments {
    /// An executable, or an enclave's signature.
    #[arg(conflicts_with = "ovmf")]
    file: Option<PathBuf>,
    /// SEV-SNP: the virtual firmware.
    #[arg(long)]
    ovmf: Option<PathBuf>,
    /// SEV-SNP: the kernel.
    #[arg(long, requires = "ovmf")]
    kernel: Option<PathBuf>,
    /// SEV-SNP: the initial file system.
    #[arg(long, requires = "kernel")]
    initrd: Option<PathBuf>,
    /// SEV-SNP: the kernel's command line.
    #[arg(long, requires = "kernel")]
    append: Option<String>,
    /// SEV-SNP: processors of the guest.
    #[arg(long, requires = "ovmf", default_value_t = 1)]
    vcpus: u32,
    /// SEV-SNP: their type, QEMU's -cpu.
    #[arg(long, requires = "ovmf", default_value = "EPYC-v4")]
    vcpu_type: String,
    /// SEV-SNP: the features that the host's kernel sets (SEV_FEATURES); 1 is SNP alone.
    #[arg(long, requires = "ovmf", default_value_t = 1)]
    guest_features: u64,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let predicted = match (&arguments.file, &arguments.ovmf) {
        (Some(file), _) => measure::file(file)?,
        (None, Some(ovmf)) => measure::guest(&Guest {
            ovmf: ovmf.clone(),
            kernel: arguments.kernel.clone(),
            initrd: arguments.initrd.clone(),
            append: arguments.append.clone(),
            vcpus: arguments.vcpus,
            vcpu_type: arguments.vcpu_type.clone(),
            guest_features: arguments.guest_features,
        })?,
        (None, None) => {
            return Err(Error::new(
                "name an executable, an enclave's signature (.sig), or an SEV-SNP firmware (--ovmf)",
            ));
        }
    };
    if arguments.json {
        crate::commands::print(&serde_json::to_string_pretty(&predicted).map_err(Error::new)?)
    } else {
        crate::commands::print(&predicted.to_string())
    }
}

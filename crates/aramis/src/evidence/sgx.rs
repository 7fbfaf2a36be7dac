//! SGX, for a program under Gramine: its pseudo-files in `/dev/attestation`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Attester, Evidence, GatherError, read, write};
use crate::appraisal::TeeKind;
use crate::report_data::ReportData;

/// Where Gramine has its files.
pub(super) const GRAMINE_FILES: &str = "/dev/attestation";

/// An SGX enclave under Gramine, with `sgx.remote_attestation = "dcap"` in its manifest.
#[derive(Debug)]
pub struct Gramine {
    root: PathBuf,
    /// Report data and quote are two files for the whole process.
    one_at_a_time: Mutex<()>,
}

impl Gramine {
    /// Checks that Gramine offers DCAP attestation.
    ///
    /// # Errors
    /// Where it offers none, or the retired EPID.
    pub fn open(root: &Path) -> Result<Gramine, GatherError> {
        let path = root.join("attestation_type");
        let kind = read(&path)?;
        let kind = String::from_utf8_lossy(&kind);
        if kind.trim() != "dcap" {
            return Err(GatherError::Driver {
                path,
                reason: format!(
                    "Gramine offers attestation {:?}; build the manifest with sgx.remote_attestation = \"dcap\"",
                    kind.trim()
                ),
            });
        }
        Ok(Gramine { root: root.to_owned(), one_at_a_time: Mutex::new(()) })
    }
}

impl Attester for Gramine {
    fn evidence(&self, data: &ReportData) -> Result<Evidence, GatherError> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        write(&self.root.join("user_report_data"), &data.0)?;
        let path = self.root.join("quote");
        let quote = read(&path)?;
        if quote.is_empty() {
            return Err(GatherError::Driver {
                path,
                reason:
                    "Gramine gave an empty quote; is the quoting service (AESM) reachable from the enclave?"
                        .to_owned(),
            });
        }
        Ok(Evidence::Sgx { quote })
    }

    fn kind(&self) -> TeeKind {
        TeeKind::Sgx
    }

    fn describe(&self) -> String {
        format!("SGX under Gramine ({})", self.root.display())
    }
}

//! What manufacturers publish about their hardware, fetched ahead and kept in a file, so that
//! verification needs no network.
//!
//! Nothing in it is trusted for having been in the file: all of it is signed, and the verifier
//! checks the signatures. Only the time of fetching is the file's own word.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::config::PckCa;
use serde::{Deserialize, Serialize};

use crate::appraisal::TeeKind;
use crate::hex::{self, Hex};
use crate::policy::Product;

/// Collateral for all platforms of a deployment; JSON on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collateral {
    /// For SGX and TDX: one entry for each family of platforms.
    #[serde(default)]
    pub intel: Vec<IntelCollateral>,
    /// For SEV-SNP: one entry for each product.
    #[serde(default)]
    pub amd: BTreeMap<Product, AmdCollateral>,
}

/// Why bytes are no collateral.
#[derive(Debug, thiserror::Error)]
pub enum CollateralError {
    /// Not the JSON of collateral.
    #[error("not a file of collateral: {0}")]
    Json(#[from] serde_json::Error),
    /// The manufacturer's part cannot be read.
    #[error("{0}")]
    Content(String),
}

impl Collateral {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// Where they are no collateral.
    pub fn from_json(bytes: &[u8]) -> Result<Collateral, CollateralError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The file's text.
    ///
    /// # Errors
    /// None that is known: all of it has a JSON form.
    pub fn to_json(&self) -> Result<String, CollateralError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Takes over what `newer` has, in place of older entries for the same platforms.
    pub fn merge(&mut self, newer: Collateral) {
        for entry in newer.intel {
            self.intel.retain(|old| old.key() != entry.key());
            self.intel.push(entry);
        }
        for (product, entry) in newer.amd {
            let merged = self.amd.entry(product).or_default();
            merged.fetched = entry.fetched;
            merged.crl = entry.crl;
            merged.vcek.extend(entry.vcek);
        }
    }

    pub(crate) fn intel(&self, tee: TeeKind, fmspc: [u8; 6], ca: CaKind) -> Option<&IntelCollateral> {
        self.intel.iter().find(|entry| entry.key() == (tee, Hex(fmspc), ca))
    }
}

/// Which of Intel's two authorities signs a platform's certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaKind {
    /// Single-package platforms.
    Processor,
    /// Multi-package platforms.
    Platform,
}

impl From<PckCa> for CaKind {
    fn from(ca: PckCa) -> Self {
        match ca {
            PckCa::Processor => CaKind::Processor,
            PckCa::Platform => CaKind::Platform,
        }
    }
}

/// Intel's collateral for a family of platforms (FMSPC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntelCollateral {
    /// SGX or TDX.
    pub tee: TeeKind,
    /// The family of platforms.
    pub fmspc: Hex<6>,
    /// Who signs the platform's certificates.
    pub ca: CaKind,
    /// Intel's answers, as the format of its library has them.
    pub quote_collateral: QuoteCollateralV3,
}

impl IntelCollateral {
    /// Finds out what it is for.
    ///
    /// # Errors
    /// Where the TCB info or the chain of the revocation list cannot be read.
    pub fn new(quote_collateral: QuoteCollateralV3) -> Result<IntelCollateral, CollateralError> {
        #[derive(Deserialize)]
        struct TcbInfo {
            id: String,
            fmspc: Hex<6>,
        }
        let info: TcbInfo = serde_json::from_str(&quote_collateral.tcb_info)?;
        let tee = match info.id.as_str() {
            "SGX" => TeeKind::Sgx,
            "TDX" => TeeKind::Tdx,
            other => {
                return Err(CollateralError::Content(format!("TCB info for {other:?}, neither SGX nor TDX")));
            }
        };
        let ca = issuer_of_crl(&quote_collateral.pck_crl)?;
        Ok(IntelCollateral { tee, fmspc: info.fmspc, ca, quote_collateral })
    }

    fn key(&self) -> (TeeKind, Hex<6>, CaKind) {
        (self.tee, self.fmspc, self.ca)
    }
}

fn issuer_of_crl(der: &[u8]) -> Result<CaKind, CollateralError> {
    use x509_cert::der::Decode as _;
    crate::der::check(der).map_err(|e| {
        CollateralError::Content(format!("the revocation list of platform certificates: {e}"))
    })?;
    let crl = x509_cert::crl::CertificateList::from_der(der).map_err(|e| {
        CollateralError::Content(format!("the revocation list of platform certificates: {e}"))
    })?;
    let issuer = crl.tbs_cert_list.issuer.to_string();
    if issuer.contains("Platform") {
        Ok(CaKind::Platform)
    } else if issuer.contains("Processor") {
        Ok(CaKind::Processor)
    } else {
        Err(CollateralError::Content(format!(
            "a revocation list of {issuer:?}, neither Platform nor Processor CA"
        )))
    }
}

/// AMD's collateral for a product. Its two upper certificates are part of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmdCollateral {
    /// When it was fetched, in seconds since 1970.
    pub fetched: u64,
    /// The revocation list (DER).
    #[serde(with = "hex::bytes")]
    pub crl: Vec<u8>,
    /// Certificates of chips (VCEK, DER), by chip id, for hosts that pass none on.
    #[serde(default)]
    pub vcek: BTreeMap<String, DerBytes>,
}

/// A certificate's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DerBytes(#[serde(with = "hex::bytes")] pub Vec<u8>);

/// Seconds since 1970; zero for times before.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

//! Evidence, and how a program gets it from the hardware that it runs on.

mod sgx;
mod tsm;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::sgx::Gramine;
pub(crate) use self::tsm::SNP_REPORT_BYTES;
pub use self::tsm::{ConfigfsTsm, TSM_REPORTS};
use crate::appraisal::TeeKind;
use crate::der::DerError;
use crate::hex;
use crate::report_data::ReportData;
use crate::simulated::ContentError;

/// What hardware signed, as it goes over a link (postcard) or into a file (JSON).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Evidence {
    /// An SGX quote, version 3.
    Sgx {
        /// The quote.
        #[serde(with = "hex::bytes")]
        quote: Vec<u8>,
    },
    /// A TDX quote, version 4 or 5.
    Tdx {
        /// The quote.
        #[serde(with = "hex::bytes")]
        quote: Vec<u8>,
    },
    /// An SEV-SNP attestation report.
    Snp {
        /// The report, 1184 bytes.
        #[serde(with = "hex::bytes")]
        report: Vec<u8>,
        /// The host's table of certificates; may be empty, then the collateral must have the chip's
        /// certificate.
        #[serde(with = "hex::bytes")]
        certificates: Vec<u8>,
    },
    /// An SGX quote that keys in a folder signed. It protects nothing.
    InsecureSimulated {
        /// The quote.
        #[serde(with = "hex::bytes")]
        quote: Vec<u8>,
    },
}

/// The most bytes of evidence that a verifier should take from a peer.
pub const MAX_EVIDENCE: usize = 64 << 10;

impl Evidence {
    /// The kind of hardware that it says it is from.
    pub fn tee(&self) -> TeeKind {
        match self {
            Evidence::Sgx { .. } => TeeKind::Sgx,
            Evidence::Tdx { .. } => TeeKind::Tdx,
            Evidence::Snp { .. } => TeeKind::Snp,
            Evidence::InsecureSimulated { .. } => TeeKind::InsecureSimulated,
        }
    }

    /// Reads a file of evidence: the JSON form, or the bare bytes of a quote or report (also as
    /// hexadecimal digits).
    ///
    /// # Errors
    /// The bytes are neither.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Evidence, EvidenceError> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            if text.trim_start().starts_with('{') {
                return Ok(serde_json::from_str(text)?);
            }
            if let Ok(bytes) = hex::decode(text) {
                return Evidence::from_binary(bytes);
            }
        }
        Evidence::from_binary(bytes.to_vec())
    }

    fn from_binary(bytes: Vec<u8>) -> Result<Evidence, EvidenceError> {
        match (bytes.get(0..2), bytes.get(4..8), bytes.len()) {
            (_, _, tsm::SNP_REPORT_BYTES) => Ok(Evidence::Snp { report: bytes, certificates: Vec::new() }),
            (Some([3, 0]), Some([0, 0, 0, 0]), 436..) => Ok(Evidence::Sgx { quote: bytes }),
            (Some([4 | 5, 0]), Some([0x81, 0, 0, 0]), 436..) => Ok(Evidence::Tdx { quote: bytes }),
            (_, _, length) => Err(EvidenceError::Unknown(length)),
        }
    }
}

/// Why evidence cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// JSON of something else.
    #[error("not the JSON of evidence: {0}")]
    Json(#[from] serde_json::Error),
    /// So many bytes of something else.
    #[error(
        "these {0} bytes are neither an SGX quote (version 3), nor a TDX quote (version 4 or 5), nor an SEV-SNP report \
         ({SNP_REPORT_BYTES} bytes), nor the JSON of evidence"
    )]
    Unknown(usize),
    /// No quote of Intel's, with the parser's reason.
    #[error("not a quote: {0}")]
    Quote(String),
    /// A quote that does not say which platform it is from.
    #[error("the quote has no certificate of its platform")]
    NoCertificate,
    /// A certificate in a quote that is damaged.
    #[error("a certificate in the quote: {0}")]
    Der(#[from] DerError),
    /// Certificates in a quote that are not Intel's for platforms, with the parser's reason.
    #[error("{0}")]
    Certificates(String),
    /// A report of another length.
    #[error("{0} bytes where a report has {SNP_REPORT_BYTES}")]
    ReportLength(usize),
    /// No report of AMD's, with the parser's reason.
    #[error("{0}")]
    Report(String),
}

/// Trusted hardware, as the program that runs on it sees it.
pub trait Attester: Send + Sync {
    /// Has the hardware sign `data` together with this program's measurement. Takes milliseconds to
    /// a second.
    ///
    /// # Errors
    /// Where the hardware or its driver does not answer as it should.
    fn evidence(&self, data: &ReportData) -> Result<Evidence, GatherError>;

    /// The kind of hardware.
    fn kind(&self) -> TeeKind;

    /// What this is and where, for status pages and logs.
    fn describe(&self) -> String;
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// This machine has no trusted hardware that this program can use.
    #[error(
        "this program runs in no trusted hardware: there is neither {gramine} (SGX under Gramine) nor {tsm} (TDX or SEV-SNP, Linux \
         6.7 or later). To try Aramis without, see `cryptflow attest insecure-simulated-root --help`"
    )]
    NoHardware {
        /// Where Gramine has its files.
        gramine: PathBuf,
        /// Where the kernel has its folder.
        tsm: PathBuf,
    },
    /// A file of the driver could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// Read, write, make.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The driver answers in a way that this program does not know.
    #[error("{path}: {reason}")]
    Driver {
        /// The file.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
    /// Somebody else used the same report at the same time.
    #[error("{path}: another process asked for reports at the same time, again and again")]
    Contended {
        /// The report's folder.
        path: PathBuf,
    },
    /// The simulated hardware failed.
    #[error("the insecure simulated TEE: {0}")]
    Simulated(#[from] ContentError),
}

impl GatherError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GatherError {
        let path = path.to_owned();
        move |source| GatherError::Io { what, path, source }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GatherError> {
    fs::read(path).map_err(GatherError::io("read", path))
}

/// Attribute files take their value in one write; nothing is created or truncated.
fn write(path: &Path, bytes: &[u8]) -> Result<(), GatherError> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(GatherError::io("write", path))
}

/// Finds the trusted hardware that this program runs on.
///
/// # Errors
/// [`GatherError::NoHardware`], or what its driver says. Simulated hardware is never found: it has
/// to be asked for.
pub fn detect() -> Result<Box<dyn Attester>, GatherError> {
    detect_in(Path::new(sgx::GRAMINE_FILES), Path::new(tsm::TSM_REPORTS))
}

/// Whether this program runs in an SGX enclave, under Gramine: one process, which shares nothing with
/// another.
pub fn in_enclave() -> bool {
    Path::new(sgx::GRAMINE_FILES).exists()
}

/// [`detect`], with the drivers' folders elsewhere.
///
/// # Errors
/// As [`detect`].
pub fn detect_in(gramine: &Path, tsm: &Path) -> Result<Box<dyn Attester>, GatherError> {
    if gramine.exists() {
        return Ok(Box::new(Gramine::open(gramine)?));
    }
    if tsm.exists() {
        return Ok(Box::new(ConfigfsTsm::open(tsm)?));
    }
    Err(GatherError::NoHardware { gramine: gramine.to_owned(), tsm: tsm.to_owned() })
}

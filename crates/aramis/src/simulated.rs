//! A simulated TEE, for machines without trusted hardware. **It protects nothing**: whoever can
//! read a folder can sign any evidence.
//!
//! What it signs is structurally what Intel's hardware signs: an SGX quote (version 3) with a chain
//! of certificates, and the collateral that goes with it. It is verified by the code that verifies
//! genuine quotes, with the folder's root in place of Intel's. There is no way round a check:
//! simulated evidence is refused wherever genuine evidence of the same content would be.
//!
//! The measurement (MRENCLAVE) is the SHA-256 of the running executable's file. Three things must
//! come together before it is accepted: the policy lists it under `insecure-simulated`, the policy
//! has `insecure_allow = true`, and the verifier was given the folder's root.
//!
//! | file | who needs it |
//! |---|---|
//! | `root.der`, `collateral.json` | verifiers ([`SimulatedTrust`]) |
//! | `platform-ca.key`, `platform-ca.der`, `root.der` | parties ([`SimulatedTee`]) |
//! | `root.key`, `tcb-signing.key` | [`create`], to renew the collateral |

mod authority;
mod documents;
mod quote;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::digest;

use self::authority::{Authority, Platform};
pub use self::documents::SVN_UP_TO_DATE;
use crate::appraisal::TeeKind;
use crate::collateral::{Collateral, CollateralError, IntelCollateral};
use crate::evidence::{Attester, Evidence, GatherError};
use crate::hex;
use crate::report_data::ReportData;
use crate::verify::Root;

/// How long collateral is valid after [`create`]. A policy may want it younger.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why a simulated root cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedError {
    /// A file could not be read or written.
    #[error("cannot {what} {path}: {source}{}", hint(.source))]
    Io {
        /// Read, write, make.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or certificate could not be made or read.
    #[error("{path}: {reason}")]
    Content {
        /// The folder or file.
        path: PathBuf,
        /// What went wrong.
        reason: ContentError,
    },
}

/// Why a key, a certificate or a document of the simulated manufacturer cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A key pair, a certificate or a revocation list.
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    /// A key that should sign.
    #[error("{0}")]
    Key(ring::error::KeyRejected),
    /// No randomness, for a key or a signature.
    #[error("{0}")]
    Randomness(ring::error::Unspecified),
    /// A time that a document cannot have.
    #[error(transparent)]
    Time(#[from] x509_cert::der::Error),
    /// The collateral.
    #[error(transparent)]
    Collateral(#[from] CollateralError),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => " (make the folder with `cryptflow attest insecure-simulated-root DIR`)",
        _ => "",
    }
}

fn failed(path: &Path, reason: impl Into<ContentError>) -> SimulatedError {
    SimulatedError::Content { path: path.to_owned(), reason: reason.into() }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SimulatedError {
    let path = path.to_owned();
    move |source| SimulatedError::Io { what, path, source }
}

/// Makes a simulated root in `dir`. Where there is one, its keys stay and its collateral is
/// renewed.
///
/// # Errors
/// Where the folder cannot be written, or holds something else.
pub fn create(dir: &Path, now: SystemTime) -> Result<(), SimulatedError> {
    fs::create_dir_all(dir).map_err(io_error("make", dir))?;
    let authority =
        if dir.join("root.der").exists() { Authority::open(dir)? } else { Authority::generate(dir, now)? };
    let collateral = authority.collateral(now, now + VALIDITY).map_err(|e| failed(dir, e))?;
    let json = collateral.to_json().map_err(|e| failed(dir, e))?;
    let path = dir.join("collateral.json");
    fs::write(&path, json).map_err(io_error("write", &path))
}

/// What a verifier needs to accept simulated evidence.
#[derive(Clone, Debug)]
pub struct SimulatedTrust {
    pub(crate) root_ca: Root,
    pub(crate) collateral: Collateral,
}

impl SimulatedTrust {
    /// Reads the root's certificate and the collateral from the folder.
    ///
    /// # Errors
    /// Where they are not there.
    pub fn open(dir: &Path) -> Result<SimulatedTrust, SimulatedError> {
        let path = dir.join("root.der");
        let root_ca = fs::read(&path).map_err(io_error("read", &path))?;
        let path = dir.join("collateral.json");
        let json = fs::read(&path).map_err(io_error("read", &path))?;
        let collateral = Collateral::from_json(&json).map_err(|e| failed(&path, e))?;
        Ok(SimulatedTrust { root_ca: root_ca.into(), collateral })
    }

    /// The same root with other collateral.
    #[must_use]
    pub fn with_collateral(mut self, collateral: Collateral) -> SimulatedTrust {
        self.collateral = collateral;
        self
    }
}

/// What a simulated TEE says of itself. The defaults are what an honest one would say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// MRENCLAVE.
    pub measurement: [u8; 32],
    /// A debug enclave, which its host can read.
    pub debug: bool,
    /// Version of each part of the platform: [`SVN_UP_TO_DATE`] has no known weaknesses, one less
    /// needs hardened software and has an advisory, two less are out of date.
    pub svn: u8,
    /// The machine's number.
    pub platform: [u8; 16],
}

impl Settings {
    /// This executable, on this machine.
    ///
    /// # Errors
    /// Where the executable's file cannot be read.
    pub fn of_this_process() -> Result<Settings, SimulatedError> {
        Ok(Settings {
            measurement: measure(Path::new("/proc/self/exe"))?,
            debug: false,
            svn: SVN_UP_TO_DATE,
            platform: platform_of_this_machine(),
        })
    }
}

/// The simulated measurement of an executable: SHA-256 of its file.
///
/// # Errors
/// Where it cannot be read.
pub fn measure(executable: &Path) -> Result<[u8; 32], SimulatedError> {
    let mut file = fs::File::open(executable).map_err(io_error("read", executable))?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(io_error("read", executable))?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => context.update(bytes),
            _ => break,
        }
    }
    let mut measurement = [0; 32];
    measurement.copy_from_slice(context.finish().as_ref());
    Ok(measurement)
}

/// A number that differs between machines, as far as their systems know one.
fn platform_of_this_machine() -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"cryptflow/insecure-simulated-platform\0");
    for file in ["/etc/machine-id", "/proc/sys/kernel/hostname"] {
        context.update(&fs::read(file).unwrap_or_default());
    }
    let mut platform = [0; 16];
    platform.copy_from_slice(context.finish().as_ref().get(..16).unwrap_or(&[0; 16]));
    platform
}

/// An [`Attester`] whose hardware is a folder.
pub struct SimulatedTee {
    dir: PathBuf,
    platform: Platform,
    settings: Settings,
}

impl SimulatedTee {
    /// Measures this executable, and makes a platform of the folder's authority.
    ///
    /// # Errors
    /// Where the folder or the executable cannot be read.
    pub fn open(dir: &Path) -> Result<SimulatedTee, SimulatedError> {
        SimulatedTee::with_settings(dir, Settings::of_this_process()?)
    }

    /// A TEE that says what `settings` says.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn with_settings(dir: &Path, settings: Settings) -> Result<SimulatedTee, SimulatedError> {
        let platform = Platform::certified(dir, &settings)?;
        Ok(SimulatedTee { dir: dir.to_owned(), platform, settings })
    }

    /// What it measured.
    pub fn measurement(&self) -> [u8; 32] {
        self.settings.measurement
    }
}

impl Attester for SimulatedTee {
    fn evidence(&self, data: &ReportData) -> Result<Evidence, GatherError> {
        let quote = quote::sign(&self.platform, &self.settings, data)?;
        Ok(Evidence::InsecureSimulated { quote })
    }

    fn kind(&self) -> TeeKind {
        TeeKind::InsecureSimulated
    }

    fn describe(&self) -> String {
        format!(
            "INSECURE simulated TEE ({}), measurement {}: nothing is protected",
            self.dir.display(),
            hex::encode(&self.settings.measurement)
        )
    }
}

impl std::fmt::Debug for SimulatedTee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

/// Collateral of the folder's authority that is valid from `issued` to `expires`: what [`create`]
/// writes, at any other time.
///
/// # Errors
/// Where the folder cannot be read.
pub fn collateral(dir: &Path, issued: SystemTime, expires: SystemTime) -> Result<Collateral, SimulatedError> {
    Authority::open(dir)?.collateral(issued, expires).map_err(|e| failed(dir, e))
}

impl Authority {
    fn collateral(&self, issued: SystemTime, expires: SystemTime) -> Result<Collateral, ContentError> {
        let quote_collateral = documents::quote_collateral(self, issued, expires)?;
        let entry = IntelCollateral::new(quote_collateral)?;
        Ok(Collateral { intel: vec![entry], ..Collateral::default() })
    }
}

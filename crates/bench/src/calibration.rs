//! What this machine takes for the work of secure runs: measured once, and kept in a file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::rates::Rates;

/// The form of the file. One of another form is made anew.
pub const VERSION: u32 = 2;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// [`VERSION`].
    pub version: u32,
    /// The processor's name.
    pub cpu: String,
    /// Cores that processes may use.
    pub cores: usize,
    /// What a core does alone.
    pub kernels: Kernels,
    /// What processes of this machine take to speak to each other.
    pub loopback: Loopback,
    /// By the name of the protocol.
    pub protocols: BTreeMap<String, OfProtocol>,
}

/// What one thread does in a second, with nothing beside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kernels {
    /// Multiplications with their additions, by the bits of the ring.
    pub products: BTreeMap<u32, f64>,
    /// Bytes of pseudo-random streams.
    pub stream_bytes: f64,
    /// Bytes that are packed from words and unpacked again.
    pub packed_bytes: f64,
}

/// A connection between two processes of one machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loopback {
    /// Bytes a second, in long messages.
    pub bytes: f64,
    /// Seconds from a short message to its answer, halved.
    pub message: f64,
}

/// What runs with a protocol take, with all parties on this machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfProtocol {
    /// The release that was measured.
    pub cryptflow: String,
    /// When (UTC).
    pub date: String,
    /// What programs take that are worth more threads than one.
    pub several: Pace,
    /// What programs take that are worth one thread, which reads the links as well: a round is cheaper.
    pub one: Pace,
    /// Bytes that a party's process holds for the smallest program.
    pub process: f64,
    /// The part of what programs demand at most (`cryptflow_program::demand`) that parties came to hold.
    pub held: f64,
}

/// What runs take whose programs are alike in size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Seconds by kind of work.
    pub rates: Rates,
    /// Seconds of a run beside its steps.
    pub run: f64,
    /// The busiest party's part of the time, by its processor's time: what a step takes of it where each party has a
    /// machine like this one to itself.
    pub alone: f64,
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// No folder is known in which it could be.
    #[error(
        "where the calibration is kept follows from XDG_CACHE_HOME or HOME, and neither is set: name a file with --calibration"
    )]
    NoFolder,
    /// There is none.
    #[error(
        "{0}: there is no calibration of this machine yet; make one with `cryptflow bench machine` (some seconds), on the machine that shall run the parties"
    )]
    None(PathBuf),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, String),
    /// It is none, or one of another release.
    #[error(
        "{0}: this is no calibration that this release understands ({1}); make one anew with `cryptflow bench machine`"
    )]
    Other(PathBuf, String),
}

/// The file in the user's folder of what can be made again.
///
/// # Errors
/// The environment names no folder.
pub fn usual_path(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, CalibrationError> {
    // An empty or a relative one is to be taken for none.
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("cryptflow").join("machine.json")).ok_or(CalibrationError::NoFolder)
}

impl Calibration {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`CalibrationError`].
    pub fn read(path: &Path) -> Result<Calibration, CalibrationError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(CalibrationError::None(path.into()));
            }
            Err(e) => return Err(CalibrationError::Unreadable(path.into(), e.to_string())),
        };
        let other = |reason: String| CalibrationError::Other(path.into(), reason);
        let read: Calibration = serde_json::from_slice(&bytes).map_err(|e| other(e.to_string()))?;
        if read.version != VERSION {
            return Err(other(format!("its version is {}", read.version)));
        }
        let usable = |of: &OfProtocol| {
            let paces = [&of.several, &of.one];
            let of_pace = paces.iter().flat_map(|pace| pace.rates.0.iter().chain([&pace.run, &pace.alone]));
            of_pace.chain([&of.process, &of.held]).all(|number| number.is_finite() && *number >= 0.0)
        };
        match read.protocols.iter().find(|(_, of)| !usable(of)) {
            Some((name, _)) => Err(other(format!("a number of {name} is no time"))),
            None => Ok(read),
        }
    }
}

#[cfg(test)]
#[path = "../tests/calibration.rs"]
mod tests;

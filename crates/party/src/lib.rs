//! A party: what an organisation runs.
//!
//! It serves sessions: takes its parts of weights and inputs from clients, runs programs with the
//! two other parties, and hands out its parts of the outputs. It holds no importer, no client and
//! no command for people: what is attested is small.

pub mod attested;
pub mod audit;
pub mod commitments;
pub mod config;
pub mod deployment;
mod difference;
mod doors;
pub mod greeting;
pub mod holding;
pub mod limits;
pub mod messages;
mod open;
mod rendezvous;
mod serve;
mod service;
pub mod store;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub use audit::{Audit, AuditError};
pub use difference::Difference;
pub use serve::{Job, agree, check, converse, peak_rss, serve, supported};
pub use service::{Log, Service, ServiceError};

use attested::{Trust, TrustError};
use config::{Config, ConfigError};

/// Why a party did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its hardware, or what it judges others by.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Its address, or its folders.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Runs a party, as its configuration says, until the process ends. Tells on standard error what
/// happens.
///
/// # Errors
/// It cannot start.
pub fn run(config: &Path, insecure_simulated: Option<&Path>) -> Result<(), StartError> {
    let config = Config::read(config)?;
    let trust = Trust::of(&config, insecure_simulated)?;
    let (role, name) = (config.role, config.identity.fingerprint());
    let service = Service::new(config, trust, Box::new(log))?;
    let listener = service.listener()?;
    if let Ok(address) = listener.local_addr() {
        log(&format!("{role} listens on {address}; its key is {name}"));
    }
    service.serve(&listener);
    Ok(())
}

/// A line for the operator, with the time in UTC. There are some fifteen kinds of them, all of one
/// level, and the audit log is the record for programs: `tracing` and its subscriber would be six
/// more crates in the attested binary.
fn log(line: &str) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map(|t| t.as_secs()).unwrap_or_default();
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    eprintln!("{hours:02}:{minutes:02}:{:02}Z {line}", seconds % 60);
}

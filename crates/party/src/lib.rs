//! A party: what an organisation runs.
//!
//! It serves sessions: takes its parts of weights and inputs from clients, runs programs with the
//! two other parties, and hands out its parts of the outputs. It holds no importer, no client and
//! no command for people: what is attested is small.

mod ahead;
mod at_once;
pub mod attested;
pub mod audit;
pub mod code;
pub mod commitments;
pub mod config;
pub mod deployment;
mod difference;
pub mod doors;
pub mod edition;
mod ending;
pub mod greeting;
pub mod holding;
pub mod lanes;
pub mod limits;
mod live;
mod lock;
mod locks;
pub mod log;
pub mod messages;
pub mod mode;
mod models;
pub mod numbers;
mod open;
pub mod profile;
pub mod receiving;
mod reload;
mod rendezvous;
mod routes;
pub mod seats;
mod serve;
mod service;
mod session;
mod site;
pub mod stock;
mod stop;
pub mod store;
mod surviving;
pub mod versions;
pub mod watch;
mod worker;

use std::path::{Path, PathBuf};

pub use ahead::{Keep, Supply};
pub use audit::{Audit, AuditError};
pub use difference::Difference;
pub use lock::{LockError, SiteLock};
pub use reload::ReloadError;
pub use serve::{Job, agree, check, converse, peak_rss, serve, serve_alone, serve_supplied, supported};
pub use service::{Service, ServiceError};
#[cfg(unix)]
pub use worker::session_process;
pub use worker::{ALLOCATOR, SessionCommand};

use attested::{Trust, TrustError};
use config::{Config, ConfigError};
use lanes::Lane;
use log::{Level, Log};

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
    /// The system does not tell it of signals.
    #[error("signals cannot be listened to: {0}")]
    Signals(std::io::Error),
    /// The configuration that is to be loaded differs where it cannot while a party runs.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// What serves a session was started by nobody who has one.
    #[error("a party starts this for each of its sessions; it is of no use to anybody else")]
    Alone,
}

/// Runs a party, as its configuration says, until it is told to stop (SIGTERM, SIGINT): it begins no more
/// sessions then, and those that run have a while to end. SIGHUP has it read its configuration again.
/// Tells on standard error what happens, as `log` says. `lane` says which of the party's lanes it is. `session` makes the command of a session's process, which calls [`run_session`].
///
/// # Errors
/// It cannot start.
pub fn run(
    config: &Path,
    lane: Lane,
    insecure_simulated: Option<&Path>,
    log: Log,
    session: SessionCommand,
) -> Result<(), StartError> {
    let read = || {
        let config = Config::read_lane(config, lane)?;
        let trust = Trust::of(&config, insecure_simulated)?;
        Ok((config, trust))
    };
    let (config, trust) = read()?;
    let (role, name) = (config.role, config.identity.fingerprint());
    let service = Service::new(config, trust, session, log.clone())?;
    // Whoever finds the party listening finds this port, too.
    service.open_operator_port()?;
    let listener = service.listener()?;
    if let Ok(address) = listener.local_addr() {
        log.line(Level::Info, &format!("{role} listens on {address}; its key is {name}"));
    }
    stop::run(&service, listener, read)
}

/// Serves one session of the party that has started this process.
///
/// # Errors
/// Nobody has, or it cannot.
pub fn run_session(insecure_simulated: Option<&Path>) -> Result<(), StartError> {
    #[cfg(unix)]
    {
        session_process(|config| Trust::of(config, insecure_simulated))
    }
    #[cfg(not(unix))]
    {
        let _ = insecure_simulated;
        Err(StartError::Alone)
    }
}

/// The executable that runs here: this very file, where another has taken its name since.
///
/// # Errors
/// The system does not say which it is.
pub fn this_executable() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

//! A party's life as a service: it serves until it is told to stop, and reads its configuration again when
//! it is told to.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::StartError;
use crate::attested::Trust;
use crate::code::Code;
use crate::config::Config;
use crate::service::Service;

/// How long sessions, and changes of models, may take to end that were told to.
const SOON: Duration = Duration::from_secs(3);

/// Serves until the process is told to stop; `read` is what reads the configuration again.
#[cfg(unix)]
pub(crate) fn run(
    service: &Arc<Service>,
    listener: TcpListener,
    read: impl Fn() -> Result<(Config, Option<Trust>), StartError>,
) -> Result<(), StartError> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals =
        signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(StartError::Signals)?;
    let handle = signals.handle();
    let serving = Arc::clone(service);
    thread::spawn(move || serving.serve(&listener));
    let mut stopping = false;
    for signal in signals.forever() {
        match signal {
            SIGHUP => service.log(&match read().and_then(|(config, trust)| service.reload(config, trust)) {
                Ok(changes) if changes.is_empty() => {
                    "the configuration was read again: nothing is new".into()
                }
                Ok(changes) => format!("the configuration was read again: {}", changes.join("; ")),
                Err(error) => {
                    service.record("not-reloaded", json!({ "reason": error.to_string() }));
                    format!("the configuration was not loaded, and all stays as it was: {error}")
                }
            }),
            // Whoever says it twice means it.
            _ if stopping => return Ok(()),
            _ => {
                stopping = true;
                let (service, handle) = (Arc::clone(service), handle.clone());
                thread::spawn(move || {
                    service.stop();
                    handle.close();
                });
            }
        }
    }
    Ok(())
}

/// Serves until the process ends.
#[cfg(not(unix))]
pub(crate) fn run(
    service: &Arc<Service>,
    listener: TcpListener,
    _read: impl Fn() -> Result<(Config, Option<Trust>), StartError>,
) -> Result<(), StartError> {
    service.serve(&listener);
    Ok(())
}

impl Service {
    /// Begins no more sessions and no more changes of models, and leaves those that are under way the time that is
    /// configured; then ends them. What happens is written down.
    pub fn stop(&self) {
        let drain = self.site().config.session.drain;
        self.seats.close();
        let (running, changing) = (self.seats.occupancy().taken, self.locks.close());
        self.record("stopping", json!({ "sessions": running, "changes": changing }));
        if running > 0 || changing > 0 {
            let changes =
                if changing > 0 { format!(", and {changing} changes of models,") } else { String::new() };
            self.log(&format!(
                "stopping: {running} sessions{changes} have {} s to end; told again, this party ends at once",
                drain.as_secs()
            ));
        }
        let drained = Instant::now() + drain;
        let (mut ended, mut broken_off) = (0, 0);
        if !self.seats.emptied(drained) {
            ended = self.live.end(|_, _| Some(Code::Gone.reason("the operator of a party has stopped it")));
        }
        if !self.locks.emptied(drained) {
            // Whoever changes one says something every second, and hears it then.
            broken_off = self.locks.end();
        }
        let soon = Instant::now() + SOON;
        self.seats.emptied(soon);
        self.locks.emptied(soon);
        self.record("stopped", json!({ "sessions_ended": ended, "changes_broken_off": broken_off }));
        self.log("stopped");
    }
}

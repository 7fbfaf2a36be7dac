//! A party of a release that is too old: it is a process of this test's own executable, which says what every release
//! says to those that speak nothing that it does.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cryptflow_party::code::Code;
use cryptflow_party::config::Config;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Greeting, Tell, hear_short, say};
use cryptflow_wire::tls::Arrival;

const VARIABLE: &str = "CRYPTFLOW_ELDER_PARTY";

/// The process.
pub(super) fn command(config: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "faults::elder::process", "--nocapture"]).env(VARIABLE, config);
    command
}

/// No test: what [`command`] runs.
#[test]
fn process() {
    let Some(config) = std::env::var_os(VARIABLE) else { return };
    let config = Config::read(Path::new(&config)).unwrap();
    let listener = std::net::TcpListener::bind(config.listen.as_ref().unwrap()).unwrap();
    for stream in listener.incoming() {
        let end = Instant::now() + Duration::from_secs(super::DEADLINE);
        let welcome = config.known();
        let arrived =
            Arrival::hear(stream.unwrap(), end).and_then(|arrival| arrival.accept(&config.identity, welcome));
        let Ok(mut channel) = arrived else { continue };
        let Ok(Greeting { version }) = hear_short(&mut channel) else { continue };
        let own = Edition::OLDEST.number() - 1;
        let reason = format!("it speaks version {version} of the messages, and this party version {own}");
        let _ = say(&mut channel, &Tell::Refused { code: Code::DifferentVersion, reason });
    }
}

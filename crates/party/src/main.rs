//! The party binary: what gets attested.
//!
//! It has no importer, no client and no command for people; `cryptflow party` runs the same service
//! where nothing is attested.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use cryptflow_party::lanes::Lane;
use cryptflow_party::log::Log;

/// What the process of a session is started with, in place of a configuration: not for people.
const SESSION: &str = "--session";
const SIMULATED: &str = "--insecure-simulated-tee";

const USAGE: &str = "\
Runs one of CrypTFlow's three parties.

Usage: cryptflow-party --config SITE.toml [--lane NUMBER|auto] [--log FORM] [--log-level LEVEL]
                       [--insecure-simulated-tee DIR]

  --config SITE.toml              the site's configuration, as `cryptflow init` writes it
  --lane NUMBER|auto              which of the party's lanes (site.lanes) this is: its number, from 0; auto takes
                                  the number at the end of the host's name
  --insecure-simulated-tee DIR    attest with a simulated root of trust: protects nothing
  --log FORM                      how the lines on standard error look: text (usual), or json, an object a line
  --log-level LEVEL               what matters less is not said: error, warn or info (usual)
";

fn main() -> ExitCode {
    let (mut config, mut simulated, mut lane, mut session) = (None, None, None, false);
    let mut log = Log::default();
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let place = match argument.to_str() {
            Some(option @ ("--log" | "--log-level")) => {
                let value =
                    arguments.next().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
                let wrong = match option {
                    "--log" => value.parse().map(|form| log.form = form).err(),
                    _ => value.parse().map(|level| log.level = level).err(),
                };
                match wrong {
                    Some(wrong) => return fail(&format!("{option}: {wrong}\n\n{USAGE}")),
                    None => continue,
                }
            }
            Some("--config") => &mut config,
            Some(SIMULATED) => &mut simulated,
            Some("--lane") => &mut lane,
            Some(SESSION) => {
                session = true;
                continue;
            }
            Some("--help" | "-h") => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            Some("--version" | "-V") => {
                println!("cryptflow-party {}", env!("CARGO_PKG_VERSION"));
                return ExitCode::SUCCESS;
            }
            _ => return fail(&format!("there is no argument {}\n\n{USAGE}", argument.display())),
        };
        match arguments.next() {
            Some(value) => *place = Some(PathBuf::from(value)),
            None => return fail(&format!("{} needs a value\n\n{USAGE}", argument.display())),
        }
    }
    if session {
        return match cryptflow_party::run_session(simulated.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        };
    }
    let Some(config) = config else { return fail(&format!("--config is missing\n\n{USAGE}")) };
    let lane = match lane.map(|lane| lane.to_string_lossy().parse()).transpose() {
        Ok(lane) => lane.unwrap_or_default(),
        Err(reason) => return fail(&format!("--lane: {reason}")),
    };
    match run(&config, lane, simulated, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn run(
    config: &Path,
    lane: Lane,
    simulated: Option<PathBuf>,
    log: Log,
) -> Result<(), cryptflow_party::StartError> {
    let own = simulated.clone();
    let session = move || {
        let mut command = Command::new(cryptflow_party::this_executable()?);
        command.arg(SESSION);
        if let Some(folder) = &own {
            command.arg(SIMULATED).arg(folder);
        }
        Ok(command)
    };
    cryptflow_party::run(config, lane, simulated.as_deref(), log, Box::new(session))
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::FAILURE
}

//! The party binary: what gets attested.
//!
//! It has no importer, no client and no command for people; `cryptflow party` runs the same service
//! where nothing is attested.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Runs one of CrypTFlow's three parties.

Usage: cryptflow-party --config SITE.toml [--insecure-simulated-tee DIR]

  --config SITE.toml              the site's configuration, as `cryptflow init` writes it
  --insecure-simulated-tee DIR    attest with a simulated root of trust: protects nothing
";

fn main() -> ExitCode {
    let (mut config, mut simulated) = (None, None);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let place = match argument.to_str() {
            Some("--config") => &mut config,
            Some("--insecure-simulated-tee") => &mut simulated,
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
    let Some(config) = config else { return fail(&format!("--config is missing\n\n{USAGE}")) };
    match run(&config, simulated.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn run(config: &Path, simulated: Option<&Path>) -> Result<(), Box<dyn std::error::Error>> {
    cryptflow_party::run(config, simulated)?;
    Ok(())
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("error: {reason}");
    ExitCode::FAILURE
}

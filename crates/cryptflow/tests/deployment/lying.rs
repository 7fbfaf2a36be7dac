//! A party whose evidence lies. It runs in a process of this test's own executable: the command has
//! no such party.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cryptflow_aramis::simulated::{SVN_UP_TO_DATE, Settings, SimulatedTee, measure};
use cryptflow_aramis::{Attester, Evidence, GatherError, ReportData, TeeKind};
use cryptflow_party::Service;
use cryptflow_party::attested::Trust;
use cryptflow_party::config::Config;

const VARIABLE: &str = "CRYPTFLOW_LYING_PARTY";

/// The process of a party that lies in this way.
pub fn command(config: &Path, tee: &Path, lie: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lying::process", "--nocapture"]);
    command.env(VARIABLE, format!("{}\n{}\n{lie}", config.display(), tee.display()));
    command
}

/// No test: what [`command`] runs.
#[test]
fn process() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let mut lines = arguments.lines();
    let (config, tee) = (PathBuf::from(lines.next().unwrap()), PathBuf::from(lines.next().unwrap()));
    let lie = lines.next().unwrap().to_string();
    let folder = config.parent().unwrap().to_path_buf();
    let config = Config::read(&config).unwrap();
    // The genuine program's measurement, whoever signs it: the machine is the liar's own.
    let mut settings = Settings {
        measurement: measure(Path::new(env!("CARGO_BIN_EXE_cryptflow"))).unwrap(),
        ..Settings::of_this_process().unwrap()
    };
    match lie.as_str() {
        "debug" => settings.debug = true,
        "weak" => settings.svn = SVN_UP_TO_DATE - 1,
        "outdated" => settings.svn = SVN_UP_TO_DATE - 2,
        _ => {}
    }
    let tee_of_this_machine = SimulatedTee::with_settings(&tee, settings).unwrap();
    let mut trust = Trust::of(&config, Some(&tee)).unwrap().unwrap();
    trust.attester = Some(Arc::new(Liar { genuine: tee_of_this_machine, lie, saved: folder.join("saved") }));
    let service = Service::new(config, Some(trust), Box::new(|line| eprintln!("{line}"))).unwrap();
    let listener = service.listener().unwrap();
    service.serve(&listener);
}

struct Liar {
    genuine: SimulatedTee,
    lie: String,
    saved: PathBuf,
}

impl Attester for Liar {
    fn evidence(&self, data: &ReportData) -> Result<Evidence, GatherError> {
        match self.lie.as_str() {
            // What a genuine party said over another connection, to somebody else.
            "relay" => {
                let mut other = *data;
                other.0[0] ^= 1;
                self.genuine.evidence(&other)
            }
            // What this party said in an earlier session.
            "replay" => match std::fs::read(&self.saved) {
                Ok(saved) => Ok(Evidence::from_file_bytes(&saved).unwrap()),
                Err(_) => {
                    let evidence = self.genuine.evidence(data)?;
                    std::fs::write(&self.saved, serde_json::to_vec(&evidence).unwrap()).unwrap();
                    Ok(evidence)
                }
            },
            // One bit of it.
            "forge" => match self.genuine.evidence(data)? {
                Evidence::InsecureSimulated { mut quote } => {
                    quote[100] ^= 1;
                    Ok(Evidence::InsecureSimulated { quote })
                }
                other => Ok(other),
            },
            _ => self.genuine.evidence(data),
        }
    }

    fn kind(&self) -> TeeKind {
        self.genuine.kind()
    }

    fn describe(&self) -> String {
        self.genuine.describe()
    }
}

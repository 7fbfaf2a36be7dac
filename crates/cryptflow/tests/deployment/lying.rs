//! A party whose evidence lies, or whose parts break. It runs in a process of this test's own executable: the
//! command has no such party.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cryptflow_aramis::simulated::{SVN_UP_TO_DATE, Settings, SimulatedTee, measure};
use cryptflow_aramis::{Attester, Evidence, GatherError, ReportData, TeeKind};
use cryptflow_party::attested::Trust;
use cryptflow_party::config::Config;
use cryptflow_party::log::Log;
use cryptflow_party::{Service, session_process};

const VARIABLE: &str = "CRYPTFLOW_LYING_PARTY";

/// The process of a party that lies in this way.
pub fn command(config: &Path, tee: &Path, lie: &str) -> Command {
    one("process", &format!("{}\n{}\n{lie}", config.display(), tee.display()))
}

/// A process of this executable that runs one of the tests below, which are none.
fn one(test: &str, arguments: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("lying::{test}"), "--nocapture"]);
    command.env(VARIABLE, arguments);
    command
}

/// No test: what [`command`] runs.
#[test]
fn process() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let mut lines = arguments.lines();
    let config = Config::read(Path::new(lines.next().unwrap())).unwrap();
    let tee = PathBuf::from(lines.next().unwrap());
    let trust = lying(&config, &tee, lines.next().unwrap());
    let (for_session, for_log) = (Breaks::of(&config), Breaks::of(&config));
    let session = Box::new(move || {
        for_session.at("process");
        Ok(one("session", &arguments))
    });
    let log = Log::telling(move |line: &str| {
        eprintln!("{line}");
        for_log.at(line);
    });
    let service = Service::new(config, Some(trust), session, log).unwrap();
    let listener = service.listener().unwrap();
    service.serve(&listener);
}

/// No test: the process of one of its sessions.
#[test]
fn session() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let [_, tee, lie] = arguments.lines().collect::<Vec<_>>().try_into().unwrap();
    session_process(|config| Ok(Some(lying(config, Path::new(tee), lie)))).unwrap();
}

/// What a party proves itself with that lies in this way.
fn lying(config: &Config, tee: &Path, lie: &str) -> Trust {
    // The genuine program's measurement, whoever signs it: the machine is the liar's own.
    let mut settings = Settings {
        measurement: measure(Path::new(env!("CARGO_BIN_EXE_cryptflow"))).unwrap(),
        ..Settings::of_this_process().unwrap()
    };
    match lie {
        "debug" => settings.debug = true,
        "weak" => settings.svn = SVN_UP_TO_DATE - 1,
        "outdated" => settings.svn = SVN_UP_TO_DATE - 2,
        _ => {}
    }
    let genuine = SimulatedTee::with_settings(tee, settings).unwrap();
    let mut trust = Trust::of(config, Some(tee)).unwrap().unwrap();
    // What it said once is kept there.
    let saved = config.store.join("saved");
    trust.attester = Some(Arc::new(Liar { genuine, lie: lie.into(), saved, breaks: Breaks::of(config) }));
    trust
}

struct Liar {
    genuine: SimulatedTee,
    lie: String,
    saved: PathBuf,
    breaks: Breaks,
}

/// Where a party's parts break, as a test says meanwhile: what a file of this name holds.
#[derive(Clone)]
pub struct Breaks(PathBuf);

impl Breaks {
    fn of(config: &Config) -> Breaks {
        Breaks(config.store.join("breaks"))
    }

    /// Those of the party at this site.
    pub fn at_site(site: &Path) -> Breaks {
        Breaks(site.join("store/breaks"))
    }

    /// From now on there, or nowhere.
    pub fn set(&self, place: &str) {
        std::fs::write(&self.0, place).unwrap();
    }

    fn says(&self, place: &str) -> bool {
        std::fs::read_to_string(&self.0).is_ok_and(|said| !said.is_empty() && place.contains(&said))
    }

    fn at(&self, place: &str) {
        assert!(!self.says(place), "it breaks here, as it was told to");
    }
}

impl Attester for Liar {
    fn evidence(&self, data: &ReportData) -> Result<Evidence, GatherError> {
        self.breaks.at("evidence");
        if self.breaks.says("memory") {
            // More than a session may take, and nothing of it is touched.
            assert!(std::hint::black_box(vec![0u8; 16 << 30]).iter().take(1).all(|byte| *byte == 0));
        }
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

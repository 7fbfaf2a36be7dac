//! What `cryptflow doctor` finds out about a site: of its own files, of this machine, and of every link from here.
//! Nothing is changed. Each finding says what is the matter and what to do.

mod links;
mod own;

use std::path::Path;

use cryptflow_party::attested::Trust;
use cryptflow_party::code::Code;
use cryptflow_party::config::{Config, ConfigError};
use cryptflow_party::lanes::Lane;
use cryptflow_wire::Role;
use serde::Serialize;

use crate::remote::Site;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not well.
    Warning,
    /// It does not work.
    Failed,
}

impl Outcome {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// The lane that it is about; nothing where it is a matter of all, or there is one.
    pub lane: Option<usize>,
    /// The party that it is about; nothing where it is this site.
    pub party: Option<usize>,
    /// How it came out.
    pub outcome: Outcome,
    /// What kind of failure it is.
    pub code: Option<Code>,
    /// What was found.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl ToString) -> Finding {
        let message = message.to_string();
        Finding { check, lane: None, party: None, outcome: Outcome::Ok, code: None, message, advice: None }
    }

    fn warning(check: &'static str, message: impl ToString, advice: impl ToString) -> Finding {
        let advice = Some(advice.to_string());
        Finding { outcome: Outcome::Warning, advice, ..Finding::ok(check, message) }
    }

    fn failed(check: &'static str, code: Code, message: impl ToString, advice: impl ToString) -> Finding {
        let finding = Finding::warning(check, message, advice);
        Finding { outcome: Outcome::Failed, code: Some(code), ..finding }
    }

    fn of(self, party: usize) -> Finding {
        Finding { party: Some(party), ..self }
    }
}

/// The lanes to look at: this one, or all of the site.
fn lanes(path: &Path, lane: Option<Lane>) -> Result<Vec<Config>, ConfigError> {
    let first = Config::read_lane(path, lane.unwrap_or_default())?;
    match lane {
        Some(_) => Ok(vec![first]),
        None => (0..first.lane.1).map(|lane| first.at_lane(lane)).collect(),
    }
}

/// Looks at a site: at one of its lanes, or at all.
pub fn examine(path: &Path, lane: Option<Lane>, insecure_simulated: Option<&Path>) -> Vec<Finding> {
    let wrong = |error: &dyn std::fmt::Display| {
        vec![Finding::failed("configuration", Code::Failed, error, "correct the file, or what it names")]
    };
    let lanes = match lanes(path, lane) {
        Ok(lanes) => lanes,
        Err(error) => return wrong(&error),
    };
    let Some(config) = lanes.first() else { return wrong(&"it has no lane") };
    let site = match config.role {
        Role::Client => "a client".to_string(),
        Role::Party(index) => config.party_name(index.into()),
    };
    let mut found = vec![Finding::ok(
        "configuration",
        format!("{}: {site}, {}", path.display(), config.identity.fingerprint()),
    )];
    found.extend(own::permissions(&lanes, path));
    let trust = match Trust::of(config, insecure_simulated) {
        Ok(trust) => trust,
        Err(error) => {
            let advice = "correct the table [attestation], or the file that it names";
            found.push(Finding::failed("attestation", Code::Evidence, error, advice));
            return found;
        }
    };
    found.extend(own::attestation(config, trust.as_ref()));
    found.extend(own::memory(config));
    let several = lanes.len() > 1;
    for config in &lanes {
        let number = several.then_some(config.lane.0);
        let of_lane = match config.role {
            Role::Party(index) => {
                let mut of_lane = own::disk(config);
                of_lane.extend(own::dealt(config, index.into()));
                of_lane.extend(links::of_party(config, trust.as_ref(), index.into()));
                of_lane
            }
            Role::Client => {
                match Site::read(path, insecure_simulated).and_then(|site| site.at_lane(config.lane.0)) {
                    Ok(site) => links::of_client(&site),
                    Err(error) => {
                        vec![Finding::failed("configuration", error.code(), error, "correct the file")]
                    }
                }
            }
        };
        found.extend(of_lane.into_iter().map(|finding| Finding { lane: number, ..finding }));
    }
    found
}

//! What `cryptflow doctor` finds out about a site: of its own files, of this machine, and of every link from here.
//! Nothing is changed. Each finding says what is the matter and what to do.

mod links;
mod own;

use std::path::Path;

use cryptflow_party::attested::Trust;
use cryptflow_party::code::Code;
use cryptflow_party::config::Config;
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
        Finding { check, party: None, outcome: Outcome::Ok, code: None, message, advice: None }
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

/// Looks at a site; where it is that of a party, at one of its lanes.
pub fn examine(path: &Path, lane: Lane, insecure_simulated: Option<&Path>) -> Vec<Finding> {
    let config = match Config::read_lane(path, lane) {
        Ok(config) => config,
        Err(error) => {
            return vec![Finding::failed(
                "configuration",
                Code::Failed,
                error,
                "correct the file, or what it names",
            )];
        }
    };
    let site = match config.role {
        Role::Client => "a client".to_string(),
        Role::Party(index) => config.party_name(index.into()),
    };
    let mut found = vec![Finding::ok(
        "configuration",
        format!("{}: {site}, {}", path.display(), config.identity.fingerprint()),
    )];
    found.extend(own::permissions(&config, path));
    let trust = match Trust::of(&config, insecure_simulated) {
        Ok(trust) => trust,
        Err(error) => {
            let advice = "correct the table [attestation], or the file that it names";
            found.push(Finding::failed("attestation", Code::Evidence, error, advice));
            return found;
        }
    };
    found.extend(own::attestation(&config, trust.as_ref()));
    found.extend(own::memory(&config));
    match config.role {
        Role::Party(index) => {
            found.extend(own::disk(&config));
            found.extend(links::of_party(&config, trust.as_ref(), index.into()));
        }
        Role::Client => match Site::read(path, insecure_simulated) {
            Ok(site) => found.extend(links::of_client(&site)),
            Err(error) => {
                found.push(Finding::failed("configuration", error.code(), error, "correct the file"))
            }
        },
    }
    found
}

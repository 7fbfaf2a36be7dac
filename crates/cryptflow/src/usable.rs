//! What keeps a client from using its parties, by what they say of themselves.

use std::collections::BTreeMap;

use cryptflow_party::code::Code;
use cryptflow_party::greeting::Status;
use cryptflow_party::messages::SessionError;
use serde::Serialize;

/// Something that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// The party; nothing where it is a matter of several.
    pub party: Option<usize>,
    /// The model; nothing where it is a matter of all.
    pub model: Option<String>,
    /// What kind of reason it is.
    pub code: Code,
    /// What is the matter, and what to do.
    pub message: String,
}

/// Everything that cannot be used: parties by their indices, then models by their names. `policy` is the
/// digest of the client's.
pub fn unusable(statuses: &[Result<Status, SessionError>], policy: Option<[u8; 32]>) -> Vec<Unusable> {
    let mut found = Vec::new();
    for (index, status) in statuses.iter().enumerate() {
        let mut of = |code, model: Option<&str>, message: String| {
            found.push(Unusable { party: Some(index), model: model.map(String::from), code, message });
        };
        match status {
            Err(error) => of(Code::from(error), None, error.to_string()),
            Ok(status) => {
                if status.policy != policy {
                    of(Code::DifferentPolicy, None, policies(status.policy, policy).into());
                }
                if status.may.is_empty() {
                    of(
                        Code::Forbidden,
                        None,
                        "this client may do nothing there: its operator says what it may".into(),
                    );
                }
                for (name, protocol, reason) in &status.models {
                    if protocol == DAMAGED {
                        of(Code::DamagedModel, Some(name), format!("model {name} is damaged: {reason}"));
                    }
                }
            }
        }
    }
    found.extend(apart(statuses));
    found
}

/// What keeps parties from one another, as those say that look.
pub fn of_others(statuses: &[Result<Status, SessionError>]) -> Vec<Unusable> {
    let mut found = Vec::new();
    for (index, status) in statuses.iter().enumerate() {
        for (_, code, message) in status.iter().flat_map(|status| status.causes.iter().flatten()) {
            // Which models this client may use is another matter than which there are.
            if !matches!(code, Code::UnknownModel | Code::DifferentModel | Code::DamagedModel) {
                let message = format!("it says: {message}");
                found.push(Unusable { party: Some(index), model: None, code: *code, message });
            }
        }
    }
    found
}

/// What a party says in the place of a protocol, where what it keeps cannot be read.
const DAMAGED: &str = "damaged";

fn policies(theirs: Option<[u8; 32]>, ours: Option<[u8; 32]>) -> &'static str {
    match (theirs, ours) {
        (Some(_), None) => "it runs attested sessions only, and this client has no policy: add [attestation]",
        (None, _) => "it attests nothing, and this client demands evidence",
        (Some(_), Some(_)) => "its attestation policy is not this client's: compare the files",
    }
}

/// Models that are not the same everywhere.
fn apart(statuses: &[Result<Status, SessionError>]) -> Vec<Unusable> {
    let reached: Vec<(usize, &Status)> =
        statuses.iter().enumerate().filter_map(|(i, status)| Some((i, status.as_ref().ok()?))).collect();
    let mut kept: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (index, status) in &reached {
        for (name, protocol, digest) in &status.models {
            if protocol != DAMAGED {
                kept.entry(name).or_default().push((*index, digest));
            }
        }
    }
    let mut found = Vec::new();
    for (name, kept) in kept {
        let listed = |index: usize| {
            let status = reached.iter().find(|(i, _)| *i == index);
            status.is_some_and(|(_, status)| status.models.iter().any(|(model, ..)| model == name))
        };
        let missing: Vec<String> =
            reached.iter().filter(|(i, _)| !listed(*i)).map(|(i, _)| format!("P{i}")).collect();
        let different = kept.iter().any(|(_, digest)| Some(digest) != kept.first().map(|(_, first)| first));
        let (code, message) = if different {
            let message =
                format!("model {name} is not the same at all parties: deploy it again, with --replace");
            (Code::DifferentModel, message)
        } else if !missing.is_empty() {
            let message = format!(
                "model {name} is not to be had at {}: it was not deployed there, or this client may not use it there",
                missing.join(", ")
            );
            (Code::UnknownModel, message)
        } else {
            continue;
        };
        found.push(Unusable { party: None, model: Some(name.into()), code, message });
    }
    found
}

//! `cryptflow status`: whether the parties can be reached, and what they are ready for.

use crate::error::{Error, Result};
use clap::Args;
use serde_json::json;

use super::site::Where;

/// Show whether the parties can be reached, what they think of this client, and which models they
/// keep.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let site = arguments.site.site()?;
    let statuses = site.status();
    let reached = statuses.iter().filter(|status| status.is_ok()).count();
    let policy = site.policy();
    let simulated = site.allows_insecure_simulated();
    let mut lines = Vec::new();
    let mut objects = Vec::new();
    for (index, status) in statuses.iter().enumerate() {
        let Some(party) = site.config().parties.get(index) else { continue };
        lines.push(format!("P{index}  {} at {}", party.name, party.address));
        match status {
            Err(error) => {
                lines.push(format!("    NOT READY: {error}"));
                objects.push(json!({ "party": index, "name": party.name, "address": party.address, "error": error.to_string() }));
            }
            Ok(status) => {
                lines.push(format!(
                    "    ready: version {}, up {} s, {} of {} sessions, {} waiting, runs {}",
                    status.software,
                    status.uptime,
                    status.sessions.0,
                    status.sessions.1,
                    status.waiting,
                    status.protocols.join(", ")
                ));
                lines.push(format!(
                    "    knows this client as {}, which may {}",
                    status.client,
                    status.may.join(", ")
                ));
                lines.push(match (status.policy, policy) {
                    (None, None) => {
                        "    attests nothing: secure if the parties follow the protocol".to_string()
                    }
                    (theirs, ours) if theirs == ours => {
                        format!("    attests with {}", status.hardware.as_deref().unwrap_or("nothing"))
                    }
                    _ => "    NOT READY: its attestation policy is not this client's".to_string(),
                });
                for (name, protocol, digest) in &status.models {
                    lines.push(format!("    model {name}, for {protocol}, {digest}"));
                }
                objects.push(json!({ "party": index, "name": party.name, "address": party.address,
                    "policy": status.policy.map(hex::encode), "status": status }));
            }
        }
    }
    if simulated {
        lines.push("INSECURE: simulated evidence is accepted; it proves nothing".into());
    }
    if arguments.json {
        let report = json!({ "parties": objects, "insecure_simulated_tee": simulated,
            "policy": policy.map(hex::encode) });
        super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)?;
    } else {
        super::print(&lines.join("\n"))?;
    }
    match statuses.len() {
        all if reached == all => Ok(()),
        all => Err(Error::new(format!("{reached} of {all} parties can be reached"))),
    }
}

//! `cryptflow status`: whether the parties can be reached, and what they are ready for.

use crate::error::{Error, Result};
use crate::mixed::older;
use crate::usable::{Unusable, of_others, unusable};
use clap::Args;
use cryptflow_figures::table::bytes;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::Status;
use cryptflow_party::stock::Stocked;
use serde_json::json;

use super::site::Where;

/// Show whether the parties can be reached, what they think of this client, and which models they
/// keep. Fails where something is unusable.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Which lane to look at.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    lane: usize,
    #[command(flatten)]
    site: Where,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let site = arguments.site.site()?.at_lane(arguments.lane)?;
    let statuses = site.status();
    // Those that are older say nothing of it, and whoever is away is named anyway.
    let dealt: Vec<Vec<Stocked>> =
        site.stocks(None).into_iter().map(std::result::Result::unwrap_or_default).collect();
    let policy = site.policy();
    let simulated = site.allows_insecure_simulated();
    let mut wrong = unusable(&statuses, policy);
    wrong.extend(of_others(&statuses));
    if arguments.json {
        let parties =
            statuses.iter().zip(&site.config().parties).enumerate().map(|(index, (status, party))| {
                let mut object = json!({ "party": index, "name": party.name, "address": party.address });
                match status {
                    Ok(status) => {
                        object["messages"] = json!(site.spoken(index).map(Edition::number));
                        object["policy"] = json!(status.policy.map(hex::encode));
                        object["status"] = json!(status);
                        let stocks = dealt.get(index).into_iter().flatten().map(|stock| {
                            json!({ "model": stock.model, "stock": hex::encode(stock.stock), "left": stock.left(),
                                "bytes": stock.bytes, "trouble": stock.found.as_ref().err() })
                        });
                        object["dealt_ahead"] = stocks.collect();
                    }
                    Err(error) => {
                        object["error"] = json!(error.to_string());
                        object["code"] = json!(cryptflow_party::code::Code::from(error).word());
                    }
                }
                object
            });
        let report = json!({ "parties": parties.collect::<Vec<_>>(), "insecure_simulated_tee": simulated,
            "policy": policy.map(hex::encode), "unusable": wrong });
        super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)?;
    } else {
        let mut lines = Vec::new();
        for (index, (status, party)) in statuses.iter().zip(&site.config().parties).enumerate() {
            lines.push(format!("P{index}  {} at {}", party.name, party.address));
            if let Ok(status) = status {
                let spoken = site.spoken(index);
                lines.extend(described(status, spoken, policy.is_some()));
                lines.extend(dealt.get(index).into_iter().flatten().map(|stock| {
                    let (model, size) = (&stock.model, bytes(stock.bytes));
                    match &stock.found {
                        Ok(_) => format!("    dealt ahead for {model}: {} runs left, {size}", stock.left()),
                        Err(reason) => format!("    dealt ahead for {model}: of no use: {reason}"),
                    }
                }));
                let (name, own) = (site.config().party_name(index), site.config().session.messages);
                lines.extend(
                    spoken
                        .and_then(|edition| older(&name, edition, own))
                        .map(|(older, advice)| format!("    {older} ({advice})")),
                );
            }
            let of_it = wrong.iter().filter(|wrong| wrong.party == Some(index));
            lines.extend(of_it.map(|wrong| format!("    NOT READY: {}", wrong.message)));
        }
        let of_all = wrong.iter().filter(|wrong| wrong.party.is_none());
        lines.extend(of_all.map(|wrong| format!("NOT READY: {}", wrong.message)));
        if simulated {
            lines.push("INSECURE: simulated evidence is accepted; it proves nothing".into());
        }
        super::print(&lines.join("\n"))?;
    }
    match wrong.first() {
        None => Ok(()),
        Some(first) => Err(refusal(first, wrong.len(), &statuses).reported()),
    }
}

fn refusal<E>(first: &Unusable, count: usize, statuses: &[std::result::Result<Status, E>]) -> Error {
    let (reached, all) = (statuses.iter().filter(|status| status.is_ok()).count(), statuses.len());
    if reached < all {
        return Error::of(first.code, format!("{reached} of {all} parties can be reached"));
    }
    let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
    Error::of(first.code, format!("something is unusable: {}{more}", first.message))
}

/// A party that can be reached.
fn described(status: &Status, spoken: Option<Edition>, attested: bool) -> Vec<String> {
    let mut lines = vec![
        format!(
            "    version {}, up {} s, messages {}, {} of {} sessions, {} waiting, runs {}",
            status.software,
            status.uptime,
            spoken.map_or("–".into(), |edition| edition.to_string()),
            status.sessions.0,
            status.sessions.1,
            status.waiting,
            status.protocols.join(", ")
        ),
        format!("    knows this client as {}, which may {}", status.client, status.may.join(", ")),
    ];
    match (status.policy, attested) {
        (None, false) => lines.push("    attests nothing: secure if the parties follow the protocol".into()),
        (Some(_), true) => {
            lines.push(format!("    attests with {}", status.hardware.as_deref().unwrap_or("nothing")));
        }
        // It is said below why that is no use.
        (None, true) | (Some(_), false) => {}
    }
    for (name, protocol, digest) in &status.models {
        lines.push(format!("    model {name}, for {protocol}, {digest}"));
    }
    lines
}

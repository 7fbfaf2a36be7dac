//! `cryptflow doctor`: what is wrong with a site and its links, and what to do.

use crate::doctor::{Finding, Outcome, examine};
use crate::error::{Error, Result};
use clap::Args;
use cryptflow_figures::table::with_header;
use cryptflow_party::code::Code;
use cryptflow_party::lanes::Lane;
use serde_json::json;

use super::site::Where;

/// Look for what is wrong with a site, a party's or a client's: its files, this machine, and every link from
/// here, with what to do about each fault. Nothing is changed. Fails where something does not work.
///
/// Of a link: address, TLS and keys, versions, policies, digests of models, clocks, the time there and back, and
/// the bytes a second, for which up to two megabytes go each way.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: Where,
    /// Which lane to look at: its number, from 0; auto takes the number at the end of the host's name. Where it is not
    /// given, all are.
    #[arg(long, value_name = "NUMBER|auto")]
    lane: Option<Lane>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Where { config, insecure_simulated_tee } = &arguments.site;
    let found = examine(config, arguments.lane, insecure_simulated_tee.as_deref());
    let count = |outcome| found.iter().filter(|finding| finding.outcome == outcome).count();
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    if arguments.json {
        let report = json!({ "failed": failed, "warnings": warnings, "findings": found });
        super::print(&serde_json::to_string_pretty(&report).map_err(Error::new)?)?;
    } else {
        super::print(&text(&found))?;
    }
    let worst = found.iter().find(|finding| finding.outcome == Outcome::Failed);
    match worst {
        None => Ok(()),
        Some(first) => {
            let text = format!("{failed} checks failed, {warnings} warnings");
            Err(Error::of(first.code.unwrap_or(Code::Failed), text).reported())
        }
    }
}

fn text(found: &[Finding]) -> String {
    let about = |finding: &Finding| match (finding.lane, finding.party) {
        (None, None) => "this site".into(),
        (Some(lane), None) => format!("lane {lane}"),
        (None, Some(party)) => format!("P{party}"),
        (Some(lane), Some(party)) => format!("lane {lane} P{party}"),
    };
    let rows = found.iter().flat_map(|finding| {
        let word = finding.outcome.word().to_string();
        let first = [about(finding), finding.check.to_string(), word, finding.message.clone()];
        let advice =
            finding.advice.iter().map(|advice| ["".into(), "".into(), "".into(), format!("→ {advice}")]);
        std::iter::once(first).chain(advice)
    });
    with_header(["", "check", "", ""], rows.collect::<Vec<[String; 4]>>(), usize::MAX..)
}

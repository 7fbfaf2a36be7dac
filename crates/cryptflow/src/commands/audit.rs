//! `cryptflow audit`: what a party did.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use clap::Args;
use cryptflow_figures::table::with_header;
use cryptflow_figures::time::utc;
use cryptflow_party::audit::{Entry, Log, check, compare};
use cryptflow_wire::tls::Keys;
use serde_json::{Value, json};

/// Check that a party's audit log holds what the party wrote, and show what it did.
///
/// Each entry is signed and follows the one before it: nothing in the middle was changed, put in or taken
/// out. Whether its end was cut off, or all of it written anew by whoever has the key, shows beside the logs
/// of the other parties: --compare.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The log: the audit.jsonl of a party's site.
    file: PathBuf,
    /// Logs of other parties, with which this one must go together.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    compare: Vec<PathBuf>,
    /// Print the entries as one JSON array.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let log = read(&arguments.file)?;
    let mut logs = vec![log];
    for other in &arguments.compare {
        let other_log = read(other)?;
        let party =
            other_log.party.ok_or_else(|| Error::at(other, "it has no entry that says whose it is"))?;
        if logs.iter().any(|log| log.party == Some(party)) {
            return Err(Error::at(other, format!("it is the second log of P{party}")));
        }
        logs.push(other_log);
    }
    // A party begins its log when it starts.
    if logs[0].party.is_none() {
        return Err(Error::at(&arguments.file, "it has no entry that says whose it is"));
    }
    let gaps = compare(&logs);
    if !gaps.is_empty() {
        let said: Vec<String> = gaps.iter().map(ToString::to_string).collect();
        return Err(Error::at(&arguments.file, format!("the logs do not go together: {}", said.join("; "))));
    }
    let log = &logs[0];
    if arguments.json {
        let entries: Vec<&Value> = log.entries.iter().map(|entry| &entry.fields).collect();
        return super::print(&serde_json::to_string_pretty(&json!(entries)).map_err(Error::new)?);
    }
    let header = ["UTC", "event", "session", "client", "model", "protocol", "outcome"];
    let mut text = with_header(header, log.entries.iter().map(row), usize::MAX..);
    text += &format!("\n{}", summary(log));
    let others = logs.iter().skip(1).filter_map(|other| other.party);
    for other in others {
        text += &format!("\neverything that P{other}'s log names of it, or the other way round, is there");
    }
    super::print(&text)
}

fn summary(log: &Log) -> String {
    let entries = log.entries.len();
    let Some(Keys { now: key, .. }) = log.key else { return "no entries".into() };
    let whose = log.party.map(|party| format!("P{party}, ")).unwrap_or_default();
    let torn = match log.torn {
        Some(_) => "; the last line was not written to its end: the party stopped while it wrote",
        None => "",
    };
    format!("{entries} entries; each follows the one before it, and is signed by {whose}{key}{torn}")
}

fn read(path: &Path) -> Result<Log> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::at(path, e))?;
    check(&text).map_err(|reason| Error::at(path, reason))
}

fn row(entry: &Entry) -> [String; 7] {
    let text = |key: &str| entry.text(key).unwrap_or_default().to_string();
    let seconds = entry.fields.get("time").and_then(Value::as_u64).unwrap_or_default();
    let session: String = text("session").chars().take(16).collect();
    let client = if entry.text("client").is_some() { text("client") } else { text("peer") };
    let outcome = if entry.text("reason").is_some() { text("reason") } else { text("outcome") };
    [utc(seconds), text("event"), session, client, text("model"), text("protocol"), outcome]
}

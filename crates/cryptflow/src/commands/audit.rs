//! `cryptflow audit`: what a party did.

use std::path::PathBuf;

use crate::error::{Error, Result};
use clap::Args;
use cryptflow_figures::table::with_header;
use cryptflow_figures::time::utc;
use cryptflow_party::Audit;
use serde_json::Value;

/// Check that no line of a party's audit log was changed or taken out, and show what the party did.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The log: the audit.jsonl of a party's site.
    file: PathBuf,
    /// Print the entries as one JSON array.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let text = std::fs::read_to_string(&arguments.file).map_err(|e| Error::at(&arguments.file, e))?;
    let entries = Audit::check(&text).map_err(|reason| {
        Error::at(&arguments.file, format!("{reason}: a line was changed, or taken out"))
    })?;
    if arguments.json {
        return super::print(&serde_json::to_string_pretty(&entries).map_err(Error::new)?);
    }
    let header = ["UTC", "event", "session", "client", "model", "protocol", "outcome"];
    super::print(&format!(
        "{}\n{} entries; each goes with the one before it. The last has the digest that the next will name: compare logs with the other parties' by session",
        with_header(header, entries.iter().map(row), usize::MAX..),
        entries.len()
    ))
}

fn row(entry: &Value) -> [String; 7] {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let seconds = entry.get("time").and_then(Value::as_u64).unwrap_or_default();
    let session: String = text("session").chars().take(16).collect();
    let outcome = if entry.get("reason").is_some() { text("reason") } else { text("outcome") };
    [utc(seconds), text("event"), session, text("client"), text("model"), text("protocol"), outcome]
}

//! `cryptflow audit`: what a party did.

use std::path::PathBuf;

use clap::Args;
use cryptflow::error::{Error, Result};
use cryptflow_figures::table::table;
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
    let header =
        ["UTC", "event", "session", "client", "model", "protocol", "outcome"].map(String::from).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(entries.iter().map(row)).collect();
    super::print(&format!(
        "{}\n{} entries; each goes with the one before it. The last has the digest that the next will name: compare logs with the other parties' by session",
        table(&rows, usize::MAX),
        entries.len()
    ))
}

fn row(entry: &Value) -> Vec<String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let seconds = entry.get("time").and_then(Value::as_u64).unwrap_or_default();
    let session: String = text("session").chars().take(16).collect();
    let outcome = if entry.get("reason").is_some() { text("reason") } else { text("outcome") };
    vec![utc(seconds), text("event"), session, text("client"), text("model"), text("protocol"), outcome]
}

/// Seconds since 1970 as a date and a time (the civil calendar, from the number of days).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_356_349, "2026-11-22 14:05:49"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }
}

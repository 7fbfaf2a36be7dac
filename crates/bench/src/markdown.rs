//! A benchmark as Markdown.

use std::collections::BTreeSet;
use std::fmt::Write;

use cryptflow_mpc::Party;
use cryptflow_protocols::ProtocolName;

use super::published::{BYTES_SOURCE, SECONDS_SOURCE};
use super::{Network, Outcome, Results, Taken};
use cryptflow_figures::table;

/// The protocol that was published, and is compared with ours.
const PUBLISHED: ProtocolName = ProtocolName::Porthos;

/// The whole report: where it was measured, bytes, seconds, and the details of each run.
pub fn report(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, results);
    text
}

fn write(out: &mut String, results: &Results) -> std::fmt::Result {
    let machine = &results.machine;
    write!(out, "Measured {} with `{}`\n\n", results.date, results.command)?;
    write!(out, "* machine: {}, {} cores", machine.cpu, machine.cores)?;
    if let Some(memory) = machine.memory {
        write!(out, ", {} of memory", table::bytes(memory))?;
    }
    write!(out, ", {}; all three parties on it", machine.system)?;
    match machine.load {
        Some(load) => writeln!(out, "; load {load} when it began")?,
        None => writeln!(out)?,
    }
    match &results.network {
        Some(network) => writeln!(out, "* network between the parties, {network}")?,
        None => writeln!(out, "* network between the parties: this machine's own")?,
    }
    let tensorflow = results.tensorflow.as_deref().unwrap_or("not installed");
    writeln!(out, "* cryptflow {}; TensorFlow {tensorflow}", results.cryptflow)?;
    write!(
        out,
        "* batch 1; the median of {} run{} of each network\n\n",
        results.runs,
        if results.runs == 1 { "" } else { "s" }
    )?;

    let protocols = results.protocols();
    let (ours, theirs) = (ProtocolName::DEFAULT.name(), PUBLISHED.name());
    let pair = protocols.contains(&theirs) && protocols.contains(&ours);
    let compared = format!("{theirs} : {ours}");
    writeln!(out, "### Bytes between the parties\n")?;
    let mut head = vec!["network".to_owned(), "published".into()];
    head.extend(protocols.iter().map(ToString::to_string));
    head.push(format!("published : {ours}"));
    head.extend(pair.then(|| compared.clone()));
    let rows = results.networks.iter().map(|n| {
        let published = n.published.as_ref().map(|p| p.bytes as f64);
        let mut row = vec![n.title.clone(), published.map_or_else(none, |b| table::bytes(b as u64))];
        row.extend(protocols.iter().map(|p| cell(n, p, |t| table::bytes(t.bytes))));
        let bytes = |p: &str| n.taken(p).map(|t| t.bytes as f64);
        row.push(ratio(published, bytes(ours)));
        row.extend(pair.then(|| ratio(bytes(theirs), bytes(ours))));
        row
    });
    markdown_table(out, &head, 1, rows)?;
    write!(out, "\nPublished: {BYTES_SOURCE}.\n\n")?;

    writeln!(out, "### Seconds of an inference\n")?;
    let mut head = vec!["network".to_owned(), "published".into()];
    head.extend(protocols.iter().map(ToString::to_string));
    head.extend(pair.then_some(compared));
    head.push("TensorFlow, in the clear".into());
    let rows = results.networks.iter().map(|n| {
        let published = n.published.as_ref().and_then(|p| p.seconds);
        let mut row = vec![n.title.clone(), published.map_or_else(none, |s| format!("about {s}"))];
        row.extend(protocols.iter().map(|p| cell(n, p, |t| seconds(t.median_seconds))));
        let time = |p: &str| n.taken(p).map(|t| t.median_seconds);
        row.extend(pair.then(|| ratio(time(theirs), time(ours))));
        row.push(n.tensorflow_seconds.map_or_else(none, seconds));
        row
    });
    markdown_table(out, &head, 1, rows)?;
    write!(out, "\nPublished: {SECONDS_SOURCE}.\n\n")?;

    writeln!(out, "### Details\n")?;
    let facts = || protocols.iter().filter_map(|name| name.parse::<ProtocolName>().ok()).map(|p| p.facts());
    let most = facts().map(|facts| facts.parties).max().unwrap_or(0);
    let parties = by_party(&Party::all(most).collect::<Vec<_>>(), Party::to_string);
    let dealers: BTreeSet<Party> = facts().filter_map(|facts| facts.dealer).collect();
    let dealt = match dealers.first() {
        Some(dealer) if dealers.len() == 1 => format!("dealt by {dealer}"),
        _ => "dealt".into(),
    };
    let head = [
        "network",
        "protocol",
        "bits of weights",
        "seconds",
        &format!("CPU seconds {parties}"),
        &dealt,
        "online",
        "rounds",
        &format!("memory {parties}"),
        "top-1 as float",
        "largest difference",
    ]
    .map(String::from);
    let rows = results.networks.iter().flat_map(|n| {
        n.measurements.iter().map(|m| {
            let mut row = vec![n.title.clone(), m.protocol.clone(), m.weight_bits.to_string()];
            match &m.outcome {
                Outcome::Ran(taken) => row.extend(details(taken)),
                Outcome::Failed(_) => row.push("failed".into()),
            }
            row
        })
    });
    markdown_table(out, &head, 2, rows)?;
    let failures = results.networks.iter().flat_map(|n| n.measurements.iter().map(move |m| (n, m)));
    for (n, m) in failures {
        if let Outcome::Failed(reason) = &m.outcome {
            write!(out, "\n{} with {} failed: {}\n", n.title, m.protocol, reason.trim())?;
        }
    }
    Ok(())
}

fn details(t: &Taken) -> [String; 8] {
    let least = t.seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let most = t.seconds.iter().copied().fold(0.0, f64::max);
    let spread = if t.seconds.len() > 1 {
        format!(" ({} to {})", seconds(least), seconds(most))
    } else {
        String::new()
    };
    [
        seconds(t.median_seconds) + &spread,
        t.cpu_seconds.as_ref().map_or_else(none, |cpu| by_party(cpu, |&s| seconds(s))),
        table::bytes(t.dealt),
        table::bytes(t.online),
        t.rounds.to_string(),
        by_party(&t.peak_rss, |peak| peak.map_or_else(none, table::bytes)),
        format!("{} of {}", t.same_top1, t.examples),
        format!("{:.1e}", t.largest_difference),
    ]
}

/// Something of each party, in order.
fn by_party<T>(all: &[T], show: impl Fn(&T) -> String) -> String {
    all.iter().map(show).collect::<Vec<_>>().join(" / ")
}

fn none() -> String {
    "–".into()
}

fn cell(network: &Network, protocol: &str, show: impl Fn(&Taken) -> String) -> String {
    network.taken(protocol).map_or_else(|| "failed".into(), show)
}

/// How many times as much.
fn ratio(much: Option<f64>, little: Option<f64>) -> String {
    match much.zip(little) {
        Some((much, little)) if little > 0.0 => {
            let ratio = much / little;
            if ratio < 99.5 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
        }
        _ => none(),
    }
}

/// Three digits or so.
pub(super) fn seconds(s: f64) -> String {
    match s {
        s if s < 0.0995 => format!("{s:.4}"),
        s if s < 9.95 => format!("{s:.2}"),
        _ => format!("{s:.1}"),
    }
}

/// A table whose columns from `right` on are numbers. Short rows are filled up.
fn markdown_table(
    out: &mut String,
    head: &[String],
    right: usize,
    rows: impl Iterator<Item = Vec<String>>,
) -> std::fmt::Result {
    let line = |row: &[String]| {
        let cells = row.iter().map(|cell| cell.replace('|', "\\|").replace('<', "&lt;"));
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    writeln!(out, "{}", line(head))?;
    let rule = (0..head.len()).map(|c| if c < right { "---" } else { "---:" });
    writeln!(out, "|{}|", rule.collect::<Vec<_>>().join("|"))?;
    for mut row in rows {
        row.resize_with(head.len(), none);
        writeln!(out, "{}", line(&row))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "../tests/markdown.rs"]
mod tests;

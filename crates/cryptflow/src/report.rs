//! What a run found, and what it took: as text for a person, as JSON for a program.

mod answers;
mod bounds;
mod kind;
mod output;
mod shown;

use std::fmt::Write;

use std::collections::BTreeMap;

use cryptflow_aramis::Appraisal;
use cryptflow_figures::network::EmulatedNetwork;
use cryptflow_mpc::Party;
use cryptflow_protocols::ProtocolName;
use serde::Serialize;

use crate::client::Answer;
use crate::first_beyond::FirstBeyond;
use crate::profile::{self, Batch, Layer};

pub use answers::Answers;
pub use bounds::{Origin, OutOfBounds, held_back};
pub use kind::{Kind, Rows, named};
pub use output::{Known, OutputReport, Verdicts};
pub use shown::{Label, Ranked, Showing};

/// Most single waits that are kept for a time line: no viewer shows many more.
const MOST_WAITS: usize = 1_000_000;

/// Everything that a run reports.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What came out.
    #[serde(flatten)]
    pub answers: Answers,
    /// Where inside of the model a value left its bounds first; absent where none did, or where
    /// nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_out_of_bounds: Option<FirstBeyond>,
    /// Where the time went.
    pub seconds: Seconds,
    /// What went over the links, in payload bytes.
    pub bytes: Bytes,
    /// The longest chain of messages, each of which depends on the one before; over all batches.
    pub rounds: u64,
    /// What it took, of all that, to find out whether inputs were within their bounds; absent where the
    /// parties belong to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_check: Option<InputCheck>,
    /// What is said of runs that were dealt ahead; absent where the dealer was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dealt_ahead: Option<DealtAhead>,
    /// The most memory that each party's process ever held, in bytes; nothing where the system does
    /// not tell. `p0` is P0's.
    pub peak_rss: BTreeMap<String, Option<u64>>,
    /// The network between the parties, where it was emulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<EmulatedNetwork>,
    /// Who ran it, and what they proved; absent where all parties are processes of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What each layer of the model took, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// What the parties told of each batch's steps, where they were asked.
    #[serde(skip)]
    pub profiled: Vec<Batch>,
    /// The protocol's name.
    #[serde(skip)]
    pub protocol: String,
    /// Values inside of the model were held against their bounds.
    #[serde(skip)]
    pub looked_inside: bool,
    /// What is known of how the program was made.
    #[serde(skip)]
    pub origin: Origin,
    /// The party that only deals, where the protocol has one.
    #[serde(skip)]
    pub dealer: Option<Party>,
    /// The protocol's truncations can fail.
    #[serde(skip)]
    pub truncations_fail: bool,
    /// How many batches there were.
    #[serde(skip)]
    pub batches: usize,
    /// The most batches that ran at once: their rounds are those of one.
    pub batches_at_once: usize,
}

/// What it took to find out whether inputs were within their bounds, in all batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct InputCheck {
    /// Time, of the slowest party in each batch.
    pub seconds: f64,
    /// Payload bytes between the parties.
    pub bytes: u64,
    /// The longest chain of messages.
    pub rounds: u64,
}

/// Runs that were dealt ahead: the batches took one each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DealtAhead {
    /// How many are left that all evaluators have.
    pub left: u64,
    /// How many each evaluator keeps, where they are organisations: `p0` says how many P0 keeps.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<String, u64>,
}

/// A session between organisations.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    /// Its number, as the parties' audit logs have it.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Version of the messages that it spoke: the newest that the client and all parties speak.
    pub messages: u32,
    /// Digest of program and weights, as the parties agreed on it.
    pub deployment: String,
    /// The organisations of the parties, in order.
    pub parties: Vec<String>,
    /// What it is secure against: `semi-honest` (parties that look, and follow the protocol) or
    /// `malicious` (parties that cheat, as far as their hardware can be trusted); `insecure-simulated` where
    /// a simulated root of trust vouches for the parties, which proves nothing.
    pub security: &'static str,
    /// Digest of the attestation policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What each party's evidence said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Appraisal>,
    /// The evidence came from a simulated root of trust, and proves nothing.
    pub insecure_simulated_tee: bool,
}

impl Session {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "session  {}", self.id)?;
        writeln!(out, "model    {}, {}", self.model, self.deployment)?;
        writeln!(out, "parties  {}", self.parties.join(", "))?;
        writeln!(out, "security {}", self.security)?;
        for (party, appraisal) in self.evidence.iter().enumerate() {
            writeln!(out, "         P{party}: {appraisal}")?;
        }
        if self.insecure_simulated_tee {
            writeln!(out, "INSECURE the evidence is simulated: it proves nothing")?;
        }
        Ok(())
    }
}

/// Wall-clock seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    /// To share weights and inputs, until every party held them.
    pub share: f64,
    /// From then until the client held the outputs, dealing included (where nothing was dealt ahead); over all
    /// batches.
    pub online: f64,
}

/// Payload bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bytes {
    /// Between the parties.
    pub total: u64,
    /// Of these, what the party sent that only deals, where there is one.
    pub dealt: u64,
    /// Of these, the rest.
    pub online: u64,
    /// Between the parties, by link and direction: `p0_p1` is what P0 sent to P1.
    pub links: BTreeMap<String, u64>,
    /// From the client to the parties: program, weights and inputs.
    pub share: u64,
}

impl Report {
    /// The report of a run with a protocol.
    pub fn of(protocol: ProtocolName) -> Report {
        let facts = protocol.facts();
        Report {
            protocol: protocol.to_string(),
            dealer: facts.dealer,
            truncations_fail: facts.weight_bits.is_some(),
            ..Report::default()
        }
    }

    /// Sets the most memory that each party's process ever held, in order.
    pub fn set_peak_rss(&mut self, peaks: &[Option<u64>]) {
        self.peak_rss = peaks.iter().enumerate().map(|(i, &peak)| (format!("p{i}"), peak)).collect();
    }

    /// Adds what a batch took.
    pub fn add(&mut self, answer: &Answer) {
        self.batches += answer.outputs.len();
        self.batches_at_once = self.batches_at_once.max(answer.outputs.len());
        if let Some(batch) = Batch::of(answer) {
            let kept: usize = self.profiled.iter().map(Batch::waits).sum();
            self.profiled.push(if kept < MOST_WAITS { batch } else { batch.without_waits() });
        }
        self.seconds.share += answer.share.as_secs_f64();
        self.seconds.online += answer.online.as_secs_f64();
        // Every party's clock ends at the longest chain that it saw the end of.
        self.rounds += answer.records.iter().map(|r| r.rounds).max().unwrap_or(0);
        let checks: Vec<_> = answer.records.iter().filter_map(|record| record.check.as_ref()).collect();
        if !checks.is_empty() {
            let sum = self.input_check.get_or_insert_default();
            sum.seconds += checks.iter().map(|check| check.seconds).fold(0.0, f64::max);
            sum.bytes += checks.iter().flat_map(|check| &check.sent).sum::<u64>();
            sum.rounds += checks.iter().map(|check| check.rounds).max().unwrap_or(0);
        }
        for (i, record) in answer.records.iter().enumerate() {
            for (j, &sent) in record.sent.iter().enumerate().filter(|&(j, _)| j != i) {
                *self.bytes.links.entry(format!("p{i}_p{j}")).or_default() += sent;
                self.bytes.total += sent;
                let dealt = self.dealer.is_some_and(|dealer| dealer.index() == i);
                *(if dealt { &mut self.bytes.dealt } else { &mut self.bytes.online }) += sent;
            }
        }
    }

    /// What whoever reads the report must know before believing it.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.answers.warnings();
        warnings.extend(self.first_out_of_bounds.as_ref().map(|f| bounds::inside(f, &self.answers.inputs)));
        if let Some(last) = warnings.last_mut() {
            last.push_str(bounds::advice(self.origin));
            if self.truncations_fail {
                last.push_str(bounds::FAILED_TRUNCATION);
            }
        }
        warnings
    }

    /// The report for a person.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        self.answers.write_rows(out)?;
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let batches = if self.batches == 1 { "1 batch".into() } else { format!("{} batches", self.batches) };
        writeln!(
            out,
            "\n{} in {batches}, protocol {}",
            plural(self.answers.inputs.len(), "input"),
            self.protocol
        )?;
        if let Some(network) = &self.network {
            writeln!(out, "network  {network}")?;
        }
        if let Some(session) = &self.session {
            session.write(out)?;
        }
        let (s, b) = (&self.seconds, &self.bytes);
        writeln!(out, "seconds  {:.3} online, {:.3} to share weights and inputs", s.online, s.share)?;
        write!(out, "bytes    {} between the parties", bytes(b.total))?;
        if let Some(dealer) = self.dealer {
            write!(out, ": {} dealt by {dealer}, {} online", bytes(b.dealt), bytes(b.online))?;
        }
        writeln!(out, "; {} from the client", bytes(b.share))?;
        let links: Vec<String> = b
            .links
            .iter()
            .filter(|&(_, &n)| n > 0)
            .map(|(link, &n)| format!("{} {}", link.replace('_', "→"), bytes(n)))
            .collect();
        if !links.is_empty() {
            writeln!(out, "links    {}", links.join(", "))?;
        }
        let at_once = match self.batches_at_once {
            0 | 1 => String::new(),
            most if most == self.batches => ", of all batches at once".into(),
            most => format!(", of up to {most} batches at once"),
        };
        writeln!(out, "rounds   {}{at_once}", self.rounds)?;
        if let Some(DealtAhead { left, .. }) = &self.dealt_ahead {
            let runs = plural(self.batches, "run");
            writeln!(out, "dealt    ahead: {runs} taken, {left} left; each serves once")?;
        }
        if let Some(check) = &self.input_check {
            writeln!(
                out,
                "inputs   within their bounds, as the parties found: {:.3} s, {} and {} rounds of the above",
                check.seconds,
                bytes(check.bytes),
                check.rounds
            )?;
        }
        let peaks = self.peak_rss.iter();
        let peaks: Vec<String> =
            peaks.filter_map(|(party, peak)| peak.map(|n| format!("{party} {}", bytes(n)))).collect();
        if !peaks.is_empty() {
            writeln!(out, "memory   {} at most", peaks.join(", "))?;
        }
        self.answers.write_comparison(out)?;
        if !self.layers.is_empty() {
            write!(out, "\n{}", profile::text(&self.layers))?;
        }
        if self.looked_inside && self.first_out_of_bounds.is_none() {
            writeln!(
                out,
                "bounds   every value inside of the model stayed within its bounds (plain integers)"
            )?;
        }
        Ok(())
    }
}

/// A number of bytes, as people read it.
fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

//! Benchmarks: what a run of a network takes with each protocol, beside what was published.
//!
//! The command runs the networks; [`markdown`] and [`charts`] show what came out, and [`Results`]
//! as JSON is all of it.

pub mod calibration;
pub mod charts;
pub mod machine;
pub mod markdown;
pub mod paired;
pub mod published;
pub mod rates;
pub mod tensorflow;

use serde::Serialize;

use cryptflow_figures::network::EmulatedNetwork;
use machine::Machine;
use published::Published;

/// Everything that a benchmark measured.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The version of this program.
    pub cryptflow: String,
    /// Where it was measured.
    pub machine: Machine,
    /// When it began (UTC).
    pub date: String,
    /// The command line.
    pub command: String,
    /// The network between the parties, where it was emulated.
    pub network: Option<EmulatedNetwork>,
    /// Runs of each network with each protocol.
    pub runs: usize,
    /// Version of TensorFlow, where it is installed.
    pub tensorflow: Option<String>,
    /// The networks, in the order of the table.
    pub networks: Vec<Network>,
}

/// What a network took.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// Name of its file.
    pub name: String,
    /// Its name in tables.
    pub title: String,
    /// Parameters.
    pub parameters: u64,
    /// Multiplications of one inference.
    pub macs: u64,
    /// Fractional bits.
    pub scale: u32,
    /// Time to compile it.
    pub compile_seconds: f64,
    /// What was published for it.
    pub published: Option<Published>,
    /// TensorFlow's time on this machine, in the clear; the median.
    pub tensorflow_seconds: Option<f64>,
    /// One for each protocol.
    pub measurements: Vec<Measurement>,
}

/// What one inference took with one protocol.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The protocol.
    pub protocol: String,
    /// Bits of a layer's largest weight, at most.
    pub weight_bits: u32,
    /// What was measured, or why nothing was.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a network ran.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did.
    Ran(Taken),
    /// It did not, for this reason.
    Failed(String),
}

/// What one inference took. Bytes and rounds are the same in every run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Taken {
    /// Wall-clock seconds of each run, from the moment at which all parties hold the input until
    /// the client holds the output.
    pub seconds: Vec<f64>,
    /// Their median.
    pub median_seconds: f64,
    /// Processor time that each party spent on a run, on average; absent where the system does not
    /// tell.
    pub cpu_seconds: Option<Vec<f64>>,
    /// Payload bytes between the parties.
    pub bytes: u64,
    /// Of these, what the party sent that only deals, where there is one.
    pub dealt: u64,
    /// Of these, the rest.
    pub online: u64,
    /// The longest chain of messages.
    pub rounds: u64,
    /// The most memory that each party ever held, in bytes; absent where the system does not tell.
    pub peak_rss: Vec<Option<u64>>,
    /// Examples on which the largest output is the float model's.
    pub same_top1: usize,
    /// Examples that were run.
    pub examples: usize,
    /// Largest difference of an output from the float model's.
    pub largest_difference: f64,
}

impl Network {
    /// What a protocol took, if it ran.
    pub fn taken(&self, protocol: &str) -> Option<&Taken> {
        let mut all = self.measurements.iter().filter(|m| m.protocol == protocol);
        all.find_map(|m| match &m.outcome {
            Outcome::Ran(taken) => Some(taken),
            Outcome::Failed(_) => None,
        })
    }
}

impl Results {
    /// The protocols, in the order in which they were asked for.
    pub fn protocols(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for m in self.networks.iter().flat_map(|n| &n.measurements) {
            if !names.contains(&m.protocol.as_str()) {
                names.push(&m.protocol);
            }
        }
        names
    }

    /// Whether anything that should run did not.
    pub fn failures(&self) -> usize {
        let all = self.networks.iter().flat_map(|n| &n.measurements);
        all.filter(|m| matches!(m.outcome, Outcome::Failed(_))).count()
    }
}

/// The median; zero of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2), sorted.get(sorted.len() / 2));
    low.zip(high).map_or(0.0, |(low, high)| (low + high) / 2.0)
}

/// The value below which this part of all lies, of values that are sorted; zero of nothing.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
#[path = "../tests/results.rs"]
mod tests;

//! Benchmarks: what a run of a network takes with each protocol, beside what was published.
//!
//! The command runs the networks; [`markdown`] and [`charts`] show what came out, and [`Results`]
//! as JSON is all of it.

pub mod charts;
pub mod machine;
pub mod markdown;
pub mod published;
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two networks, one of which a protocol cannot run.
    pub(crate) fn results() -> Results {
        let taken = |bytes, seconds: &[f64]| {
            Outcome::Ran(Taken {
                seconds: seconds.to_vec(),
                median_seconds: median(seconds),
                cpu_seconds: Some(vec![1.0, 1.5, 0.25]),
                bytes,
                dealt: bytes / 4,
                online: bytes - bytes / 4,
                rounds: 391,
                peak_rss: vec![Some(420_000_000), Some(430_000_000), None],
                same_top1: 2,
                examples: 3,
                largest_difference: 0.01,
            })
        };
        let network = |name: &str, measurements: [(&str, Outcome); 2], tensorflow_seconds| Network {
            name: name.into(),
            title: published::title(name),
            parameters: 25_500_000,
            macs: 3_860_000_000,
            scale: 12,
            compile_seconds: 5.0,
            published: published::of(name).cloned(),
            tensorflow_seconds,
            measurements: measurements
                .map(|(protocol, outcome)| Measurement {
                    protocol: protocol.into(),
                    weight_bits: 31,
                    outcome,
                })
                .into(),
        };
        Results {
            cryptflow: "0.1.0".into(),
            machine: Machine {
                cpu: "Some & Processor".into(),
                cores: 2,
                memory: Some(24_000_000_000),
                system: "linux x86_64".into(),
                load: Some(1.5),
            },
            date: "2026-02-03 04:05 UTC".into(),
            command: "cryptflow bench paper --models DIR".into(),
            network: None,
            runs: 3,
            tensorflow: Some("2.21.0".into()),
            networks: vec![
                network(
                    "resnet50",
                    [
                        ("mirror", taken(545_000_000, &[3.0, 2.0, 9.0])),
                        ("porthos", taken(6_540_000_000, &[24.0])),
                    ],
                    Some(0.3),
                ),
                network(
                    "own<net>",
                    [
                        ("mirror", taken(1_000, &[0.001])),
                        ("porthos", Outcome::Failed("a ring of 3 bits | too small".into())),
                    ],
                    None,
                ),
            ],
        }
    }

    #[test]
    fn medians() {
        for (values, expected) in
            [(&[][..], 0.0), (&[3.0][..], 3.0), (&[5.0, 1.0][..], 3.0), (&[9.0, 1.0, 2.0][..], 2.0)]
        {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn json_has_everything() {
        let results = results();
        assert_eq!((results.protocols(), results.failures()), (vec!["mirror", "porthos"], 1));
        let json = serde_json::to_value(&results).unwrap();
        let expected = [
            ("/machine/cores", "2"),
            ("/networks/0/measurements/0/ran/median_seconds", "3.0"),
            ("/networks/0/measurements/0/ran/seconds/2", "9.0"),
            ("/networks/0/measurements/1/protocol", "\"porthos\""),
            ("/networks/0/measurements/1/ran/bytes", "6540000000"),
            ("/networks/0/published/bytes", "6868000000"),
            ("/networks/0/tensorflow_seconds", "0.3"),
            ("/networks/1/published", "null"),
            ("/networks/1/measurements/1/failed", "\"a ring of 3 bits | too small\""),
        ];
        for (pointer, value) in expected {
            assert_eq!(json.pointer(pointer).map(ToString::to_string).as_deref(), Some(value), "{pointer}");
        }
    }
}

//! What was published for the networks of CrypTFlow's evaluation.

use serde::Serialize;

/// Where the bytes come from.
pub const BYTES_SOURCE: &str = "what all three parties together send in CrypTFlow's public code (github.com/mpc-msri/EzPC, \
     Porthos), added up from the code; for ResNet50 it agrees with the figures printed there to the last digit. Opening the \
     masked weights is part of every run there, and the arg-max at the end; its ResNet50 is version 2";

/// Where the seconds come from.
pub const SECONDS_SOURCE: &str = "abstract of CrypTFlow (IEEE S&P 2020, arXiv 1909.07814): semi-honest parties; it does not name the machines";

/// A network of the evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Published {
    /// Name of its file, without the extension.
    #[serde(skip)]
    pub name: &'static str,
    /// Its name in tables.
    #[serde(skip)]
    pub title: &'static str,
    /// Bytes that all parties send for one inference; see [`BYTES_SOURCE`].
    pub bytes: u64,
    /// About how many seconds an inference takes; see [`SECONDS_SOURCE`].
    pub seconds: Option<f64>,
}

const fn network(name: &'static str, title: &'static str, bytes: u64, seconds: Option<f64>) -> Published {
    Published { name, title, bytes, seconds }
}

/// The networks, in the order of the tables.
pub const NETWORKS: [Published; 9] = [
    network("logreg", "Logistic regression", 143_000, None),
    network("secureml", "A: SecureML", 2_050_000, None),
    network("minionn", "B: MiniONN", 6_220_000, None),
    network("lenet", "C: LeNet", 15_250_000, None),
    network("chameleon", "D: Chameleon", 2_210_000, None),
    network("minionn_cifar10", "MiniONN CIFAR-10", 112_100_000, None),
    network("squeezenet", "SqueezeNet 1.1", 2_632_000_000, None),
    network("resnet50", "ResNet50", 6_868_000_000, Some(30.0)),
    network("densenet121", "DenseNet121", 10_536_000_000, Some(30.0)),
];

/// What was published for a network.
pub fn of(name: &str) -> Option<&'static Published> {
    NETWORKS.iter().find(|n| n.name == name)
}

/// A network's name in tables: its file's, where nothing was published.
pub fn title(name: &str) -> String {
    of(name).map_or(name, |n| n.title).to_owned()
}

/// Its place in tables: the published ones first.
pub fn place(name: &str) -> usize {
    NETWORKS.iter().position(|n| n.name == name).unwrap_or(NETWORKS.len())
}

#[cfg(test)]
#[path = "../tests/published.rs"]
mod tests;

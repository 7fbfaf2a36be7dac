//! What each layer of a model took.

use std::collections::HashMap;

use cryptflow_figures::table::{bytes, table};
use cryptflow_program::{Program, Step};
use serde::Serialize;

use super::{At, Batch};

/// A layer of the source model: all steps that compute this node, in all batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Layer {
    /// The node.
    pub name: String,
    /// What its steps compute, each kind once, in order.
    pub operations: Vec<&'static str>,
    /// Its time, by party.
    pub parties: Vec<PartyTime>,
    /// Payload bytes between the parties.
    pub bytes: u64,
    /// Rounds, on the clock of the party that saw most of them.
    pub rounds: u64,
}

/// Seconds of one party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PartyTime {
    /// In which it computed, or wanted to, while other processes had the processor.
    pub computing: f64,
    /// In which it waited for others.
    pub waiting: f64,
}

impl Layer {
    fn add(&mut self, other: &Layer) {
        self.parties.resize(self.parties.len().max(other.parties.len()), PartyTime::default());
        for (sum, more) in self.parties.iter_mut().zip(&other.parties) {
            sum.computing += more.computing;
            sum.waiting += more.waiting;
        }
        self.bytes += other.bytes;
        self.rounds += other.rounds;
    }
}

/// The layers, in the order in which the program comes to them.
pub fn layers(program: &Program, batches: &[Batch]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (index, step) in program.steps.iter().enumerate() {
        let place = *places.entry(&step.name).or_insert(layers.len());
        if place == layers.len() {
            layers.push(Layer { name: step.name.clone(), ..Layer::default() });
        }
        let Some(layer) = layers.get_mut(place) else { continue };
        let operation = step.operation.name();
        if !layer.operations.contains(&operation) {
            layer.operations.push(operation);
        }
        batches.iter().for_each(|batch| layer.add(&of_step(step, index, batch)));
    }
    layers
}

/// What a step took, in one batch.
fn of_step(step: &Step, index: usize, batch: &Batch) -> Layer {
    // Its clock is that of the longest chain.
    let longest = batch.parties.iter().max_by_key(|at| at.rounds);
    let record = |at: &'_ At| at.records.get(index).cloned().unwrap_or_default();
    let sent = |(party, at): (usize, &At)| -> u64 {
        let to_others = record(at).sent.into_iter().enumerate().filter(|&(to, _)| to != party);
        to_others.map(|(_, sent)| sent).sum()
    };
    let time = |at: &At| {
        let step = at.profile.steps.get(index).cloned().unwrap_or_default();
        let waiting = step.waited.iter().sum::<f64>().min(step.seconds);
        PartyTime { computing: step.seconds - waiting, waiting }
    };
    Layer {
        name: step.name.clone(),
        operations: vec![step.operation.name()],
        parties: batch.parties.iter().map(time).collect(),
        bytes: batch.parties.iter().enumerate().map(sent).sum(),
        rounds: longest.map_or(0, |at| record(at).rounds),
    }
}

/// The layers as a table, with their sum: milliseconds in which each party computed, and waited.
pub fn text(layers: &[Layer]) -> String {
    let mut sum = Layer { name: "all layers".into(), ..Layer::default() };
    layers.iter().for_each(|layer| sum.add(layer));
    let parties = sum.parties.len();
    let whole: f64 = sum.parties.iter().map(|time| time.computing).sum();
    let row = |layer: &Layer| {
        let own: f64 = layer.parties.iter().map(|time| time.computing).sum();
        let share = if whole > 0.0 { 100.0 * own / whole } else { 0.0 };
        let ms = |seconds: f64| format!("{:.1}", seconds * 1e3);
        let times = (0..parties).flat_map(|party| {
            let time = layer.parties.get(party).copied().unwrap_or_default();
            [ms(time.computing), ms(time.waiting)]
        });
        let bytes = if layer.bytes == 0 { String::new() } else { bytes(layer.bytes) };
        let rounds = if layer.rounds == 0 { String::new() } else { layer.rounds.to_string() };
        let numbers = times.chain([format!("{share:.1} %"), bytes, rounds]);
        numbers.chain([layer.name.clone(), layer.operations.join(", ")]).collect::<Vec<_>>()
    };
    let names = (0..parties).flat_map(|party| [format!("P{party} ms"), "waits".into()]);
    let header = names.chain(["computing", "bytes", "rounds", "layer", "operations"].map(String::from));
    let rows: Vec<Vec<String>> =
        std::iter::once(header.collect()).chain(layers.iter().map(row)).chain([row(&sum)]).collect();
    table(&rows, ..2 * parties + 3)
}

//! What happens while a program runs, step by step: for progress bars and for finding out where the
//! time goes.

use cryptflow_program::{Program, Step};
use serde::{Deserialize, Serialize};

/// What one step took, as one party saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Wall-clock time of its turns, waiting included.
    pub seconds: f64,
    /// By how much the party's round clock moved, in the turns of this step.
    pub rounds: u64,
    /// Payload bytes that the party sent, by receiver.
    pub sent: Vec<u64>,
}

impl StepRecord {
    /// Adds what another step took after this one.
    pub fn add(&mut self, other: &StepRecord) {
        self.seconds += other.seconds;
        self.rounds += other.rounds;
        self.sent.resize(self.sent.len().max(other.sent.len()), 0);
        self.sent.iter_mut().zip(&other.sent).for_each(|(sum, more)| *sum += more);
    }
}

/// Somebody who watches a program run, over a protocol whose parties hold a `Value` of each secret.
pub trait Observer<Value> {
    /// A step (counted from 0) begins.
    fn started(&mut self, index: usize, step: &Step) {
        let _ = (index, step);
    }

    /// The party goes on with a step that had given way to those beside it.
    fn resumed(&mut self, index: usize) {
        let _ = index;
    }

    /// A step gives way.
    fn paused(&mut self, index: usize) {
        let _ = index;
    }

    /// A step has made this party's part of its result.
    fn computed(&mut self, step: &Step, value: &Value) {
        let _ = (step, value);
    }

    /// A step is done.
    fn finished(&mut self, index: usize, step: &Step, record: &StepRecord) {
        let _ = (index, step, record);
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl<Value> Observer<Value> for Silent {}

/// Keeps the record of every step, which may end in another order than the program's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// The records of the steps that are done, in the program's order.
    pub records: Vec<StepRecord>,
}

impl Timeline {
    /// Seconds, rounds and bytes by kind of operation, the slowest first.
    pub fn by_operation(&self, program: &Program) -> Vec<(&'static str, StepRecord)> {
        let mut sums: Vec<(&'static str, StepRecord)> = Vec::new();
        for (step, record) in program.steps.iter().zip(&self.records) {
            let name = step.operation.name();
            let at = sums.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
                sums.push((name, StepRecord::default()));
                sums.len() - 1
            });
            if let Some((_, sum)) = sums.get_mut(at) {
                sum.add(record);
            }
        }
        sums.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
        sums
    }
}

impl<Value> Observer<Value> for Timeline {
    fn finished(&mut self, index: usize, _step: &Step, record: &StepRecord) {
        if self.records.len() <= index {
            self.records.resize_with(index + 1, StepRecord::default);
        }
        if let Some(slot) = self.records.get_mut(index) {
            *slot = record.clone();
        }
    }
}

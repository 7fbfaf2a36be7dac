//! Where the time of a run went: by layer of the model, as a table, and as a time line for viewers of traces.

mod layers;
mod trace;

use cryptflow_engine::StepRecord;
use cryptflow_party::profile::Profile;

use crate::client::Answer;

pub use layers::{Layer, PartyTime, layers, text};
pub use trace::{Clocks, trace};

/// A batch, as all parties saw it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// By party.
    pub parties: Vec<At>,
    /// The waits were left out, one by one; their sums are there.
    pub left_out: bool,
}

/// A batch at one party.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct At {
    /// Time and waiting of each step.
    pub profile: Profile,
    /// Rounds and bytes of each step.
    pub records: Vec<StepRecord>,
    /// Rounds of the batch.
    pub rounds: u64,
    /// How long the batch took.
    pub seconds: f64,
}

impl Batch {
    /// What an answer tells; nothing where no time lines were asked for.
    pub fn of(answer: &Answer) -> Option<Batch> {
        let parties = answer.profiles.iter().zip(&answer.records).map(|(profile, record)| At {
            profile: profile.clone(),
            records: record.steps.clone(),
            rounds: record.rounds,
            seconds: record.seconds,
        });
        (!answer.profiles.is_empty()).then(|| Batch { parties: parties.collect(), left_out: false })
    }

    /// How many single waits it holds.
    pub fn waits(&self) -> usize {
        self.parties.iter().map(|at| at.profile.waits.len()).sum()
    }

    /// The same without them.
    #[must_use]
    pub fn without_waits(mut self) -> Batch {
        self.parties.iter_mut().for_each(|at| at.profile.waits = Vec::new());
        Batch { left_out: true, ..self }
    }
}

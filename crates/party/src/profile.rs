//! The time line of a batch at one party, where the client asks for it: when each step began, and how long
//! the party waited for whom. Lengths and order of messages follow from what all know, and so does this.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cryptflow_wire::{Wait, Watch};
use serde::{Deserialize, Serialize};

/// Most waits for each peer that are kept one by one, in a batch: what a large network takes, twice.
const KEPT: usize = 1 << 16;

/// A batch, at one party. Seconds count from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// When it began: microseconds since 1970, by the party's clock.
    pub begun: u64,
    /// Step by step.
    pub steps: Vec<StepProfile>,
    /// The waits, in order; the first ones, where there were very many.
    pub waits: Vec<WaitRecord>,
}

/// A step, at one party.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepProfile {
    /// When it began.
    pub begun: f64,
    /// How long it took, waiting included.
    pub seconds: f64,
    /// How long the party waited for each peer, by its index.
    pub waited: Vec<f64>,
}

/// A wait for another party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitRecord {
    /// The party that was waited for.
    pub peer: usize,
    /// When it began.
    pub begun: f64,
    /// How long it took.
    pub seconds: f64,
}

impl Profile {
    /// Whether it may be that of a program of so many steps, at one of so many parties.
    pub fn fits(&self, steps: usize, parties: usize) -> bool {
        let time = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        let step = |step: &StepProfile| {
            let mut times = [step.begun, step.seconds].into_iter().chain(step.waited.iter().copied());
            step.waited.len() == parties && times.all(time)
        };
        let wait = |wait: &WaitRecord| wait.peer < parties && time(wait.begun) && time(wait.seconds);
        self.steps.len() == steps && self.steps.iter().all(step) && self.waits.iter().all(wait)
    }
}

/// Makes the profile of a batch while it runs.
pub(crate) struct Profiler<'a> {
    watch: &'a Watch,
    begun: Instant,
    wall: u64,
    /// When the step that runs began, and what had been waited for whom until then.
    step: (Instant, Vec<Duration>),
    steps: Vec<StepProfile>,
}

impl Profiler<'_> {
    /// The batch begins now.
    pub(crate) fn begin(watch: &Watch) -> Profiler<'_> {
        watch.keep_waits(KEPT);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (begun, wall) = (Instant::now(), u64::try_from(since.as_micros()).unwrap_or_default());
        Profiler { watch, begun, wall, step: (begun, Vec::new()), steps: Vec::new() }
    }

    /// A step begins.
    pub(crate) fn started(&mut self) {
        self.step = (Instant::now(), self.watch.waited());
    }

    /// It is done.
    pub(crate) fn finished(&mut self) {
        let (begun, before) = &self.step;
        let waited = self.watch.waited();
        let waited = waited.iter().zip(before).map(|(now, before)| now.saturating_sub(*before).as_secs_f64());
        self.steps.push(StepProfile {
            begun: (*begun - self.begun).as_secs_f64(),
            seconds: begun.elapsed().as_secs_f64(),
            waited: waited.collect(),
        });
    }

    /// The batch is done.
    pub(crate) fn end(self) -> Profile {
        let record = |wait: Wait| {
            let begun = wait.begun.checked_duration_since(self.begun)?.as_secs_f64();
            Some(WaitRecord { peer: wait.peer, begun, seconds: wait.took.as_secs_f64() })
        };
        let waits = self.watch.waits().into_iter().filter_map(record).collect();
        self.watch.keep_waits(0);
        Profile { begun: self.wall, steps: self.steps, waits }
    }
}

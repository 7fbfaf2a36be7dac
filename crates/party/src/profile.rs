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
    /// How long its turns took, waiting included: those of steps beside it came between.
    pub seconds: f64,
    /// How long the party waited for each peer in these, by its index.
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
    /// When the turn of the step that runs began, and what had been waited for whom until then.
    turn: (Instant, Vec<Duration>),
    steps: Vec<StepProfile>,
}

impl Profiler<'_> {
    /// The batch begins now.
    pub(crate) fn begin(watch: &Watch) -> Profiler<'_> {
        watch.keep_waits(KEPT);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (begun, wall) = (Instant::now(), u64::try_from(since.as_micros()).unwrap_or_default());
        Profiler { watch, begun, wall, turn: (begun, Vec::new()), steps: Vec::new() }
    }

    /// A step's turn begins.
    pub(crate) fn resumed(&mut self) {
        self.turn = (Instant::now(), self.watch.waited());
    }

    /// It ends: the step, counted from 0, gives way, or is done.
    pub(crate) fn paused(&mut self, step: usize) {
        let (begun, before) = &self.turn;
        let waited = self.watch.waited();
        let waited = waited.iter().zip(before).map(|(now, before)| now.saturating_sub(*before).as_secs_f64());
        if self.steps.len() <= step {
            self.steps.resize_with(step + 1, StepProfile::default);
        }
        let Some(step) = self.steps.get_mut(step) else { return };
        if step.waited.is_empty() {
            step.begun = (*begun - self.begun).as_secs_f64();
            step.waited = vec![0.0; before.len()];
        }
        step.seconds += begun.elapsed().as_secs_f64();
        step.waited.iter_mut().zip(waited).for_each(|(sum, more)| *sum += more);
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

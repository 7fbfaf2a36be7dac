//! How far a session is: what its process tells the party while it runs, in small messages, a few a second.

use std::time::{Duration, Instant};

use cryptflow_engine::StepRecord;
use serde::{Deserialize, Serialize};

use crate::messages::BatchRecord;

/// Two messages about steps are at least so far apart.
const PAUSE: Duration = Duration::from_millis(250);

/// Most characters of a layer's name.
const LONGEST: usize = 80;

/// What a session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Everybody comes together.
    #[default]
    Meet,
    /// It waits for its client, and takes what that brings at once.
    Wait,
    /// It takes inputs that are long.
    Take,
    /// A run.
    Run,
}

impl Phase {
    pub(crate) const ALL: [Phase; 4] = [Phase::Meet, Phase::Wait, Phase::Take, Phase::Run];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Phase::Meet => "meet",
            Phase::Wait => "wait",
            Phase::Take => "take",
            Phase::Run => "run",
        }
    }
}

/// How far it is, and what it took since its beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    /// The step that runs, counted from 1.
    pub(crate) step: u32,
    pub(crate) steps: u32,
    pub(crate) layer: String,
    /// Runs that are done.
    pub(crate) runs: u64,
    pub(crate) rounds: u64,
    /// Payload bytes, by the party that they were sent to.
    pub(crate) sent: Vec<u64>,
    /// In each phase, in the order of [`Phase::ALL`].
    pub(crate) seconds: [f64; 4],
    /// Bytes that the process holds, where it is the session's own.
    pub(crate) memory: u64,
}

/// Watches a session from within, and tells whoever wants to know.
pub struct Reporter {
    told: Option<Box<dyn Fn(&Progress) + Send>>,
    progress: Progress,
    /// Rounds and bytes before the run that runs.
    before: (u64, Vec<u64>),
    since: Instant,
    last: Option<Instant>,
    /// The last run took no longer than the time between two messages.
    short: bool,
}

impl Reporter {
    /// Nobody wants to know.
    pub fn silent() -> Reporter {
        Reporter {
            told: None,
            progress: Progress::default(),
            before: Default::default(),
            since: Instant::now(),
            last: None,
            short: false,
        }
    }

    pub(crate) fn to(told: impl Fn(&Progress) + Send + 'static) -> Reporter {
        let mut reporter = Reporter::silent();
        reporter.told = Some(Box::new(told));
        reporter.tell();
        reporter
    }

    fn tell(&self) {
        if let Some(told) = &self.told {
            told(&self.progress);
        }
    }

    /// Time that has passed since it was counted last, in the phase that was.
    fn count_time(&mut self) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        let at = Phase::ALL.iter().position(|phase| *phase == self.progress.phase);
        if let Some(sum) = at.and_then(|at| self.progress.seconds.get_mut(at)) {
            *sum += seconds;
        }
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        self.change(phase);
        self.tell();
    }

    fn change(&mut self, phase: Phase) {
        self.count_time();
        self.progress.phase = phase;
        self.progress.step = 0;
        self.progress.layer.clear();
    }

    pub(crate) fn run_begins(&mut self, steps: usize) {
        self.progress.steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.before = (self.progress.rounds, self.progress.sent.clone());
        // Of short runs, their ends tell enough.
        if self.short { self.change(Phase::Run) } else { self.enter(Phase::Run) }
    }

    /// A step begins, counted from 0.
    pub(crate) fn step(&mut self, index: usize, layer: &str) {
        if self.told.is_none() || self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return;
        }
        self.last = Some(Instant::now());
        self.count_time();
        self.progress.step = u32::try_from(index + 1).unwrap_or(u32::MAX);
        self.progress.layer = layer.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        self.tell();
    }

    /// A part of a run took this.
    pub(crate) fn took(&mut self, record: &StepRecord) {
        self.progress.rounds += record.rounds;
        add(&mut self.progress.sent, &record.sent);
    }

    /// So many runs at once are done; they took this, all in all.
    pub(crate) fn runs_end(&mut self, runs: usize, record: &BatchRecord) {
        let (rounds, sent) = std::mem::take(&mut self.before);
        self.progress.rounds = rounds + record.rounds;
        self.progress.sent = sent;
        add(&mut self.progress.sent, &record.sent);
        self.progress.runs += runs as u64;
        self.short = record.seconds < PAUSE.as_secs_f64();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.count_time();
        self.tell();
    }
}

fn add(sums: &mut Vec<u64>, more: &[u64]) {
    sums.resize(sums.len().max(more.len()), 0);
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

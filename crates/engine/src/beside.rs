//! Which steps run beside each other: a step begins as soon as its operands are there, in the program's order among those that
//! could, and all that run take turns, in the order in which they began. It follows from the program, and from how many turns each step takes, so that all parties do the
//! same, and a dry run over costs knows the rounds.

use std::collections::{BTreeMap, BTreeSet};

use cryptflow_program::{Checked, MOST_AHEAD, MOST_BESIDE, Step, ValueId};

/// Of the steps that could begin, so many are looked at.
const LOOKED_AT: usize = 256;

/// What has begun, what could, and what has ended.
pub(crate) struct Schedule<'a> {
    program: &'a Checked,
    /// For each step, how many of its operands are not there yet.
    missing: Vec<usize>,
    /// For each value, the steps that use it, each once.
    users: Vec<Vec<usize>>,
    /// For each value, how many of these have not ended.
    uses: Vec<usize>,
    /// Whether a value dies with its last use.
    dies: Vec<bool>,
    ready: BTreeSet<usize>,
    /// How many run, and what they take together.
    running: usize,
    computed_on: u64,
    /// Those that have begun before another one that stands before them had ended, with the elements of their results.
    ahead: BTreeMap<usize, u64>,
    made_ahead: u64,
    ended: Vec<bool>,
    /// The first one that has not ended.
    oldest: usize,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(program: &'a Checked) -> Schedule<'a> {
        let (values, steps) = (program.values.len(), program.steps.len());
        let mut made = vec![false; values];
        for step in &program.steps {
            if let Some(made) = made.get_mut(step.output.0) {
                *made = true;
            }
        }
        let mut users = vec![Vec::new(); values];
        let mut dies = vec![false; values];
        let mut missing = Vec::with_capacity(steps);
        for (index, step) in program.steps.iter().enumerate() {
            let operands: BTreeSet<ValueId> = step.inputs.iter().copied().collect();
            missing.push(operands.iter().filter(|id| made.get(id.0).is_some_and(|made| *made)).count());
            for id in operands {
                if let Some(users) = users.get_mut(id.0) {
                    users.push(index);
                }
            }
            for id in &step.last_uses {
                if let Some(dies) = dies.get_mut(id.0) {
                    *dies = true;
                }
            }
        }
        let ready = (0..steps).filter(|&step| missing.get(step) == Some(&0)).collect();
        let uses = users.iter().map(Vec::len).collect();
        Schedule {
            program,
            missing,
            users,
            uses,
            dies,
            ready,
            running: 0,
            computed_on: 0,
            ahead: BTreeMap::new(),
            made_ahead: 0,
            ended: vec![false; steps],
            oldest: 0,
        }
    }

    /// The next step that begins now, if any: where others run, or have yet to, as long as what runs and what is made
    /// ahead of its turn take no more memory than they may.
    pub(crate) fn begin(&mut self) -> Option<usize> {
        let fits = |&index: &usize| {
            let (takes, result) = self.takes(index);
            let beside = self.running == 0 || self.computed_on.saturating_add(takes) <= MOST_BESIDE;
            beside && (index == self.oldest || self.made_ahead.saturating_add(result) <= MOST_AHEAD)
        };
        let index = self.ready.iter().take(LOOKED_AT).copied().find(|index| fits(index))?;
        let (takes, result) = self.takes(index);
        self.ready.remove(&index);
        self.running += 1;
        self.computed_on = self.computed_on.saturating_add(takes);
        if index > self.oldest {
            self.ahead.insert(index, result);
            self.made_ahead = self.made_ahead.saturating_add(result);
        }
        Some(index)
    }

    /// A step has ended: which values nobody needs any more.
    pub(crate) fn end(&mut self, index: usize) -> Vec<ValueId> {
        self.running = self.running.saturating_sub(1);
        self.computed_on = self.computed_on.saturating_sub(self.takes(index).0);
        if let Some(ended) = self.ended.get_mut(index) {
            *ended = true;
        }
        while self.ended.get(self.oldest) == Some(&true) {
            self.oldest += 1;
        }
        while let Some(first) = self.ahead.first_entry().filter(|first| *first.key() < self.oldest) {
            self.made_ahead = self.made_ahead.saturating_sub(first.remove());
        }
        let Some(step) = self.program.steps.get(index) else { return Vec::new() };
        for &user in self.users.get(step.output.0).into_iter().flatten() {
            if let Some(missing) = self.missing.get_mut(user) {
                *missing -= 1;
                if *missing == 0 {
                    self.ready.insert(user);
                }
            }
        }
        let operands: BTreeSet<ValueId> = step.inputs.iter().copied().collect();
        for id in &operands {
            if let Some(uses) = self.uses.get_mut(id.0) {
                *uses -= 1;
            }
        }
        let dead = |id: &ValueId| self.uses.get(id.0) == Some(&0) && self.dies.get(id.0) == Some(&true);
        operands.into_iter().chain([step.output]).filter(dead).collect()
    }

    /// Elements that a step computes on, and those of its result.
    fn takes(&self, index: usize) -> (u64, u64) {
        let of = |step: &Step| {
            let size = |id: &ValueId| self.program.elements(*id) as u64;
            let operands = step.inputs.iter().fold(0, |sum: u64, id| sum.saturating_add(size(id)));
            (operands.max(size(&step.output)), size(&step.output))
        };
        self.program.steps.get(index).map_or((0, 0), of)
    }
}

/// By how much each step, of so many turns, moves the round clock: in each round the one that has run longest is who waits, and those
/// beside it find what they wait for. The sum is the rounds of all.
pub(crate) fn rounds(program: &Checked, turns: &[u64]) -> Vec<u64> {
    let mut schedule = Schedule::new(program);
    let mut moved = vec![0; turns.len()];
    let mut running: Vec<(usize, u64)> = Vec::new();
    loop {
        while let Some(index) = schedule.begin() {
            match turns.get(index).copied().unwrap_or(0) {
                0 => drop(schedule.end(index)),
                left => running.push((index, left)),
            }
        }
        let Some(moved) = running.first().and_then(|(first, _)| moved.get_mut(*first)) else { return moved };
        *moved += 1;
        for (index, left) in &mut running {
            *left -= 1;
            if *left == 0 {
                schedule.end(*index);
            }
        }
        running.retain(|(_, left)| *left > 0);
    }
}

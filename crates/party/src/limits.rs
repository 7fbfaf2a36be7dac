//! What a party computes at most for one session: a program is a file from somebody else, and a
//! kilobyte of it may ask for more memory than there is.

use cryptflow_program::{Checked, Demand, Program, demand, repeat};

/// Operations of a run, where nothing is configured: some hundred times a ResNet50.
const USUAL_WORK: u64 = 1_000_000_000_000;

/// Bytes that runs at once take together, at most, beyond what one session holds anyway. More gain nothing: what
/// a step sends is far more then than a network holds back while a round is waited for.
const AT_ONCE_MEMORY: u64 = 256 << 20;

/// Runs at once, at most.
const AT_ONCE: usize = 256;

/// Memory that is shared out where the system does not say what it has.
const USUAL_MEMORY: u64 = 8 << 30;

/// What one run of a program may take at a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub memory: u64,
    /// Operations, in the time of a multiplication.
    pub work: u64,
}

/// Why a program is not run.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Excess {
    /// More memory than the party gives to a session.
    #[error(
        "the program takes about {} of memory, and a session here has {}: a smaller model or batch takes less; the operator \
         may allow more (session.max_memory_mb)",
        size(*.needed), size(*.allowed)
    )]
    Memory {
        /// Bytes.
        needed: u64,
        /// Bytes.
        allowed: u64,
    },
    /// More memory than there is.
    #[error("the program takes about {} of memory, and this machine has {}", size(*.needed), size(*.there))]
    Machine {
        /// Bytes.
        needed: u64,
        /// Bytes.
        there: u64,
    },
    /// More operations than the party spends on a run.
    #[error(
        "the program takes about {needed:.1e} operations, and a run here may take {allowed:.1e}: a smaller model or batch \
         takes less; the operator may allow more (session.max_work)"
    )]
    Work {
        /// Operations.
        needed: f64,
        /// Operations.
        allowed: f64,
    },
}

impl Limits {
    /// Where nothing is configured: three quarters of the memory that this process may use, which all
    /// sessions share.
    pub fn usual() -> Limits {
        Limits { memory: memory_of_this_machine().unwrap_or(USUAL_MEMORY) / 4 * 3, work: USUAL_WORK }
    }

    /// Whether a program stays within them.
    ///
    /// # Errors
    /// What it takes too much of.
    pub fn admit(self, program: &Program) -> Result<(), Excess> {
        let demand = demand(program);
        if demand.memory > self.memory {
            return Err(Excess::Memory { needed: demand.memory, allowed: self.memory });
        }
        if demand.work > self.work {
            return Err(Excess::Work { needed: demand.work as f64, allowed: self.work as f64 });
        }
        Ok(())
    }
}

/// Runs that are computed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// How many, at most: one at least.
    pub runs: usize,
    /// Bytes that so many take, as the program says beforehand.
    pub memory: u64,
}

impl Limits {
    /// How many runs of a program are computed at once by a session whose share of the memory is this: one, where more
    /// would not stay within that or the limits, or have no form together.
    pub fn at_once(self, program: &Checked, share: u64) -> AtOnce {
        let Demand { memory, held, work } = demand(program);
        let (each, room) = (memory.saturating_sub(held), self.memory.min(share).saturating_sub(held));
        let fit = [room.min(AT_ONCE_MEMORY).checked_div(each), self.work.checked_div(work)];
        let fit = fit.into_iter().flatten().min().unwrap_or(1);
        let most = usize::try_from(fit).unwrap_or(AT_ONCE).clamp(1, AT_ONCE);
        let runs = if most > 1 && repeat(program, 2).is_err() { 1 } else { most };
        AtOnce { runs, memory: held.saturating_add(each.saturating_mul(runs as u64)) }
    }

    /// The same for parties that share this machine with one another and their client.
    pub fn at_once_here(program: &Checked) -> AtOnce {
        let memory = memory_of_this_machine().unwrap_or(USUAL_MEMORY);
        Limits { memory, work: u64::MAX }.at_once(program, memory / 8)
    }
}

/// Whether this machine can run a program at all, for whoever runs one of their own.
///
/// # Errors
/// It takes more memory than there is.
pub fn fits_this_machine(program: &Program) -> Result<(), Excess> {
    let (needed, there) = (demand(program).memory, memory_of_this_machine().unwrap_or(u64::MAX));
    if needed > there { Err(Excess::Machine { needed, there }) } else { Ok(()) }
}

/// Bytes that this process may use: what the machine has, or the group of processes that it belongs to,
/// where the system says so (Linux).
fn memory_of_this_machine() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(group).min()
}

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64, 0);
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    while number >= 1000.0 && unit + 1 < UNITS.len() {
        (number, unit) = (number / 1000.0, unit + 1);
    }
    format!("{number:.3} {}", UNITS[unit]).replace(".000", "")
}

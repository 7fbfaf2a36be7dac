//! How many threads compute a program.

use std::thread::available_parallelism;

use cryptflow_program::{Program, demand};

/// The work, as [`cryptflow_program::Demand`] counts it, that is worth a thread: to wake one for a step takes
/// some microseconds, and a small network has hundreds of them.
const WORTH_A_THREAD: u64 = 16_000_000;

/// Whether a program is worth more threads than one, where the machine has them. Where it is not, whoever waits for a
/// message reads the links as well.
pub fn is_worth_threads(program: &Program) -> bool {
    demand(program).work / WORTH_A_THREAD > 1
}

/// How many threads are worth waking for the steps of a program, at most as many as the machine has.
pub fn worth_threads(program: &Program) -> usize {
    let most = available_parallelism().map_or(1, usize::from);
    usize::try_from(demand(program).work / WORTH_A_THREAD).unwrap_or(most).clamp(1, most)
}

/// Has this process compute this program and nothing else: with the thread that calls this, and as many
/// others as the program is worth and the machine has. `RAYON_NUM_THREADS` says otherwise, where it is set.
/// Once a process; whoever computes something beside that computes with the same threads.
pub fn devote_process(program: &Program) {
    let threads = match std::env::var_os("RAYON_NUM_THREADS") {
        Some(_) => 0,
        None => worth_threads(program),
    };
    // Where threads were chosen before, those compute.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global();
}

//! Times ways to do the same thing, run in turns: a busy machine slows all of them alike, and the
//! fastest run of each is compared. A benchmark that runs one way after the other, however well it
//! treats its samples, compares two moments of a shared machine.

use std::time::{Duration, Instant};

/// The seconds of each way's fastest run, of at least three runs each, within `time`.
pub(crate) fn fastest(ways: &mut [&mut dyn FnMut()], time: Duration) -> Vec<f64> {
    let mut best = vec![f64::MAX; ways.len()];
    let begin = Instant::now();
    let mut turns = 0;
    while turns < 3 || begin.elapsed() < time {
        for (way, best) in ways.iter_mut().zip(&mut best) {
            let start = Instant::now();
            way();
            *best = best.min(start.elapsed().as_secs_f64());
        }
        turns += 1;
    }
    best
}

/// One thread for everything that follows: the figures are a core's.
pub(crate) fn on_one_thread() {
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    assert!(one.is_ok(), "the pool of threads is set once");
}

//! What a step does, in the kinds of work that have rates.

use cryptflow_bench::rates::Work;
use cryptflow_mpc::Cost;
use cryptflow_program::{Checked, Operation, ValueId, WeightId};

/// The work of a step, by its number; `cost` is its cost in the protocol.
pub fn work(program: &Checked, index: usize, cost: &Cost) -> Work {
    let Some(step) = program.steps.get(index) else { return Work::default() };
    let elements = |id: &ValueId| program.elements(*id) as f64;
    let moved = || step.inputs.iter().map(elements).sum::<f64>() + elements(&step.output);
    let weights =
        |id: &WeightId| program.weights.get(id.0).map_or(0, |weight| weight.shape.iter().product::<usize>());
    let (mut truncated, mut compared, mut widened, mut elements_moved, mut read) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let bytes = cost.total() as f64;
    match &step.operation {
        Operation::Linear(linear) => {
            truncated = bytes;
            // Where each is used for few products, reading them takes longer than multiplying.
            read = linear.terms.iter().map(|term| weights(&term.weight) as f64).sum();
        }
        Operation::Product(_) | Operation::ScalePublic(_) => truncated = bytes,
        Operation::Compare(_) | Operation::Activation(_) | Operation::MaxPool(_) => compared = bytes,
        Operation::Widen => widened = bytes,
        Operation::Combine(_)
        | Operation::SumPool(_)
        | Operation::Add
        | Operation::Sub
        | Operation::Movement(_) => elements_moved = moved(),
    }
    let products = step.operation.macs() as f64;
    let ring = step.inputs.iter().filter_map(|id| program.rings().get(id.0)).min().copied();
    let by_ring = match ring.unwrap_or(program.ring_bits) {
        ..=32 => [products, 0.0, 0.0],
        33..=51 => [0.0, products, 0.0],
        52.. => [0.0, 0.0, products],
    };
    let [narrow, middle, wide] = by_ring;
    [cost.rounds as f64, truncated, compared, widened, narrow, middle, wide, elements_moved, read]
}

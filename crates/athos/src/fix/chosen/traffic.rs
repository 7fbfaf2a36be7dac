//! What a program's messages come to, about: which of two choices of one plan takes less. It is no protocol's formula, but
//! what Mirror and its like have in common: bits of rings, for each element that is rounded, compared or widened.

use cryptflow_operation::{Bounds, bits};

use super::Chosen;
use crate::fix::planned::plan::Operation;

impl Chosen {
    /// Bits that all steps together take, about.
    pub(super) fn traffic(&self) -> u64 {
        let mut rings = vec![self.ring_bits; self.plan.values.len()];
        let mut all = 0u64;
        for (index, step) in self.plan.steps.iter().enumerate() {
            let output = step.output;
            let own = step.inputs.iter().map(|&input| rings[input]).min().unwrap_or(self.ring_bits);
            let wide = self.plan.values[output].wide;
            rings[output] = match &step.op {
                Operation::Linear(_) | Operation::Product(_) => own.saturating_sub(self.shifts[index] + 1),
                Operation::ScalePublic(_) => own.saturating_sub(self.shifts[index]),
                Operation::Compare(_) | Operation::Widen | Operation::Activation(_) if wide => {
                    self.rings[output]
                }
                Operation::Compare(_)
                | Operation::Widen
                | Operation::Activation(_)
                | Operation::Combine(_)
                | Operation::MaxPool(_)
                | Operation::SumPool(_)
                | Operation::Add
                | Operation::Sub
                | Operation::Movement(_) => own,
            };
            let elements = |value: usize| self.plan.values[value].shape.iter().product::<usize>() as u64;
            let (to, from) = (u64::from(rings[output]), u64::from(own));
            let Bounds { low, high } = step.inputs.first().map_or(Bounds::ZERO, |&input| self.bounds[input]);
            let compared = u64::from(bits::signed_bits(low, high).saturating_sub(self.skipped[index]));
            let inputs = step.inputs.first().map_or(0, |&input| elements(input));
            let taken = match &step.op {
                // An addend is dealt, and the sum opened to both.
                Operation::Linear(_) | Operation::Product(_) => elements(output) * 3 * to,
                Operation::ScalePublic(_) => elements(output) * 2 * to,
                Operation::Widen => elements(output) * 4 * to.saturating_sub(from),
                // The comparison's bits, and the choice, with the lift.
                Operation::Activation(_) => elements(output) * 4 * (compared + to.max(from)),
                Operation::MaxPool(_) => inputs * 4 * (compared + from),
                Operation::Compare(_) => elements(output) * 3 * (compared + to),
                Operation::Combine(_)
                | Operation::SumPool(_)
                | Operation::Add
                | Operation::Sub
                | Operation::Movement(_) => 0,
            };
            all = all.saturating_add(taken);
        }
        all
    }
}

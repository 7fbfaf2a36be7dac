//! One scale for a weight that several steps use, where they have room for almost the same: it is stored and
//! shared once then.

use std::collections::BTreeMap;

use crate::fix::planned::plan::{Operation, Plan, PlanStep};

/// Bits of precision that a weight may lose for it.
const MOST: i32 = 4;

/// What a bit that is not shifted out costs an element of the result, in elements of a weight that is there
/// once more.
const COST: usize = 1;

/// Shifts out less where another use of the same weights has no more room, but no less than `coarsest`.
pub(super) fn align(plan: &Plan, shifts: &mut [u32], coarsest: &[u32]) {
    let mut uses: BTreeMap<Vec<(usize, i32)>, Vec<usize>> = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some(weights) = weights(plan, step) {
            uses.entry(weights).or_default().push(index);
        }
    }
    for (weights, mut steps) in uses.into_iter().filter(|(_, steps)| steps.len() > 1) {
        let elements = weights.iter().map(|&(weight, _)| plan.weights[weight].data.len()).sum::<usize>();
        let bits: BTreeMap<usize, i32> =
            steps.iter().map(|&step| (step, shifts[step] as i32 + rise(plan, &plan.steps[step]))).collect();
        steps.sort_by_key(|step| (bits[step], *step));
        let mut rest = steps.as_slice();
        while let Some(first) = rest.first() {
            let fewest = bits[first];
            let (alike, finer) = rest.split_at(rest.partition_point(|step| bits[step] - fewest <= MOST));
            rest = finer;
            lower(plan, alike, |step| bits[&step] - fewest, elements, shifts, coarsest);
        }
    }
}

/// Lowers the shifts of these steps by what each has too much, where that costs less than the weights do.
fn lower(
    plan: &Plan,
    steps: &[usize],
    surplus: impl Fn(usize) -> i32,
    elements: usize,
    shifts: &mut [u32],
    coarsest: &[u32],
) {
    let may = |&step: &usize| {
        let lowered = shifts[step].checked_add_signed(-surplus(step));
        lowered.filter(|&shift| surplus(step) > 0 && shift >= coarsest[step]).map(|shift| (step, shift))
    };
    let lowered: Vec<(usize, u32)> = steps.iter().filter_map(may).collect();
    let cost = |&(step, _): &(usize, u32)| {
        let elements: usize = plan.values[plan.steps[step].output].shape.iter().product();
        elements.saturating_mul(surplus(step).unsigned_abs() as usize)
    };
    let all = lowered.iter().map(cost).fold(0usize, usize::saturating_add);
    if all.saturating_mul(COST) <= elements.saturating_mul(lowered.len()) {
        lowered.into_iter().for_each(|(step, shift)| shifts[step] = shift);
    }
}

/// The weights of a layer, each with its operand's fractional bits beside those of the first one: where they
/// are the same, one scale serves all of them.
fn weights(plan: &Plan, step: &PlanStep) -> Option<Vec<(usize, i32)>> {
    let Operation::Linear(linear) = &step.op else { return None };
    let extra = |input: usize| step.inputs.get(input).map_or(0, |&i| plan.values[i].extra);
    let first = extra(linear.terms.first()?.input);
    Some(linear.terms.iter().map(|term| (term.weight, extra(term.input) - first)).collect())
}

/// By how many fractional bits the first weight of a layer exceeds what the layer shifts out.
fn rise(plan: &Plan, step: &PlanStep) -> i32 {
    let Operation::Linear(linear) = &step.op else { return 0 };
    let input = linear.terms.first().and_then(|term| step.inputs.get(term.input));
    input.map_or(0, |&input| plan.values[step.output].extra - plan.values[input].extra)
}

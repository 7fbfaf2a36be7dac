//! Sums of linear maps: `conv(x) + conv(y)` is one linear operation with two terms, opened once.

use super::super::contents::Contents;
use super::super::plan::{self, Operation, Plan, PlanWeight};
use crate::fix::chosen::at_one_shift;

/// Merges every sum or difference of two linear results that nothing else uses into one linear
/// step.
pub(super) fn sums_of_linear_maps(plan: &mut Plan, contents: &mut Contents) {
    let uses = plan.uses();
    let mut maker: Vec<Option<usize>> = vec![None; plan.values.len()];
    let mut gone = vec![false; plan.steps.len()];
    for index in 0..plan.steps.len() {
        if let Some(op) = merged(plan, &maker, &uses, index, contents) {
            let [left, right] = [0, 1].map(|i| maker[plan.steps[index].inputs[i]]);
            let mut inputs = Vec::new();
            for step in [left, right].into_iter().flatten() {
                inputs.extend(plan.steps[step].inputs.iter().copied());
                gone[step] = true;
            }
            plan.steps[index].inputs = inputs;
            plan.steps[index].op = op;
        }
        maker[plan.steps[index].output] = Some(index);
    }
    let mut keep = gone.iter().map(|gone| !gone);
    plan.steps.retain(|_| keep.next().unwrap_or(true));
}

fn merged(
    plan: &mut Plan,
    maker: &[Option<usize>],
    uses: &[usize],
    index: usize,
    contents: &mut Contents,
) -> Option<Operation> {
    let step = &plan.steps[index];
    let minus = match step.op {
        Operation::Add => false,
        Operation::Sub => true,
        // Nothing else is a sum of two values.
        _ => return None,
    };
    let [x, y] = <[usize; 2]>::try_from(step.inputs.as_slice()).ok()?;
    if x == y || uses[x] != 1 || uses[y] != 1 {
        return None;
    }
    let (left, right) = (maker[x]?, maker[y]?);
    let (Operation::Linear(one), Operation::Linear(other)) =
        (plan.steps[left].op.clone(), plan.steps[right].op.clone())
    else {
        return None;
    };
    let [ours, theirs] = [(left, &one), (right, &other)].map(|(step, linear)| {
        let term = |t: &plan::LinearTerm| {
            (plan.weights[t.weight].largest, plan.values[plan.steps[step].inputs[t.input]].extra)
        };
        linear.terms.iter().map(term).collect::<Vec<_>>()
    });
    if ours.iter().any(|&a| theirs.iter().any(|&b| !at_one_shift(a, b))) {
        return None;
    }
    let first = plan.steps[left].inputs.len();
    let mut terms = one.terms;
    for mut term in other.terms {
        term.input += first;
        if minus {
            let PlanWeight { name, shape, data, constants, .. } = plan.weights[term.weight].clone();
            let negated = data.iter().map(|w| -w).collect::<Vec<f32>>();
            term.weight = plan.weight(&name, shape, contents.keep(negated.into()));
            plan.weights[term.weight].stand_for(&constants);
        }
        terms.push(term);
    }
    let sign = if minus { -1.0 } else { 1.0 };
    let bias = match (one.bias, other.bias) {
        (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + sign * b).collect()),
        (Some(a), None) => Some(a),
        (None, b) => b.map(|b| b.iter().map(|b| sign * b).collect()),
    };
    Some(plan::linear(terms, bias))
}

//! Where values are widened.
//!
//! Truncations leave values in a small ring; linear maps and sums over windows need the large one.
//! Going back costs a lift, so each value is lifted once at most, where it is made: a ReLU does it
//! on the way, other makers get a [`Operation::Widen`] behind them. Movements pass the demand on to
//! their operands, sums do not (their result is widened) but where they add a value that is spread over the elements of
//! one that is wide anyhow (the mean of a row, which is subtracted from it), and a maximum over windows is taken in
//! the small ring wherever that is at hand, because its comparisons are cheaper there and fewer
//! elements are left to lift.

use cryptflow_operation::Combine;
use cryptflow_ring::Movement;

use super::plan::{Operation, Plan, PlanStep};

/// Factors from which on a combination has many more bits than what it combines.
const LARGE: u64 = 1 << 8;

/// What is known of a value: does something need it wide, does something gain from it narrow?
#[derive(Clone, Copy, Default)]
struct Demand {
    wide: bool,
    narrow: bool,
}

/// The forms in which a value of the old plan exists in the new one.
#[derive(Clone, Copy, Default)]
struct Forms {
    narrow: Option<usize>,
    wide: Option<usize>,
}

/// Places the widening steps and marks every value as wide or narrow.
pub(crate) fn schedule(plan: &mut Plan) {
    let demands = demands(plan);
    let mut forms = vec![Forms::default(); plan.values.len()];
    for (input, form) in forms.iter_mut().enumerate().take(plan.inputs) {
        plan.values[input].wide = true;
        form.wide = Some(input);
    }
    for step in std::mem::take(&mut plan.steps) {
        let made = place(plan, &forms, &demands, step);
        forms[made.0] = made.1;
    }
    for output in &mut plan.outputs {
        let form = forms[output.value];
        output.value = form.narrow.or(form.wide).unwrap_or(output.value);
    }
    plan.guard = plan.guard.map(|flag| forms[flag].narrow.or(forms[flag].wide).unwrap_or(flag));
}

fn demands(plan: &Plan) -> Vec<Demand> {
    // The step that makes each value.
    let mut makers: Vec<Option<&PlanStep>> = vec![None; plan.values.len()];
    for step in &plan.steps {
        makers[step.output] = Some(step);
    }
    let first = walk(plan, |_| false);
    // What is wide for others' sake, and has a value of fewer elements added, is cheaper added to wide: the fewer are
    // widened.
    walk(plan, |step| spreads(plan, &makers, &first, step))
}

/// Whether a sum is of one value that is wide anyhow and of another that is spread over its elements.
fn spreads(plan: &Plan, makers: &[Option<&PlanStep>], first: &[Demand], step: &PlanStep) -> bool {
    let elements = |value: usize| plan.values[value].shape.iter().product::<usize>();
    let spread = |&value: &usize| {
        let mut from = value;
        while let Some(before) = behind(makers, from) {
            from = before;
        }
        elements(from) < elements(value)
    };
    let (few, others): (Vec<usize>, Vec<usize>) = step.inputs.iter().copied().partition(spread);
    !few.is_empty() && !others.is_empty() && others.iter().all(|&value| wide_anyhow(makers, first, value))
}

/// Whether a value, or what it is a movement or a combination of, is wanted wide.
fn wide_anyhow(makers: &[Option<&PlanStep>], first: &[Demand], mut value: usize) -> bool {
    loop {
        if first[value].wide {
            return true;
        }
        match behind(makers, value) {
            Some(from) => value = from,
            // Inputs are wide; of nothing else a wide form costs nothing.
            None => return makers[value].is_none(),
        }
    }
}

/// The value of which another one is a movement or a combination; none where it is neither.
fn behind(makers: &[Option<&PlanStep>], value: usize) -> Option<usize> {
    let made = makers[value]?;
    match (&made.op, made.inputs.as_slice()) {
        (Operation::Movement(_) | Operation::Combine(_), &[from]) => Some(from),
        // Steps that send, and those of several values.
        _ => None,
    }
}

/// What is demanded of each value, where some sums hand the demand for a wide result on.
fn walk(plan: &Plan, spreads: impl Fn(&PlanStep) -> bool) -> Vec<Demand> {
    let mut demands = vec![Demand::default(); plan.values.len()];
    for step in plan.steps.iter().rev() {
        let result = demands[step.output];
        let wanted = match &step.op {
            Operation::Linear(_)
            | Operation::Product(_)
            | Operation::ScalePublic(_)
            | Operation::SumPool(_) => Demand { wide: true, narrow: false },
            Operation::MaxPool(_) | Operation::Compare(_) => Demand { wide: false, narrow: true },
            // Cutting leaves less to lift than there was.
            Operation::Movement(Movement::Slice { .. }) => Demand { wide: false, narrow: result.narrow },
            Operation::Movement(_) => result,
            // Combinations of fewer values than they make are widened before, others after. Large factors make a
            // result of more bits, which every value in its ring would be opened with.
            Operation::Combine(Combine { factors, offsets }) => {
                let fewer = factors.len() <= offsets.len() * offsets.len();
                let large = factors.iter().any(|factor| factor.unsigned_abs() >= LARGE);
                Demand { wide: result.wide && (fewer || large), narrow: result.narrow }
            }
            Operation::Add | Operation::Sub if result.wide && spreads(step) => {
                Demand { wide: true, narrow: false }
            }
            Operation::Activation(_) | Operation::Add | Operation::Sub | Operation::Widen => {
                Demand::default()
            }
        };
        for &input in &step.inputs {
            demands[input].wide |= wanted.wide;
            demands[input].narrow |= wanted.narrow;
        }
    }
    demands
}

/// Appends a step in the form or forms that are wanted, and returns which value it makes, in which
/// forms.
fn place(plan: &mut Plan, forms: &[Forms], demands: &[Demand], mut step: PlanStep) -> (usize, Forms) {
    let output = step.output;
    let demand = demands[output];
    let of = |ids: &[usize]| ids.iter().map(|&i| forms[i]).collect::<Vec<_>>();
    let operands = of(&step.inputs);
    // Narrow where there is such a form; or wide, if every operand is there in the wide form.
    let narrow_first: Vec<usize> =
        operands.iter().zip(&step.inputs).map(|(f, &i)| f.narrow.or(f.wide).unwrap_or(i)).collect();
    let wide: Option<Vec<usize>> = operands.iter().map(|f| f.wide).collect();
    let all_wide = |plan: &Plan, ids: &[usize]| ids.iter().all(|&i| plan.values[i].wide);

    match &step.op {
        Operation::Linear(_) | Operation::Product(_) | Operation::ScalePublic(_) => {
            step.inputs = wide.unwrap_or(narrow_first);
            finish(plan, step, false, demand.wide)
        }
        Operation::SumPool(_) => {
            step.inputs = wide.unwrap_or(narrow_first);
            finish(plan, step, true, false)
        }
        Operation::Compare(_) => {
            step.inputs = narrow_first;
            finish(plan, step, true, false)
        }
        Operation::Activation(_) => {
            step.inputs = narrow_first;
            let on_the_way = demand.wide && !demand.narrow;
            let result = all_wide(plan, &step.inputs) || on_the_way;
            finish(plan, step, result, demand.wide)
        }
        Operation::Movement(_) | Operation::Add | Operation::Sub | Operation::Combine(_) => match wide {
            Some(wide) if demand.wide => {
                // A narrow twin costs nothing, if something gains from it.
                let narrow = (demand.narrow && !all_wide(plan, &narrow_first)).then(|| {
                    let copy = plan.values[output].clone();
                    plan.values.push(copy);
                    let twin = plan.values.len() - 1;
                    plan.values[twin].wide = false;
                    plan.steps.push(PlanStep { inputs: narrow_first, output: twin, ..step.clone() });
                    twin
                });
                step.inputs = wide;
                let (_, made) = finish(plan, step, true, false);
                (output, Forms { narrow, ..made })
            }
            _ => {
                step.inputs = narrow_first;
                let result = all_wide(plan, &step.inputs);
                finish(plan, step, result, demand.wide)
            }
        },
        Operation::MaxPool(_) | Operation::Widen => {
            step.inputs = narrow_first;
            let result = all_wide(plan, &step.inputs);
            finish(plan, step, result, demand.wide)
        }
    }
}

/// Appends the step, and a widening one where its result is narrow and needed wide.
fn finish(plan: &mut Plan, step: PlanStep, wide: bool, needed_wide: bool) -> (usize, Forms) {
    let (output, name) = (step.output, step.name.clone());
    plan.values[output].wide = wide;
    plan.steps.push(step);
    if wide {
        return (output, Forms { narrow: None, wide: Some(output) });
    }
    let widened = needed_wide.then(|| {
        let mut value = plan.values[output].clone();
        value.wide = true;
        value.node = None;
        plan.values.push(value);
        let id = plan.values.len() - 1;
        plan.steps.push(PlanStep { name, op: Operation::Widen, inputs: vec![output], output: id });
        id
    });
    (output, Forms { narrow: Some(output), wide: widened })
}

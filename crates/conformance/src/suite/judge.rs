//! Was a problem solved, at the declared cost?

use cryptflow_operation::bits::skipped_below;
use cryptflow_operation::{Activation, Linear, Operation, Rectifier, Truncating};
use cryptflow_ring::bilinear;

use super::problem::{Problem, Step, elements, plain};
use super::session::{Record, Snapshot};
use super::{Subject, Traits};
use cryptflow_mpc::clear::shifted_as_shares;
use cryptflow_mpc::{Clear, ClearValue, Cost, CostModel, Definition, Error, Layout, Owner, Party};

/// Elements from which on an error's mean is looked at.
const STATISTICS: usize = 10_000;

/// Appends what is wrong.
pub(super) fn judge<D: Definition>(
    subject: &Subject<'_, D>,
    problem: &Problem,
    records: &[Record],
    failures: &mut Vec<String>,
) {
    let mut fail = |step: &str, what: String| {
        failures.push(format!("{} (K={}): {step}: {what}", problem.name, problem.ring_bits));
    };
    if let Err((step, what)) = values(subject, problem, records, &mut fail) {
        fail(step, what);
    }
    if let Err(e) = costs(subject, problem, records, &mut fail) {
        fail("costs", e.to_string());
    }
}

/// Compares each value with what the plaintext reference makes of the same operands.
fn values<D: Definition>(
    subject: &Subject<'_, D>,
    problem: &Problem,
    records: &[Record],
    fail: &mut impl FnMut(&str, String),
) -> Result<(), (&'static str, String)> {
    let owner = subject.definition.owner(problem.ring_bits);
    let mut clear = Clear::checked(Party::P0, problem.ring_bits);
    let weights: Vec<ClearValue> = problem.weights.iter().map(|w| plain(w, problem.ring_bits)).collect();
    let mut operands: Vec<ClearValue> = Vec::new();
    for id in 0..problem.inputs.len() + problem.steps.len() {
        let step = id.checked_sub(problem.inputs.len()).and_then(|i| problem.steps.get(i));
        let name = step.map_or("input", Step::name);
        let expected = match (step, problem.inputs.get(id)) {
            (Some(step), _) => step.apply(&mut clear, &operands, &weights).map_err(|e| {
                (name, format!("the problem itself breaks a bound, or an earlier step did: {e}"))
            })?,
            (None, Some(input)) => plain(input, problem.ring_bits),
            (None, None) => return Err((name, "more values were revealed than there are".into())),
        };
        let len = expected.data.len();
        let parts: Vec<&[u8]> = records.iter().filter_map(|r| Some(r.revealed.get(id)?.as_slice())).collect();
        let opened = owner.open(len, &parts).map_err(|e| (name, format!("cannot be opened: {e}")))?;
        if opened.len() != len {
            return Err((name, format!("{} elements were opened, {len} were due", opened.len())));
        }
        let verdict = match step {
            Some(step) => compare(step, &operands, &weights, &expected.signed(), &opened, subject.traits),
            None => exact(&expected.signed(), &opened),
        };
        if let Err(what) = verdict {
            fail(name, what);
        }
        operands.push(plain(&opened, expected.bits));
    }
    Ok(())
}

fn compare(
    step: &Step,
    operands: &[ClearValue],
    weights: &[ClearValue],
    expected: &[i64],
    opened: &[i64],
    traits: &Traits,
) -> Result<(), String> {
    let signed = |operand: usize| {
        let value = step.inputs.get(operand).and_then(|&id| operands.get(id));
        value.map(ClearValue::signed).unwrap_or_default()
    };
    match step.operation.truncating() {
        None => compared(&step.operation, &signed(0), expected, opened),
        Some(Truncating::Linear(linear)) => {
            // A constant that is not shifted is not rounded either.
            let rounded = linear.shift > 0 || !linear.terms.is_empty();
            within(expected, opened, rounded.into())?;
            let sums = exact_sums(linear, &signed, weights).map_err(|e| e.to_string())?;
            mean(opened, sums.iter().copied().map(i128::from), linear.shift, traits.bias)?;
            spread(opened, &sums, linear.shift)
        }
        Some(Truncating::Product(product)) => {
            within(expected, opened, 1)?;
            let [x, y] = [0, 1].map(|operand| elements(&signed(operand), 64));
            let sums = bilinear(&product.map, &x, &y, 64).map_err(|e| e.to_string())?;
            // The square of a mask is divisible by large powers of two more often than other
            // numbers are.
            let square = match step.inputs.as_slice() {
                [x, y] if x == y => (-0.5 * f64::from(product.shift)).exp2(),
                _ => 0.0,
            };
            let sums: Vec<i64> = sums.into_iter().map(|z| z as i64).collect();
            mean(opened, sums.iter().copied().map(i128::from), product.shift, traits.bias + square)?;
            spread(opened, &sums, product.shift)
        }
        Some(Truncating::ScalePublic(scale)) => {
            let (x, shift) = (signed(0), scale.shift);
            let factors = || scale.factors.iter().map(|&c| i128::from(c as i64)).cycle();
            let products = || x.iter().zip(factors()).map(|(&v, c)| i128::from(v) * c);
            for (i, (&y, z)) in opened.iter().zip(products()).enumerate() {
                let error = (i128::from(y) << shift) - z;
                if error.abs() >= 1 << shift {
                    return Err(format!("element {i}: {y} is a unit or more from {z} / 2^{shift}"));
                }
            }
            mean(opened, products(), shift, traits.bias)
        }
    }
}

/// What is not rounded is exact, but where a comparison skips bits: close to where it decides, on one side.
fn compared(operation: &Operation, x: &[i64], expected: &[i64], opened: &[i64]) -> Result<(), String> {
    let Some(below) = operation.skipped().map(skipped_below).filter(|&below| below > 0) else {
        return exact(expected, opened);
    };
    let close = |x: i64, from: i64| x >= from && x - from < below;
    // What else an element may be; what it loses at most, and on average over masks.
    type Other<'a> = (Box<dyn Fn(usize, i64) -> bool + 'a>, f64, f64);
    let all = below as f64;
    let (other, most, share): Other<'_> = match operation {
        Operation::Activation(Activation { function: Rectifier::Relu, .. }) => {
            (Box::new(|i, found| found == 0 && close(x[i], 0)), all, 0.25)
        }
        Operation::Activation(Activation { function: Rectifier::ClippedRelu { limit }, .. }) => {
            let limit = *limit as i64;
            let other = move |i: usize, found| {
                (found == 0 && close(x[i], 0)) || (found == limit && close(x[i], limit - below))
            };
            (Box::new(other), all, 0.25)
        }
        Operation::Compare(compare) => {
            let other = |i: usize, found| {
                let (threshold, i) = (compare.thresholds[i / x.len()], i % x.len());
                found == 0 && close(x[i], threshold)
            };
            (Box::new(other), 1.0, 0.5)
        }
        Operation::MaxPool(pool) => {
            let levels: u32 = pool.window.kernel.iter().map(|taps| taps.next_power_of_two().ilog2()).sum();
            let other =
                move |i: usize, found| (0..i64::from(levels) * below).contains(&(expected[i] - found));
            (Box::new(other), all, f64::from(levels) / 4.0)
        }
        Operation::Linear(_)
        | Operation::Product(_)
        | Operation::Combine(_)
        | Operation::ScalePublic(_)
        | Operation::Widen
        | Operation::SumPool(_)
        | Operation::Add
        | Operation::Sub
        | Operation::Movement(_) => (Box::new(|_, _| false), 0.0, 0.0),
    };
    if expected.len() != opened.len() {
        return Err(format!("{} elements, due are {}", opened.len(), expected.len()));
    }
    let mut lost = 0i128;
    for (i, (&due, &found)) in expected.iter().zip(opened).enumerate() {
        if due != found && !other(i, found) {
            return Err(format!("element {i} is {found}, due is {due}, or what skipped bits make of it"));
        }
        lost += i128::from(due.abs_diff(found));
    }
    // No more than the compiler sees: x (1 − x/T) on average over masks, which is a quarter of T at most, and half of the bits
    // of what is spread evenly.
    let n = expected.len() as f64;
    let allowed = n * most * share + 5.0 * most * n.sqrt();
    if lost as f64 > allowed {
        return Err(format!("{lost} units are lost in all, {allowed:.0} may be"));
    }
    Ok(())
}

/// `Σ map(x, w) + bias`, as integers that fit 64 bits.
fn exact_sums(
    linear: &Linear,
    signed: &impl Fn(usize) -> Vec<i64>,
    weights: &[ClearValue],
) -> Result<Vec<i64>, Error> {
    let weight = |id: usize| elements(&weights.get(id).map(ClearValue::signed).unwrap_or_default(), 64);
    let bias = linear.bias.map(|id| weight(id.0));
    let constant = bias.as_ref().map_or(0, Vec::len);
    let mut sums = vec![0u64; linear.terms.first().map_or(constant, |term| term.map.output_len())];
    for term in &linear.terms {
        let product = bilinear(&term.map, &elements(&signed(term.input), 64), &weight(term.weight.0), 64)?;
        sums.iter_mut().zip(product).for_each(|(s, p)| *s = s.wrapping_add(p));
    }
    if let Some(bias) = bias {
        sums.iter_mut().zip(bias.iter().cycle()).for_each(|(s, b)| *s = s.wrapping_add(*b));
    }
    Ok(sums.into_iter().map(|s| s as i64).collect())
}

fn exact(expected: &[i64], opened: &[i64]) -> Result<(), String> {
    within(expected, opened, 0)
}

fn within(expected: &[i64], opened: &[i64], units: i128) -> Result<(), String> {
    let off = |(&a, &b): (&i64, &i64)| (i128::from(a) - i128::from(b)).abs() > units;
    let wrong = expected.iter().zip(opened).filter(|&pair| off(pair)).count();
    match expected.iter().zip(opened).enumerate().find(|&(_, pair)| off(pair)) {
        None => Ok(()),
        Some((i, (a, b))) => Err(format!(
            "element {i} is {b}, due is {a}{}; {wrong} of {} elements are wrong",
            if units == 0 { String::new() } else { format!(" ± {units}") },
            expected.len()
        )),
    }
}

/// The errors of `opened` are no larger, on average, than those that a compiler sees: of
/// [`Clear::rounding_as_shares`](cryptflow_mpc::Clear::rounding_as_shares).
fn spread(opened: &[i64], z: &[i64], shift: u32) -> Result<(), String> {
    let n = opened.len() as f64;
    if opened.len() < STATISTICS || shift == 0 {
        return Ok(());
    }
    let unit = (1i128 << shift) as f64;
    let square = |(&y, &z): (&i64, &i64)| (((i128::from(y) << shift) - i128::from(z)) as f64 / unit).powi(2);
    let model = shifted_as_shares(z, shift, [shift as u8; 16]);
    let [seen, assumed] = [opened, &model].map(|all: &[i64]| all.iter().zip(z).map(square).sum::<f64>() / n);
    // Squares deviate by less than 0.4 from their mean: five deviations of the mean of n, of both.
    let allowed = assumed + 5.0 * 0.4 * f64::sqrt(2.0 / n);
    if seen <= allowed {
        return Ok(());
    }
    Err(format!(
        "the mean square of the errors of {n} elements is {seen:.4} units, the compiler assumes {assumed:.4}"
    ))
}

/// The mean error of `opened` against `z / 2^shift`, in units.
fn mean(opened: &[i64], z: impl Iterator<Item = i128>, shift: u32, bias: f64) -> Result<(), String> {
    let n = opened.len();
    if n < STATISTICS {
        return Ok(());
    }
    let unit = (1i128 << shift) as f64;
    let (mut sum, mut squares) = (0.0, 0.0);
    for (&y, z) in opened.iter().zip(z) {
        let error = ((i128::from(y) << shift) - z) as f64 / unit;
        sum += error;
        squares += error * error;
    }
    let mean = sum / n as f64;
    let sd = (squares / n as f64 - mean * mean).max(0.0).sqrt();
    let allowed = 5.0 * sd / (n as f64).sqrt() + bias;
    if mean.abs() <= allowed {
        return Ok(());
    }
    Err(format!("the mean error of {n} elements is {mean:+.5} units, allowed are ±{allowed:.5}"))
}

/// Compares the meters with the declared costs, step by step.
fn costs<D: Definition>(
    subject: &Subject<'_, D>,
    problem: &Problem,
    records: &[Record],
    fail: &mut impl FnMut(&str, String),
) -> Result<(), Error> {
    let model = subject.definition.costs(problem.ring_bits);
    let owner_lengths = problem.inputs.iter().map(Vec::len);
    let mut layouts: Vec<Layout> = owner_lengths.map(|len| model.input(len, problem.ring_bits)).collect();
    let lengths = lengths(problem)?;
    for (i, step) in problem.steps.iter().enumerate() {
        let len = lengths.get(problem.inputs.len() + i).copied().unwrap_or(0);
        let (declared, layout) = step.cost(&model, &layouts, len)?;
        layouts.push(layout);
        if layout.len != len {
            fail(step.name(), format!("the cost model speaks of {} elements, there are {len}", layout.len));
        }
        let pairs = records.iter().map(|r| Some((r.snapshots.get(i)?, r.snapshots.get(i + 1)?)));
        let Some(pairs) = pairs.collect::<Option<Vec<_>>>() else {
            fail(step.name(), "a party has no meters".into());
            continue;
        };
        if let Err(what) = one_cost(&declared, &pairs) {
            fail(step.name(), format!("{what} ({len} elements)"));
        }
    }
    Ok(())
}

/// Elements of each value, from the reference on zeros.
fn lengths(problem: &Problem) -> Result<Vec<usize>, Error> {
    let mut clear = Clear::new(Party::P0, problem.ring_bits);
    let zeros = |v: &Vec<i64>| ClearValue { data: vec![0; v.len()], bits: problem.ring_bits };
    let weights: Vec<ClearValue> = problem.weights.iter().map(zeros).collect();
    let mut values: Vec<ClearValue> = problem.inputs.iter().map(zeros).collect();
    for step in &problem.steps {
        let value = step.apply(&mut clear, &values, &weights)?;
        values.push(value);
    }
    Ok(values.iter().map(|v| v.data.len()).collect())
}

fn one_cost(declared: &Cost, parties: &[(&Snapshot, &Snapshot)]) -> Result<(), String> {
    for (from, (before, after)) in parties.iter().enumerate() {
        for (to, (peer_before, peer_after)) in parties.iter().enumerate() {
            let (Some(a), Some(b)) = (after.links.get(to), before.links.get(to)) else { continue };
            let (Some(pa), Some(pb)) = (peer_after.links.get(from), peer_before.links.get(from)) else {
                continue;
            };
            let sent = a.sent_bytes - b.sent_bytes;
            let reported = cell(&after.metered, from, to) - cell(&before.metered, from, to);
            let due = cell(declared, from, to);
            if sent != due {
                return Err(format!("P{from} sent {sent} bytes to P{to}, declared are {due}"));
            }
            if reported != sent {
                return Err(format!("P{from} reports {reported} bytes to P{to}, its link counts {sent}"));
            }
            let (messages, taken) =
                (a.sent_messages - b.sent_messages, pa.received_messages - pb.received_messages);
            if messages != taken {
                return Err(format!("P{to} received {taken} of the {messages} messages that P{from} sent"));
            }
        }
    }
    let clock = |pick: fn(&(&Snapshot, &Snapshot)) -> u64| parties.iter().map(pick).max().unwrap_or(0);
    let rounds = clock(|p| p.1.rounds) - clock(|p| p.0.rounds);
    if rounds != declared.rounds {
        return Err(format!("it took {rounds} rounds, declared are {}", declared.rounds));
    }
    let ticked = |(before, after): &(&Snapshot, &Snapshot)| {
        after.metered.rounds - before.metered.rounds == after.rounds - before.rounds
    };
    match parties.iter().position(|p| !ticked(p)) {
        Some(p) => Err(format!("P{p} reports another number of rounds than its links")),
        None => Ok(()),
    }
}

fn cell(cost: &Cost, from: usize, to: usize) -> u64 {
    cost.bytes.between(Party::new(from), Party::new(to))
}

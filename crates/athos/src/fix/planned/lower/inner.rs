//! Sums of products: `Σ x·y` along rows is one inner product a row, opened once, where `x·y` would be opened and widened
//! element by element.

use cryptflow_operation::{Bounds, SumPool, bits};
use cryptflow_ring::{LinearMap, Movement};

use super::super::plan::{self, Operation, Plan, PlanStep};

/// The most bits of a ring that an inner product may take: what is added up within it is not rounded before.
pub(super) const MOST_BITS: u32 = 62;

/// What an inner product is made of.
struct Inner {
    /// Steps that become none: the product, and what moves its elements.
    gone: Vec<usize>,
    operands: [usize; 2],
    map: LinearMap,
}

/// Makes one inner product of every sum over rows of products that nothing else uses, where a ring has room for it.
/// `bounds` are those of the plan's values at this scale; with a guard, it is as far as these operands can lead.
pub(super) fn sums_of_products(plan: &mut Plan, bounds: &[Bounds], scale: u32, guard: bool) {
    let uses = plan.uses();
    let mut maker: Vec<Option<usize>> = vec![None; plan.values.len()];
    let mut gone = vec![false; plan.steps.len()];
    for index in 0..plan.steps.len() {
        if let Some(inner) = inner(plan, &maker, &uses, &plan.steps[index])
            && fits(plan, bounds, &inner, plan.steps[index].output, scale, guard)
        {
            inner.gone.iter().for_each(|&step| gone[step] = true);
            plan.steps[index].op = plan::product(inner.map);
            plan.steps[index].inputs = inner.operands.to_vec();
        }
        maker[plan.steps[index].output] = Some(index);
    }
    let mut keep = gone.iter().map(|gone| !gone);
    plan.steps.retain(|_| keep.next().unwrap_or(true));
}

/// The inner product that a step is, if it is a sum over whole rows of products, element by element.
fn inner(plan: &Plan, maker: &[Option<usize>], uses: &[usize], step: &PlanStep) -> Option<Inner> {
    let Operation::SumPool(SumPool { input: [rows, count, 1, 1], window }) = &step.op else { return None };
    if window.kernel != [*count, 1] || window.is_padded() {
        return None;
    }
    let mut gone = Vec::new();
    let mut value = *step.inputs.first()?;
    loop {
        let made = maker[value].filter(|_| uses[value] == 1)?;
        gone.push(made);
        let step = &plan.steps[made];
        match (&step.op, step.inputs.as_slice()) {
            (Operation::Movement(Movement::Reshape { .. }), &[x]) => value = x,
            (Operation::Product(product), &[x, y])
                if matches!(product.map, LinearMap::Scale { rows: 1, .. }) =>
            {
                let map = LinearMap::BatchMatMul { batch: *rows, rows: 1, inner: *count, columns: 1 };
                return Some(Inner { gone, operands: [x, y], map });
            }
            // Elements in another order make other rows, and nothing else is a product.
            _ => return None,
        }
    }
}

/// Whether the sum fits a ring with all bits that are shifted out of it.
fn fits(plan: &Plan, bounds: &[Bounds], inner: &Inner, sum: usize, scale: u32, guard: bool) -> bool {
    let [x, y] = inner.operands;
    let of = |value: usize| plan.values[value].scale(scale);
    let Some(shift) = (of(x) + of(y)).checked_sub(of(sum)).filter(|&shift| shift > 0) else { return false };
    let Bounds { low, high } = bounds[sum];
    let needed = bits::widen_bits(low, high) + 1 + shift;
    let sizes = [x, y].map(|value| f64::log2(bounds[value].magnitude().max(1) as f64));
    let farthest = sizes[0] + sizes[1] + (inner.map.terms() as f64).log2() + 3.0;
    needed <= MOST_BITS && (!guard || farthest <= f64::from(MOST_BITS))
}

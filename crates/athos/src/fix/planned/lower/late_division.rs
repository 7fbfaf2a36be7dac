//! Rows of fractions times a matrix, as in attention: what is multiplied with the matrix are the numerators, and the
//! reciprocals of the rows' sums are multiplied with what comes of it. That has fewer elements, and nothing but its own
//! product waits for the reciprocals.

use cryptflow_operation::{Bounds, Product, bits};
use cryptflow_ring::{LinearMap, Movement};

use cryptflow_graph::NodeId;

use super::super::plan::{self, Operation, Plan, PlanStep, PlanValue};
use super::Lowering;
use super::inner::MOST_BITS;
use super::linear::Target;

/// Fractions: numerators, `[rows, n, 1, 1]`, times the reciprocals of their rows, `[rows, 1, 1, 1]`.
struct Fractions {
    numerators: usize,
    reciprocals: usize,
}

impl Lowering<'_> {
    /// The product of an operand's fractions and a matrix, as the node's result; none where it is of something else, where
    /// the fractions are there for others anyhow, or where it would have more elements.
    pub(super) fn divided_last(
        &mut self,
        id: NodeId,
        [x, matrix]: [usize; 2],
        map: &LinearMap,
        to: &Target,
    ) -> Option<usize> {
        let (rows, inner, columns) = match *map {
            LinearMap::MatMul { rows, inner, columns } => (rows, inner, columns),
            LinearMap::BatchMatMul { batch, rows, inner, columns } => (batch * rows, inner, columns),
            LinearMap::Scale { .. } | LinearMap::Conv2d(_) => return None,
        };
        let left = self.graph.node(id).inputs.first()?;
        let alone = self.graph.uses()[left.0].len() == 1 && !self.graph.outputs.contains(left);
        // With a guard, fractions are compared with their bounds.
        if columns > inner || !alone || self.setting.guarded || !self.setting.known {
            return None;
        }
        let Fractions { numerators, reciprocals } = self.made_of_fractions(x, [rows, inner])?;
        let of = |value: usize| self.plan.values[value].scale(self.setting.scale);
        let own = self.setting.scale.saturating_add_signed(to.extra);
        // Reciprocals are hardly above one: sums with the fractional bits of the result are precise enough.
        let shift = (of(numerators) + of(matrix)).checked_sub(own).filter(|&shift| shift > 0)?;
        let last = of(reciprocals);
        let [a, b] = [numerators, matrix].map(|value| i128::from(self.bounds[value].magnitude()));
        let most = (a.saturating_mul(b).saturating_mul(inner as i128) >> shift) + 2;
        let within = Bounds::within(i64::try_from(most).ok()?);
        if last == 0 || bits::widen_bits(within.low, within.high) + 1 + shift.max(last) > MOST_BITS {
            return None;
        }
        let left = self.moved(id, Movement::Reshape { shape: self.shape(x) }, numerators);
        let sums = self.integers(id, self.own_shape(id), within, own);
        let sums = self.step_to(id, plan::product(map.clone()), &[left, matrix], sums);
        let flat = vec![rows, columns, 1, 1];
        let sums = self.moved(id, Movement::Reshape { shape: flat.clone() }, sums);
        let spread = self.moved(id, Movement::Broadcast { shape: flat.clone() }, reciprocals);
        let product = PlanValue { extra: to.extra, ..self.blank(id, flat, to.range) };
        let product = self.step_to(id, plan::elementwise(rows * columns), &[sums, spread], product);
        let shape = self.own_shape(id);
        Some(self.step(id, plan::reshape(&shape), &[product], shape.clone(), to.range, to.whole))
    }

    /// The step that makes a value.
    fn maker(&self, value: usize) -> Option<&PlanStep> {
        self.plan.steps.iter().rev().find(|step| step.output == value)
    }

    /// What is reshaped to a value, as far back as that goes.
    fn unshaped(&self, mut value: usize) -> usize {
        while let Some(step) = self.maker(value)
            && let (Operation::Movement(Movement::Reshape { .. }), &[from]) =
                (&step.op, step.inputs.as_slice())
        {
            value = from;
        }
        value
    }

    /// What fractions are made of, in rows of so many.
    fn made_of_fractions(&self, x: usize, [rows, n]: [usize; 2]) -> Option<Fractions> {
        let step = self.maker(self.unshaped(x))?;
        let (Operation::Product(Product { map, .. }), &[numerators, spread]) =
            (&step.op, step.inputs.as_slice())
        else {
            return None;
        };
        let spreads = self.maker(spread)?;
        let (Operation::Movement(Movement::Broadcast { .. }), &[reciprocals]) =
            (&spreads.op, spreads.inputs.as_slice())
        else {
            return None;
        };
        let each = matches!(map, LinearMap::Scale { rows: 1, .. });
        let along = self.shape(spread) == [rows, n, 1, 1] && self.shape(reciprocals) == [rows, 1, 1, 1];
        (each && along).then_some(Fractions { numerators, reciprocals })
    }
}

/// Takes out the steps whose results nothing uses: fractions that were to be multiplied with a matrix.
pub(super) fn without_unused(plan: &mut Plan) {
    let mut used = vec![false; plan.values.len()];
    plan.outputs.iter().for_each(|output| used[output.value] = true);
    let mut keep = vec![false; plan.steps.len()];
    for (keep, step) in keep.iter_mut().zip(&plan.steps).rev() {
        *keep = used[step.output];
        if *keep {
            step.inputs.iter().for_each(|&input| used[input] = true);
        }
    }
    let mut keep = keep.into_iter();
    plan.steps.retain(|_| keep.next().unwrap_or(true));
}

//! What is so small that rounding is a part of it: divided by that, or its logarithm or its root taken, it
//! gives numbers that say nothing. The guard sees to it that no value is there.
//!
//! A function with a pole at zero is made for all that its operand may be: down to the ε of a
//! normalisation, or to what is next to nothing. What rounding adds to a quotient by x is about
//! `n·f(x) + y·δ·|f′(x)/f(x)|`, for errors n of what is divided and δ of the divisor, and results y: small for the
//! examples, and large where x is much smaller. From where on it is more than the quotient may be
//! off by, x may not be, unless examples were there.

use cryptflow_graph::{Arithmetic, Function, Graph, NodeId, Op, Range};

use super::super::plan::Gap;
use super::floor::{Floor, before_broadcast, divides, with_pole};
use super::{Lowered, Lowering};
use crate::fix::options::DEFAULT_TOLERANCE;
use crate::fix::units::exp2;

/// Binary orders of magnitude below the largest operand that are looked at.
const ORDERS: i32 = 60;

/// Places in each of them.
const PLACES: i32 = 4;

/// A function with a pole at zero of a value, or what is divided by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quotient {
    function: Function,
    /// The operand, or the divisor.
    pub(crate) by: NodeId,
    /// What is divided.
    pub(crate) of: Option<NodeId>,
    /// The node whose result it is.
    result: NodeId,
    /// Whether the function has no value at zero.
    pole: bool,
}

/// The quotients of a graph.
pub(crate) fn quotients(graph: &Graph) -> Vec<Quotient> {
    let uses = graph.uses();
    let mut all = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some((function, operand)) = with_pole(graph, node) else {
            all.extend(steep(graph, NodeId(index)));
            continue;
        };
        let by = before_broadcast(graph, operand);
        let quotient = Quotient { function, by, of: None, result: NodeId(index), pole: true };
        let secret = |id: &NodeId| graph.constant(*id).is_none();
        if matches!(node.op, Op::Arithmetic(Arithmetic::Div)) {
            all.push(Quotient { of: node.inputs.first().copied().filter(secret), ..quotient });
            continue;
        }
        let multiplied = users(graph, &uses, NodeId(index)).into_iter().filter(|_| divides(function));
        let products = multiplied.filter_map(|user| {
            let factors = &graph.node(user).inputs;
            let mul = matches!(graph.node(user).op, Op::Arithmetic(Arithmetic::Mul));
            let of = factors.iter().copied().find(|&id| before_broadcast(graph, id) != NodeId(index));
            mul.then_some(Quotient { of: of.filter(secret), result: user, ..quotient })
        });
        let before = all.len();
        all.extend(products);
        if all.len() == before {
            all.push(quotient);
        }
    }
    all
}

/// A root, which has a value at zero, and is as steep there as functions without one.
fn steep(graph: &Graph, id: NodeId) -> Option<Quotient> {
    let Op::Function(function) = &graph.node(id).op else { return None };
    let function = function.simplest();
    let operand = graph.node(id).inputs.first().filter(|_| function.steep_at_zero())?;
    let by = before_broadcast(graph, *operand);
    Some(Quotient { function, by, of: None, result: id, pole: false })
}

/// The nodes that use a value, as it is or repeated.
fn users(graph: &Graph, uses: &[Vec<NodeId>], id: NodeId) -> Vec<NodeId> {
    let mut all = Vec::new();
    for &user in &uses[id.0] {
        if before_broadcast(graph, user) == before_broadcast(graph, id) {
            all.extend(users(graph, uses, user));
        } else {
            all.push(user);
        }
    }
    all
}

impl Lowering<'_> {
    /// Notes for the guard where the operands of all quotients may not be.
    pub(super) fn note_gaps(&mut self) {
        if !self.setting.guard {
            return;
        }
        for quotient in quotients(self.graph) {
            self.plan.gaps.extend(self.gap(&quotient));
        }
    }

    fn gap(&self, quotient: &Quotient) -> Option<Gap> {
        let Lowered::Value(value) = self.lowered[quotient.by.0] else { return None };
        let seen = self.rounding?.magnitudes.get(&quotient.by)?;
        let unit = exp2(self.plan.values[value].scale(self.setting.scale));
        let wider = self.setting.margin.exp2();
        let blurred = self.blurred(quotient);
        let (low, high) = match self.floors[quotient.by.0] {
            // No function is made for less.
            Floor::Seen if quotient.pole => return None,
            Floor::Seen | Floor::Model(_) | Floor::Lower(_) => {
                let least = seen.least_above(-1.0).filter(|&least| least > 0.0 && seen.positive())?;
                (f64::NEG_INFINITY, blurred.min(least / wider))
            }
            Floor::Beside(least) => {
                let between = least / wider / 2.0;
                let tiny = seen.most_below(between).unwrap_or(0.0) * 2.0 * wider;
                let high = blurred.max(least / wider).min(seen.least_above(between)? / wider);
                (tiny + 1.0 / unit, high)
            }
        };
        let bounds = self.bounds[value];
        let units = |v: f64| ((v * unit).ceil().clamp(-9e18, 9e18) as i64).clamp(bounds.low, bounds.high);
        let gap = Gap { value, low: units(low), high: units(high) };
        (gap.low < gap.high).then_some(gap)
    }

    /// The largest operand at which rounding makes more of a quotient than it may be off by.
    fn blurred(&self, quotient: &Quotient) -> f64 {
        let error = |id: NodeId| self.rounding.map_or(0.0, |rounding| rounding.error(self.graph, id));
        let (of, by) = (quotient.of.map_or(0.0, error), error(quotient.by));
        let results = self.range(quotient.result).magnitude();
        let elements = self.own_shape(quotient.result).iter().product::<usize>().max(1) as f64;
        // Errors of all elements together use up what outputs may be off by.
        let allowed = match self.needs.get(quotient.result.0).copied().flatten() {
            Some(need) => (-need).exp2() / elements.sqrt(),
            None => results * DEFAULT_TOLERANCE,
        };
        let at = |x: f64| quotient.function.at(x);
        let blurs = |x: f64| {
            let moved = (at(x + by) - at(x)).abs();
            match quotient.of {
                Some(_) => of * at(x).abs() + results * moved / at(x).abs() > allowed,
                None => moved > allowed,
            }
        };
        let Range { high, .. } = self.range(quotient.by);
        let place = |place: i32| high * f64::from(-place).exp2().powf(1.0 / f64::from(PLACES));
        (0..ORDERS * PLACES).map(place).find(|&x| x > 0.0 && blurs(x)).unwrap_or(0.0)
    }
}

//! Divisors that are next to nothing, or far from it: the norm of a row, of which some rows are
//! padding.
//!
//! What stands above such a divisor is nothing as well, but for the rounding of fixed point; and a
//! reciprocal as large as in the float model would make numbers of that.

use cryptflow_graph::{Arithmetic, Function, Graph, Op};

/// Bits below the largest divisor from which on one is next to nothing.
const TINY: i32 = 16;

/// Bits that lie between those that are next to nothing and the others.
const GAP: i32 = 4;

/// The magnitudes that a node took.
#[derive(Clone, Debug)]
pub(crate) struct Magnitudes {
    /// How many times the bits count: those of squares are twice as many.
    doubled: i32,
    /// The smallest and the largest one, for each binary exponent.
    binades: Vec<(f32, f32)>,
    /// Whether none was negative.
    positive: bool,
}

/// For each node whether something is divided by it, or by its root.
pub(super) fn divides(graph: &Graph) -> Vec<Option<Magnitudes>> {
    let mut divisors = vec![None; graph.nodes.len()];
    for node in &graph.nodes {
        let (operand, doubled) = match &node.op {
            Op::Arithmetic(Arithmetic::Div) => (node.inputs.get(1), 1),
            Op::Function(function) if function.simplest() == Function::RECIPROCAL => (node.inputs.first(), 1),
            Op::Function(function) if function.simplest() == Function::RSQRT => (node.inputs.first(), 2),
            // Nothing else divides by what it is given.
            _ => continue,
        };
        if let Some(&operand) = operand
            && graph.constant(operand).is_none()
        {
            divisors[operand.0] = Some(Magnitudes::none(doubled));
        }
    }
    divisors
}

impl Magnitudes {
    fn none(doubled: i32) -> Magnitudes {
        Magnitudes { doubled, binades: vec![(f32::INFINITY, 0.0); 256], positive: true }
    }

    /// Of what is not squared.
    pub(crate) fn plain() -> Magnitudes {
        Magnitudes::none(1)
    }

    /// Whether none was negative.
    pub(crate) fn positive(&self) -> bool {
        self.positive
    }

    /// The least above a number, of the least and the largest in each binary order of magnitude.
    pub(crate) fn least_above(&self, number: f64) -> Option<f64> {
        self.ends().find(|&end| end > number)
    }

    /// The largest below a number, of the same.
    pub(crate) fn most_below(&self, number: f64) -> Option<f64> {
        self.ends().take_while(|&end| end < number).last()
    }

    /// The least and the largest in each binary order of magnitude, in order.
    fn ends(&self) -> impl Iterator<Item = f64> {
        let seen = self.binades.iter().filter(|(low, high)| low <= high);
        seen.flat_map(|&(low, high)| [f64::from(low), f64::from(high)])
    }

    /// Adds a node's elements.
    pub(crate) fn add(&mut self, data: &[f32]) {
        for &v in data {
            self.positive &= v >= 0.0;
            let magnitude = v.abs();
            // Eight bits of exponent lie above 23 of the mantissa.
            if let Some((low, high)) = self.binades.get_mut((magnitude.to_bits() >> 23) as usize) {
                (*low, *high) = (low.min(magnitude), high.max(magnitude));
            }
        }
    }

    /// The least that is not next to nothing, where some are and a gap lies between: the widest one.
    pub(super) fn least(&self) -> Option<f64> {
        let seen = || self.binades.iter().filter(|(low, high)| low <= high);
        let largest = f64::from(seen().next_back()?.1);
        let tiny = largest * f64::from(-TINY * self.doubled).exp2();
        let gap = f64::from(GAP * self.doubled).exp2();
        let mut widest: Option<(f64, f64)> = None;
        let mut below: Option<f64> = None;
        for value in self.ends() {
            if let Some(below) = below.filter(|&below| below <= tiny && value >= below * gap) {
                let apart = value / below;
                if value > below && widest.is_none_or(|(other, _)| apart >= other) {
                    widest = Some((apart, value));
                }
            }
            below = Some(value);
        }
        widest.filter(|_| self.positive).map(|(_, least)| least)
    }
}

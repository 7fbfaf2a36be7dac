//! Which values get more fractional bits than activations: outputs, and operands of functions that
//! are steep near zero (a variance whose reciprocal root is taken, a divisor), back to the product or the
//! layer that makes them, where more bits cost nothing.

use cryptflow_graph::{Activation, Arithmetic, Graph, Linear, Op, Pool, Pooling, Range};

use super::Setting;

/// The most fractional bits beyond those of activations.
const MOST: i32 = 14;

/// Fractional bits of an output beyond those that mean something.
pub(crate) const GUARD: u32 = 2;

/// Bits that such a value may have in all.
const VALUE_BITS: i32 = 34;

/// For each node the fractional bits that its value should have beyond those of activations.
/// `digits`: those of each output that mean something, where that is known.
pub(super) fn extra_bits(
    graph: &Graph,
    ranges: &[Range],
    digits: &[Option<u32>],
    setting: Setting,
) -> Vec<u32> {
    let mut extra = vec![0u32; graph.nodes.len()];
    if !setting.known {
        return extra;
    }
    for (output, digits) in graph.outputs.iter().zip(digits) {
        // The errors of an output's own truncation are rounded away.
        let wanted = digits.map_or(0, |digits| (digits + GUARD).saturating_sub(setting.scale));
        extra[output.0] = extra[output.0].max(wanted.min(headroom(ranges[output.0], setting)));
    }
    for index in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[index];
        let steep = match &node.op {
            Op::Function(function) if function.steep_at_zero() => node.inputs.first(),
            Op::Arithmetic(Arithmetic::Div) => node.inputs.get(1),
            // No other operation divides: more bits help none of them.
            _ => None,
        };
        if let Some(&operand) = steep {
            extra[operand.0] = extra[operand.0].max(wanted(ranges[operand.0], setting));
        }
        // What hands its operands' bits on, or is made of them without a product.
        let through: &[_] = match &node.op {
            Op::Movement(_)
            | Op::Identity
            | Op::Arithmetic(Arithmetic::Add | Arithmetic::Sub | Arithmetic::Maximum | Arithmetic::Minimum) => {
                &node.inputs
            }
            Op::Reduce(_) | Op::Pool(Pool { kind: Pooling::Average { .. }, .. }) => &node.inputs,
            Op::Activation(Activation::Relu | Activation::ClippedRelu { .. })
            | Op::Pool(Pool { kind: Pooling::Max | Pooling::Sum, .. }) => &node.inputs,
            Op::Linear(Linear::Scale | Linear::BatchNorm { .. }) => node.inputs.get(..1).unwrap_or(&[]),
            // Fewer bits than could be are what every operation is right with.
            _ => &[],
        };
        for operand in through {
            let fits = headroom(ranges[operand.0], setting);
            extra[operand.0] = extra[operand.0].max(extra[index].min(fits));
        }
    }
    extra
}

/// As many as the smallest operand needs to be as precise as 1 is.
fn wanted(range: Range, setting: Setting) -> u32 {
    let smallest = if range.low > 0.0 {
        range.low
    } else if range.high < 0.0 {
        -range.high
    } else {
        1.0 / f64::from(setting.scale).exp2()
    };
    let bits = (setting.margin - smallest.log2()).ceil();
    (bits.clamp(0.0, MOST.into()) as u32).min(headroom(range, setting))
}

/// The bits that a value of this range has headroom for.
pub(super) fn headroom(range: Range, setting: Setting) -> u32 {
    let magnitude = (range.magnitude().max(1e-9).log2() + setting.margin).ceil() as i32;
    (VALUE_BITS - setting.scale as i32 - magnitude.max(0)).clamp(0, MOST) as u32
}

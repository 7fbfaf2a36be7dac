//! How many fractional bits each value gets, beside those of activations: as many more as its errors
//! matter more, to outputs and to what decides. Outputs get those that mean something at least, and
//! operands of functions that are steep near zero (a variance whose reciprocal root is taken, a
//! divisor) those of their smallest, back to the product or the layer that makes them, where more
//! bits cost nothing.

use cryptflow_graph::{
    Activation, Arithmetic, Function, Graph, Linear, Node, NodeId, Op, Pool, Pooling, Range,
};

use super::Setting;
use super::floor::{self, Floor};
use super::shared_weights;

/// The most fractional bits beyond those of activations that steepness is given where nothing says
/// how small an operand gets.
const MOST: i32 = 14;

/// Bits that a value may have in all.
pub(super) const VALUE_BITS: i32 = 40;

/// The same of a value that a function is taken of that is steep near zero: what an ε keeps from zero
/// there (a power spectrum whose logarithm is taken) is told from zero. A product, its sign and
/// what a layer's weights need lie beyond them in a ring of 64 bits.
pub(super) const STEEP_BITS: i32 = 52;

/// The same of a value that another one is multiplied with, or itself: both fit a ring together.
const FACTOR_BITS: i32 = 30;

/// The part of a normalised value's size that the rounding of what is normalised may come to where that
/// is as small as the reciprocal is made for.
const ROUNDED_AWAY: f64 = 64.0;

/// Bits beyond those of activations that what is normalised gets for that, at most: each costs a bit of
/// every element.
const NORMALISED: i32 = 6;

/// The fewest, below those of activations: what calibration shows of how little a value matters is
/// not to be trusted too far.
const FEWEST: i32 = -4;

/// Fractional bits of an output beyond those that mean something.
pub(crate) const GUARD: u32 = 2;

/// How precise values should be.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// The fractional bits of each output that mean something, where that is known.
    pub(crate) digits: &'a [Option<u32>],
    /// For each node the bits that its elements need beside those of others, where that is known.
    pub(crate) needs: &'a [Option<f64>],
    /// The part of a bit that all values have more, before their bits are rounded to whole ones.
    pub(crate) finer: f64,
}

/// For each node the fractional bits that its value should have beyond those of activations.
pub(super) fn extra_bits(
    graph: &Graph,
    ranges: &[Range],
    floors: &[Floor],
    wanted: Wanted<'_>,
    setting: Setting,
) -> Vec<i32> {
    if !setting.known {
        return vec![0; graph.nodes.len()];
    }
    let (factors, steep) = (factors(graph), steep(graph));
    let bits = |index: usize| match (factors[index], steep[index]) {
        (true, _) => FACTOR_BITS,
        (false, true) => STEEP_BITS,
        (false, false) => VALUE_BITS,
    };
    // Where errors are known to matter unequally, what has the most bits that fit is no reason for
    // others to have no more.
    let least = if wanted.needs.is_empty() { 0 } else { FEWEST.max(-(setting.scale as i32)) };
    let fits = |index: usize| headroom(ranges[index], bits(index), setting).max(least);
    // What a client gives has the scale that was asked for, where one was.
    let given = |index: usize| wanted.needs.is_empty() && matches!(graph.nodes[index].op, Op::Input);
    let asks =
        |index: usize, asked: Option<i32>| asked.filter(|_| !given(index)).map(|bits| bits.min(fits(index)));
    let of_outputs = of_outputs(graph, wanted.digits, &asks, setting);
    let of_steep = of_steep(graph, ranges, floors, &asks, &fits, setting);
    let least = of_outputs.into_iter().zip(of_steep).map(|(a, b)| a.max(b));
    let usual = usual(graph, wanted.needs, &steep);
    let extra = |(index, least): (usize, Option<i32>)| {
        let known = wanted.needs.get(index).copied();
        let need = known.flatten();
        let apart = need.map_or(0, |need| (need - usual + wanted.finer).round().clamp(-99.0, 99.0) as i32);
        // No value has fewer than none.
        let fewest = if known.is_some() { FEWEST.max(-(setting.scale as i32)) } else { 0 };
        apart.max(least.unwrap_or(fewest)).max(fewest).min(fits(index))
    };
    let mut all: Vec<i32> = least.enumerate().map(extra).collect();
    shared_weights::align(graph, &mut all, &fits);
    all
}

/// Whether a node's value is a factor of a product of two secrets, as it is, moved, or added up.
fn factors(graph: &Graph) -> Vec<bool> {
    reaching(graph, |_, node| {
        let secret = |id: &&NodeId| graph.constant(**id).is_none();
        let multiplies = match &node.op {
            Op::Arithmetic(Arithmetic::Mul | Arithmetic::Div | Arithmetic::Select)
            | Op::Linear(Linear::MatMul { .. }) => node.inputs.iter().filter(secret).count() > 1,
            Op::Function(function) => *function == Function::power(2.0),
            // The others multiply with what the model knows, or do not multiply.
            _ => false,
        };
        match &node.op {
            _ if !multiplies => &[],
            // By the reciprocal, which is another value.
            Op::Arithmetic(Arithmetic::Div) => node.inputs.get(..1).unwrap_or(&[]),
            // All of them, where any is.
            _ => &node.inputs,
        }
    })
}

/// Whether a function is taken of a node's value that is steep near zero: as it is, moved, added up,
/// or after a layer.
fn steep(graph: &Graph) -> Vec<bool> {
    let of_functions = reaching(graph, |_, node| steep_operand(node));
    reaching(graph, |id, node| match &node.op {
        Op::Linear(_) if of_functions[id.0] => node.inputs.get(..1).unwrap_or(&[]),
        // Nothing else adds up many values with factors of its own.
        _ => steep_operand(node),
    })
}

/// The operand of a function that is steep near zero, where a node is one.
fn steep_operand(node: &Node) -> &[NodeId] {
    match &node.op {
        Op::Function(function) if function.steep_at_zero() => node.inputs.get(..1).unwrap_or(&[]),
        Op::Arithmetic(Arithmetic::Div) => node.inputs.get(1..2).unwrap_or(&[]),
        // No other operation divides: more bits help none of them.
        _ => &[],
    }
}

/// Whether a node's value is one of these operands of a node, as it is, moved, or added up.
fn reaching(graph: &Graph, operands: impl for<'a> Fn(NodeId, &'a Node) -> &'a [NodeId]) -> Vec<bool> {
    let mut reaching = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        for input in operands(NodeId(index), node) {
            reaching[input.0] = true;
        }
        for input in handed_on(node) {
            reaching[input.0] |= reaching[index];
        }
    }
    reaching
}

/// What a lower quarter of all elements that are computed needs at most, but for those whose
/// smallest count.
fn usual(graph: &Graph, needs: &[Option<f64>], steep: &[bool]) -> f64 {
    let computed = |op: &Op| match op {
        Op::Linear(_) | Op::Function(_) | Op::Activation(_) | Op::Arithmetic(_) => true,
        Op::Input | Op::Constant(_) | Op::Identity => false,
        Op::Pool(_) | Op::Reduce(_) | Op::Order(_) | Op::Movement(_) => false,
    };
    let known = graph.nodes.iter().zip(needs).zip(steep).filter(|((node, _), _)| computed(&node.op));
    let known = known.filter(|(_, steep)| !**steep).map(|(known, _)| known);
    let mut known: Vec<(f64, usize)> =
        known.filter_map(|(node, need)| Some(((*need)?, node.shape.iter().product()))).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let quarter = known.iter().map(|(_, elements)| elements).sum::<usize>() / 4;
    let mut before = 0;
    let middle = known.iter().find(|(_, elements)| {
        before += elements;
        before > quarter
    });
    middle.map_or(0.0, |(need, _)| *need)
}

/// What hands its operands' bits on, or is made of them without a product.
fn handed_on(node: &Node) -> &[NodeId] {
    match &node.op {
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
    }
}

/// For each node the fractional bits beyond those of activations that it should have at least for
/// the outputs' sake, where that is known. `asks` says what becomes of a wish for an operand.
fn of_outputs(
    graph: &Graph,
    digits: &[Option<u32>],
    asks: &dyn Fn(usize, Option<i32>) -> Option<i32>,
    setting: Setting,
) -> Vec<Option<i32>> {
    let mut least = vec![None; graph.nodes.len()];
    for (output, digits) in graph.outputs.iter().zip(digits) {
        // The errors of an output's own truncation are rounded away.
        least[output.0] = digits.map(|digits| (digits + GUARD) as i32 - setting.scale as i32);
    }
    for index in (0..graph.nodes.len()).rev() {
        hand_on(graph, index, &mut least, asks);
    }
    least
}

/// The same for functions that are steep near zero.
fn of_steep(
    graph: &Graph,
    ranges: &[Range],
    floors: &[Floor],
    asks: &dyn Fn(usize, Option<i32>) -> Option<i32>,
    fits: &dyn Fn(usize) -> i32,
    setting: Setting,
) -> Vec<Option<i32>> {
    let mut least: Vec<Option<i32>> = vec![None; graph.nodes.len()];
    for index in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[index];
        let secret = |id: &&NodeId| graph.constant(**id).is_none();
        if let Some((divided, most)) = floor::divided(graph, NodeId(index), floors) {
            let wanted = (2.0 * ROUNDED_AWAY * most / ranges[index].magnitude().max(1e-9)).log2().ceil();
            let asked = (wanted as i32 - setting.scale as i32).clamp(0, NORMALISED);
            least[divided.0] = least[divided.0].max(asks(divided.0, Some(asked)));
        }
        for &operand in steep_operand(node) {
            let asked = steepness(ranges[operand.0], floors[operand.0], setting);
            least[operand.0] = least[operand.0].max(asks(operand.0, Some(asked)));
        }
        // A product has no more fractional bits than its factors together, less one: of an input,
        // too.
        let multiplies = match &node.op {
            Op::Arithmetic(Arithmetic::Mul) => node.inputs.iter().filter(secret).count() == 2,
            Op::Function(function) => *function == Function::power(2.0),
            // Products with what the model knows have as many as are wanted.
            _ => false,
        };
        if let (true, Some(wanted)) = (multiplies, least[index]) {
            let scale = setting.scale as i32;
            let asked = (scale + wanted + 2) / 2 - scale;
            for operand in node.inputs.iter().filter(|_| asked > 0) {
                least[operand.0] = least[operand.0].max(Some(asked.min(fits(operand.0))));
            }
        }
        hand_on(graph, index, &mut least, asks);
    }
    least
}

/// What a value should have at least, its operands should have that hand their bits on.
fn hand_on(
    graph: &Graph,
    index: usize,
    least: &mut [Option<i32>],
    asks: &dyn Fn(usize, Option<i32>) -> Option<i32>,
) {
    for operand in handed_on(&graph.nodes[index]) {
        least[operand.0] = least[operand.0].max(asks(operand.0, least[index]));
    }
}

/// As many as the smallest operand needs to be as precise as 1 is.
fn steepness(range: Range, floor: Floor, setting: Setting) -> i32 {
    let bits = |smallest: f64| (-smallest.log2()).ceil();
    let seen = range.low.max(-range.high);
    match floor {
        Floor::Model(low) | Floor::Lower(low) => bits(low).clamp(0.0, STEEP_BITS.into()) as i32,
        Floor::Beside(least) => (setting.margin + bits(least)).clamp(0.0, STEEP_BITS.into()) as i32,
        Floor::Seen if seen > 0.0 => (setting.margin + bits(seen)).clamp(0.0, STEEP_BITS.into()) as i32,
        Floor::Seen => (setting.margin + f64::from(setting.scale)).ceil().clamp(0.0, MOST.into()) as i32,
    }
}

/// The bits beyond those of activations that a value of this range has headroom for, of so many in all.
pub(super) fn headroom(range: Range, bits: i32, setting: Setting) -> i32 {
    let magnitude = (range.magnitude().max(1e-9).log2() + setting.margin).ceil() as i32;
    bits - setting.scale as i32 - magnitude.max(0)
}

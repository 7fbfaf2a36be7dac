//! What the values of a graph may be: by what its operations say alone, and by interval arithmetic
//! from its inputs.

use crate::graph::{Array, Graph, NodeId};
use crate::operations::{Function, Op};
use crate::range::Range;

/// What the values of every node may be, by id, in the float model, whatever the inputs are: a
/// variance is not negative, a sigmoid is from 0 to 1. What fixed point makes of it may lie beside
/// by its rounding.
pub fn images(graph: &Graph) -> Vec<Range> {
    let mut images: Vec<Range> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let operands: Vec<Range> =
            node.inputs.iter().map(|id| images.get(id.0).copied().unwrap_or(Range::ALL)).collect();
        let same = node.inputs.first() == node.inputs.get(1);
        images.push(node.op.image(&operands, same));
    }
    images
}

/// How many nodes [`reach`] looks at.
const LOOKED_AT: usize = 64;

/// What the values of one node may be, in the float model, whatever the inputs are: as [`images`] says of
/// it, or a wider range where more nodes than a few, or large constants, come before it.
pub fn reach(graph: &Graph, id: NodeId) -> Range {
    let mut left = LOOKED_AT;
    walked(graph, id, &mut left)
}

fn walked(graph: &Graph, id: NodeId, left: &mut usize) -> Range {
    let node = graph.node(id);
    let large = matches!(&node.op, Op::Constant(array) if array.data.len() > LOOKED_AT);
    if *left == 0 || large {
        return Range::ALL;
    }
    *left -= 1;
    let operands: Vec<Range> = node.inputs.iter().map(|&input| walked(graph, input, left)).collect();
    node.op.image(&operands, node.inputs.first() == node.inputs.get(1))
}

/// What computing with rounded numbers adds to exact ranges.
pub struct Rounding<'a> {
    /// The distance of two numbers.
    pub unit: f64,
    /// By how much a weight of magnitude 1 may be off.
    pub weight: f64,
    /// The part of a range over which a function is computed, beyond which it stays what it is;
    /// nothing where it is not defined on the range.
    pub domain: &'a dyn Fn(Function, Range) -> Option<Range>,
}

impl Rounding<'_> {
    /// By how much a weight may be off that is at most so large.
    pub(crate) fn of_weights(&self, largest: f32) -> f64 {
        f64::from(largest) * self.weight
    }
}

/// An operand, as far as ranges are concerned.
pub(crate) struct Operand<'a> {
    /// Its shape.
    pub(crate) shape: &'a [usize],
    /// The range of each channel: of each index along the last axis.
    pub(crate) channels: &'a [Range],
    /// What it is, if it is a constant.
    pub(crate) constant: Option<&'a Array>,
    /// What the float model allows it to be.
    pub(crate) image: Range,
}

/// What an operation makes ranges of.
pub(crate) struct Operands<'a> {
    /// The operands.
    pub(crate) all: &'a [Operand<'a>],
    /// Whether the first two are one value.
    pub(crate) same: bool,
    /// The channels of the result.
    pub(crate) channels: usize,
    /// What rounding adds.
    pub(crate) rounding: &'a Rounding<'a>,
}

impl<'a> Operands<'a> {
    /// The channels of the first operand.
    pub(crate) fn first(&self) -> &'a [Range] {
        self.of(0)
    }

    /// The channels of an operand.
    pub(crate) fn of(&self, operand: usize) -> &'a [Range] {
        self.all.get(operand).map_or(&[], |o| o.channels)
    }

    /// The range of all channels of an operand.
    pub(crate) fn whole(&self, operand: usize) -> Range {
        Range::of_all(self.of(operand))
    }

    /// The constant that an operand is.
    pub(crate) fn constant(&self, operand: usize) -> Option<&'a Array> {
        self.all.get(operand).and_then(|o| o.constant)
    }

    /// The shape of an operand.
    pub(crate) fn shape(&self, operand: usize) -> &'a [usize] {
        self.all.get(operand).map_or(&[], |o| o.shape)
    }

    /// What the float model allows an operand to be.
    pub(crate) fn image(&self, operand: usize) -> Range {
        self.all.get(operand).map_or(Range::ALL, |o| o.image)
    }

    /// The same of every channel of the first operand.
    pub(crate) fn each(&self, f: impl Fn(Range) -> Range) -> Vec<Range> {
        self.first().iter().map(|&r| f(r)).collect()
    }

    /// One range for all channels of the result.
    pub(crate) fn filled(&self, range: Range) -> Vec<Range> {
        vec![range; self.channels]
    }

    /// The ranges of what cannot be computed.
    pub(crate) fn nothing(&self) -> Vec<Range> {
        self.filled(Range::EMPTY)
    }
}

/// The ranges of all nodes, by id, where the inputs take values in these ranges, in numbers that
/// are rounded so. A constant has the range of its elements. Nodes of operations that cannot be
/// computed in such numbers have an empty range.
///
/// Ranges are kept for each channel (the last axis) while they are computed.
pub fn intervals(graph: &Graph, inputs: &[Range], rounding: &Rounding<'_>) -> Vec<Range> {
    let mut channels: Vec<Vec<Range>> = Vec::with_capacity(graph.nodes.len());
    let mut given = inputs.iter();
    let images = images(graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        let last = node.shape.last().copied().unwrap_or(1);
        let ranges = match &node.op {
            Op::Input => {
                let at = graph.inputs.iter().position(|id| id.0 == index);
                let range = at.and_then(|at| inputs.get(at)).or_else(|| given.next());
                vec![range.map_or(Range::EMPTY, |r| r.grown(rounding.unit)); last]
            }
            Op::Constant(array) => of_constant(array),
            op => {
                let operand = |id: &crate::NodeId| Operand {
                    shape: &graph.node(*id).shape,
                    channels: &channels[id.0],
                    constant: graph.constant(*id),
                    image: images[id.0],
                };
                let all: Vec<Operand<'_>> = node.inputs.iter().map(operand).collect();
                let same = node.inputs.first() == node.inputs.get(1);
                op.interval(&Operands { all: &all, same, channels: last, rounding })
            }
        };
        channels.push(ranges);
    }
    channels.iter().map(|c| Range::of_all(c)).collect()
}

/// What the values of every node may be whatever the inputs are, by id, in exact numbers: what operations
/// allow their results to be (a comparison is 0 or 1), and what follows from that. None where it takes an
/// input's range to say, and where neither the node is `wanted` nor one that is follows from it.
pub fn sure(graph: &Graph, wanted: &[bool]) -> Vec<Option<Range>> {
    let images = images(graph);
    let mut needed = wanted.to_vec();
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if needed[index] {
            node.inputs.iter().for_each(|id| needed[id.0] = true);
        }
    }
    let exact = Rounding { unit: 0.0, weight: 0.0, domain: &|_, operand| Some(operand) };
    let finite = |r: &Range| r.low.is_finite() && r.high.is_finite();
    let mut known: Vec<Option<Vec<Range>>> = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let last = node.shape.last().copied().unwrap_or(1);
        let image = Some(images[index]).filter(finite);
        if !needed[index] {
            known.push(None);
            continue;
        }
        let operands: Option<Vec<&Vec<Range>>> = node.inputs.iter().map(|id| known[id.0].as_ref()).collect();
        let ranges = match (&node.op, operands) {
            (Op::Constant(array), _) => Some(of_constant(array)),
            (Op::Input, _) | (_, None) => image.map(|image| vec![image; last]),
            (op, Some(operands)) => {
                let mut all = Vec::with_capacity(operands.len());
                for (id, channels) in node.inputs.iter().zip(operands) {
                    let (shape, constant) = (&graph.node(*id).shape, graph.constant(*id));
                    all.push(Operand { shape, channels, constant, image: images[id.0] });
                }
                let same = node.inputs.first() == node.inputs.get(1);
                let ranges = op.interval(&Operands { all: &all, same, channels: last, rounding: &exact });
                Some(ranges).filter(|ranges| ranges.iter().all(finite))
            }
        };
        known.push(ranges);
    }
    known.iter().map(|ranges| ranges.as_ref().map(|ranges| Range::of_all(ranges))).collect()
}

fn of_constant(array: &Array) -> Vec<Range> {
    let n = array.shape.last().copied().unwrap_or(1).max(1);
    let mut ranges = vec![Range::EMPTY; n];
    for row in array.data.chunks(n) {
        for (range, &v) in ranges.iter_mut().zip(row) {
            *range = range.union(Range::point(v.into()));
        }
    }
    ranges
}

//! Numbers on a grid, as quantised models have them: integers, which stand for a distance from a zero in
//! steps of a scale.
//!
//! Numbers that are put on a grid and taken from it again stand for themselves: fixed point is a grid
//! already, and a finer one. So what is taken from a grid that it was put on is what it was before; of a
//! grid that begins at zero it is that, or zero: a ReLU that was left to the grid. What such a grid could
//! not hold is not cut off beyond that: its ends are where calibration has seen no more.

use cryptflow_ring::Movement;

use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::{Activation, Arithmetic, Array, Function, NodeId, Op, Pool, Pooling};

/// The steps of a grid: how long they are, and the integer that stands for zero, which is 0 where none is
/// given. Both are a number, or one for each index along `axis`, or for each block along it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) scale: NodeId,
    pub(crate) zero: Option<NodeId>,
    pub(crate) axis: i64,
}

/// Numbers to the nearest point of a grid, as its integers within these limits.
pub(crate) fn on_grid(
    c: &mut Builder<'_>,
    x: NodeId,
    grid: Grid,
    [low, high]: [f32; 2],
) -> Result<NodeId, Fault> {
    let shape = c.shape(x).to_vec();
    let scale = along_axis(c, grid.scale, &shape, grid.axis)?;
    let zero = match grid.zero {
        Some(zero) => along_axis(c, zero, &shape, grid.axis)?,
        None => c.add_numbered_constant(Array::scalar(0.0)),
    };
    let steps = c.add_numbered(Arithmetic::Div, &[x, scale])?;
    let steps = c.add_numbered(Function::ROUND, &[steps])?;
    let placed = c.add_numbered(Arithmetic::Add, &[steps, zero])?;
    let low = c.add_numbered_constant(Array::scalar(low));
    let placed = c.add_numbered(Arithmetic::Maximum, &[placed, low])?;
    let high = c.add_numbered_constant(Array::scalar(high));
    c.add_numbered(Arithmetic::Minimum, &[placed, high])
}

/// The numbers that integers on a grid stand for.
pub(crate) fn off_grid(c: &mut Builder<'_>, x: NodeId, grid: Grid) -> Result<NodeId, Fault> {
    if let Some(x) = as_before(c, x, grid)? {
        return Ok(x);
    }
    let shape = c.shape(x).to_vec();
    let mut steps = x;
    if let Some(zero) = grid.zero.filter(|&zero| !is_nothing(c, zero)) {
        let zero = along_axis(c, zero, &shape, grid.axis)?;
        steps = c.add_numbered(Arithmetic::Sub, &[x, zero])?;
    }
    let scale = along_axis(c, grid.scale, &shape, grid.axis)?;
    c.add_numbered(Arithmetic::Mul, &[steps, scale])
}

/// Whether a constant is zero everywhere.
fn is_nothing(c: &Builder<'_>, id: NodeId) -> bool {
    c.constant_of(id).is_some_and(|zero| zero.data.iter().all(|&v| v == 0.0))
}

/// A number, or numbers along an axis or for blocks along it, in a shape that broadcasts to this one.
fn along_axis(c: &mut Builder<'_>, x: NodeId, shape: &[usize], axis: i64) -> Result<NodeId, Fault> {
    let own = c.shape(x).to_vec();
    match own.as_slice() {
        [] | [1] => c.reshape(Vec::new(), x),
        &[n] => {
            let axis = crate::value::axis(axis, shape.len())?;
            if shape[axis] != n {
                return Err(format!("has {n} scales for an axis of {}", shape[axis]).into());
            }
            c.reshape((0..shape.len()).map(|a| if a == axis { n } else { 1 }).collect(), x)
        }
        several => {
            let axis = crate::value::axis(axis, shape.len())?;
            let others =
                several.len() == shape.len() && (0..shape.len()).all(|a| a == axis || several[a] == shape[a]);
            if !others || several[axis] == 0 {
                return Err(format!("has scales of the shape {several:?} for {shape:?}").into());
            }
            let block = shape[axis].div_ceil(several[axis]);
            let indices = (0..shape[axis]).map(|i| i / block).collect();
            c.move_elements(Movement::Gather { axis, indices }, x)
        }
    }
}

/// Numbers that were put on the grid that they are taken from, and only moved there: what they were before.
fn as_before(c: &mut Builder<'_>, x: NodeId, grid: Grid) -> Result<Option<NodeId>, Fault> {
    let mut moved = Vec::new();
    let mut at = x;
    let (before, low) = loop {
        if let Some(found) = put_on(c, at, grid) {
            break found;
        }
        let node = c.graph.node(at);
        match (&node.op, node.inputs.as_slice()) {
            (Op::Identity, &[operand]) => at = operand,
            // A border of zeros is none on a grid.
            (Op::Movement(Movement::Pad { .. }), _) => return Ok(None),
            (Op::Movement(_) | Op::Pool(Pool { kind: Pooling::Max, .. }), &[operand]) => {
                moved.push(node.op.clone());
                at = operand;
            }
            // Whatever else there is computes with integers.
            _ => return Ok(None),
        }
    };
    let mut real = before;
    if low && !is_positive(c, before) {
        real = c.add_numbered(Activation::Relu, &[before])?;
    }
    for op in moved.into_iter().rev() {
        real = c.add_numbered(op, &[real])?;
    }
    Ok(Some(real))
}

/// What was put on a grid to become this value, if it is the same grid, and whether that begins at zero.
fn put_on(c: &Builder<'_>, id: NodeId, grid: Grid) -> Option<(NodeId, bool)> {
    let number = |id: NodeId| c.number_of(id);
    let of = |id: NodeId, op: Op| match (c.graph.node(id), c.graph.node(id).inputs.as_slice()) {
        (node, &[a, b]) if node.op == op => Some((a, b)),
        // It is something else.
        _ => None,
    };
    let (placed, _) = of(id, Arithmetic::Minimum.into())?;
    let (placed, low) = of(placed, Arithmetic::Maximum.into())?;
    let (rounded, zero) = of(placed, Arithmetic::Add.into())?;
    let node = c.graph.node(rounded);
    let &[steps] = node.inputs.as_slice() else { return None };
    if node.op != Op::Function(Function::ROUND) {
        return None;
    }
    let (before, scale) = of(steps, Arithmetic::Div.into())?;
    let asked = grid.zero.map_or(Some(0.0), number)?;
    let same = number(scale)? == number(grid.scale)? && number(zero)? == asked;
    same.then_some((before, number(low)? == asked))
}

/// Whether a value is known not to be negative.
fn is_positive(c: &Builder<'_>, id: NodeId) -> bool {
    let node = c.graph.node(id);
    match &node.op {
        Op::Activation(_) => true,
        Op::Function(function) => *function == Function::SIGMOID,
        Op::Identity | Op::Movement(_) | Op::Pool(_) => node.inputs.iter().all(|&i| is_positive(c, i)),
        // Of others it is not asked.
        _ => false,
    }
}

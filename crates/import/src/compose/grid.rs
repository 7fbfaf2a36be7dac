//! Numbers on a grid, as quantised models have them: integers, which stand for a distance from a zero in
//! steps of a scale.
//!
//! Numbers that are put on a grid and taken from it again stand for themselves: fixed point is a grid
//! already, and a finer one. What is lost is what the grid does not reach: models leave a ReLU or a ReLU6 to the
//! ends of their grids. So what is taken from a grid that it was put on is what it was before, cut off at the
//! grid's ends. An end goes where what comes before never gets farther beyond it than a step, which is no more
//! than rounding to the grid does; the passes merge the limits that are left with others beside them.

use cryptflow_ring::Movement;

use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::ranges::reach;
use cryptflow_graph::{Arithmetic, Array, Function, NodeId, Op, Pool, Pooling};

/// The steps of a grid: how long they are, and the integer that stands for zero, which is 0 where none is
/// given. Both are a number, or one for each index along `axis`, or for each block along it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) scale: NodeId,
    pub(crate) zero: Option<NodeId>,
    pub(crate) axis: i64,
}

/// How many steps numbers may lie beyond the end of a grid for that to be rounding: one, computed in single precision.
const SLACK: f64 = 1.001;

/// Numbers to the nearest point of a grid, as its integers within these limits.
pub(crate) fn on_grid(c: &mut Builder<'_>, x: NodeId, grid: Grid, limits: [f32; 2]) -> Result<NodeId, Fault> {
    let shape = c.shape(x).to_vec();
    let scale = along_axis(c, grid.scale, &shape, grid.axis)?;
    let zero = match grid.zero {
        Some(zero) => along_axis(c, zero, &shape, grid.axis)?,
        None => c.add_numbered_constant(Array::scalar(0.0)),
    };
    // What is taken from the grid again. It stands right before the division, where `put_on` finds it.
    let real = cut_off(c, x, [scale, zero], limits)?;
    let name = format!("{}{WITHIN}", c.name);
    c.add_as(name, Op::Identity, &[real])?;
    // What nothing takes from it: a layer before divides, and integers are cut off.
    let steps = c.add_numbered(Arithmetic::Div, &[x, scale])?;
    let steps = c.add_numbered(Function::ROUND, &[steps])?;
    let mut placed = c.add_numbered(Arithmetic::Add, &[steps, zero])?;
    for (limit, op) in limits.into_iter().zip([Arithmetic::Maximum, Arithmetic::Minimum]) {
        let limit = c.add_numbered_constant(Array::scalar(limit));
        placed = c.add_numbered(op, &[placed, limit])?;
    }
    Ok(placed)
}

/// How the name ends of the numbers that are put on a grid, cut off at its ends.
const WITHIN: &str = "/within";

/// Numbers cut off at the ends of a grid, as far as they may lie beyond these.
fn cut_off(
    c: &mut Builder<'_>,
    x: NodeId,
    [scale, zero]: [NodeId; 2],
    limits: [f32; 2],
) -> Result<NodeId, Fault> {
    let reach = reach(c.graph, x);
    let mut ends = Vec::with_capacity(2);
    for limit in limits {
        let limit = c.add_numbered_constant(Array::scalar(limit));
        let distance = c.add_numbered(Arithmetic::Sub, &[limit, zero])?;
        ends.push(c.add_numbered(Arithmetic::Mul, &[distance, scale])?);
    }
    let steps = c.constant_of(scale).map(|steps| steps.data.to_vec());
    // Whether the numbers get so far beyond an end, on this side of it, that it is not rounding.
    let cuts = |end: NodeId, beyond: &dyn Fn(f64) -> f64| match (c.constant_of(end), &steps) {
        (Some(end), Some(steps)) => {
            // There is an end for each step, or one step for all.
            let far = |(&end, &step): (&f32, &f32)| beyond(end.into()) > SLACK * f64::from(step);
            end.data.iter().zip(steps.iter().cycle()).any(far)
        }
        // What is not known when importing may be anywhere.
        (None, _) | (_, None) => true,
    };
    let low = cuts(ends[0], &|end| end - reach.low);
    let high = cuts(ends[1], &|end| reach.high - end);
    let [from, to] = [0, 1].map(|i| c.number_of(ends[i]));
    if let (Some(from), Some(to)) = (from, to)
        && from < to
    {
        return super::within(c, x, low.then_some(from), high.then_some(to));
    }
    let mut cut = x;
    if low {
        cut = c.add_numbered(Arithmetic::Maximum, &[cut, ends[0]])?;
    }
    if high {
        cut = c.add_numbered(Arithmetic::Minimum, &[cut, ends[1]])?;
    }
    Ok(cut)
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
    if c.constant_of(x).is_some() {
        return Ok(None);
    }
    let shape = c.shape(x).to_vec();
    let scale = along_axis(c, grid.scale, &shape, grid.axis)?;
    let zero = match grid.zero {
        Some(zero) => along_axis(c, zero, &shape, grid.axis)?,
        None => c.add_numbered_constant(Array::scalar(0.0)),
    };
    let asked = [scale, zero];
    let mut moved = Vec::new();
    let mut at = x;
    let mut real = loop {
        // Numbers of several grids that moved are on these no more.
        if let Some((before, own)) = put_on(c, at)
            && own.iter().zip(&asked).all(|(own, asked)| alike(c, *own, *asked, moved.is_empty()))
        {
            break before;
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
    for op in moved.into_iter().rev() {
        real = c.add_numbered(op, &[real])?;
    }
    Ok(Some(real))
}

/// What was put on a grid to become this value, cut off at its ends, and that grid's scale and zero.
fn put_on(c: &Builder<'_>, id: NodeId) -> Option<(NodeId, [NodeId; 2])> {
    let of = |id: NodeId, op: Op| match (c.graph.node(id), c.graph.node(id).inputs.as_slice()) {
        (node, &[a, b]) if node.op == op => Some((a, b)),
        // It is something else.
        _ => None,
    };
    let (placed, _) = of(id, Arithmetic::Minimum.into())?;
    let (placed, _) = of(placed, Arithmetic::Maximum.into())?;
    let (rounded, zero) = of(placed, Arithmetic::Add.into())?;
    let node = c.graph.node(rounded);
    let &[steps] = node.inputs.as_slice() else { return None };
    if node.op != Op::Function(Function::ROUND) {
        return None;
    }
    let (_, scale) = of(steps, Arithmetic::Div.into())?;
    let real = NodeId(steps.0.checked_sub(1)?);
    let node = c.graph.node(real);
    let grid = node.name.strip_suffix(WITHIN).filter(|_| node.op == Op::Identity)?;
    c.graph.node(steps).name.starts_with(grid).then_some((real, [scale, zero]))
}

/// Whether two constants are the same number, or the same numbers along an axis where that counts.
fn alike(c: &Builder<'_>, a: NodeId, b: NodeId, several: bool) -> bool {
    match (c.constant_of(a), c.constant_of(b)) {
        (Some(a), Some(b)) if several && a.data.len() > 1 => a == b,
        (Some(a), Some(b)) => a.data.len() == 1 && a.data == b.data,
        // What is computed may be anything.
        (None, _) | (_, None) => false,
    }
}

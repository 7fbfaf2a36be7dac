//! What takes some rows of a result goes before what computes each row by itself: a classifier that looks at the first
//! token alone needs one row of its last layer, not all of them.

use cryptflow_ring::Movement;

use super::PassReport;
use cryptflow_graph::{Activation, Arithmetic, Graph, Linear, Node, NodeId, Op, Reduce};

/// Moves picks (slices and gathers along one axis) that leave fewer elements before the operations that they follow, as
/// long as nothing else uses what these compute.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("picks before rows");
    // What moves goes to operands, which come before: one walk from the end takes it all the way.
    let mut changed = true;
    while changed {
        changed = false;
        let uses = graph.uses();
        for index in (0..uses.len()).rev() {
            let Some(pick) = picked_by_all(graph, &uses, NodeId(index)) else { continue };
            let Some(operands) = moved_before(graph, NodeId(index), &pick) else { continue };
            let node = graph.node(NodeId(index));
            let name = node.name.clone();
            report.changed(&name, format!("is computed for {} of {} alone", pick.indices.len(), pick.of));
            apply(graph, &uses[index], NodeId(index), &pick, operands);
            changed = true;
            // Who uses what has changed.
            break;
        }
        if changed {
            graph.restore_order();
        }
    }
    report
}

/// Some elements of one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pick {
    axis: usize,
    indices: Vec<usize>,
    /// How many elements the axis has.
    of: usize,
}

impl Pick {
    /// The pick that a node is, where it leaves fewer elements than there are.
    fn of(graph: &Graph, id: NodeId) -> Option<Pick> {
        let node = graph.node(id);
        let shape = &graph.node(*node.inputs.first()?).shape;
        let pick = match &node.op {
            Op::Movement(Movement::Gather { axis, indices }) => {
                Pick { axis: *axis, indices: indices.clone(), of: *shape.get(*axis)? }
            }
            Op::Movement(Movement::Slice { begin, size, stride }) => {
                let mut cut = (0..shape.len()).filter(|&i| size[i] != shape[i] || stride[i] != 1);
                let axis = cut.next()?;
                if cut.next().is_some() {
                    return None;
                }
                let at = |i: usize| begin[axis].checked_add_signed(stride[axis] * i as isize);
                Pick { axis, indices: (0..size[axis]).map(at).collect::<Option<_>>()?, of: shape[axis] }
            }
            // Nothing else takes some elements and leaves the others.
            _ => return None,
        };
        (pick.indices.len() < pick.of).then_some(pick)
    }

    fn along(&self, axis: usize) -> Pick {
        Pick { axis, ..self.clone() }
    }

    fn movement(&self) -> Movement {
        Movement::Gather { axis: self.axis, indices: self.indices.clone() }
    }
}

/// The pick that all users of a value are, where it is no output.
fn picked_by_all(graph: &Graph, uses: &[Vec<NodeId>], id: NodeId) -> Option<Pick> {
    let users = uses.get(id.0)?;
    let first = Pick::of(graph, *users.first()?)?;
    let alike = users.iter().all(|&user| Pick::of(graph, user).as_ref() == Some(&first));
    (alike && !graph.outputs.contains(&id)).then_some(first)
}

/// For each operand of an operation what is picked of it, nothing where it stays; none where the operation does not
/// compute what is picked by itself.
fn moved_before(graph: &Graph, id: NodeId, pick: &Pick) -> Option<Vec<Option<Pick>>> {
    let node = graph.node(id);
    let rank = node.shape.len();
    let shapes: Vec<&[usize]> = node.inputs.iter().map(|&i| graph.node(i).shape.as_slice()).collect();
    let first = *shapes.first()?;
    // Of an operand that is broadcast along the axis, all is needed.
    let broadcast = |shape: &[usize]| {
        let axis = (pick.axis + shape.len()).checked_sub(rank)?;
        (shape[axis] == pick.of).then(|| pick.along(axis))
    };
    let of_first = |axis: usize| {
        let mut all = vec![None; shapes.len()];
        all[0] = Some(pick.along(axis));
        all
    };
    let last = pick.axis + 1 == rank;
    match &node.op {
        Op::Function(_)
        | Op::Identity
        | Op::Activation(Activation::Relu | Activation::ClippedRelu { .. }) => Some(of_first(pick.axis)),
        Op::Activation(Activation::Softmax) if !last => Some(of_first(pick.axis)),
        Op::Activation(Activation::MaskedSoftmax) if !last => {
            Some(shapes.iter().map(|shape| broadcast(shape)).collect())
        }
        Op::Arithmetic(
            Arithmetic::Add
            | Arithmetic::Sub
            | Arithmetic::Mul
            | Arithmetic::Div
            | Arithmetic::Maximum
            | Arithmetic::Minimum,
        ) => Some(shapes.iter().map(|shape| broadcast(shape)).collect()),
        Op::Linear(Linear::Scale | Linear::BatchNorm { .. }) if !last => Some(of_first(pick.axis)),
        // Rows of the left factor; a matrix on the right serves all of them.
        Op::Linear(Linear::MatMul { transpose_a: false, .. })
            if pick.axis + 2 == rank && first.len() == rank =>
        {
            Some(of_first(pick.axis))
        }
        Op::Reduce(Reduce { axes, keep_dims, .. }) => {
            let kept: Vec<usize> =
                (0..first.len()).filter(|axis| *keep_dims || !axes.contains(axis)).collect();
            let axis = *kept.get(pick.axis)?;
            (!axes.contains(&axis)).then(|| of_first(axis))
        }
        Op::Movement(Movement::Transpose { permutation }) => Some(of_first(*permutation.get(pick.axis)?)),
        Op::Movement(Movement::Reshape { .. }) => {
            let before: usize = node.shape[..pick.axis].iter().product();
            let axis = (0..first.len())
                .find(|&axis| first[..axis].iter().product::<usize>() == before && first[axis] == pick.of)?;
            Some(of_first(axis))
        }
        // What is picked is not computed by itself, or picking first saves nothing.
        _ => None,
    }
}

/// Puts the picks before an operation, and what uses it behind it as it is.
fn apply(graph: &mut Graph, users: &[NodeId], id: NodeId, pick: &Pick, operands: Vec<Option<Pick>>) {
    let name = graph.node(id).name.clone();
    let mut inputs = graph.node(id).inputs.clone();
    for (at, picked) in operands.into_iter().enumerate() {
        let Some(picked) = picked else { continue };
        // One pick of an operand that is there twice.
        if let Some(same) = (0..at).find(|&before| graph.node(id).inputs[before] == graph.node(id).inputs[at])
        {
            inputs[at] = inputs[same];
            continue;
        }
        let mut shape = graph.node(inputs[at]).shape.clone();
        shape[picked.axis] = picked.indices.len();
        let op = Op::Movement(picked.movement());
        let node = Node { name: format!("{name}/picked_{at}"), op, inputs: vec![inputs[at]], shape };
        inputs[at] = graph.push(node);
    }
    let node = &mut graph.nodes[id.0];
    node.inputs = inputs;
    node.shape[pick.axis] = pick.indices.len();
    if let Op::Movement(Movement::Reshape { shape }) = &mut node.op {
        shape.clone_from(&node.shape);
    }
    for user in users {
        graph.nodes[user.0].op = Op::Identity;
    }
}

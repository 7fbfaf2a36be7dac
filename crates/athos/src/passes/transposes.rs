//! Transposes move behind the operations that they stand before, until they meet one that undoes
//! them.
//!
//! A model with channels first has a transpose before and behind every layer of pictures.
//! Element-wise operations, concatenations, paddings, slices and reductions give the same elements
//! whatever the order of the axes is: a transpose that comes before one can come behind it. Two
//! that meet become one, or none.

use std::collections::HashMap;

use cryptflow_ring::Movement;

use super::PassReport;
use cryptflow_graph::operations::{self, BeforeTranspose};
use cryptflow_graph::{Array, Graph, Node, NodeId, Op};

/// Moves transposes behind the nodes that use them. A node whose transpose moved keeps its name,
/// though the order of its axes is another one; the transpose behind it is called after it.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut pass = Pass { report: PassReport::new("transposes"), known: HashMap::new() };
    // In order, so that a transpose moves as far as it can in one walk. What is appended has been
    // looked at already.
    for i in 0..graph.nodes.len() {
        let inputs = graph.nodes[i].inputs.iter().map(|&o| behind_identities(graph, o)).collect();
        graph.nodes[i].inputs = inputs;
        pass.node(graph, NodeId(i));
    }
    graph.restore_order();
    pass.report
}

struct Pass {
    report: PassReport,
    /// The transposes that there are, by operand and permutation.
    known: HashMap<(NodeId, Vec<usize>), NodeId>,
}

/// What a chain of identities passes on.
fn behind_identities(graph: &Graph, id: NodeId) -> NodeId {
    let mut id = id;
    while let (Op::Identity, [operand]) = (&graph.node(id).op, graph.node(id).inputs.as_slice()) {
        id = *operand;
    }
    id
}

/// The operand and the permutation of a transpose.
fn transpose(graph: &Graph, id: NodeId) -> Option<(NodeId, &[usize])> {
    match (&graph.node(id).op, graph.node(id).inputs.as_slice()) {
        (Op::Movement(Movement::Transpose { permutation }), &[operand]) => Some((operand, permutation)),
        // No other operation is a transpose.
        _ => None,
    }
}

fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (i, &p) in permutation.iter().enumerate() {
        inverse[p] = i;
    }
    inverse
}

/// Whether only axes of length 1 change their places, so that no element does.
fn moves_no_element(shape: &[usize], permutation: &[usize]) -> bool {
    permutation.iter().filter(|&&p| shape[p] != 1).is_sorted()
}

/// Numbers for the axes of a transposed tensor, as numbers for those of its operand.
fn before<T: Copy>(numbers: &[T], permutation: &[usize]) -> Option<Vec<T>> {
    inverse(permutation).into_iter().map(|i| numbers.get(i).copied()).collect()
}

impl Pass {
    fn node(&mut self, graph: &mut Graph, id: NodeId) {
        let node = graph.node(id);
        if let Op::Movement(Movement::Transpose { permutation }) = &node.op {
            let permutation = permutation.clone();
            return self.transpose(graph, id, permutation);
        }
        if let (Op::Movement(Movement::Reshape { .. }), [operand]) = (&node.op, node.inputs.as_slice()) {
            if let Some((x, permutation)) = transpose(graph, *operand)
                && moves_no_element(&graph.node(x).shape, permutation)
            {
                self.report
                    .changed(&node.name, "takes what the transpose before it takes: it moves no element");
                graph.nodes[id.0].inputs = vec![x];
            }
            return;
        }
        let candidates: Vec<Vec<usize>> =
            node.inputs.iter().filter_map(|&o| Some(transpose(graph, o)?.1.to_vec())).collect();
        for permutation in candidates {
            if let Some(moved) = self.moved(graph, id, &permutation) {
                self.report.changed(&graph.node(id).name, "its transpose moved behind it");
                self.replace(graph, id, moved);
                return;
            }
        }
    }

    /// A transpose: of a transpose, of a reshape, or one that is there already.
    fn transpose(&mut self, graph: &mut Graph, id: NodeId, mut permutation: Vec<usize>) {
        let name = graph.node(id).name.clone();
        let Some(&operand) = graph.node(id).inputs.first() else { return };
        let mut operand = operand;
        if let Some((x, first)) = transpose(graph, operand) {
            permutation = permutation.iter().map(|&p| first[p]).collect();
            operand = x;
            self.report.changed(&name, "joined with the transpose before it");
            graph.nodes[id.0].op = Op::Movement(Movement::Transpose { permutation: permutation.clone() });
            graph.nodes[id.0].inputs = vec![x];
        }
        let from = &graph.node(operand).shape;
        if permutation.is_sorted() {
            graph.nodes[id.0].op = Op::Identity;
        } else if let Op::Movement(Movement::Reshape { .. }) = graph.node(operand).op
            && moves_no_element(from, &permutation)
        {
            self.report.changed(&name, "becomes a reshape: it moves no element");
            let shape = graph.node(id).shape.clone();
            graph.nodes[id.0].op = Op::Movement(Movement::Reshape { shape });
        } else if let Some(&other) = self.known.get(&(operand, permutation.clone())) {
            self.report.changed(&name, format!("{} is the same", graph.node(other).name));
            graph.nodes[id.0].op = Op::Identity;
            graph.nodes[id.0].inputs = vec![other];
        } else {
            self.known.insert((operand, permutation), id);
        }
    }

    /// The same node before the transpose, and the permutation that is then behind it; nothing
    /// where that cannot be.
    fn moved(&self, graph: &mut Graph, id: NodeId, p: &[usize]) -> Option<Moved> {
        let node = graph.node(id);
        let mut inputs = node.inputs.clone();
        let BeforeTranspose { op, operands, permutation } = node.op.before_transpose(p, node.shape.len())?;
        match operands {
            operations::Moved::First => {
                let first = inputs.first_mut()?;
                *first = transpose(graph, *first)?.0;
            }
            operations::Moved::All { broadcast } => inputs = self.operands(graph, &inputs, p, broadcast)?,
        }
        Some(Moved { op, inputs, permutation })
    }

    /// The operands before the transpose: what is transposed in the same way, constants, and what
    /// is there in the other order already.
    fn operands(
        &self,
        graph: &mut Graph,
        inputs: &[NodeId],
        p: &[usize],
        broadcasts: bool,
    ) -> Option<Vec<NodeId>> {
        let back = inverse(p);
        let mut constants = Vec::new();
        let mut operands = Vec::with_capacity(inputs.len());
        for (i, &input) in inputs.iter().enumerate() {
            let node = graph.node(input);
            let found = match (transpose(graph, input), &node.op) {
                (Some((x, permutation)), _) if permutation == p => x,
                // A single element is the same in every order.
                _ if broadcasts && node.shape.iter().all(|&n| n == 1) => input,
                (_, Op::Constant(array)) => {
                    constants.push((i, node.name.clone(), reordered(array, p, broadcasts)?));
                    input
                }
                // Whatever it is: only if it is known in this order already, and the node is not of both
                // orders: each would take the other's place, for ever.
                _ => *self.known.get(&(input, back.clone())).filter(|known| !inputs.contains(known))?,
            };
            operands.push(found);
        }
        for (i, name, array) in constants {
            operands[i] = graph.add_constant(name, array);
        }
        Some(operands)
    }

    /// Puts a node before its transpose; where no transpose is left, the node itself changes.
    fn replace(&mut self, graph: &mut Graph, id: NodeId, moved: Moved) {
        let Moved { op, inputs, permutation } = moved;
        if permutation.is_sorted() {
            let node = &mut graph.nodes[id.0];
            (node.op, node.inputs) = (op, inputs);
            return;
        }
        let node = graph.node(id);
        let (name, shape) = (node.name.clone(), before(&node.shape, &permutation).unwrap_or_default());
        let operand = graph.push(Node { name: name.clone(), op, inputs, shape });
        self.known.insert((operand, permutation.clone()), id);
        let node = &mut graph.nodes[id.0];
        node.name = format!("{name}/transposed");
        node.op = Op::Movement(Movement::Transpose { permutation });
        node.inputs = vec![operand];
    }
}

/// A node before its transpose.
struct Moved {
    op: Op,
    inputs: Vec<NodeId>,
    /// The transpose behind it.
    permutation: Vec<usize>,
}

/// A constant as it is before the transpose. Where it broadcasts, missing axes are in front, and
/// stay away.
fn reordered(array: &Array, p: &[usize], broadcasts: bool) -> Option<Array> {
    let missing = p.len().checked_sub(array.shape.len())?;
    if missing > 0 && !broadcasts {
        return None;
    }
    let mut shape = vec![1; missing];
    shape.extend(&array.shape);
    let whole = Array { shape, data: array.data.clone() };
    let order = Op::Movement(Movement::Transpose { permutation: inverse(p) });
    let mut result = order.evaluate(&[&whole]).ok()?;
    if broadcasts {
        let leading = result.shape.iter().take_while(|&&n| n == 1).count();
        result.shape.drain(..leading);
    }
    Some(result)
}

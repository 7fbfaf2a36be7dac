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
                // Whatever it is: only if it is known in this order already.
                _ => *self.known.get(&(input, back.clone()))?,
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

#[cfg(test)]
mod tests {
    use cryptflow_ring::Window;

    use super::super::{harness, optimise};
    use super::*;
    use cryptflow_graph::{Activation, Arithmetic, Function, Linear, Order, Reduce, Reduction};

    fn order(permutation: &[usize]) -> Op {
        Op::Movement(Movement::Transpose { permutation: permutation.to_vec() })
    }

    fn transposes(graph: &Graph) -> usize {
        graph.nodes.iter().filter(|n| matches!(n.op, Op::Movement(Movement::Transpose { .. }))).count()
    }

    const LAST: [usize; 4] = [0, 2, 3, 1];
    const FIRST: [usize; 4] = [0, 3, 1, 2];

    /// What each operation between two layers leaves: the transpose at the input, and those that it
    /// keeps.
    #[test]
    fn moves_behind_what_it_can() {
        let pad = Movement::Pad { before: vec![0, 0, 1, 2], after: vec![0, 1, 0, 1] };
        let slice =
            Movement::Slice { begin: vec![0, 1, 4, 0], size: vec![2, 2, 3, 2], stride: vec![1, 1, -1, 2] };
        let mean = |axes: &[usize], keep_dims| {
            Op::Reduce(Reduce { kind: Reduction::Mean, axes: axes.to_vec(), keep_dims })
        };
        let table: Vec<(&str, Op, Vec<Vec<usize>>, usize)> = vec![
            ("relu", Op::Activation(Activation::Relu), vec![], 0),
            ("function", Op::Function(Function::ABS), vec![], 0),
            ("sum with itself", Op::Arithmetic(Arithmetic::Add), vec![vec![0]], 0),
            ("bias", Op::Arithmetic(Arithmetic::Add), vec![vec![3, 1, 1]], 0),
            ("picture", Op::Arithmetic(Arithmetic::Mul), vec![vec![2, 3, 5, 6]], 0),
            ("row", Op::Arithmetic(Arithmetic::Sub), vec![vec![6]], 0),
            ("number", Op::Arithmetic(Arithmetic::Maximum), vec![vec![]], 0),
            ("concatenation", Op::Movement(Movement::Concat { axis: 1 }), vec![vec![2, 1, 5, 6]], 0),
            ("pad", Op::Movement(pad), vec![], 0),
            ("slice", Op::Movement(slice), vec![], 0),
            ("gathering", Op::Movement(Movement::Gather { axis: 2, indices: vec![4, 0, 0] }), vec![], 0),
            ("mean, kept", mean(&[2, 3], true), vec![], 0),
            ("mean of channels", mean(&[1], true), vec![], 0),
            ("softmax along rows", Op::Activation(Activation::Softmax), vec![], 2),
        ];
        for (what, op, constants, left) in table {
            let mut g = Graph::default();
            let x = g.add_input("x", vec![2, 5, 6, 3]);
            let first = g.add("first", order(&FIRST), &[x]).unwrap();
            let mut inputs = vec![first];
            for (i, shape) in constants.iter().enumerate() {
                inputs.push(if *shape == [0] {
                    first
                } else {
                    g.add_constant(format!("c{i}"), harness::Random(i as u64).array(shape))
                });
            }
            let y = g.add("y", op, &inputs).unwrap();
            let last = g.add("last", order(&LAST), &[y]).unwrap();
            g.add_output("last", last);
            let expected = harness::outputs(&g);
            run(&mut g);
            harness::check(&g);
            harness::same(&expected, &harness::outputs(&g));
            optimise(&mut g);
            harness::same(&expected, &harness::outputs(&g));
            assert_eq!(transposes(&g), left, "{what}");
        }
    }

    #[test]
    fn reductions_that_drop_axes_need_no_transpose() {
        for (op, left) in [
            (Op::Reduce(Reduce { kind: Reduction::Mean, axes: vec![2, 3], keep_dims: false }), 0),
            (Op::Reduce(Reduce { kind: Reduction::Sum, axes: vec![1], keep_dims: false }), 0),
            (Op::Reduce(Reduce { kind: Reduction::Max, axes: vec![0, 1], keep_dims: false }), 0),
            (Op::Reduce(Reduce { kind: Reduction::Min, axes: vec![2], keep_dims: false }), 1),
            (Op::Order(Order::ArgMax { axis: 1 }), 0),
        ] {
            let mut g = Graph::default();
            let x = g.add_input("x", vec![2, 5, 6, 3]);
            let first = g.add("first", order(&FIRST), &[x]).unwrap();
            let y = g.add("y", op.clone(), &[first]).unwrap();
            g.add_output("y", y);
            let expected = harness::outputs(&g);
            optimise(&mut g);
            harness::check(&g);
            harness::same(&expected, &harness::outputs(&g));
            assert_eq!(transposes(&g), left, "{op:?}");
        }
    }

    /// A residual block with channels first, whose input is used by a layer and by the shortcut.
    #[test]
    fn a_block_keeps_the_transpose_at_its_input() {
        let mut g = Graph::default();
        let mut x = g.add_input("x", vec![1, 4, 6, 6]);
        for block in 0..2 {
            let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [[0; 2]; 2] };
            let a = g.add(format!("in_{block}"), order(&LAST), &[x]).unwrap();
            let w = g.add_constant(format!("w_{block}"), harness::Random(block).array(&[1, 1, 4, 4]));
            let y = g.add(format!("conv_{block}"), Linear::Conv2d { window, groups: 1 }, &[a, w]).unwrap();
            let y = g.add(format!("out_{block}"), order(&FIRST), &[y]).unwrap();
            let y = g.add(format!("relu_{block}"), Activation::Relu, &[y]).unwrap();
            x = g.add(format!("sum_{block}"), Arithmetic::Add, &[x, y]).unwrap();
        }
        let mean =
            g.add("mean", Reduce { kind: Reduction::Mean, axes: vec![2, 3], keep_dims: true }, &[x]).unwrap();
        let flat = g.add("flat", Movement::Reshape { shape: vec![1, 4] }, &[mean]).unwrap();
        g.add_output("flat", flat);
        let expected = harness::outputs(&g);
        optimise(&mut g);
        harness::check(&g);
        harness::same(&expected, &harness::outputs(&g));
        assert_eq!(transposes(&g), 1);
    }
}

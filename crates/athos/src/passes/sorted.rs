//! The largest of several inside of a graph. At an output the client sorts what it opens; what other nodes use is
//! sorted by the parties: every element is compared with every other one, which says how many come before it.

use std::collections::HashMap;

use super::PassReport;
use cryptflow_graph::operations::OpError;
use cryptflow_graph::{Arithmetic, Array, Comparison, Graph, Linear, NodeId, Op, Order};
use cryptflow_ring::Movement;

/// The most comparisons that are written out.
const MOST: usize = 1 << 20;

/// A product of matrices as they are.
const PRODUCT: Linear = Linear::MatMul { transpose_a: false, transpose_b: false };

/// What is sorted: along an axis, so many, the largest or the smallest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Sorted {
    x: NodeId,
    axis: usize,
    k: usize,
    largest: bool,
}

/// Writes out the largest or smallest k of an axis, of more than one, where nodes use them or their places. One alone
/// is a maximum, which parties have.
pub fn run(graph: &mut Graph) -> PassReport {
    let mut report = PassReport::new("largest of several");
    let uses = graph.uses();
    let mut rows = HashMap::new();
    for (i, users) in uses.iter().enumerate() {
        let node = graph.node(NodeId(i));
        let (&Op::Order(Order::TopK { axis, k: k @ 2.., largest, indices }), &[x]) =
            (&node.op, node.inputs.as_slice())
        else {
            continue;
        };
        if users.iter().all(|&user| graph.node(user).op == Op::Identity) {
            continue;
        }
        let (name, shape) = (node.name.clone(), node.shape.clone());
        let of = graph.node(x).shape.clone();
        let (n, all) = (of[axis], of.iter().product::<usize>());
        let compared = (n.saturating_sub(1) / 2 + 1).checked_mul(all);
        if compared.is_none_or(|compared| compared > MOST) {
            report.leave(
                &name,
                format!("is not written out: each of {n} elements would be compared with each other one"),
            );
            continue;
        }
        let sorted = Sorted { x, axis, k, largest };
        let before = graph.nodes.len();
        match written_out(graph, &name, &shape, sorted, indices, &mut rows) {
            Ok((op, input)) => {
                report.changed(&name, format!("written out in {} operations", graph.nodes.len() - before));
                let node = &mut graph.nodes[i];
                (node.op, node.inputs) = (op, vec![input]);
            }
            Err(error) => report.leave(&name, error.to_string()),
        }
    }
    graph.restore_order();
    report
}

/// The last movement of the k best or of their places, and what it moves.
fn written_out(
    graph: &mut Graph,
    name: &str,
    shape: &[usize],
    sorted: Sorted,
    indices: bool,
    known: &mut HashMap<Sorted, (NodeId, NodeId)>,
) -> Result<(Op, NodeId), OpError> {
    let (flat, chosen) = match known.get(&sorted) {
        Some(&found) => found,
        None => {
            let found = rows(graph, name, sorted)?;
            known.insert(sorted, found);
            found
        }
    };
    let Sorted { axis, k, .. } = sorted;
    let &[count, n] = graph.node(flat).shape.as_slice() else {
        return Err(OpError::Elements { shape: shape.to_vec(), given: 0 });
    };
    let best = if indices {
        let places = (0..n).map(|i| i as f32).collect();
        let places = graph.add_constant(format!("{name}/indices"), Array::new(vec![n, 1], places)?);
        let rows = Movement::Reshape { shape: vec![count * k, n] };
        let rows = graph.add(format!("{name}/rows"), rows, &[chosen])?;
        graph.add(format!("{name}/found"), PRODUCT, &[rows, places])?
    } else {
        let column = Movement::Reshape { shape: vec![count, n, 1] };
        let column = graph.add(format!("{name}/column"), column, &[flat])?;
        graph.add(format!("{name}/found"), PRODUCT, &[chosen, column])?
    };
    // The axis goes back from behind.
    let mut behind: Vec<usize> = shape.to_vec();
    behind.remove(axis);
    behind.push(k);
    let back = Movement::Reshape { shape: behind };
    let rank = shape.len();
    if axis + 1 == rank {
        return Ok((back.into(), best));
    }
    let best = graph.add(format!("{name}/behind"), back, &[best])?;
    let permutation = (0..axis).chain([rank - 1]).chain(axis..rank - 1).collect();
    Ok((Movement::Transpose { permutation }.into(), best))
}

/// What is sorted as rows `[count, n]`, and of each row k rows of n flags: which element has which place.
fn rows(graph: &mut Graph, name: &str, sorted: Sorted) -> Result<(NodeId, NodeId), OpError> {
    let Sorted { x, axis, k, largest } = sorted;
    let of = graph.node(x).shape.clone();
    let (n, rank) = (of[axis], of.len());
    let count = of.iter().product::<usize>() / n.max(1);
    let mut last = x;
    if axis + 1 < rank {
        let permutation = (0..rank).filter(|&a| a != axis).chain([axis]).collect();
        last = graph.add(format!("{name}/axis_last"), Movement::Transpose { permutation }, &[last])?;
    }
    let flat = graph.add(format!("{name}/flat"), Movement::Reshape { shape: vec![count, n] }, &[last])?;
    // Of each pair, whether the one that stands first comes first: of equal ones it does.
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|j| (j + 1..n).map(move |i| (j, i))).collect();
    let (firsts, seconds) = pairs.iter().copied().unzip();
    let first = Movement::Gather { axis: 1, indices: firsts };
    let first = graph.add(format!("{name}/first"), first, &[flat])?;
    let second = Movement::Gather { axis: 1, indices: seconds };
    let second = graph.add(format!("{name}/second"), second, &[flat])?;
    let comparison = if largest { Comparison::GreaterEqual } else { Comparison::LessEqual };
    let before = graph.add(format!("{name}/before"), Arithmetic::Compare(comparison), &[first, second])?;
    // The place of an element is the number of those before it: all that stand behind it, but for those that
    // it comes before.
    let mut sums = vec![0.0; pairs.len() * n];
    for (row, &(j, i)) in sums.chunks_exact_mut(n.max(1)).zip(&pairs) {
        (row[i], row[j]) = (1.0, -1.0);
    }
    let sums = graph.add_constant(format!("{name}/sums"), Array::new(vec![pairs.len(), n], sums)?);
    let counted = graph.add(format!("{name}/counted"), PRODUCT, &[before, sums])?;
    let behind = Array::vector((0..n).map(|i| (n - 1 - i) as f32).collect());
    let behind = graph.add_constant(format!("{name}/behind_it"), behind);
    let places = graph.add(format!("{name}/places"), Arithmetic::Add, &[counted, behind])?;
    // Between whole numbers, so that rounding does not show.
    let places =
        graph.add(format!("{name}/wide"), Movement::Reshape { shape: vec![count, 1, n] }, &[places])?;
    let limits = Array::new(vec![k, 1], (0..k).map(|r| r as f32 + 0.5).collect())?;
    let limits = graph.add_constant(format!("{name}/limits"), limits);
    let up_to =
        graph.add(format!("{name}/up_to"), Arithmetic::Compare(Comparison::Less), &[places, limits])?;
    let others = Movement::Slice { begin: vec![0; 3], size: vec![count, k - 1, n], stride: vec![1; 3] };
    let others = graph.add(format!("{name}/others"), others, &[up_to])?;
    let down = Movement::Pad { before: vec![0, 1, 0], after: vec![0; 3] };
    let others = graph.add(format!("{name}/down"), down, &[others])?;
    let chosen = graph.add(format!("{name}/chosen"), Arithmetic::Sub, &[up_to, others])?;
    Ok((flat, chosen))
}

//! Products of stacks of matrices whose leading axes broadcast, and sums of products after
//! Einstein's convention.

use cryptflow_ring::Movement;

use super::MATRIX_PRODUCT;
use crate::builder::Builder;
use crate::value::Fault;
use cryptflow_graph::operations::broadcast;
use cryptflow_graph::{Linear, NodeId, Op, Reduce, Reduction};

/// `a · b` of the last two axes, each read transposed on demand; the axes before them broadcast.
/// Operands of two axes at least.
pub(crate) fn matmul(
    c: &mut Builder<'_>,
    (a, transpose_a): (NodeId, bool),
    (b, transpose_b): (NodeId, bool),
) -> Result<NodeId, Fault> {
    let (shape_a, shape_b) = (c.shape(a).to_vec(), c.shape(b).to_vec());
    let (Some((lead_a, _)), Some((lead_b, _))) =
        (shape_a.split_last_chunk::<2>(), shape_b.split_last_chunk::<2>())
    else {
        return Err(format!("multiplies {shape_a:?} by {shape_b:?}, which are no matrices").into());
    };
    let lead = broadcast(lead_a, lead_b).ok_or_else(|| {
        format!("multiplies stacks of matrices {shape_a:?} and {shape_b:?}, whose leading axes differ")
    })?;
    let product = |transpose_a| Op::Linear(Linear::MatMul { transpose_a, transpose_b });
    if lead_b.is_empty() && !lead.is_empty() && !transpose_a && c.constant_of(b).is_some() {
        // A stack by one matrix is a product of one tall matrix.
        let inner = shape_a.last().copied().unwrap_or(1);
        let rows = shape_a.iter().take(shape_a.len() - 1).product();
        let tall = c.reshape(vec![rows, inner], a)?;
        let y = c.add_numbered(product(false), &[tall, b])?;
        let columns = c.shape(y).last().copied().unwrap_or(1);
        let shape = shape_a.iter().take(shape_a.len() - 1).copied().chain([columns]).collect();
        return c.reshape(shape, y);
    }
    let a = widened(c, a, &lead)?;
    let b = if lead_b.is_empty() { b } else { widened(c, b, &lead)? };
    c.add_numbered(product(transpose_a), &[a, b])
}

/// A stack of matrices with these leading axes.
fn widened(c: &mut Builder<'_>, x: NodeId, lead: &[usize]) -> Result<NodeId, Fault> {
    let shape = c.shape(x).to_vec();
    let Some((own, matrix)) = shape.split_last_chunk::<2>() else { return Ok(x) };
    if own == lead {
        return Ok(x);
    }
    c.move_elements(Movement::Broadcast { shape: lead.iter().chain(matrix).copied().collect() }, x)
}

/// A sum of products: `equation` names the axes of each operand and of the result by letters, as
/// `ij,jk->ik`. Of one or two operands, in each of which every letter stands once.
pub(crate) fn einsum(c: &mut Builder<'_>, equation: &str, operands: &[NodeId]) -> Result<NodeId, Fault> {
    let ranks: Vec<usize> = operands.iter().map(|&x| c.shape(x).len()).collect();
    let Labels { operands: axes, result } = Labels::read(equation, &ranks)?;
    let (x, first) = summed(c, operands[0], &axes[0], &|l| {
        result.contains(&l) || axes.get(1).is_some_and(|other| other.contains(&l))
    })?;
    let (y, labels) = match (operands.get(1), axes.get(1)) {
        (Some(&y), Some(second)) => {
            let (y, second) = summed(c, y, second, &|l| result.contains(&l) || first.contains(&l))?;
            product_of(c, (x, &first), (y, &second), &result)?
        }
        _ => (x, first),
    };
    let permutation: Option<Vec<usize>> = result.iter().map(|l| labels.iter().position(|m| m == l)).collect();
    let permutation =
        permutation.ok_or_else(|| wrong(equation, "has a letter in the result that no operand has"))?;
    c.transpose(permutation, y)
}

/// The axes of each operand and of the result. An ellipsis stands for the axes that the letters
/// leave; they get numbers.
struct Labels {
    operands: Vec<Vec<u32>>,
    result: Vec<u32>,
}

fn wrong(equation: &str, why: &str) -> Fault {
    Fault::Unsupported(format!("its equation {equation:?} {why}"))
}

impl Labels {
    /// Reads an equation for operands of so many axes.
    fn read(equation: &str, ranks: &[usize]) -> Result<Labels, Fault> {
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() || !(1..=2).contains(&terms.len()) {
            let why =
                "is not one of as many operands as there are, one or two. Write a sum of more as several";
            return Err(wrong(equation, why));
        }
        let mut operands: Vec<Vec<u32>> = Vec::new();
        let mut most = 0;
        for (term, &rank) in terms.iter().zip(ranks) {
            let letters = term.replace("...", "").chars().count();
            let open = rank
                .checked_sub(letters)
                .ok_or_else(|| wrong(equation, "has more letters than an operand has axes"))?;
            if open > 0 && !term.contains("...") {
                return Err(wrong(equation, "has fewer letters than an operand has axes"));
            }
            most = most.max(open);
            operands.push(labels(term, open));
        }
        let result = right.map_or_else(|| implied(&operands, most), |right| labels(right, most));
        for labels in operands.iter().chain([&result]) {
            let mut sorted = labels.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != labels.len() {
                let why = "has a letter twice in one operand. Take the diagonal before, with GatherV2";
                return Err(wrong(equation, why));
            }
        }
        Ok(Labels { operands, result })
    }
}

/// The result of an equation without an arrow: the ellipsis, then what stands once, in alphabetic
/// order.
fn implied(operands: &[Vec<u32>], most: usize) -> Vec<u32> {
    let mut all: Vec<u32> = operands.iter().flatten().copied().collect();
    all.sort_unstable();
    let once = |l: &&u32| all.iter().filter(|m| m == l).count() == 1 && **l >= FIRST_LETTER;
    (0..most as u32).rev().chain(all.iter().filter(once).copied()).collect()
}

const FIRST_LETTER: u32 = 'A' as u32;

/// The axes of a term: letters, and for an ellipsis of `open` axes the numbers from `open − 1` down
/// to 0.
fn labels(term: &str, open: usize) -> Vec<u32> {
    let (before, after) = term.split_once("...").unwrap_or((term, ""));
    let numbers = if term.contains("...") { open } else { 0 };
    before
        .chars()
        .map(u32::from)
        .chain((0..numbers as u32).rev())
        .chain(after.chars().map(u32::from))
        .collect()
}

/// Sums over the axes that nothing else has.
fn summed(
    c: &mut Builder<'_>,
    x: NodeId,
    labels: &[u32],
    keep: &dyn Fn(u32) -> bool,
) -> Result<(NodeId, Vec<u32>), Fault> {
    let axes: Vec<usize> = (0..labels.len()).filter(|&i| !keep(labels[i])).collect();
    if axes.is_empty() {
        return Ok((x, labels.to_vec()));
    }
    let y = c.add_numbered(Reduce { kind: Reduction::Sum, axes, keep_dims: false }, &[x])?;
    Ok((y, labels.iter().copied().filter(|&l| keep(l)).collect()))
}

type Labelled<'a> = (NodeId, &'a [u32]);

/// A product of matrices: what both have and the result too comes first, what only both have is
/// summed over.
fn product_of(
    c: &mut Builder<'_>,
    (x, first): Labelled<'_>,
    (y, second): Labelled<'_>,
    result: &[u32],
) -> Result<(NodeId, Vec<u32>), Fault> {
    let pick = |labels: &[u32], keep: &dyn Fn(u32) -> bool| -> Vec<u32> {
        labels.iter().copied().filter(|&l| keep(l)).collect()
    };
    let batch = pick(first, &|l| second.contains(&l) && result.contains(&l));
    let inner = pick(first, &|l| second.contains(&l) && !result.contains(&l));
    let rows = pick(first, &|l| !second.contains(&l));
    let columns = pick(second, &|l| !first.contains(&l));
    let lengths = |c: &Builder<'_>, labels: &[u32], of: &[u32], x: NodeId| -> Vec<usize> {
        let at = |l: &u32| of.iter().position(|m| m == l).and_then(|i| c.shape(x).get(i)).copied();
        labels.iter().map(|l| at(l).unwrap_or(1)).collect()
    };
    let shape_of_batch = lengths(c, &batch, first, x);
    for shared in [&batch, &inner] {
        if lengths(c, shared, first, x) != lengths(c, shared, second, y) {
            return Err("has axes of one letter that differ in length".into());
        }
    }
    let (row_shape, column_shape) = (lengths(c, &rows, first, x), lengths(c, &columns, second, y));
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let depth = count(&lengths(c, &inner, first, x));
    let mut ordered = |x: NodeId, labels: &[u32], parts: [&[u32]; 3], shape: [usize; 2]| {
        let order = parts.concat();
        let permutation = order.iter().filter_map(|l| labels.iter().position(|m| m == l)).collect();
        let x = c.transpose(permutation, x)?;
        let batch = count(&shape_of_batch);
        let matrix = if batch == 1 { shape.to_vec() } else { vec![batch, shape[0], shape[1]] };
        c.reshape(matrix, x)
    };
    let left = ordered(x, first, [&batch, &rows, &inner], [count(&row_shape), depth])?;
    let right = ordered(y, second, [&batch, &inner, &columns], [depth, count(&column_shape)])?;
    let product = c.add_numbered(MATRIX_PRODUCT, &[left, right])?;
    let shape = [shape_of_batch, row_shape, column_shape].concat();
    Ok((c.reshape(shape, product)?, [batch, rows, columns].concat()))
}
